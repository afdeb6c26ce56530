/* transform.c - planes to orthonormal half-spectrum coordinates and back by direct sums, one axis after the other: O(HW(H + W)) a plane.
 *
 * forward:  X(ky,kx) = s sum_y e^(-2 pi i ky y/H) sum_x e^(-2 pi i kx x/W) x(y,x)
 * inverse:  x(y,x) = Re sum over unique bins of s X e^(+...), which is the transpose, since the coordinates are orthonormal
 * with s = (HW)^-1/2, times sqrt2 for a bin that also stands for its mirror image. */
#include "real.h"

#include <math.h>

#include "hs_base.h"
#include "hs_spectrum.h"

#define TAU 6.283185307179586477

typedef struct bin {
    int ky, kx;
    bool self;
    double scale;
} bin;

struct hs_transform {
    int h, w, c, columns; /* columns kx = 0 .. w/2 */
    int bins;
    bin *bin;                 /* [bins] */
    double *cos_h, *sin_h;    /* [h]: of 2 pi j / h */
    double *cos_w, *sin_w;    /* [w] */
};

static void fill_circle(int n, double *cosine, double *sine)
{
    for (int j = 0; j < n; j++) {
        cosine[j] = cos(TAU * j / n);
        sine[j] = sin(TAU * j / n);
    }
}

static void fill_bins(hs_transform *p)
{
    for (int u = 0; u < p->bins; u++) {
        bin *b = &p->bin[u];
        hs_bin_at(p->h, p->w, u, &b->ky, &b->kx);
        b->self = hs_bin_is_self(p->h, p->w, b->ky, b->kx);
        b->scale = sqrt((b->self ? 1.0 : 2.0) / ((double)p->h * p->w));
    }
}

hs_status REF(transform_plan)(hs_device *device, int capacity, int h, int w, int c, hs_transform **out)
{
    (void)device, (void)capacity;
    hs_status st;
    hs_transform *p = NULL;
    HS_TRY(hs_calloc(1, sizeof *p, "transform", &p));
    *p = (hs_transform){.h = h, .w = w, .c = c, .columns = w / 2 + 1, .bins = hs_bins_count(h, w)};
    HS_TRY_GOTO(st, hs_calloc((size_t)p->bins, sizeof *p->bin, "bins of a transform", &p->bin), destroy);
    HS_TRY_GOTO(st, hs_calloc(2 * (size_t)h, sizeof(double), "table of a transform", &p->cos_h), destroy);
    HS_TRY_GOTO(st, hs_calloc(2 * (size_t)w, sizeof(double), "table of a transform", &p->cos_w), destroy);
    p->sin_h = p->cos_h + h;
    p->sin_w = p->cos_w + w;
    fill_circle(h, p->cos_h, p->sin_h);
    fill_circle(w, p->cos_w, p->sin_w);
    fill_bins(p);
    *out = p;
    return HS_OK;
destroy:
    REF(transform_destroy)(&p);
    return st;
}

void REF(transform_destroy)(hs_transform **plan)
{
    hs_transform *p = *plan;
    if (!p)
        return;
    hs_free(p->bin);
    hs_free(p->cos_h);
    hs_free(p->cos_w);
    hs_free(p);
    *plan = NULL;
}

/* One plane between the two passes: [h][columns][re, im]. */
size_t REF(transform_scratch_bytes)(const hs_transform *plan)
{
    return 2 * (size_t)plan->h * plan->columns * sizeof(double);
}

/* Rows of one channel: half [h][columns][re, im] = sum over x. */
static void rows_forward(const hs_transform *p, const real *plane, double *half)
{
    for (int y = 0; y < p->h; y++) {
        for (int kx = 0; kx < p->columns; kx++) {
            double re = 0, im = 0;
            for (int x = 0; x < p->w; x++) {
                double v = plane[((size_t)y * p->w + x) * p->c];
                int at = kx * x % p->w;
                re += v * p->cos_w[at];
                im -= v * p->sin_w[at];
            }
            half[2 * (y * p->columns + kx)] = re;
            half[2 * (y * p->columns + kx) + 1] = im;
        }
    }
}

static void bin_forward(const hs_transform *p, const bin *b, const double *half, double *re_out, double *im_out)
{
    double re = 0, im = 0;
    for (int y = 0; y < p->h; y++) {
        const double *z = half + 2 * (y * p->columns + b->kx);
        int at = b->ky * y % p->h;
        re += z[0] * p->cos_h[at] + z[1] * p->sin_h[at];
        im += z[1] * p->cos_h[at] - z[0] * p->sin_h[at];
    }
    *re_out = b->scale * re;
    *im_out = b->self ? 0 : b->scale * im;
}

hs_status REF(transform_forward)(hs_stream *s, hs_transform *plan, int n, const void *space, void *spectrum, void *scratch)
{
    (void)s;
    const hs_transform *p = plan;
    const size_t row = 2 * (size_t)p->c, plane = (size_t)p->h * p->w * p->c;
    for (int i = 0; i < n; i++) {
        for (int c = 0; c < p->c; c++) {
            rows_forward(p, (const real *)space + i * plane + c, scratch);
            for (int u = 0; u < p->bins; u++) {
                real *out = (real *)spectrum + ((size_t)u * n + i) * row + c;
                double re, im;
                bin_forward(p, &p->bin[u], scratch, &re, &im);
                out[0] = (real)re;
                out[p->c] = (real)im;
            }
        }
    }
    return HS_OK;
}

/* Adds bin B = re + i im to the columns of HALF: along y, still a spectrum along x. */
static void bin_inverse(const hs_transform *p, const bin *b, double re, double im, double *half)
{
    for (int y = 0; y < p->h; y++) {
        double *z = half + 2 * (y * p->columns + b->kx);
        int at = b->ky * y % p->h;
        z[0] += b->scale * (re * p->cos_h[at] - im * p->sin_h[at]);
        z[1] += b->scale * (re * p->sin_h[at] + im * p->cos_h[at]);
    }
}

static void rows_inverse(const hs_transform *p, const double *half, real *plane)
{
    for (int y = 0; y < p->h; y++) {
        for (int x = 0; x < p->w; x++) {
            double sum = 0;
            for (int kx = 0; kx < p->columns; kx++) {
                const double *z = half + 2 * (y * p->columns + kx);
                int at = kx * x % p->w;
                sum += z[0] * p->cos_w[at] - z[1] * p->sin_w[at];
            }
            plane[((size_t)y * p->w + x) * p->c] = (real)sum;
        }
    }
}

hs_status REF(transform_inverse)(hs_stream *s, hs_transform *plan, int n, const void *spectrum, void *space, void *scratch)
{
    (void)s;
    const hs_transform *p = plan;
    const size_t row = 2 * (size_t)p->c, plane = (size_t)p->h * p->w * p->c;
    double *half = scratch;
    for (int i = 0; i < n; i++) {
        for (int c = 0; c < p->c; c++) {
            for (int j = 0; j < 2 * p->h * p->columns; j++)
                half[j] = 0;
            for (int u = 0; u < p->bins; u++) {
                const real *in = (const real *)spectrum + ((size_t)u * n + i) * row + c;
                bin_inverse(p, &p->bin[u], in[0], p->bin[u].self ? 0 : in[p->c], half);
            }
            rows_inverse(p, half, (real *)space + i * plane + c);
        }
    }
    return HS_OK;
}

const hs_transform_ops REF(transform_ops) = {
    .plan = REF(transform_plan),
    .destroy = REF(transform_destroy),
    .scratch_bytes = REF(transform_scratch_bytes),
    .forward = REF(transform_forward),
    .inverse = REF(transform_inverse),
};
