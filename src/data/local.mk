# src/data - data sets, splits, batches
libhalfspec_la_SOURCES += src/data/data_impl.h src/data/source.c src/data/bytes.c src/data/idx.c src/data/cifar.c src/data/synthetic.c \
	src/data/dataset.c src/data/split.c src/data/scaling.c src/data/augment.c src/data/batch.c src/data/batcher.c
libhalfspec_la_LIBADD += $(ZLIB_LIBS) -lpthread
AM_CPPFLAGS += $(ZLIB_CFLAGS)
