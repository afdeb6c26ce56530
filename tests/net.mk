# tests of net
net_tests = t_net_gradients
check_PROGRAMS += $(net_tests)
TESTS += $(net_tests)
t_net_gradients_SOURCES = tests/t_net_gradients.c tests/net_fixture.h
t_net_gradients_LDADD = $(test_ldadd)
