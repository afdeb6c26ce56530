# src/store - the only room that includes hdf5.h. HDF5_LIBS brings hdf5_hl (dimension scales) too,
# from the directory that hdf5 came from.
AM_CPPFLAGS += $(HDF5_CFLAGS) -DH5_USE_110_API
libhalfspec_la_SOURCES += src/store/h5.h src/store/parts.h src/store/h5.c src/store/h5attr.c src/store/h5data.c src/store/h5read.c \
	src/store/store.c src/store/provenance.c src/store/ckpt_layout.c src/store/manifest.c src/store/checkpoint_write.c \
	src/store/checkpoint_read.c src/store/checkpoint_peek.c src/store/run_parts.h src/store/run.c src/store/run_train.c src/store/run_plan.c src/store/bytes.c \
	src/store/history.c src/store/snapshot.c src/store/plots.c src/store/predictions.c src/store/h5set.c src/store/set_look.c src/store/info.c \
	src/store/check.h src/store/check.c src/store/check_rules.c src/store/check_files.c
libhalfspec_la_LIBADD += $(HDF5_LIBS)
