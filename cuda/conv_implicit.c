/* conv_implicit.c - convolution in space by our own kernels: products whose windows exist in shared memory alone. What a kernel
 * gathers is a table of places made here, one for x (forward and filter gradient) and one for dy (data gradient); boundary, flip
 * and stride are settled in it.
 *
 * A map that is stored as bf16 is read as such, and multiplied with taps in bf16; y and dx are written as they are to be stored. For the
 * filter gradient both sides are of one type: where one map is bf16, the other is rounded to it beforehand, in scratch. */
#include "hs_cuda.h"

#include <limits.h>

#include "hs_base.h"

enum { SLICE = 32, FINEST = 256, LONGEST = 4096, MOST_SPANS = 60000 };
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
    const int taps = d->kh * d->kw, together = channels % SLICE == 0 ? SLICE : channels % 16 == 0 ? 16 : channels;
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

static hs_cuda_gather gather_of(const hs_conv *conv, bool back, bool half)
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
        .half = half,
        .transposed = back,
    };
}

/* Kernels ask for their shared memory. */
static hs_status prepare(const hs_conv *conv)
{
    const hs_cuda_implicit *own = &conv->implicit;
    const hs_cuda_math math = hs_cuda_device_of(conv->device)->math;
    const hs_conv_desc *d = &conv->d;
    HS_TRY(hs_cuda_check(hs_cuda_conv_rows(NULL, math, own->forward, 0, d->co, NULL, NULL, NULL, NULL, false, NULL, NULL), "convolution"));
    HS_TRY(hs_cuda_check(hs_cuda_conv_rows(NULL, math, own->back, 0, d->ci, NULL, NULL, NULL, NULL, false, NULL, NULL), "convolution"));
    return hs_cuda_check(hs_cuda_conv_taps(NULL, math, own->taps, 0, own->span, d->co, NULL, NULL, NULL, NULL, NULL), "convolution");
}

static hs_status plan(hs_conv *conv)
{
    hs_cuda_implicit *own = &conv->implicit;
    own->forward = gather_of(conv, false, conv->half_in);
    own->taps = gather_of(conv, false, conv->half_in || conv->half_out);
    own->back = gather_of(conv, true, conv->half_out);
    own->span = choose_span(conv);
    HS_TRY(prepare(conv));
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

/* The map that is rounded to bf16 for the filter gradient: the one that is not yet, if the other is. */
static size_t rounded_bytes(const hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    const size_t x = (size_t)d->capacity * d->h * d->w * d->ci, y = (size_t)d->capacity * d->oh * d->ow * d->co;
    return conv->half_in == conv->half_out ? 0 : hs_cuda_line(2 * (conv->half_in ? y : x));
}

/* A rounded map, the spans' sums behind it; packed taps: never at the same time. */
static size_t scratch_bytes(const hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    const hs_cuda_implicit *own = &conv->implicit;
    const size_t rows = (size_t)d->capacity * d->oh * d->ow, spans = (rows + own->span - 1) / own->span;
    const size_t sizes[] = {rounded_bytes(conv) + spans * taps_count(conv) * sizeof(float),
                            (size_t)own->forward.places * hs_cuda_padded(d->co) * sizeof(float),
                            d->need_dx ? (size_t)own->back.places * hs_cuda_padded(d->ci) * sizeof(float) : 0};
    size_t most = 0;
    for (int i = 0; i < 3; i++)
        most = sizes[i] > most ? sizes[i] : most;
    return most;
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

/* Share of cuBLAS' rate that mma.sync reaches: three fifths. Numbers that are fp32 in shared memory halve bf16's; those that are bf16 there
 * are held up by it as much as by the tensor cores (conv_tile.h). An estimate. */
static double rate_of(const hs_cuda_device *d, bool half)
{
    return d->math == HS_CUDA_PLAIN ? d->plain : (d->math == HS_CUDA_TF32 ? 0.6 : half ? 0.5 : 0.4) * d->products;
}

/* A product of ROWS by COLUMNS over DEPTH, filled up to whole tiles, of which a processor may get none; and packing its taps. */
static double tile_seconds(const hs_cuda_device *d, bool half, double rows, double columns, double depth, double moved_numbers)
{
    const double width = hs_cuda_padded((int)columns), tiles = filled(rows, 128) / 128 * width / hs_cuda_tile_width((int)columns);
    const double flops = 2 * filled(rows, 128) * width * filled(depth, SLICE), busy = tiles < d->processors ? tiles / d->processors : 1;
    return hs_cuda_longest(d, moved_numbers, flops, busy * rate_of(d, half)) +
           hs_cuda_longest(d, columns * depth + (half ? 0.5 : 1) * width * depth, 0, d->plain);
}

static double seconds(const hs_cuda_device *d, const hs_conv_desc *c)
{
    const bool in = hs_cuda_half_edge(&d->base, c->sealed_in), out = hs_cuda_half_edge(&d->base, c->sealed_out);
    const double taps = (double)c->kh * c->kw, rows = (double)c->capacity * c->oh * c->ow, cells = (double)c->capacity * c->h * c->w;
    const double x = cells * c->ci * (in ? 0.5 : 1), y = rows * c->co * (out ? 0.5 : 1);
    double sum = tile_seconds(d, in, rows, c->co, taps * c->ci, x + y);
    if (in != out) /* one of them is rounded and read again */
        sum += hs_cuda_longest(d, 1.5 * (in ? y : x), 0, d->plain);
    /* the filter gradient: places are its rows */
    sum += hs_cuda_longest(d, x + y, 2 * filled(taps * c->ci, 128) * hs_cuda_padded(c->co) * rows, 0.85 * rate_of(d, in || out));
    return c->need_dx ? sum + tile_seconds(d, out, cells, c->ci, taps * c->co, x + y) : sum;
}

/* ---- the calls ---------------------------------------------------------------------------------------------------------------- */

static hs_status forward(hs_stream *s, const hs_conv *conv, int n, const void *x, const void *taps, const float *bias, void *y,
                         uint8_t *mask, void *scratch)
{
    const hs_cuda_implicit *own = &conv->implicit;
    cudaStream_t raw = hs_cuda_raw(s);
    HS_TRY(hs_cuda_check(hs_cuda_pack_taps(raw, own->forward, conv->d.co, own->x_place, taps, scratch), "convolution"));
    return hs_cuda_check(hs_cuda_conv_rows(raw, hs_cuda_of(s)->math, own->forward, n, conv->d.co, own->x_place, x, scratch, bias,
                                           conv->half_out, y, mask),
                         "convolution");
}

static hs_status taps_gradient(hs_stream *s, const hs_conv *conv, int n, const void *x, const void *dy, float *dtaps, void *scratch)
{
    const hs_conv_desc *d = &conv->d;
    const hs_cuda_implicit *own = &conv->implicit;
    cudaStream_t raw = hs_cuda_raw(s);
    const size_t x_count = (size_t)n * d->h * d->w * d->ci, y_count = (size_t)n * d->oh * d->ow * d->co;
    float *sums = (float *)(void *)((char *)scratch + rounded_bytes(conv));
    if (conv->half_in != conv->half_out)
        HS_TRY(hs_cuda_check(hs_cuda_to_bf16(raw, conv->half_in ? y_count : x_count, conv->half_in ? dy : x, scratch), "convolution"));
    const void *left = conv->half_out && !conv->half_in ? scratch : x, *right = conv->half_in && !conv->half_out ? scratch : dy;
    return hs_cuda_check(hs_cuda_conv_taps(raw, hs_cuda_of(s)->math, own->taps, n, own->span, d->co, own->x_place, left, right, sums, dtaps),
                         "convolution");
}

static hs_status backward(hs_stream *s, const hs_conv *conv, int n, const void *x, const void *taps, const void *dy, void *dx,
                          float *dtaps, void *scratch)
{
    const hs_cuda_implicit *own = &conv->implicit;
    cudaStream_t raw = hs_cuda_raw(s);
    HS_TRY(taps_gradient(s, conv, n, x, dy, dtaps, scratch));
    if (!dx)
        return HS_OK;
    HS_TRY(hs_cuda_check(hs_cuda_pack_taps(raw, own->back, conv->d.ci, own->dy_place, taps, scratch), "convolution"));
    return hs_cuda_check(hs_cuda_conv_rows(raw, hs_cuda_of(s)->math, own->back, n, conv->d.ci, own->dy_place, dy, scratch, NULL,
                                           conv->half_in, dx, NULL),
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
