/* transforms.c - transforms of the sides that the network uses, one by one: planes [n][h][w][c] to half spectra and back. */
#include <math.h>
#include <string.h>

#include "bench.h"

/* A transform with memory of its own, on any device. */
typedef struct transform_run {
    hs_device *device;
    hs_stream *stream;
    hs_transform *plan;
    char *memory, *space, *spectrum, *scratch;
    size_t space_count, spectrum_count;
    int n;
    bool inverse;
} transform_run;

static size_t padded(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

static hs_status open_run(transform_run *r, hs_shape s)
{
    const hs_backend *b = r->device->backend;
    HS_TRY(b->transform->plan(r->device, r->n, s.h, s.w, s.c, &r->plan));
    r->space_count = (size_t)r->n * hs_shape_count(s);
    r->spectrum_count = (size_t)r->n * 2 * (size_t)hs_bins_count(s.h, s.w) * (size_t)s.c;
    size_t space = padded(r->space_count * b->real), spectrum = padded(r->spectrum_count * b->real);
    HS_TRY(b->memory->alloc(r->device, space + spectrum + b->transform->scratch_bytes(r->plan), (void **)&r->memory));
    r->space = r->memory;
    r->spectrum = r->space + space;
    r->scratch = r->spectrum + spectrum;
    float *x = NULL;
    HS_TRY(hs_calloc(r->space_count, sizeof *x, "planes", &x));
    hs_bench_random(5, x, r->space_count);
    hs_status st = b->memory->from_float(r->stream, r->space_count, x, r->space);
    hs_free(x);
    return st;
}

static void close_run(transform_run *r)
{
    if (r->memory)
        r->device->backend->memory->free(r->device, r->memory);
    r->device->backend->transform->destroy(&r->plan);
}

static hs_status run_once(void *context)
{
    transform_run *r = context;
    const hs_transform_ops *ops = r->device->backend->transform;
    HS_TRY(r->inverse ? ops->inverse(r->stream, r->plan, r->n, r->spectrum, r->space, r->scratch)
                      : ops->forward(r->stream, r->plan, r->n, r->space, r->spectrum, r->scratch));
    return r->device->backend->device->stream_sync(r->stream);
}

/* There and back of one sample on the device and on the reference. */
static hs_status compare_runs(transform_run *r, transform_run *reference, hs_shape s, double error[2])
{
    double *mine = NULL, *right = NULL;
    hs_status st = HS_OK;
    HS_TRY_GOTO(st, open_run(r, s), done);
    HS_TRY_GOTO(st, open_run(reference, s), done);
    size_t most = r->spectrum_count > r->space_count ? r->spectrum_count : r->space_count;
    HS_TRY_GOTO(st, hs_calloc(most, sizeof *mine, "numbers to compare", &mine), done);
    HS_TRY_GOTO(st, hs_calloc(most, sizeof *right, "numbers to compare", &right), done);
    for (int way = 0; way < 2; way++) {
        r->inverse = reference->inverse = way;
        HS_TRY_GOTO(st, run_once(r), done);
        HS_TRY_GOTO(st, run_once(reference), done);
        size_t count = way ? r->space_count : r->spectrum_count;
        HS_TRY_GOTO(st, hs_bench_download(r->device, r->stream, way ? r->space : r->spectrum, count, mine), done);
        HS_TRY_GOTO(st, hs_bench_download(reference->device, reference->stream, way ? reference->space : reference->spectrum, count, right), done);
        error[way] = hs_bench_rms(mine, right, count);
    }
done:
    hs_free(mine);
    hs_free(right);
    return st;
}

static hs_status compare(hs_bench *b, hs_shape s, double error[2])
{
    transform_run r = {.device = b->trainer.world.device, .stream = b->trainer.world.stream, .n = 1}, reference = {.n = 1};
    hs_status st = hs_bench_reference(b->options->log, &reference.device, &reference.stream);
    HS_TRY(st);
    st = compare_runs(&r, &reference, s, error);
    close_run(&r);
    close_run(&reference);
    hs_bench_reference_close(&reference.device, &reference.stream);
    return st;
}

static hs_status time_transform(hs_bench *b, hs_shape s, double budget)
{
    hs_world *w = &b->trainer.world;
    transform_run r = {.device = w->device, .stream = w->stream, .n = w->capacity};
    double error[2] = {NAN, NAN};
    char name[32];
    snprintf(name, sizeof name, "%dx%d", s.h, s.w);
    if (!b->options->no_errors)
        HS_TRY(compare(b, s, error));
    hs_status st = open_run(&r, s);
    for (int way = 0; way < 2 && st == HS_OK; way++) {
        hs_timing t = {.count = 0};
        char what[64];
        r.inverse = way;
        st = hs_timing_run(run_once, &r, budget / 2, &t);
        snprintf(what, sizeof what, "%s, %d x %d channels", way ? "inverse" : "forward", w->capacity, s.c);
        hs_bench_row row = {.part = "transforms", .name = name, .what = what, .timing = &t,
                            .work = hs_work_transform(s.h, s.w, s.c, w->capacity, w->device->backend->real), .error = error[way]};
        if (st == HS_OK)
            hs_report_row(&b->report, &row);
    }
    close_run(&r);
    return st;
}

/* ---- which ------------------------------------------------------------------------------------------------------------------------------------ */

enum { MOST = 64 };

static void add_shape(hs_shape *list, int *count, hs_shape s)
{
    for (int i = 0; i < *count; i++)
        if (list[i].h == s.h && list[i].w == s.w && list[i].c == s.c)
            return;
    if (*count < MOST && (s.h > 1 || s.w > 1))
        list[(*count)++] = s;
}

/* Grids of convolutions, both sides of spectral pooling, and edges that the planner transforms. */
static int list_shapes(const hs_bench *b, hs_shape *list)
{
    int count = 0;
    for (int i = 0; i < b->rows; i++) {
        const hs_layer_row *r = &b->layer[i].row;
        hs_shape grid = r->in;
        if (hs_engine_grid(r, &grid.h, &grid.w))
            add_shape(list, &count, grid);
        if (strstr(r->notation, "SP") || strcmp(r->notation, "-") == 0) {
            add_shape(list, &count, r->in);
            add_shape(list, &count, r->out);
        }
    }
    return count;
}

hs_status hs_bench_transforms(hs_bench *b)
{
    hs_shape list[MOST];
    int count = list_shapes(b, list);
    hs_status st = HS_OK;
    if (count == 0)
        hs_report_say(&b->report, "\ntransforms: this plan has none");
    for (int i = 0; i < count && st == HS_OK; i++)
        st = time_transform(b, list[i], b->share / count);
    return hs_agree(b->comm, st);
}
