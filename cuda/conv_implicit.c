/* conv_implicit.c - convolution in space by our own kernels: products whose windows exist in shared memory alone. What a kernel
 * gathers is a table of places made here, one for x (forward and filter gradient) and one for dy (data gradient); boundary, flip
 * and stride are settled in it. */
#include "hs_cuda.h"

#include <limits.h>

#include "hs_base.h"

enum { SLICE = 16, FINEST = 256, LONGEST = 4096, MOST_SPANS = 60000 };
static const size_t partial_bytes = (size_t)256 << 20;

/* ---- tables --------------------------------------------------------------------------------------------------------------- */

static int moved(const hs_conv_desc *d, int tap, int pad, int side, bool back)
{
    const int by = (d->flip ? pad - tap : tap - pad) * (back ? -1 : 1);
    return d->boundary == HS_BOUNDARY_PERIODIC ? (by % side + side) % side : by;
}

/* Where channels come in slices, a slice goes through all taps before the next: neighbouring taps read the same numbers of x. */
static void fill_places(const hs_conv_desc *d, int channels, bool back, hs_cuda_place *place)
{
    const int taps = d->kh * d->kw, together = channels % SLICE == 0 ? SLICE : channels;
    for (int i = 0; i < taps * channels; i++) {
        const int tap = i / together % taps;
        place[i] = (hs_cuda_place){i / together / taps * together + i % together, moved(d, tap / d->kw, d->pad_h, d->h, back),
                                   moved(d, tap % d->kw, d->pad_w, d->w, back), tap};
    }
}

static hs_status put_places(const hs_conv *conv, int channels, bool back, int count, hs_cuda_place **out)
{
    hs_cuda_place *host = NULL;
    HS_TRY(hs_calloc((size_t)count, sizeof *host, "places of a convolution", &host));
    for (int i = conv->taps * channels; i < count; i++)
        host[i].channel = -1;
    fill_places(&conv->d, channels, back, host);
    const hs_status st = hs_cuda_put(conv->device, host, (size_t)count * sizeof *host, "places of a convolution", out);
    hs_free(host);
    return st;
}

/* ---- plan ----------------------------------------------------------------------------------------------------------------- */

static size_t taps_count(const hs_conv *conv)
{
    return (size_t)conv->taps * conv->d.ci * conv->d.co;
}

/* Rows to a span of the filter gradient's sum: enough spans to fill the device four times, none longer than what single precision
 * sums well, none so short that the second pass costs more than the first, within a fixed amount of memory. */
static int choose_span(const hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    const double rows = (double)d->capacity * d->oh * d->ow;
    const int width = hs_cuda_tile_width(d->co);
    const double tiles = (double)((conv->taps * d->ci + 127) / 128) * ((d->co + width - 1) / width);
    const double fit = (double)(partial_bytes / (taps_count(conv) * sizeof(float)));
    double spans = 4.0 * hs_cuda_device_of(conv->device)->processors / tiles;
    spans = spans > rows / FINEST ? rows / FINEST : spans;
    spans = spans < rows / LONGEST ? rows / LONGEST : spans;
    spans = spans > fit ? fit : spans;
    spans = spans > MOST_SPANS ? MOST_SPANS : spans;
    const double span = spans > 1 ? rows / spans : rows;
    return ((int)span / SLICE + 1) * SLICE;
}

static hs_cuda_gather gather_of(const hs_conv *conv, bool back)
{
    const hs_conv_desc *d = &conv->d;
    const int channels = back ? d->co : d->ci;
    return (hs_cuda_gather){
        .side_h = back ? d->h : d->oh,
        .side_w = back ? d->w : d->ow,
        .scale = back ? 1 : d->stride,
        .range_h = d->h,
        .range_w = d->w,
        .divide = back ? d->stride : 1,
        .from_h = back ? d->oh : d->h,
        .from_w = back ? d->ow : d->w,
        .channels = channels,
        .taps = conv->taps,
        .places = (conv->taps * channels + SLICE - 1) / SLICE * SLICE,
        .periodic = d->boundary == HS_BOUNDARY_PERIODIC,
        .wide = channels % 4 == 0,
        .transposed = back,
    };
}

static hs_status plan(hs_conv *conv)
{
    hs_cuda_implicit *own = &conv->implicit;
    own->forward = gather_of(conv, false);
    own->back = gather_of(conv, true);
    own->span = choose_span(conv);
    HS_TRY(put_places(conv, conv->d.ci, false, own->forward.places, &own->x_place));
    return conv->d.need_dx ? put_places(conv, conv->d.co, true, own->back.places, &own->dy_place) : HS_OK;
}

static void destroy(hs_conv *conv)
{
    if (conv->implicit.x_place)
        (void)cudaFree(conv->implicit.x_place);
    if (conv->implicit.dy_place)
        (void)cudaFree(conv->implicit.dy_place);
    conv->implicit = (hs_cuda_implicit){.span = 0};
}

/* Packed taps and the spans' sums: never at the same time. */
static size_t scratch_bytes(const hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    const hs_cuda_implicit *own = &conv->implicit;
    const size_t rows = (size_t)d->capacity * d->oh * d->ow, spans = (rows + own->span - 1) / own->span;
    const size_t sizes[] = {spans * taps_count(conv), (size_t)own->forward.places * hs_cuda_padded(d->co),
                            d->need_dx ? (size_t)own->back.places * hs_cuda_padded(d->ci) : 0};
    size_t most = 0;
    for (int i = 0; i < 3; i++)
        most = sizes[i] > most ? sizes[i] : most;
    return most * sizeof(float);
}

/* ---- what it covers and what it costs --------------------------------------------------------------------------------------- */

/* Rows, and numbers of a table, are counted in int. */
static bool offers(const hs_cuda_device *device, const hs_conv_desc *d)
{
    const double most = INT_MAX - 4096, n = d->capacity, taps = (double)d->kh * d->kw;
    (void)device;
    return n * d->h * d->w < most && n * d->oh * d->ow < most && taps * d->ci < most / SLICE && taps * d->co < most / SLICE;
}

static double filled(double count, double part)
{
    return count / part == (double)(long)(count / part) ? count : ((double)(long)(count / part) + 1) * part;
}

/* A product of ROWS by COLUMNS over DEPTH, filled up to whole tiles. Tensor cores reached by mma.sync do three fifths of what
 * cuBLAS gets out of them; numbers in shared memory are fp32, which halves bf16's rate again. */
static double tile_seconds(const hs_cuda_device *d, double rows, double columns, double depth, double moved_numbers)
{
    const double tensor = d->math == HS_CUDA_BF16 ? 0.4 : 0.6, rate = d->math == HS_CUDA_PLAIN ? d->plain : tensor * d->products;
    const double flops = 2 * filled(rows, 128) * hs_cuda_padded((int)columns) * filled(depth, SLICE);
    return hs_cuda_longest(d, moved_numbers, flops, rate);
}

static double seconds(const hs_cuda_device *d, const hs_conv_desc *c)
{
    const double taps = (double)c->kh * c->kw, rows = (double)c->capacity * c->oh * c->ow, cells = (double)c->capacity * c->h * c->w;
    const double x = cells * c->ci, y = rows * c->co;
    double sum = tile_seconds(d, rows, c->co, taps * c->ci, x + y);
    /* the filter gradient: places are its rows */
    const double places = filled(taps * c->ci, 128);
    sum += hs_cuda_longest(d, x + y, 2 * places * hs_cuda_padded(c->co) * rows,
                           d->math == HS_CUDA_PLAIN ? d->plain : (d->math == HS_CUDA_BF16 ? 0.35 : 0.5) * d->products);
    return c->need_dx ? sum + tile_seconds(d, cells, c->ci, taps * c->co, x + y) : sum;
}

/* ---- the calls ---------------------------------------------------------------------------------------------------------------- */

static hs_status forward(hs_stream *s, const hs_conv *conv, int n, const void *x, const float *taps, const float *bias, void *y,
                         uint8_t *mask, void *scratch)
{
    const hs_cuda_implicit *own = &conv->implicit;
    cudaStream_t raw = hs_cuda_raw(s);
    HS_TRY(hs_cuda_check(hs_cuda_pack_taps(raw, own->forward, conv->d.co, own->x_place, taps, scratch), "convolution"));
    return hs_cuda_check(hs_cuda_conv_rows(raw, hs_cuda_of(s)->math, own->forward, n, conv->d.co, own->x_place, x, scratch, bias,
                                           y, mask),
                         "convolution");
}

static hs_status backward(hs_stream *s, const hs_conv *conv, int n, const void *x, const float *taps, const void *dy, void *dx,
                          float *dtaps, void *scratch)
{
    const hs_cuda_implicit *own = &conv->implicit;
    const hs_cuda_math math = hs_cuda_of(s)->math;
    cudaStream_t raw = hs_cuda_raw(s);
    HS_TRY(hs_cuda_check(
        hs_cuda_conv_taps(raw, math, own->forward, n, own->span, conv->d.co, own->x_place, x, dy, scratch, dtaps), "convolution"));
    if (!dx)
        return HS_OK;
    HS_TRY(hs_cuda_check(hs_cuda_pack_taps(raw, own->back, conv->d.ci, own->dy_place, taps, scratch), "convolution"));
    return hs_cuda_check(hs_cuda_conv_rows(raw, math, own->back, n, conv->d.ci, own->dy_place, dy, scratch, NULL, dx, NULL),
                         "convolution");
}

const hs_cuda_way hs_cuda_implicit_way = {
    .name = "implicit",
    .finishes = true,
    .offers = offers,
    .seconds = seconds,
    .plan = plan,
    .destroy = destroy,
    .scratch_bytes = scratch_bytes,
    .forward = forward,
    .backward = backward,
};
