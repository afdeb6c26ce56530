/* hs_bench.h - times and verifies: the machine's peaks, transforms, per-bin products, every layer of a planned network, the whole training step and
 * the all-reduce; and a model of what many ranks would do. Above train, below the program. */
#ifndef HS_BENCH_H
#define HS_BENCH_H

#include "hs_comm.h"
#include "hs_config.h"
#include "hs_log.h"
#include "hs_status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    HS_BENCH_TRANSFORMS = 1 << 0,
    HS_BENCH_PRODUCTS = 1 << 1,
    HS_BENCH_LAYERS = 1 << 2,
    HS_BENCH_STEP = 1 << 3,
    HS_BENCH_ALLREDUCE = 1 << 4,
    HS_BENCH_ALL = (1 << 5) - 1
};

typedef struct hs_bench_options {
    unsigned parts;       /* HS_BENCH_*; 0: all, with a model the step alone */
    double seconds;       /* to spend on timing in all, > 0 */
    const char *json;     /* file for the rows, one object a line; NULL: none */
    bool no_errors;       /* do not compare with the reference */
    bool model_scaling;   /* end with the prediction for many ranks */
    const char *links;    /* figures for it, "name=value,..."; NULL: the stated defaults */
    const hs_log *log;
} hs_bench_options;

/* Add part WORD to *PARTS, and put SECONDS in; HS_EUSAGE names the nearest. */
hs_status hs_bench_part(const char *word, unsigned *parts);
/* What CONFIG leaves at its default becomes a benchmark's: the network deep k=3, batch 64, made-up images 32 x 32 x 3 in 10 classes, a small rate. */
hs_status hs_bench_defaults(hs_config *config);
/* COLLECTIVE. Measure as CONFIG says and print a table to options->log (rank 0). A result that is not close to the reference is a failure, after all
 * is printed. */
hs_status hs_bench_run(const hs_config *config, hs_comm *comm, const hs_bench_options *options);

#ifdef __cplusplus
}
#endif
#endif
