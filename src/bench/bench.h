/* bench.h - what the files of this room share: rows, peaks, and the benchmark itself. Nothing outside src/bench includes it.
 *
 * The benchmark owns a trainer, so that what it times is what training runs: same plan, same buckets, same step. */
#ifndef HS_BENCH_PRIVATE_H
#define HS_BENCH_PRIVATE_H

#include "../train/train.h"
#include "hs_bench.h"
#include "hs_spectrum.h"

/* ---- repeated timing: timing.c ----------------------------------------------------------------------------------------------- */

enum { HS_BENCH_REPEATS = 200 };
typedef struct hs_timing {
    double sample[HS_BENCH_REPEATS]; /* seconds */
    int count;
} hs_timing;
void hs_timing_add(hs_timing *t, double seconds);
double hs_timing_median(const hs_timing *t);
double hs_timing_best(const hs_timing *t);
double hs_timing_spread(const hs_timing *t); /* half the interquartile range, as a fraction of the median */
/* How many repeats of something that takes SECONDS fit into BUDGET: at least 3. */
int hs_timing_repeats(double seconds, double budget);
/* Warm up once, then time ONCE (which leaves the device idle) repeatedly for about BUDGET seconds. */
hs_status hs_timing_run(hs_status (*once)(void *context), void *context, double budget, hs_timing *t);

/* ---- work and its bounds: limits.c ----------------------------------------------------------------------------------------------- */

/* What a piece of work does at least: floating-point operations, and bytes between the processor and its memory. */
typedef struct hs_work {
    double flop, bytes;
} hs_work;
typedef struct hs_peaks {
    double flops, bytes; /* a second, all threads of this rank */
} hs_peaks;
/* The time WORK takes at least, and which peak says so ("flop", "mem"). */
double hs_work_limit(const hs_peaks *peaks, hs_work work, const char **bound);
hs_work hs_work_transform(int h, int w, int c, double n, size_t real);
hs_work hs_work_product(int h, int w, int kh, int kw, int ci, int co, double n, size_t real);
/* Forward and backward of N samples; HAS_DX: the gradient of its input is wanted. */
void hs_work_layer(const hs_net *net, const hs_layer_row *row, bool has_dx, double n, size_t real, hs_work *forward, hs_work *backward);
hs_work hs_work_optimizer(size_t params, int slots, size_t real);
/* "fft 33x33" -> 33, 33, and "fft" the map's own sides; false for other engines. */
bool hs_engine_grid(const hs_layer_row *row, int *h, int *w);
/* The filters of layer NAME; NULL if it has none. */
const hs_param *hs_layer_filters(const hs_net *net, const char *name);

/* ---- rows: report.c ------------------------------------------------------------------------------------------------------------ */

typedef struct hs_bench_row {
    const char *part, *name, *what; /* "layer", "conv2", "forward, fft 33x33" */
    hs_timing *timing;
    hs_work work;
    double limit; /* seconds, where it is not that of WORK; 0: of WORK */
    double rate;  /* images a second; 0: does not apply */
    double error; /* relative rms against the reference; NAN: not compared */
    const char *note; /* NULL or what else there is to say */
} hs_bench_row;

typedef struct hs_report {
    const hs_log *log;
    bool speaks; /* rank 0 */
    hs_peaks peaks;
    hs_text json;
    const char *part; /* of the last row */
    double worst;     /* largest error so far, and where */
    char worst_at[128];
} hs_report;
void hs_report_say(hs_report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void hs_report_fact(hs_report *r, const char *name, const char *value);
void hs_report_figure(hs_report *r, const char *part, const char *name, double value, const char *unit); /* a single number */
void hs_report_row(hs_report *r, const hs_bench_row *row);

/* ---- the benchmark ------------------------------------------------------------------------------------------------------------------ */

typedef struct hs_layer_result {
    hs_layer_row row;
    bool has_dx;
    hs_timing forward, backward;
    hs_work work_forward, work_backward;
    double error_forward, error_backward; /* NAN: not compared */
} hs_layer_result;

typedef struct hs_bench {
    const hs_config *config;
    hs_comm *comm;
    const hs_bench_options *options;
    hs_train_options train_options;
    hs_trainer trainer;
    hs_report report;
    double share;           /* seconds that a part may spend on timing */
    int rows;
    hs_layer_result *layer; /* [rows] */
    float *x;               /* a batch of this rank, [n][h][w][c], and its labels */
    int32_t *labels;
    double error_gradient;  /* of the gradient of all parameters; NAN: not compared */
    double step, backward, exposed; /* medians, seconds; 0: not measured */
} hs_bench;

/* Numbers in (-1, 1), none of them 0, the same for the same SEED: speed must not depend on lucky data. */
void hs_bench_random(uint64_t seed, float *x, size_t count);
/* Root mean square of X - REFERENCE over that of REFERENCE. */
double hs_bench_rms(const double *x, const double *reference, size_t count);
/* COUNT numbers of DEVICE memory as doubles; allocates. */
hs_status hs_bench_download(hs_device *device, hs_stream *s, const void *from, size_t count, double *to);
/* The reference in double, to compare with. */
hs_status hs_bench_reference(const hs_log *log, hs_device **device, hs_stream **stream);
void hs_bench_reference_close(hs_device **device, hs_stream **stream);

/* Every row of the network, its bounds, and which of them need the input's gradient: one pass shows it. */
hs_status hs_bench_survey(hs_bench *b);
/* One pass of this rank alone, without its neighbours' sums; the device is idle before and after each part. */
typedef struct hs_pass_times {
    double forward, loss, backward; /* seconds */
} hs_pass_times;
hs_status hs_bench_pass(hs_bench *b, hs_pass_times *t);
/* COLLECTIVE. Each prints its rows. */
hs_status hs_bench_peaks(hs_bench *b);      /* peaks.c */
hs_status hs_bench_verify(hs_bench *b);     /* verify.c: fills the errors of layers and gradient; prints nothing */
hs_status hs_bench_transforms(hs_bench *b); /* transforms.c */
hs_status hs_bench_products(hs_bench *b);   /* products.c */
hs_status hs_bench_layers(hs_bench *b);     /* layers.c */
hs_status hs_bench_step(hs_bench *b);       /* step.c */
hs_status hs_bench_allreduce(hs_bench *b);  /* allreduce.c */
hs_status hs_bench_scaling(hs_bench *b);    /* scaling.c */
hs_status hs_bench_check_links(const char *links);

#endif
