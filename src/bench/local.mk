# src/bench - measures what the rooms below do. The loops that show the machine's peaks contract a*b+c into one instruction, as the CPU's kernels do.
libhalfspec_la_SOURCES += src/bench/bench.h src/bench/bench.c src/bench/timing.c src/bench/limits.c src/bench/report.c src/bench/numbers.c \
	src/bench/peaks.c src/bench/verify.c src/bench/transforms.c src/bench/products.c src/bench/layers.c src/bench/step.c src/bench/allreduce.c \
	src/bench/scaling.c
noinst_LTLIBRARIES += libbenchloops.la
libbenchloops_la_SOURCES = src/bench/loops.h src/bench/loops.c
libbenchloops_la_CFLAGS = $(AM_CFLAGS) -ffp-contract=fast
libbenchloops_la_LDFLAGS = # not AM_LDFLAGS: this goes into the shared library too
libhalfspec_la_LIBADD += libbenchloops.la
