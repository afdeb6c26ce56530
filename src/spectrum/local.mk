# src/spectrum - half spectra as pure functions in double
libhalfspec_la_SOURCES += src/spectrum/bins.c src/spectrum/coords.c src/spectrum/pool.c src/spectrum/arm.c src/spectrum/stats.c \
	src/spectrum/spectrum_internal.h
