# src/comm - the ranks. A build without MPI links nompi.o instead of mpi.o.
libhalfspec_la_SOURCES += src/comm/comm_impl.h src/comm/comm.c src/comm/self.c src/comm/buckets.c
if HS_MPI
libhalfspec_la_SOURCES += src/comm/mpi.c src/comm/aware.c
libhalfspec_la_LIBADD += $(MPI_LIBS)
AM_CPPFLAGS += $(MPI_CFLAGS)
else
libhalfspec_la_SOURCES += src/comm/nompi.c
endif
