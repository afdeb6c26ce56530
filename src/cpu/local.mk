# src/cpu - the fast CPU backend. The kernels contract a*b+c into one instruction, which strict C11 would forbid.
if HS_CPU
noinst_LTLIBRARIES += libcpukernels.la
libcpukernels_la_SOURCES = src/cpu/kernels.h src/cpu/kernels_body.h src/cpu/kernels_loops.h src/cpu/kernels_avx512.c src/cpu/kernels_avx2.c \
	src/cpu/kernels_plain.c
libcpukernels_la_CFLAGS = $(AM_CFLAGS) -ffp-contract=fast -fno-math-errno
libcpukernels_la_LDFLAGS = # not AM_LDFLAGS: this goes into the shared library too
libhalfspec_la_LIBADD += libcpukernels.la
libhalfspec_la_SOURCES += src/cpu/cpu.h src/cpu/device.c src/cpu/product.c src/cpu/gemm.c src/cpu/dft.h src/cpu/dft.c src/cpu/transform.c src/cpu/conv.h \
	src/cpu/conv.c src/cpu/conv_filter.c src/cpu/conv_bins.c src/cpu/conv_fft.c src/cpu/conv_direct.c src/cpu/pool.h src/cpu/pool.c \
	src/cpu/spool.c src/cpu/element.c src/cpu/norm.c src/cpu/optim.c
AM_CPPFLAGS += $(FFTW_CFLAGS) $(BLAS_CFLAGS)
libhalfspec_la_LIBADD += $(FFTW_LIBS) $(BLAS_LIBS)
endif
