/* mpi_aware.cpp - an MPI library that takes pointers to (emulated) device memory, and says so when HS_EMULATE_MPI=aware. Linked into
 * the program it stands before the real library, which it calls with the host's addresses. It reads what is
 * there: work still queued on a stream is missing from the sum, as on a GPU. */
#include "config.h"

#if defined HAVE_MPI && defined HAVE_MPIX_QUERY_CUDA_SUPPORT
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <cstring>

#include "cuda_runtime.h"

extern "C" int MPIX_Query_cuda_support(void)
{
    const char *value = std::getenv("HS_EMULATE_MPI");
    return value && std::strcmp(value, "aware") == 0;
}

extern "C" int MPI_Allreduce(const void *from, void *to, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm)
{
    if (from == MPI_IN_PLACE && emulation::is_device(to)) {
        if (!MPIX_Query_cuda_support())
            emulation::die("MPI_Allreduce", "device memory, of which this library knows nothing");
        to = emulation::reach(to, "MPI_Allreduce");
    }
    return PMPI_Allreduce(from, to, count, type, op, comm);
}
#endif
