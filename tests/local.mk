# tests - one include per room, so that rooms do not meet in one list.
TEST_EXTENSIONS = .sh .py
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/run-tap
SH_LOG_COMPILER = $(SHELL)
PY_LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/run-python
# Waiting threads sleep: tests share their cores with other ranks.
AM_TESTS_ENVIRONMENT = OMP_WAIT_POLICY=passive; export OMP_WAIT_POLICY; srcdir="$(srcdir)" HALFSPEC="$(abs_builddir)/halfspec" MPIRUN="$(MPIRUN)" MPIRUN_FLAGS="$(MPIRUN_FLAGS)" PYTHON="$(PYTHON)" PYTHONPATH="$(abs_top_srcdir)/src/python"; export srcdir HALFSPEC MPIRUN MPIRUN_FLAGS PYTHON PYTHONPATH;

# Every test program: NAME_LDADD = $(test_ldadd), NAME_SOURCES = tests/NAME.c.
test_ldadd = libhalfspec.la $(CMOCKA_LIBS) -lm
include tests/build.mk
include tests/base.mk
include tests/spectrum.mk
include tests/ref.mk
include tests/cpu.mk
include tests/net.mk
include tests/optim.mk
include tests/data.mk
include tests/comm.mk
include tests/store.mk
include tests/train.mk
include tests/cli.mk
include tests/python.mk
include tests/cuda.mk
include tests/bench.mk
include tests/oracle.mk
SH_LOG_DRIVER = $(LOG_DRIVER)
PY_LOG_DRIVER = $(LOG_DRIVER)
EXTRA_DIST += tests/run-tap tests/run-python tests/lib.sh tests/hs_tap.h
