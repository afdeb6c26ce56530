/* comm_impl.h - private to src/comm: what its files share. */
#ifndef HS_COMM_IMPL_H
#define HS_COMM_IMPL_H

#include "hs_comm.h"

/* Name of this host, cut to fit. */
void hs_comm_host(char host[64]);
size_t hs_comm_type_bytes(hs_comm_type type);

/* Test aid, only in a build with MPI: split messages of COMM into pieces of at most COUNT elements, so that the path for more
 * than INT_MAX elements can be walked with little memory. */
void hs_mpi_set_piece(hs_comm *comm, size_t count);
/* The same for sums of slots that are made in wait, or begun by start. All ranks alike. */
void hs_mpi_set_at_once(hs_comm *comm, bool at_once);

#endif
