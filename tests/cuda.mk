# tests of cuda: its own files, compiled by the host's compilers against an emulation of CUDA, on every machine that has a C++ compiler
emulation = tests/cuda_emulation/cuda_runtime_api.h tests/cuda_emulation/cuda_runtime.h tests/cuda_emulation/cufft.h \
	tests/cuda_emulation/cublas_v2.h tests/cuda_emulation/nccl.h tests/cuda_emulation/nccl.cpp tests/cuda_emulation/journal.h tests/cuda_emulation/journal.cpp tests/cuda_emulation/runtime.cpp tests/cuda_emulation/streams.h tests/cuda_emulation/streams.cpp tests/cuda_emulation/recordings.cpp tests/cuda_emulation/strand.h tests/cuda_emulation/threads.cpp tests/cuda_emulation/libraries.cpp \
	tests/cuda_emulation/shadow.h tests/cuda_emulation/shadow_cells.h tests/cuda_emulation/shadow.cpp tests/cuda_emulation/shadow_calls.cpp
cuda_tests = t_cuda_ops t_cuda_precision t_cuda_plan t_cuda_planted t_cuda_plane_planted t_cuda_races t_cuda_conv t_cuda_pooled t_cuda_pooled_planted t_cuda_conv_planted t_cuda_first t_cuda_device t_cuda_data t_cuda_optim t_cuda_graph t_cuda_comm t_cuda_order t_cuda_train
if HS_CXX
check_LTLIBRARIES += libcudacore.la libcudaemulated.la libcudakernels.la libcudawatched.la
libcudacore_la_SOURCES = $(cuda_headers) $(cuda_host) $(emulation)
# g++ defines _GNU_SOURCE by itself, which the flags of C would define again
if HS_MPI
emulated_nccl = -DHAVE_NCCL=1
endif
libcudacore_la_CPPFLAGS = $(emulated_nccl) -DHS_CUDNN_FILES='"no-libcudnn"' -U_GNU_SOURCE -I$(top_srcdir)/tests/cuda_emulation $(AM_CPPFLAGS) -I$(top_srcdir)/cuda
libcudacore_la_CXXFLAGS = -std=c++17 -Wall -Wextra $(HS_WERROR)
libcudakernels_la_SOURCES = tests/cuda_emulation/kernels.cpp
libcudakernels_la_CPPFLAGS = $(libcudacore_la_CPPFLAGS)
libcudakernels_la_CXXFLAGS = $(libcudacore_la_CXXFLAGS)
libcudaemulated_la_SOURCES =
libcudaemulated_la_LIBADD = libcudacore.la libcudakernels.la
# The same, but kernels report every read and write to shadow.cpp. A library of its own, so that no program is linked with $(HS_SHADOW).
if HS_SANITIZERS
libcudawatched_la_LIBADD = libcudacore.la libcudakernels.la # the address sanitizer looks instead
else
check_LTLIBRARIES += libcudareporting.la
libcudawatched_la_LIBADD = libcudacore.la libcudareporting.la
endif
libcudareporting_la_SOURCES = tests/cuda_emulation/kernels.cpp
libcudareporting_la_CPPFLAGS = $(libcudacore_la_CPPFLAGS)
libcudareporting_la_CXXFLAGS = $(libcudacore_la_CXXFLAGS) $(HS_SHADOW)
libcudawatched_la_SOURCES =
check_LTLIBRARIES += libplanted.la
libplanted_la_SOURCES = tests/cuda_emulation/planted.h tests/cuda_emulation/planted.cpp tests/cuda_emulation/planted_plane.h tests/cuda_emulation/planted_plane.cpp tests/cuda_emulation/barriers.h
libplanted_la_CPPFLAGS = $(libcudacore_la_CPPFLAGS)
libplanted_la_CXXFLAGS = $(libcudacore_la_CXXFLAGS) $(HS_SHADOW)
check_PROGRAMS += $(cuda_tests)
TESTS += $(cuda_tests) tests/t_cuda_ways.sh
check_LTLIBRARIES += libfakecudnn.la
libfakecudnn_la_SOURCES = tests/cuda_emulation/fake_cudnn.cpp
libfakecudnn_la_CPPFLAGS = $(libcudacore_la_CPPFLAGS)
libfakecudnn_la_CXXFLAGS = $(libcudacore_la_CXXFLAGS)
libfakecudnn_la_LDFLAGS = -module -avoid-version -shared -rpath /nowhere
else
TESTS += tests/t_cuda_no_compiler.sh
endif
# The list of backends is compiled again, with cuda in it; what comes first is what the linker takes.
cuda_emulated_flags = $(emulated_nccl) -U_GNU_SOURCE -I$(top_srcdir)/tests/cuda_emulation $(AM_CPPFLAGS) -I$(top_srcdir)/cuda -DHAVE_CUDA_BACKEND=1
cuda_emulated_ldadd = libcudaemulated.la $(test_ldadd) -lstdc++
cuda_watched_ldadd = libcudawatched.la $(test_ldadd) -lstdc++
t_cuda_ops_SOURCES = tests/t_cuda_ops.c src/backends.c $(op_cases)
t_cuda_ops_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_ops_LDADD = $(cuda_emulated_ldadd)
t_cuda_ops_LDFLAGS = $(AM_LDFLAGS) -export-dynamic
t_cuda_races_SOURCES = tests/t_cuda_races.c src/backends.c $(op_cases)
t_cuda_races_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_races_LDADD = $(cuda_watched_ldadd)
t_cuda_precision_SOURCES = tests/t_cuda_precision.c src/backends.c $(op_cases)
t_cuda_precision_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_precision_LDADD = $(cuda_emulated_ldadd)
t_cuda_plan_SOURCES = tests/t_cuda_plan.c tests/net_fixture.h src/backends.c
t_cuda_plan_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_plan_LDADD = $(cuda_emulated_ldadd)
t_cuda_conv_SOURCES = tests/t_cuda_conv.c tests/conv_run.h src/backends.c
t_cuda_conv_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_conv_LDADD = $(cuda_emulated_ldadd)
t_cuda_conv_LDFLAGS = $(AM_LDFLAGS) -export-dynamic # the fake libcudnn works in the emulation's memory
t_cuda_pooled_SOURCES = tests/t_cuda_pooled.c tests/net_fixture.h src/backends.c
t_cuda_pooled_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_pooled_LDADD = $(cuda_emulated_ldadd)
t_cuda_pooled_planted_SOURCES = tests/t_cuda_pooled_planted.c tests/cuda_emulation/planted_pool.h tests/cuda_emulation/planted_pool.cpp tests/cuda_emulation/barriers.h src/backends.c
t_cuda_pooled_planted_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_pooled_planted_CXXFLAGS = -std=c++17 -Wall -Wextra $(HS_WERROR)
t_cuda_pooled_planted_LDADD = $(cuda_emulated_ldadd)
t_cuda_conv_planted_SOURCES = tests/t_cuda_conv_planted.c tests/cuda_emulation/planted_conv.h tests/cuda_emulation/planted_conv.cpp tests/cuda_emulation/barriers.h src/backends.c
t_cuda_conv_planted_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_conv_planted_CXXFLAGS = -std=c++17 -Wall -Wextra $(HS_WERROR)
t_cuda_conv_planted_LDADD = $(cuda_emulated_ldadd)
t_cuda_first_SOURCES = tests/t_cuda_first.c tests/train_fixture.h tests/train_ranks.h src/backends.c
t_cuda_first_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_first_LDADD = $(cuda_emulated_ldadd)
t_cuda_device_SOURCES = tests/t_cuda_device.c src/backends.c
t_cuda_device_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_device_LDADD = $(cuda_emulated_ldadd)
t_cuda_data_SOURCES = tests/t_cuda_data.c src/backends.c
t_cuda_data_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_data_LDADD = $(cuda_emulated_ldadd)
t_cuda_optim_SOURCES = tests/t_cuda_optim.c tests/optim_test.h tests/spectrum_test.h src/backends.c
t_cuda_optim_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_optim_LDADD = $(cuda_emulated_ldadd)
t_cuda_graph_SOURCES = tests/t_cuda_graph.c tests/train_fixture.h tests/train_ranks.h src/backends.c
t_cuda_graph_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_graph_LDADD = $(cuda_emulated_ldadd)
t_cuda_comm_SOURCES = tests/t_cuda_comm.c tests/cuda_emulation/mpi_aware.cpp src/backends.c
t_cuda_comm_CXXFLAGS = $(libcudacore_la_CXXFLAGS)
t_cuda_comm_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_comm_LDADD = $(cuda_emulated_ldadd)
t_cuda_planted_SOURCES = tests/t_cuda_planted.c tests/cuda_child.h src/backends.c
t_cuda_planted_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_planted_LDADD = libplanted.la $(cuda_watched_ldadd)
t_cuda_plane_planted_SOURCES = tests/t_cuda_plane_planted.c tests/cuda_child.h src/backends.c
t_cuda_plane_planted_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_plane_planted_LDADD = libplanted.la $(cuda_watched_ldadd)
t_cuda_train_SOURCES = tests/t_cuda_train.c tests/train_fixture.h tests/train_ranks.h tests/cuda_emulation/mpi_aware.cpp src/backends.c
t_cuda_train_CXXFLAGS = $(libcudacore_la_CXXFLAGS)
t_cuda_train_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_train_LDADD = $(cuda_emulated_ldadd)
t_cuda_order_SOURCES = tests/t_cuda_order.c tests/train_fixture.h tests/train_ranks.h src/backends.c
t_cuda_order_CPPFLAGS = $(cuda_emulated_flags)
t_cuda_order_LDADD = $(cuda_emulated_ldadd)
# all op cases and training once more under the address sanitizer: the emulation and everything in cuda/ is compiled with it, the rest is as it is
if HS_ASAN
check_LTLIBRARIES += libcudaguarded.la
check_PROGRAMS += cuda_asan_ops cuda_asan_train
TESTS += tests/t_cuda_asan.sh
endif
EXTRA_DIST += tests/t_cuda_asan.sh
libcudaguarded_la_SOURCES = $(libcudacore_la_SOURCES) tests/cuda_emulation/kernels.cpp
libcudaguarded_la_CPPFLAGS = $(libcudacore_la_CPPFLAGS)
libcudaguarded_la_CFLAGS = $(AM_CFLAGS) $(HS_ASAN)
libcudaguarded_la_CXXFLAGS = $(libcudacore_la_CXXFLAGS) $(HS_ASAN)
cuda_asan_ldadd = libcudaguarded.la $(test_ldadd) -lstdc++
cuda_asan_ops_SOURCES = $(t_cuda_ops_SOURCES)
cuda_asan_ops_CPPFLAGS = $(cuda_emulated_flags)
cuda_asan_ops_LDADD = $(cuda_asan_ldadd)
cuda_asan_ops_LDFLAGS = $(AM_LDFLAGS) $(HS_ASAN)
cuda_asan_train_SOURCES = $(t_cuda_train_SOURCES)
cuda_asan_train_CXXFLAGS = $(libcudaguarded_la_CXXFLAGS)
cuda_asan_train_CPPFLAGS = $(cuda_emulated_flags)
cuda_asan_train_LDADD = $(cuda_asan_ldadd)
cuda_asan_train_LDFLAGS = $(AM_LDFLAGS) $(HS_ASAN)
# the program on emulated GPUs
if HS_CXX
if HS_MPI
check_PROGRAMS += halfspec_emulated
TESTS += tests/t_cuda_break.sh
endif
endif
EXTRA_DIST += tests/t_cuda_break.sh
halfspec_emulated_SOURCES = $(halfspec_SOURCES) src/backends.c
halfspec_emulated_CPPFLAGS = $(cuda_emulated_flags) $(halfspec_CPPFLAGS) -DCUBLAS_VER_MAJOR=0 -DCUBLAS_VER_MINOR=0
halfspec_emulated_LDADD = $(cuda_emulated_ldadd)
# against an installed libcudnn, which plans without a device; says so where there is none
check_PROGRAMS += t_cuda_cudnn
TESTS += t_cuda_cudnn
t_cuda_cudnn_SOURCES = tests/t_cuda_cudnn.c cuda/cudnn_graph.c cuda/cudnn_api.h
t_cuda_cudnn_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/cuda
t_cuda_cudnn_LDADD = $(test_ldadd) -ldl
# of the kernels that nvcc compiled; says so where there are none
TESTS += tests/t_cuda_registers.sh
EXTRA_DIST += tests/t_cuda_registers.sh
# not in TESTS: they want a GPU
EXTRA_DIST += tests/gpu.sh
# ... or time: the script itself, by programs whose GPU is emulated, under the names that it looks for. What is measured says nothing, so nothing is.
EXTRA_PROGRAMS = emulated_halfspec emulated_ops
emulated_halfspec_SOURCES = src/backends.c
emulated_halfspec_CPPFLAGS = $(cuda_emulated_flags)
emulated_halfspec_LDADD = $(halfspec_OBJECTS) libcudaemulated.la $(halfspec_LDADD) -lstdc++
emulated_ops_SOURCES = tests/t_cpu_ops.c src/backends.c $(op_cases)
emulated_ops_CPPFLAGS = $(cuda_emulated_flags)
emulated_ops_LDADD = $(cuda_emulated_ldadd)
.PHONY: check-gpu-script
check-gpu-script: emulated_halfspec emulated_ops t_cuda_conv t_cuda_precision t_cuda_data t_cuda_optim halfspec
	rm -rf emulated && $(MKDIR_P) emulated
	for pair in halfspec:emulated_halfspec t_cpu_ops:emulated_ops t_gpu_conv:t_cuda_conv t_gpu_precision:t_cuda_precision t_gpu_data:t_cuda_data \
		t_gpu_optim:t_cuda_optim; do \
		$(LN_S) `pwd`/$${pair#*:} emulated/$${pair%%:*} || exit 1; done
	srcdir=`cd $(srcdir) && pwd`; cd emulated && srcdir=$$srcdir MPIRUN="$(MPIRUN)" MPIRUN_FLAGS="$(MPIRUN_FLAGS)" GPU_PATIENCE=20 GPU_STEPS=8 GPU_BATCH=16 GPU_SECONDS=7200 GPU_BENCH=no \
		$(SHELL) $$srcdir/tests/gpu.sh scratch > log; cat log; ! grep '^not ok' log
if HS_CXX
check_long_more = check-gpu-script
endif
CLEANFILES += $(EXTRA_PROGRAMS)
clean-local: clean-emulated
.PHONY: clean-emulated
clean-emulated:
	rm -rf emulated
if HS_CUDA
check_PROGRAMS += t_gpu_conv t_gpu_precision t_gpu_data t_gpu_optim
endif
t_gpu_conv_SOURCES = tests/t_cuda_conv.c tests/conv_run.h
t_gpu_conv_LDADD = $(test_ldadd)
t_gpu_precision_SOURCES = tests/t_cuda_precision.c $(op_cases)
t_gpu_precision_LDADD = $(test_ldadd)
t_gpu_data_SOURCES = tests/t_cuda_data.c
t_gpu_data_LDADD = $(test_ldadd)
t_gpu_optim_SOURCES = tests/t_cuda_optim.c tests/optim_test.h tests/spectrum_test.h
t_gpu_optim_LDADD = $(test_ldadd)
EXTRA_DIST += tests/t_cuda_no_compiler.sh tests/t_cuda_ways.sh

# Whole programs with watched kernels, and all op cases so: minutes. make check-races, or check-long
watched = t_watched_data t_watched_graph t_watched_optim t_watched_pooled t_watched_train
t_watched_data_SOURCES = $(t_cuda_data_SOURCES)
t_watched_data_CPPFLAGS = $(cuda_emulated_flags)
t_watched_data_LDADD = $(cuda_watched_ldadd)
t_watched_graph_SOURCES = $(t_cuda_graph_SOURCES)
t_watched_graph_CPPFLAGS = $(cuda_emulated_flags)
t_watched_graph_LDADD = $(cuda_watched_ldadd)
t_watched_optim_SOURCES = $(t_cuda_optim_SOURCES)
t_watched_optim_CPPFLAGS = $(cuda_emulated_flags)
t_watched_optim_LDADD = $(cuda_watched_ldadd)
t_watched_pooled_SOURCES = $(t_cuda_pooled_SOURCES)
t_watched_pooled_CPPFLAGS = $(cuda_emulated_flags)
t_watched_pooled_LDADD = $(cuda_watched_ldadd)
t_watched_train_SOURCES = $(t_cuda_train_SOURCES)
t_watched_train_CPPFLAGS = $(cuda_emulated_flags)
t_watched_train_LDADD = $(cuda_watched_ldadd)
.PHONY: check-races
if HS_CXX
EXTRA_PROGRAMS += $(watched)
check_long_more += check-races
check-races: t_cuda_races $(watched)
	./t_cuda_races ""
	for p in $(watched); do echo "# $$p" && HS_EMULATE_ORDER=1 ./$$p || exit 1; done
endif
