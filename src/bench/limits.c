/* limits.c - what a piece of work costs at least, counted from its definition: a bound to hold measured times against, not a model of our code.
 *
 * A transform of a real h x w plane is charged 2.5 hw log2(hw) operations, the usual nominal count (half of 5 N log2 N of a complex one). A bin of a
 * convolution by transforms is a complex product, three real ones by Karatsuba: 6 operations a multiply-add; a self-conjugate bin is real: 2.
 * Bytes: what must come from memory and go back if caches hold nothing between two rows; a spectrum is written once by the transform, which has
 * whole planes, and read once by the products, which have whole batches. A device that stores sealed edges in its own way stores them as bf16, and so
 * may the spectra be that nobody but their layer sees. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

double hs_work_limit(const hs_peaks *peaks, hs_work work, const char **bound)
{
    double flop = peaks->flops > 0 ? work.flop / peaks->flops : 0, mem = peaks->bytes > 0 ? work.bytes / peaks->bytes : 0;
    *bound = flop > mem ? "flop" : "mem";
    return flop > mem ? flop : mem;
}

static double transform_flop(int h, int w, double planes)
{
    double cells = (double)h * w;
    return cells > 1 ? 2.5 * cells * log2(cells) * planes : 0;
}

/* Numbers of one spectrum plane, [U][re, im]. */
static double spectrum_count(int h, int w)
{
    return 2.0 * hs_bins_count(h, w);
}

hs_work hs_work_transform(int h, int w, int c, double n, size_t real)
{
    return (hs_work){transform_flop(h, w, n * c), (double)real * n * c * ((double)h * w + spectrum_count(h, w))};
}

/* Multiply-adds of real numbers in the product of two spectra, of one pair of planes. */
static double product_flop(int h, int w)
{
    double self = (h % 2 ? 1 : 2) * (w % 2 ? 1 : 2);
    return 6 * (hs_bins_count(h, w) - self) + 2 * self;
}

hs_work hs_work_product(int h, int w, int kh, int kw, int ci, int co, double n, size_t real)
{
    return (hs_work){product_flop(h, w) * n * ci * co, (double)real * (spectrum_count(h, w) * n * (ci + co) + (double)kh * kw * ci * co)};
}

bool hs_engine_grid(const hs_layer_row *row, int *h, int *w)
{
    if (strncmp(row->engine, "fft", 3) != 0)
        return false;
    if (sscanf(row->engine, "fft %dx%d", h, w) != 2) { /* a backend that does not tell: no grid is smaller than the map */
        *h = row->in.h;
        *w = row->in.w;
    }
    return true;
}

const hs_param *hs_layer_filters(const hs_net *net, const char *name)
{
    int count = 0;
    const hs_param *param = hs_net_params(net, &count);
    for (int i = 0; i < count; i++)
        if (param[i].role == HS_ROLE_FILTER && strcmp(param[i].layer, name) == 0)
            return &param[i];
    return NULL;
}

/* ---- layers ----------------------------------------------------------------------------------------------------------------------- */

/* Numbers a sample's edge has. */
static double edge_count(hs_shape s, hs_domain domain)
{
    return domain == HS_SPACE ? (double)hs_shape_count(s) : spectrum_count(s.h, s.w) * s.c;
}

/* A convolution through spectra on a grid of h x w: products, and the transforms of edges that are in space; a spectrum of the layer's own is
 * written and read, in numbers of REAL bytes. PARTS of the products: forward 1; backward the filters' gradient and, if wanted, the input's. */
static void fft_layer(const hs_layer_row *row, int h, int w, bool has_dx, double n, double real, hs_work *forward, hs_work *backward)
{
    int ci = row->in.c, co = row->out.c;
    double product = product_flop(h, w) * n * ci * co;
    double in = row->from == HS_SPACE ? 1 : 0, out = row->domain == HS_SPACE ? 1 : 0;
    double in_flop = in * transform_flop(h, w, n * ci), out_flop = out * transform_flop(h, w, n * co);
    double in_bytes = in * 2 * real * n * ci * spectrum_count(h, w), out_bytes = out * 2 * real * n * co * spectrum_count(h, w);
    forward->flop = product + in_flop + out_flop;
    forward->bytes += in_bytes + out_bytes;
    backward->flop = product * (1 + has_dx) + out_flop + has_dx * in_flop;
    backward->bytes += out_bytes + has_dx * in_bytes;
}

void hs_work_layer(const hs_net *net, const hs_layer_row *row, bool has_dx, double n, size_t real, hs_work *forward, hs_work *backward)
{
    const hs_param *filters = hs_layer_filters(net, row->name);
    double params = (double)row->params, bf16 = 2 / (double)real; /* edges count as numbers of REAL bytes */
    double in = edge_count(row->in, row->from) * n * (row->sealed_from ? bf16 : 1), out = edge_count(row->out, row->domain) * n * (row->sealed ? bf16 : 1);
    int h = 0, w = 0;
    *forward = (hs_work){0, (double)real * (in + out + params)};
    /* Reads dy and, for the parameters' gradient or as a mask, as many numbers of x; writes dx and the gradient. */
    *backward = (hs_work){0, (double)real * (out + (params > 0) * in + has_dx * (in + params) + params)};
    if (hs_engine_grid(row, &h, &w) && filters) {
        fft_layer(row, h, w, has_dx, n, row->sealed_from || row->sealed ? 2 : (double)real, forward, backward);
        return;
    }
    if (row->gflop > 0) { /* forward is a third of a layer that computes both gradients */
        forward->flop = row->gflop * 1e9 * n / (2 + has_dx);
        backward->flop = forward->flop * (1 + has_dx);
    }
    if (strstr(row->notation, "SP") || strcmp(row->notation, "-") == 0) { /* spectral pooling, a transform of the planner's */
        double in_flop = row->from == HS_SPACE ? transform_flop(row->in.h, row->in.w, n * row->in.c) : 0;
        double out_flop = row->domain == HS_SPACE ? transform_flop(row->out.h, row->out.w, n * row->out.c) : 0;
        forward->flop = backward->flop = in_flop + out_flop;
    }
}

hs_work hs_work_optimizer(size_t params, int slots, size_t real)
{
    return (hs_work){0, (double)params * (double)real * (3 + 2 * slots)}; /* reads p, g and moments, writes p and moments */
}
