/* allreduce.c - the sum of all gradients over the ranks: alone, in the buckets that training uses, and how much of it a step still waits for. */
#include <math.h>

#include "bench.h"

/* The gradients' own slab and buckets: a communicator may have made itself ready for these and no others. */
typedef struct sum_run {
    hs_bench *b;
    hs_mirror *slab;
    float *start; /* [count] what every rank begins with */
    double *sum;  /* [count] what comes of it */
} sum_run;

static bool is_on_device(const hs_bench *b)
{
    return hs_comm_sees_device(b->trainer.world.comm);
}

static hs_status refill(sum_run *r)
{
    const hs_world *w = &r->b->trainer.world;
    if (is_on_device(r->b))
        return w->device->backend->memory->from_float(w->stream, r->slab->count, r->start, r->slab->device);
    for (size_t i = 0; i < r->slab->count; i++)
        if (w->device->backend->real == HS_F32)
            ((float *)r->slab->host)[i] = r->start[i];
        else
            ((double *)r->slab->host)[i] = r->start[i];
    return HS_OK;
}

static hs_status open_run(sum_run *r)
{
    r->slab = &r->b->trainer.gradients;
    HS_TRY(hs_calloc(r->slab->count, sizeof *r->start, "numbers to sum", &r->start));
    HS_TRY(hs_calloc(r->slab->count, sizeof *r->sum, "sums", &r->sum));
    hs_bench_random(20, r->start, r->slab->count);
    return HS_OK;
}

static void close_run(sum_run *r)
{
    hs_free(r->start);
    hs_free(r->sum);
}

/* COLLECTIVE. */
static hs_status run_once(sum_run *r, double *seconds)
{
    const hs_world *w = &r->b->trainer.world;
    hs_buckets *buckets = r->b->trainer.buckets;
    HS_TRY(refill(r));
    HS_TRY(w->device->backend->device->stream_sync(w->stream));
    HS_TRY(hs_barrier(r->b->comm));
    double begin = hs_now();
    HS_TRY(hs_buckets_begin(buckets));
    HS_TRY(hs_buckets_ready(buckets, 0, r->slab->count));
    HS_TRY(hs_buckets_finish(buckets));
    HS_TRY(w->device->backend->device->stream_sync(w->stream));
    *seconds = hs_now() - begin;
    return hs_allreduce(r->b->comm, seconds, 1, HS_COMM_F64, HS_MAX);
}

/* Every rank began with the same numbers: their sum is known. */
static hs_status compare(sum_run *r, double *error)
{
    const hs_world *w = &r->b->trainer.world;
    size_t count = r->slab->count;
    double difference = 0, size = 0;
    if (is_on_device(r->b))
        HS_TRY(hs_bench_download(w->device, w->stream, r->slab->device, count, r->sum));
    else
        for (size_t i = 0; i < count; i++)
            r->sum[i] = w->device->backend->real == HS_F32 ? ((const float *)r->slab->host)[i] : ((const double *)r->slab->host)[i];
    for (size_t i = 0; i < count; i++) {
        double right = (double)r->start[i] * w->comm->size;
        difference += (r->sum[i] - right) * (r->sum[i] - right);
        size += right * right;
    }
    *error = sqrt(difference / size);
    return HS_OK;
}

static hs_status measure(sum_run *r, hs_timing *t, double *error)
{
    double seconds = 0;
    HS_TRY(run_once(r, &seconds));
    int repeats = hs_timing_repeats(3 * seconds, r->b->share); /* filling and waiting for each other take time too */
    for (int i = 0; i < repeats; i++) {
        HS_TRY(run_once(r, &seconds));
        hs_timing_add(t, seconds);
    }
    return compare(r, error);
}

/* What of the sum the step did not hide behind backward. */
static void print_overlap(hs_bench *b, double alone)
{
    if (b->step <= 0)
        return;
    double hidden = alone > 0 && b->exposed < alone ? 1 - b->exposed / alone : 0;
    hs_report_say(&b->report, "of a step of %.2f ms %.2f ms are left waiting for the sum (%.1f %%): %.1f %% of it are hidden behind backward", b->step * 1e3,
                  b->exposed * 1e3, 100 * b->exposed / b->step, 100 * hidden);
    hs_report_figure(&b->report, "allreduce", "exposed", b->exposed, "s");
    hs_report_figure(&b->report, "allreduce", "exposed-of-step", b->exposed / b->step, "fraction");
    hs_report_figure(&b->report, "allreduce", "hidden", hidden, "fraction");
}

hs_status hs_bench_allreduce(hs_bench *b)
{
    const hs_world *w = &b->trainer.world;
    sum_run r = {.b = b};
    hs_timing t = {.count = 0};
    double error = NAN;
    char what[80], note[80];
    if (b->comm->size == 1) {
        hs_report_say(&b->report, "\nallreduce: one rank has nothing to sum; start several with mpirun");
        return HS_OK;
    }
    hs_status st = hs_agree(b->comm, open_run(&r));
    if (st == HS_OK)
        st = hs_agree(b->comm, measure(&r, &t, &error));
    if (st == HS_OK) {
        double bytes = (double)r.slab->bytes, ranks = w->comm->size;
        snprintf(what, sizeof what, "%d ranks, %.1f MB", w->comm->size, bytes * 1e-6);
        snprintf(note, sizeof note, "GB/s each rank sends and receives: 2 (P-1)/P of the bytes");
        hs_bench_row row = {.part = "allreduce", .name = w->comm->ops->name, .what = what, .timing = &t, .work = {0, 2 * (ranks - 1) / ranks * bytes},
                            .error = error, .note = note};
        hs_report_row(&b->report, &row);
        print_overlap(b, hs_timing_median(&t));
    }
    close_run(&r);
    return st;
}
