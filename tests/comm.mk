# tests of comm
check_PROGRAMS += t_comm_self
TESTS += t_comm_self
t_comm_self_SOURCES = tests/t_comm_self.c
t_comm_self_LDADD = $(test_ldadd)
if HS_MPI
check_PROGRAMS += t_comm_collectives t_comm_buckets
TESTS += t_comm_collectives t_comm_buckets
t_comm_collectives_SOURCES = tests/t_comm_collectives.c
t_comm_collectives_LDADD = $(test_ldadd)
t_comm_buckets_SOURCES = tests/t_comm_buckets.c
t_comm_buckets_LDADD = $(test_ldadd)
endif
