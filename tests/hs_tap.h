/* hs_tap.h - TAP from a program that runs on several ranks: a result is good only if it is good on every rank, and rank 0 alone prints. */
#ifndef HS_TAP_H
#define HS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "hs_comm.h"

static hs_comm *tap_comm; /* NULL: one rank */
static int tap_count, tap_failed;

/* COLLECTIVE. One TAP line; returns whether all ranks said GOOD. A rank that said no prints its number to stderr. */
static inline bool tap_ok(bool good, const char *format, ...)
{
    double all = good;
    if (tap_comm && hs_allreduce(tap_comm, &all, 1, HS_COMM_F64, HS_MIN) != HS_OK)
        all = 0;
    if (!good && tap_comm)
        fprintf(stderr, "# rank %d of %d said no\n", tap_comm->rank, tap_comm->size);
    tap_count++;
    tap_failed += all == 0;
    if (!tap_comm || tap_comm->rank == 0) {
        char text[512];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        printf("%sok %d - %s\n", all == 0 ? "not " : "", tap_count, text);
        fflush(stdout);
    }
    return all != 0;
}

/* COLLECTIVE. The plan line, last; returns the exit status for main. */
static inline int tap_done(void)
{
    if (!tap_comm || tap_comm->rank == 0) {
        printf("1..%d\n", tap_count);
        fflush(stdout);
    }
    return tap_failed != 0;
}

#endif
