/* nompi.c - stands in for mpi.c in a build without MPI: a job is one process. */
#include "comm_impl.h"

hs_status hs_comm_start(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    return HS_OK;
}

void hs_comm_finish(void)
{
}

bool hs_comm_takes_device(const hs_comm *comm)
{
    (void)comm;
    return false;
}

hs_status hs_comm_world(hs_comm **comm)
{
    return hs_comm_self(comm);
}
