/* plane.c - plans of the plane kernel: chains of operations and the tables that they multiply by. */
#include "plane.h"

#include <math.h>
#include <string.h>

#include "hs_base.h"
#include "hs_cuda.h"
#include "hs_spectrum.h"

enum {
    ROOMY = 112 << 10,                                /* two blocks of this much share a processor of compute capability 9 */
    MATRIX = (HS_PLANE_TILES + 1) / 2 * HS_PLANE_TILES * 128, /* numbers of the largest table */
};

static bool is_exact(const hs_device *device)
{
    return strcmp(hs_cuda_device_of(device)->precision, "exact") == 0;
}

static bool is_split(const hs_device *device)
{
    return strcmp(hs_cuda_device_of(device)->precision, "fp32") == 0;
}

static size_t shared_bytes(int h, int w, int tiles)
{
    return (size_t)h * (size_t)(w | 1) * 8 * (size_t)tiles * sizeof(float);
}

bool hs_cuda_plane_fits(const hs_device *device, int h, int w)
{
    return !is_exact(device) && h <= HS_PLANE_SIDE && w <= HS_PLANE_SIDE && shared_bytes(h, w, 1) <= hs_cuda_device_of(device)->shared;
}

bool hs_cuda_plane_half(const hs_device *device, int h, int w)
{
    return hs_cuda_device_of(device)->math == HS_CUDA_BF16 && hs_cuda_plane_fits(device, h, w);
}

static int choose_tiles(const hs_device *device, int h, int w, int c)
{
    const size_t most = hs_cuda_device_of(device)->shared, room = most < ROOMY ? most : ROOMY;
    int tiles = c <= 8 ? 1 : c <= 16 ? 2 : 4;
    while (tiles > 1 && shared_bytes(h, w, tiles) > room)
        tiles /= 2;
    return tiles;
}

hs_status hs_cuda_chain_begin(const hs_device *device, hs_domain in, int h, int w, int c, int max_h, int max_w,
                              hs_cuda_chain *chain)
{
    const int tiles = choose_tiles(device, max_h, max_w, c);
    *chain = (hs_cuda_chain){.device = device, .h = h, .w = w};
    chain->p = (hs_plane){.c = c,
                          .tiles = tiles,
                          .row = max_w | 1,
                          .shared = (int)shared_bytes(max_h, max_w, tiles),
                          .split = is_split(device),
                          .in_spectrum = in == HS_SPECTRUM,
                          .in_h = h,
                          .in_w = w,
                          .kept_h = h,
                          .kept_w = w,
                          .scale = 1};
    return hs_calloc((size_t)HS_PLANE_OPS * 2 * MATRIX, sizeof *chain->host, "matrices of a transform", &chain->host);
}

void hs_cuda_chain_first(hs_cuda_chain *chain, int h, int w)
{
    chain->h = chain->p.kept_h = h;
    chain->w = chain->p.kept_w = w;
}

/* M [to][from] of one axis. */
static void axis_matrix(hs_axis axis, int grid, int to, int from, double *m)
{
    double all[HS_PLANE_SIDE * HS_PLANE_SIDE];
    const bool transposed = axis == HS_AXIS_INVERSE || axis == HS_AXIS_SPREAD;
    int row = grid;
    if (axis == HS_AXIS_POOL || axis == HS_AXIS_SPREAD) {
        row = transposed ? to : from;
        hs_pool_matrix(transposed ? from : to, row, HS_POOL_UNITARY, all);
    } else {
        hs_basis_1d(grid, all);
    }
    for (int i = 0; i < to; i++)
        for (int j = 0; j < from; j++)
            m[i * from + j] = transposed ? all[j * row + i] : all[i * row + j];
}

/* To 11 significant bits, nearest. */
static float to_tf32(float x)
{
    int exponent;
    const double part = frexp((double)x, &exponent);
    return (float)ldexp(round(part * 2048), exponent - 11);
}

/* M [to][from] in the order in which the lanes of a warp hold its tiles of 16 x 8: see mma.h. Zeros outside. */
static void put_table(const double *m, int to, int from, bool split, float *table)
{
    const int across = (from + 7) / 8;
    for (int i = 0; i < (to + 15) / 16 * across * 128; i++) {
        const int tile = i / 128, lane = i % 128 / 4, half = i % 4;
        const int r = tile / across * 16 + lane / 4 + half % 2 * 8, c = tile % across * 8 + lane % 4 + half / 2 * 4;
        table[i] = r < to && c < from ? (float)m[r * from + c] : 0;
        if (!split)
            table[i] = to_tf32(table[i]);
    }
}

static int add_table(hs_cuda_chain *chain, hs_axis axis, int grid, int to, int from)
{
    const int at = chain->numbers;
    double m[HS_PLANE_SIDE * HS_PLANE_SIDE];
    axis_matrix(axis, grid, to, from, m);
    put_table(m, to, from, chain->p.split, chain->host + at);
    chain->numbers += (to + 15) / 16 * ((from + 7) / 8) * 128;
    return at;
}

void hs_cuda_chain_multiply(hs_cuda_chain *chain, hs_axis axis, int grid_h, int grid_w, int to_h, int to_w)
{
    hs_plane_op *op = &chain->p.op[chain->p.ops++];
    *op = (hs_plane_op){.kind = HS_PLANE_PRODUCT, .h = chain->h, .w = chain->w, .oh = to_h, .ow = to_w};
    op->left = add_table(chain, axis, grid_h, to_h, chain->h);
    op->right = add_table(chain, axis, grid_w, to_w, chain->w);
    chain->h = to_h;
    chain->w = to_w;
}

void hs_cuda_chain_add(hs_cuda_chain *chain, hs_plane_kind kind, int first)
{
    chain->p.op[chain->p.ops++] = (hs_plane_op){.kind = (int)kind, .h = chain->h, .w = chain->w, .left = first};
}

int hs_cuda_chain_words(const hs_cuda_chain *chain, int h, int w)
{
    return (h * w * chain->p.tiles + 3) / 4;
}

hs_status hs_cuda_chain_end(hs_cuda_chain *chain, hs_domain out, int h, int w, int words, hs_cuda_plane *plane)
{
    plane->p = chain->p;
    plane->p.out_spectrum = out == HS_SPECTRUM;
    plane->p.out_h = h;
    plane->p.out_w = w;
    plane->p.words = words;
    const hs_status st = hs_cuda_put(chain->device, chain->host, (size_t)chain->numbers * sizeof *chain->host,
                                     "matrices of a transform", &plane->tables);
    hs_free(chain->host);
    HS_TRY(st);
    hs_plane most = plane->p; /* for any plan of this kernel: the next one may ask for less, and what counts is what was asked last */
    most.shared = (int)hs_cuda_device_of(chain->device)->shared;
    return hs_cuda_check(hs_cuda_plane_run(NULL, &most, 0, NULL, NULL, NULL, NULL, NULL, NULL), "shared memory of a transform");
}

void hs_cuda_plane_destroy(hs_cuda_plane *plane)
{
    if (plane->tables)
        (void)cudaFree(plane->tables);
    plane->tables = NULL;
}

size_t hs_cuda_plane_bits(const hs_cuda_plane *plane, int capacity)
{
    const size_t groups = (size_t)((plane->p.c + 8 * plane->p.tiles - 1) / (8 * plane->p.tiles));
    return (size_t)capacity * groups * (size_t)plane->p.words * sizeof(uint32_t);
}

hs_status hs_cuda_plane_call(hs_stream *s, const hs_cuda_plane *plane, int n, const void *in, const float *bias, void *bits,
                             const int32_t *keep, void *out)
{
    if (n == 0)
        return HS_OK;
    return hs_cuda_check(hs_cuda_plane_run(hs_cuda_raw(s), &plane->p, n, in, plane->tables, bias, bits, keep, out), "a map's transform");
}

double hs_cuda_plane_seconds(const hs_device *device, double bytes, double flops)
{
    const hs_cuda_device *d = hs_cuda_device_of(device);
    const double moving = bytes / d->bandwidth, computing = flops / (2.5 * d->plain) * (is_split(device) ? 3 : 1);
    return 5e-6 + (moving > computing ? moving : computing);
}

double hs_cuda_plane_flops(double h, double w, double oh, double ow)
{
    return 2 * (h * w * ow + h * ow * oh);
}
