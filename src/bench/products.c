/* products.c - the products per frequency of the planned convolutions, alone: a convolution of a periodic map whose input and output both stay in the
 * spectrum is filter spectra and products, and no transform. */
#include <math.h>
#include <string.h>

#include "bench.h"

enum { X, TAPS, Y, DY, DX, DTAPS, SAVED, SCRATCH, PIECES };

/* A convolution with memory of its own, on any device. */
typedef struct conv_run {
    hs_device *device;
    hs_stream *stream;
    hs_conv *plan;
    int n;
    char *memory, *piece[PIECES];
    size_t count[PIECES]; /* numbers of X .. DTAPS */
    bool backward;
} conv_run;

/* A self-conjugate bin has no imaginary half: [bin][n][re c | im c]. */
static void clear_imaginary(const hs_conv_desc *d, int c, float *x)
{
    for (int u = 0; u < hs_bins_count(d->h, d->w); u++) {
        int ky, kx;
        hs_bin_at(d->h, d->w, u, &ky, &kx);
        if (!hs_bin_is_self(d->h, d->w, ky, kx))
            continue;
        for (int i = 0; i < d->capacity; i++)
            memset(x + ((size_t)u * (size_t)d->capacity + (size_t)i) * 2 * (size_t)c + c, 0, (size_t)c * sizeof *x);
    }
}

static hs_status fill(conv_run *r, const hs_conv_desc *d, int piece)
{
    float *x = NULL;
    HS_TRY(hs_calloc(r->count[piece], sizeof *x, "numbers for a convolution", &x));
    hs_bench_random(6 + (uint64_t)piece, x, r->count[piece]);
    if (piece != TAPS)
        clear_imaginary(d, piece == X ? d->ci : d->co, x);
    hs_status st = r->device->backend->memory->from_float(r->stream, r->count[piece], x, r->piece[piece]);
    hs_free(x);
    return st;
}

static hs_status open_run(conv_run *r, const hs_conv_desc *d)
{
    const hs_backend *b = r->device->backend;
    HS_TRY(b->conv->plan(r->device, d, &r->plan));
    size_t bins = 2 * (size_t)hs_bins_count(d->h, d->w) * (size_t)d->capacity, taps = (size_t)d->kh * (size_t)d->kw * (size_t)d->ci * (size_t)d->co;
    size_t at[PIECES], bytes = 0;
    r->n = d->capacity;
    r->count[X] = r->count[DX] = bins * (size_t)d->ci;
    r->count[Y] = r->count[DY] = bins * (size_t)d->co;
    r->count[TAPS] = r->count[DTAPS] = taps;
    for (int i = 0; i < PIECES; i++) {
        size_t own = i == SAVED ? b->conv->saved_bytes(r->plan) : i == SCRATCH ? b->conv->scratch_bytes(r->plan) : r->count[i] * b->real;
        at[i] = bytes;
        bytes += (own + 255) / 256 * 256;
    }
    HS_TRY(b->memory->alloc(r->device, bytes, (void **)&r->memory));
    for (int i = 0; i < PIECES; i++)
        r->piece[i] = r->memory + at[i];
    HS_TRY(fill(r, d, X));
    HS_TRY(fill(r, d, TAPS));
    return fill(r, d, DY);
}

static void close_run(conv_run *r)
{
    if (r->memory)
        r->device->backend->memory->free(r->device, r->memory);
    if (r->plan)
        r->device->backend->conv->destroy(&r->plan);
}

static hs_status run_once(void *context)
{
    conv_run *r = context;
    const hs_conv_ops *ops = r->device->backend->conv;
    char **p = r->piece;
    HS_TRY(r->backward ? ops->backward(r->stream, r->plan, r->n, p[X], p[TAPS], p[DY], p[DX], p[DTAPS], NULL, p[SAVED], p[SCRATCH])
                       : ops->forward(r->stream, r->plan, r->n, p[X], p[TAPS], NULL, p[Y], p[SAVED], p[SCRATCH]));
    return r->device->backend->device->stream_sync(r->stream);
}

/* ---- comparing -------------------------------------------------------------------------------------------------------------------------- */

static hs_status compare_piece(const conv_run *r, const conv_run *reference, int piece, double *error)
{
    double *mine = NULL, *right = NULL;
    size_t count = r->count[piece];
    HS_TRY(hs_calloc(2 * count, sizeof *mine, "numbers to compare", &mine));
    right = mine + count;
    hs_status st = hs_bench_download(r->device, r->stream, r->piece[piece], count, mine);
    if (st == HS_OK)
        st = hs_bench_download(reference->device, reference->stream, reference->piece[piece], count, right);
    double found = st == HS_OK ? hs_bench_rms(mine, right, count) : 0;
    *error = found > *error || isnan(*error) ? found : *error;
    hs_free(mine);
    return st;
}

static hs_status compare_runs(conv_run *r, conv_run *reference, const hs_conv_desc *d, double error[2])
{
    HS_TRY(open_run(r, d));
    HS_TRY(open_run(reference, d));
    for (int way = 0; way < 2; way++) {
        r->backward = reference->backward = way;
        HS_TRY(run_once(r));
        HS_TRY(run_once(reference));
    }
    HS_TRY(compare_piece(r, reference, Y, &error[0]));
    HS_TRY(compare_piece(r, reference, DX, &error[1]));
    return compare_piece(r, reference, DTAPS, &error[1]);
}

/* One sample, and of many channels some: the reference works in space, h w kh kw ci co multiply-adds three times over. */
static hs_status compare(hs_bench *b, const hs_conv_desc *full, double error[2])
{
    hs_conv_desc d = *full;
    conv_run r = {.device = b->trainer.world.device, .stream = b->trainer.world.stream}, reference = {.n = 0};
    d.capacity = 1;
    while ((double)d.h * d.w * d.kh * d.kw * d.ci * d.co > 3e7 && (d.ci > 8 || d.co > 8)) {
        d.ci = d.ci > 8 ? d.ci * 3 / 4 : d.ci;
        d.co = d.co > 8 ? d.co * 3 / 4 : d.co;
    }
    HS_TRY(hs_bench_reference(b->options->log, &reference.device, &reference.stream));
    hs_status st = compare_runs(&r, &reference, &d, error);
    close_run(&r);
    close_run(&reference);
    hs_bench_reference_close(&reference.device, &reference.stream);
    return st;
}

/* ---- timing --------------------------------------------------------------------------------------------------------------------------------- */

static hs_status time_products(hs_bench *b, const hs_layer_result *l, const hs_conv_desc *d, double budget)
{
    hs_world *w = &b->trainer.world;
    conv_run r = {.device = w->device, .stream = w->stream};
    double error[2] = {NAN, NAN};
    hs_work work = hs_work_product(d->h, d->w, d->kh, d->kw, d->ci, d->co, d->capacity, w->device->backend->real);
    if (!b->options->no_errors)
        HS_TRY(compare(b, d, error));
    hs_status st = open_run(&r, d);
    for (int way = 0; way < 2 && st == HS_OK; way++) {
        hs_timing t = {.count = 0};
        char what[64];
        r.backward = way;
        st = hs_timing_run(run_once, &r, budget / 2, &t);
        snprintf(what, sizeof what, "%s, %d bins, %d to %d", way ? "backward" : "forward", hs_bins_count(d->h, d->w), d->ci, d->co);
        hs_bench_row row = {.part = "products", .name = l->row.name, .what = what, .timing = &t,
                            .work = {work.flop * (1 + way), work.bytes * (1 + way)}, .error = error[way]};
        if (st == HS_OK)
            hs_report_row(&b->report, &row);
    }
    close_run(&r);
    return st;
}

/* The products of row I's convolution; false if it has none, or if a row before had the same. */
static bool describe(const hs_bench *b, int i, hs_conv_desc *d)
{
    const hs_layer_row *row = &b->layer[i].row;
    const hs_world *w = &b->trainer.world;
    const hs_param *f = hs_layer_filters(w->net, row->name);
    int h, side_w;
    if (!f || !hs_engine_grid(row, &h, &side_w))
        return false;
    *d = (hs_conv_desc){.capacity = w->capacity, .h = h, .w = side_w, .ci = row->in.c, .co = row->out.c, .kh = f->kh, .kw = f->kw, .stride = 1,
                        .oh = h, .ow = side_w, .pad_h = (f->kh - 1) / 2, .pad_w = (f->kw - 1) / 2, .boundary = HS_BOUNDARY_PERIODIC,
                        .need_dx = true, .in = HS_SPECTRUM, .out = HS_SPECTRUM, .engine = HS_ENGINE_FFT};
    return w->device->backend->conv->supports(w->device, d);
}

static bool is_repeated(const hs_bench *b, int i, const hs_conv_desc *d)
{
    hs_conv_desc other;
    for (int j = 0; j < i; j++)
        if (describe(b, j, &other) && other.h == d->h && other.w == d->w && other.ci == d->ci && other.co == d->co && other.kh == d->kh &&
            other.kw == d->kw)
            return true;
    return false;
}

hs_status hs_bench_products(hs_bench *b)
{
    hs_conv_desc d;
    hs_status st = HS_OK;
    int count = 0;
    for (int i = 0; i < b->rows; i++)
        count += describe(b, i, &d) && !is_repeated(b, i, &d);
    if (count == 0)
        hs_report_say(&b->report, "\nproducts: no convolution of this plan goes through spectra");
    for (int i = 0; i < b->rows && st == HS_OK; i++)
        if (describe(b, i, &d) && !is_repeated(b, i, &d))
            st = time_products(b, &b->layer[i], &d, b->share / count);
    return hs_agree(b->comm, st);
}
