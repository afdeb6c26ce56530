# tests of ref, and the op cases that every backend is compared with
op_cases = tests/op_cases.h tests/op_private.h tests/op_cases.c tests/op_buffers.c tests/ops_gemm.c tests/ops_transform.c tests/ops_conv.c tests/ops_conv_pool.c \
	tests/ops_pool.c tests/ops_spool.c tests/ops_element.c tests/ops_norm.c tests/ops_loss.c tests/ops_optim.c
ref_tests = t_ref_transform t_ref_conv t_ref_pool t_ref_element t_ref_optim t_ref_backends t_ref_cases t_cpu_ops
check_PROGRAMS += $(ref_tests)
TESTS += $(ref_tests)
t_ref_transform_SOURCES = tests/t_ref_transform.c tests/ref_help.h
t_ref_transform_LDADD = $(test_ldadd)
t_ref_conv_SOURCES = tests/t_ref_conv.c tests/ref_help.h
t_ref_conv_LDADD = $(test_ldadd)
t_ref_pool_SOURCES = tests/t_ref_pool.c tests/ref_help.h
t_ref_pool_LDADD = $(test_ldadd)
t_ref_element_SOURCES = tests/t_ref_element.c tests/ref_help.h
t_ref_element_LDADD = $(test_ldadd)
t_ref_optim_SOURCES = tests/t_ref_optim.c tests/ref_help.h
t_ref_optim_LDADD = $(test_ldadd)
t_ref_backends_SOURCES = tests/t_ref_backends.c tests/ref_help.h
t_ref_backends_LDADD = $(test_ldadd)
t_ref_cases_SOURCES = tests/t_ref_cases.c tests/ref_help.h $(op_cases)
t_ref_cases_LDADD = $(test_ldadd)
# t_cpu_ops [BACKEND [FILTER]] compares any backend with ref
t_cpu_ops_SOURCES = tests/t_cpu_ops.c $(op_cases)
t_cpu_ops_LDADD = $(test_ldadd)
