# tests of optim
check_PROGRAMS += t_optim_schedule t_optim_update t_optim_penalty t_optim_arms
TESTS += t_optim_schedule t_optim_update t_optim_penalty t_optim_arms
t_optim_schedule_SOURCES = tests/t_optim_schedule.c tests/spectrum_test.h
t_optim_schedule_LDADD = $(test_ldadd)
t_optim_update_SOURCES = tests/t_optim_update.c tests/optim_test.h tests/spectrum_test.h
t_optim_update_LDADD = $(test_ldadd)
t_optim_penalty_SOURCES = tests/t_optim_penalty.c tests/optim_test.h tests/spectrum_test.h
t_optim_penalty_LDADD = $(test_ldadd)
t_optim_arms_SOURCES = tests/t_optim_arms.c tests/optim_test.h tests/spectrum_test.h
t_optim_arms_LDADD = $(test_ldadd)
check_PROGRAMS += t_optim_net
TESTS += t_optim_net
t_optim_net_SOURCES = tests/t_optim_net.c tests/spectrum_test.h
t_optim_net_LDADD = $(test_ldadd)
