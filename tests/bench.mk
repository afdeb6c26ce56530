# tests of bench; behind cuda.mk, whose emulation they use. tests/t_cli_bench.sh has the rest
if HS_CXX
check_PROGRAMS += t_bench_cuda
TESTS += t_bench_cuda
endif
t_bench_cuda_SOURCES = tests/t_bench_cuda.c tests/hs_tap.h src/backends.c
t_bench_cuda_CPPFLAGS = $(cuda_emulated_flags)
t_bench_cuda_LDADD = $(cuda_emulated_ldadd)
TESTS += tests/t_bench_jobs.sh
EXTRA_DIST += tests/t_bench_jobs.sh
