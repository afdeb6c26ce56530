# tests of cpu (comparison with ref is t_cpu_ops, in ref.mk)
if HS_CPU
check_PROGRAMS += t_cpu_agree t_cpu_bf16 t_cpu_alloc t_cpu_sides
TESTS += t_cpu_agree t_cpu_bf16 t_cpu_alloc t_cpu_sides
endif
t_cpu_agree_SOURCES = tests/t_cpu_agree.c tests/cpu_fixture.h
t_cpu_agree_LDADD = $(test_ldadd)
t_cpu_bf16_SOURCES = tests/t_cpu_bf16.c tests/cpu_fixture.h tests/train_fixture.h
t_cpu_bf16_LDADD = $(test_ldadd)
t_cpu_alloc_SOURCES = tests/t_cpu_alloc.c
t_cpu_alloc_LDADD = $(test_ldadd)
t_cpu_sides_SOURCES = tests/t_cpu_sides.c
t_cpu_sides_LDADD = $(test_ldadd)
