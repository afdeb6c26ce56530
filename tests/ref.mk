# tests of ref, and the op cases that every backend is compared with
op_cases = tests/op_cases.h tests/op_private.h tests/op_cases.c tests/op_buffers.c tests/ops_gemm.c tests/ops_transform.c tests/ops_conv.c \
	tests/ops_pool.c tests/ops_spool.c tests/ops_element.c tests/ops_norm.c tests/ops_loss.c tests/ops_optim.c

check_PROGRAMS += t_cpu_ops
TESTS += t_cpu_ops
t_cpu_ops_SOURCES = tests/t_cpu_ops.c $(op_cases)
t_cpu_ops_LDADD = $(test_ldadd)
