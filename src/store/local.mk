# src/store - the only room that includes hdf5.h. hdf5_hl (dimension scales) must come from the directory that hdf5 came from: HDF5_HL_LIBS if configure
# found one, else -lhdf5_hl behind the same -L.
AM_CPPFLAGS += $(HDF5_CFLAGS) -DH5_USE_110_API
libhalfspec_la_SOURCES += src/store/h5.h src/store/parts.h src/store/h5.c src/store/h5attr.c src/store/h5data.c src/store/h5read.c \
	src/store/store.c src/store/provenance.c src/store/ckpt_layout.c src/store/manifest.c src/store/checkpoint_write.c \
	src/store/checkpoint_read.c src/store/checkpoint_peek.c
libhalfspec_la_LIBADD += $(HDF5_LIBS) -lhdf5_hl
