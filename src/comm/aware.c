/* aware.c - does the MPI library take pointers to a GPU's memory? Only its own word counts, and the one it gives while it runs: a
 * program may run with another library, or on another machine, than it was built with. A library without the question cannot. */
#include "config.h"

#include <mpi.h>
#include <string.h>
#if defined OPEN_MPI && OPEN_MPI
#include <mpi-ext.h>
#endif

#include "comm_impl.h"

bool hs_comm_takes_device(const hs_comm *comm)
{
    if (strcmp(comm->ops->name, "mpi") != 0)
        return false;
#if defined HAVE_MPIX_GPU_QUERY_SUPPORT
    int does = 0;
    return MPIX_GPU_query_support(MPIX_GPU_SUPPORT_CUDA, &does) == MPI_SUCCESS && does;
#elif defined HAVE_MPIX_QUERY_CUDA_SUPPORT
    return MPIX_Query_cuda_support() == 1;
#else
    return false;
#endif
}
