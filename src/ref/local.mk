# src/ref - the truth: every op as plain loops. Compiled twice: numbers stored as double (backend `ref`) and as float (what `cpu` inherits).
noinst_LTLIBRARIES += libref64.la libref32.la
ref_sources = src/ref/real.h src/ref/ref.h src/ref/ref_names.h src/ref/device.c src/ref/memory.c src/ref/gemm.c src/ref/transform.c \
	src/ref/conv.c src/ref/pool.c src/ref/spool.c src/ref/element.c src/ref/norm.c src/ref/loss.c src/ref/optim.c src/ref/backend.c
libref64_la_SOURCES = $(ref_sources)
libref64_la_LDFLAGS = # not AM_LDFLAGS: these go into the shared library too
libref64_la_CPPFLAGS = $(AM_CPPFLAGS) -DHS_REAL_BITS=64
libref32_la_SOURCES = $(ref_sources)
libref32_la_LDFLAGS =
libref32_la_CPPFLAGS = $(AM_CPPFLAGS) -DHS_REAL_BITS=32
libhalfspec_la_LIBADD += libref64.la libref32.la
