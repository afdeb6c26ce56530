/* conv_pool.c - convolution of few channels, rectifier and max pooling as one op: a first layer, as nothing flows back to x.
 *
 * Apart they move the map that is 16 to 30 times as large as x or y: written by the convolution, read and pooled, and backward the
 * same again with masks and gradients, some 600 MB for 512 images of 32 x 32 x 3 and 96 filters, of which 80 are needed. */
#include "conv_pool.h"
#include "hs_cuda.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CI = 4, MOST_SIDE = 11, MOST_POOL = 5, MOST_SHARED = 48 << 10, LONGEST = 4096 };

static int padded(int count, int part)
{
    return (count + part - 1) / part * part;
}

/* ---- geometry ------------------------------------------------------------------------------------------------------------- */

/* The tile of 64 outputs of which the fewest cover the map. */
static void choose_tile(hs_cuda_pooled *g)
{
    int best = 0;
    for (int i = 0; i < 4; i++) {
        static const int widths[] = {8, 16, 4, 32}; /* squares have the smallest patches */
        const int w = widths[i], h = HS_POOLED_TILE / w, tiles = (padded(g->ph, h) / h) * (padded(g->pw, w) / w);
        if (!best || tiles < best) {
            best = tiles;
            g->tile_h = h;
            g->tile_w = w;
        }
    }
    g->rows = (g->tile_h - 1) * g->stride + g->pool + g->kh - 1;
    g->line = ((g->tile_w - 1) * g->stride + g->pool + g->kw - 1) * g->ci;
}

static hs_cuda_pooled geometry_of(const hs_cuda_device *device, const hs_conv_desc *d)
{
    hs_cuda_pooled g = {.h = d->h, .w = d->w, .ci = d->ci, .co = d->co, .kh = d->kh, .kw = d->kw, .oh = d->oh, .ow = d->ow,
                        .before_h = d->flip ? d->kh - 1 - d->pad_h : d->pad_h, .before_w = d->flip ? d->kw - 1 - d->pad_w : d->pad_w,
                        .pool = d->pool, .stride = d->pool_stride, .pad = (d->pool - 1) / 2, .ph = d->ph, .pw = d->pw,
                        .run = padded(d->kw * d->ci, 2), .chunks = padded(d->co, HS_POOLED_CHANNELS) / HS_POOLED_CHANNELS,
                        .periodic = d->boundary == HS_BOUNDARY_PERIODIC, .flip = d->flip,
                        .half_x = hs_cuda_half_edge(&device->base, d->sealed_in), .half_y = hs_cuda_half_edge(&device->base, d->sealed_out)};
    g.depth = padded(g.kh * g.run, 16);
    g.words = g.depth * HS_POOLED_CHANNELS / (device->math == HS_CUDA_BF16 ? 2 : 1);
    choose_tile(&g);
    while (g.together < g.chunks && hs_cuda_pooled_shared(&g, g.together + 1) <= MOST_SHARED)
        g.together++;
    return g;
}

/* HALFSPEC_CUDA_CONV: as conv_space.c says. */
static bool asked_otherwise(void)
{
    const char *name = getenv("HALFSPEC_CUDA_CONV");
    return name && *name && strcmp(name, "pooled") != 0;
}

bool hs_cuda_pooled_supports(const hs_cuda_device *device, const hs_conv_desc *d)
{
    const bool plain = d->relu && !d->need_dx && d->in == HS_SPACE && d->out == HS_SPACE && d->engine == HS_ENGINE_DIRECT;
    const bool sizes = d->stride == 1 && d->ci <= MOST_CI && d->kh <= MOST_SIDE && d->kw <= MOST_SIDE && d->pool <= MOST_POOL;
    if (!plain || !sizes || asked_otherwise())
        return false;
    const hs_cuda_pooled g = geometry_of(device, d);
    const double most = INT_MAX / 2, n = d->capacity;
    return g.together > 0 && n * d->ph * d->pw < most && (double)d->w * d->ci < most && d->co < 1 << 20;
}

/* ---- cost ------------------------------------------------------------------------------------------------------------------- */

/* Masked products on tensor cores, unless a window has too many cells. */
static bool is_dense(const hs_cuda_device *device, const hs_cuda_pooled *g)
{
    return device->math != HS_CUDA_PLAIN && g->pool <= 3;
}

/* Forward computes every cell of every window, whole tiles, and so does the dense gradient; the sparse one is bound by words of shared
 * memory, of which a processor reads a quarter as many as it multiplies, less what lanes wait for each other's banks. */
double hs_cuda_pooled_seconds(const hs_cuda_device *device, const hs_conv_desc *d)
{
    const hs_cuda_pooled g = geometry_of(device, d);
    const double tensor = device->math == HS_CUDA_BF16 ? 0.4 : 0.5;
    const double rate = device->math == HS_CUDA_PLAIN ? device->plain : tensor * device->products;
    const double outputs = (double)hs_cuda_pooled_tiles(&g, d->capacity) * HS_POOLED_TILE * g.chunks * HS_POOLED_CHANNELS;
    const double moved = (double)d->capacity * (d->h * d->w * d->ci + 1.25 * d->ph * d->pw * d->co), taps = (double)d->kh * d->kw * d->ci;
    const double cells = (double)g.pool * g.pool, part = hs_cuda_pooled_rows(&g);
    const double forward = hs_cuda_longest(device, moved, 2 * outputs * cells * g.depth, rate);
    const double dense = 2 * outputs * cells * part * (int)((taps + part - 1) / part);
    const double backward = is_dense(device, &g) ? hs_cuda_longest(device, moved, dense, rate)
                                                 : hs_cuda_longest(device, moved, 2 * outputs * taps, device->plain / 6);
    return forward + backward;
}

/* ---- plan ------------------------------------------------------------------------------------------------------------------- */

void hs_cuda_pooled_plan(hs_conv *conv)
{
    conv->pooled = geometry_of(hs_cuda_device_of(conv->device), &conv->d);
}

/* As many blocks as processors hold by their registers, which share the tiles; none sums more outputs than single precision sums well. */
static int forward_blocks(const hs_conv *conv)
{
    const hs_cuda_pooled *g = &conv->pooled;
    const int groups = (g->chunks + g->together - 1) / g->together, blocks = 3 * hs_cuda_device_of(conv->device)->processors / groups;
    return blocks > 0 ? blocks : 1;
}

static int backward_blocks(const hs_conv *conv)
{
    const hs_cuda_pooled *g = &conv->pooled;
    const hs_cuda_device *device = hs_cuda_device_of(conv->device);
    const int warps = HS_POOLED_THREADS / 32, rows = hs_cuda_pooled_rows(g), numbers = g->kh * g->kw * g->ci;
    const int parts = is_dense(device, g) ? padded(numbers, rows) / rows : padded(hs_cuda_pooled_parts(g), warps) / warps;
    const int blocks = 3 * device->processors / (g->chunks * parts);
    const int least = (int)((double)hs_cuda_pooled_tiles(g, conv->d.capacity) * HS_POOLED_TILE / LONGEST) + 1;
    return blocks > least ? blocks : least;
}

size_t hs_cuda_pooled_saved(const hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    return hs_cuda_line((size_t)d->capacity * d->ph * d->pw * d->co);
}

/* Packed taps forward, the blocks' sums backward. */
size_t hs_cuda_pooled_scratch(const hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    const size_t packed = (size_t)conv->pooled.chunks * conv->pooled.words;
    const size_t sums = (size_t)backward_blocks(conv) * ((size_t)conv->taps * d->ci + 1) * d->co;
    return (packed > sums ? packed : sums) * sizeof(float);
}

/* ---- the calls ---------------------------------------------------------------------------------------------------------------- */

hs_status hs_cuda_pooled_run(hs_stream *s, const hs_conv *conv, int n, const void *x, const float *taps, const float *bias, void *y,
                             void *saved, void *scratch)
{
    const hs_cuda_math math = hs_cuda_of(s)->math;
    HS_TRY(hs_cuda_check(hs_cuda_pooled_pack(hs_cuda_raw(s), math, conv->pooled, taps, scratch), "convolution and pooling"));
    return hs_cuda_check(hs_cuda_pooled_forward(hs_cuda_raw(s), math, conv->pooled, n, forward_blocks(conv), x, scratch,
                                                conv->d.bias ? bias : NULL, y, saved),
                         "convolution and pooling");
}

hs_status hs_cuda_pooled_back(hs_stream *s, const hs_conv *conv, int n, const void *x, const void *dy, float *dtaps, float *dbias,
                              const void *saved, void *scratch)
{
    const hs_cuda_pooled *g = &conv->pooled;
    const hs_cuda_device *device = hs_cuda_of(s);
    const int tiles = hs_cuda_pooled_tiles(g, n), most = backward_blocks(conv), blocks = tiles < most ? tiles : most;
    HS_TRY(hs_cuda_check(is_dense(device, g)
                             ? hs_cuda_pooled_dense(hs_cuda_raw(s), device->math, *g, tiles, blocks, x, dy, saved, scratch)
                             : hs_cuda_pooled_sparse(hs_cuda_raw(s), *g, tiles, blocks, x, dy, saved, scratch),
                         "convolution and pooling"));
    return hs_cuda_check(hs_cuda_pooled_total(hs_cuda_raw(s), *g, blocks, scratch, dtaps, dbias), "convolution and pooling");
}
