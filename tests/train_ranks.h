/* train_ranks.h - how a program of tests that trains on several ranks begins and ends: MPI, TAP and a scratch directory. */
#ifndef TRAIN_RANKS_H
#define TRAIN_RANKS_H

#include "train_fixture.h"

#include "hs_tap.h"

/* COLLECTIVE. First in main. Ends the process where there are no ranks or no directory. */
static inline void ranks_begin(int *argc, char ***argv, char scratch[256])
{
    if (hs_comm_start(argc, argv) != HS_OK || hs_comm_world(&tap_comm) != HS_OK)
        exit(99);
    fixture_scratch(tap_comm, scratch);
}

/* COLLECTIVE. Last in main: its exit status. */
static inline int ranks_end(const char *scratch)
{
    if (tap_comm->rank == 0)
        fixture_remove(scratch);
    const int status = tap_done();
    hs_comm_destroy(&tap_comm);
    hs_comm_finish();
    return status;
}

#endif
