# src/cpu - the fast CPU backend. The kernels contract a*b+c into one instruction, which strict C11 would forbid. Tracking of variables for
# debuggers takes ten times as long as all the rest on straight-line code of thousands of values.
if HS_CPU
noinst_LTLIBRARIES += libcpukernels.la
noinst_PROGRAMS += gen_codelets
gen_codelets_SOURCES = src/cpu/gen_codelets.c
gen_codelets_LDADD = -lm
# Sides of maps, and of maps with half a filter added; every other side is transformed by matrices, which for large primes is as fast.
codelet_sides = 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 40 42 44 45 48 50 54 56 60 64 66
src/cpu/codelets.h: gen_codelets$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) src/cpu && ./gen_codelets$(EXEEXT) $(codelet_sides) > $@.tmp && mv $@.tmp $@
src/cpu/libcpukernels_la-codelets_avx512.lo src/cpu/libcpukernels_la-codelets_avx2.lo: src/cpu/codelets.h
CLEANFILES += src/cpu/codelets.h
libcpukernels_la_SOURCES = src/cpu/kernels.h src/cpu/kernels_body.h src/cpu/kernels_product.h src/cpu/kernels_loops.h src/cpu/kernels_pool.h src/cpu/kernels_bf16.h src/cpu/kernels_avx512.c src/cpu/kernels_avx2.c \
	src/cpu/kernels_plain.c src/cpu/vec.h src/cpu/codelet.h src/cpu/codelets_avx512.c src/cpu/codelets_avx2.c
libcpukernels_la_CPPFLAGS = $(AM_CPPFLAGS) -Isrc/cpu
libcpukernels_la_CFLAGS = $(AM_CFLAGS) -ffp-contract=fast -fno-math-errno -fno-var-tracking
libcpukernels_la_LDFLAGS = # not AM_LDFLAGS: this goes into the shared library too
libhalfspec_la_LIBADD += libcpukernels.la
libhalfspec_la_SOURCES += src/cpu/cpu.h src/cpu/device.c src/cpu/product.c src/cpu/gemm.c src/cpu/dft.h src/cpu/dft.c src/cpu/dft_plane.h src/cpu/dft_plane.c src/cpu/dft_axis.h src/cpu/dft_axis.c src/cpu/dft_fftw.h src/cpu/dft_fftw.c src/cpu/transform.c src/cpu/conv.h \
	src/cpu/conv.c src/cpu/conv_cost.c src/cpu/conv_filter.c src/cpu/conv_bins.c src/cpu/conv_bf16.c src/cpu/conv_fft.c src/cpu/conv_direct.c src/cpu/pool.h src/cpu/pool.c \
	src/cpu/spool.h src/cpu/spool.c src/cpu/spool_axis.c src/cpu/spool_plane.c src/cpu/spool_map.c src/cpu/lowpass.c src/cpu/element.c src/cpu/norm.c src/cpu/optim.h src/cpu/optim.c src/cpu/penalty.c
AM_CPPFLAGS += $(FFTW_CFLAGS) $(BLAS_CFLAGS)
libhalfspec_la_LIBADD += $(FFTW_LIBS) $(BLAS_LIBS)
endif
