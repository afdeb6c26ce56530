# tests of net
net_tests = t_net_notation t_net_presets t_net_shapes t_net_plan t_net_fuse t_net_memory t_net_arms t_net_gradients t_net_ranks t_net_cpu
check_PROGRAMS += $(net_tests)
TESTS += $(net_tests)
t_net_notation_SOURCES = tests/t_net_notation.c tests/net_fixture.h
t_net_notation_LDADD = $(test_ldadd)
t_net_presets_SOURCES = tests/t_net_presets.c tests/net_fixture.h
t_net_presets_LDADD = $(test_ldadd)
t_net_shapes_SOURCES = tests/t_net_shapes.c tests/net_fixture.h
t_net_shapes_LDADD = $(test_ldadd)
t_net_plan_SOURCES = tests/t_net_plan.c tests/net_fixture.h
t_net_plan_LDADD = $(test_ldadd)
t_net_fuse_SOURCES = tests/t_net_fuse.c tests/net_fixture.h
t_net_fuse_LDADD = $(test_ldadd)
t_net_memory_SOURCES = tests/t_net_memory.c tests/net_fixture.h
t_net_memory_LDADD = $(test_ldadd)
t_net_arms_SOURCES = tests/t_net_arms.c tests/net_fixture.h
t_net_arms_LDADD = $(test_ldadd)
t_net_gradients_SOURCES = tests/t_net_gradients.c tests/net_fixture.h
t_net_gradients_LDADD = $(test_ldadd)
t_net_ranks_SOURCES = tests/t_net_ranks.c tests/net_fixture.h
t_net_ranks_LDADD = $(test_ldadd) -lpthread
t_net_cpu_SOURCES = tests/t_net_cpu.c tests/net_fixture.h
t_net_cpu_LDADD = $(test_ldadd)

# PyTorch as an oracle; the program is its counterpart here.
check_PROGRAMS += net_trajectory
net_trajectory_SOURCES = tests/net_trajectory.c
net_trajectory_LDADD = $(test_ldadd)
TESTS += tests/t_net_torch.py
EXTRA_DIST += tests/t_net_torch.py
