/* dft.c - two-dimensional transforms, vectorised over channels.
 *
 * Sides that have them go through straight-line codelets (gen_codelets.c), very long ones through FFTW, all others through symmetric sums: a real
 * axis of P splits into e_j = x_j + x_{P-j} and o_j = x_j - x_{P-j}; then X_v = sum_j e_j cos(2 pi v j / P) - i sum_j o_j sin(..). The two sums
 * are small matrix products [P/2+1 x P/2+1] and [(P-1)/2]^2 whose columns are channels, so they run at the speed of the product kernel whatever P
 * is: P^2/2 multiply-adds a real row and P^2 a complex column. Rows go into T [column][row][re|im], columns from there straight to the (bin,
 * sample) chunks of the spectrum, past the cache; so do planes on the way back. 33 x 33 with one thread, 96 channels of 64 samples from and to
 * memory: 0.8 to 1.1 us a channel each way; FFTW takes 5.6 us for a plane in cache. */
#include "dft_plane.h"

#include <math.h>
#include <stdatomic.h>

#include "hs_base.h"
#include "hs_spectrum.h"

static hs_status self_plan(hs_cpu_dft *d)
{
    const hs_cpu_axis *y = &d->y;
    HS_TRY(hs_calloc((size_t)y->cosines * y->cosines, sizeof(float), "cosines", &d->self_cos));
    for (int u = 0; u < y->cosines; u++)
        for (int j = 0; j < y->cosines; j++)
            d->self_cos[u * y->cosines + j] = (float)(y->cos[u * y->cosines + j] * (u == 0 || 2 * u == y->p ? sqrt(0.5) : 1.0));
    HS_TRY(hs_calloc((size_t)d->x.cosines + 1, sizeof(int), "columns", &d->column));
    for (int v = 0; v < d->x.cosines; v++)
        d->column[v] = hs_bin_index(y->p, d->x.p, 0, v, NULL);
    d->column[d->x.cosines] = d->bins;
    return HS_OK;
}

/* Channels that go through a plane together: the wider, the longer the runs that rows and bins are read and written in (27 x 27, 128 channels: 0.56 us
 * a plane with 48, 0.49 with all), as long as T fits two fifths of L2. FFTW's buffers hold one panel. */
static int block_of(const hs_cpu_device *device, const hs_cpu_dft *d)
{
    const size_t t = 2 * (size_t)d->x.cosines * (size_t)d->y.len * sizeof(float), most = device->l2_bytes / 5 * 2 / t / HS_CPU_PAD * HS_CPU_PAD;
    if (d->x.fftw || d->y.fftw || most < HS_CPU_PANEL)
        return d->cp < HS_CPU_PANEL ? d->cp : HS_CPU_PANEL;
    const int blocks = (int)(((size_t)d->cp + most - 1) / most);
    return hs_cpu_pad((d->cp + blocks - 1) / blocks);
}

hs_status hs_cpu_dft_plan(const hs_cpu_device *device, int h, int w, int ph, int pw, int c, hs_cpu_dft **out)
{
    hs_cpu_dft *d = NULL;
    hs_status st;
    HS_TRY(hs_calloc(1, sizeof *d, "transform", &d));
    d->kernels = device->kernels;
    d->threads = device->base.threads;
    d->c = c, d->cp = hs_cpu_pad(c);
    d->scale = (float)sqrt(2.0 / ((double)ph * pw));
    d->bins = hs_bins_count(ph, pw);
    HS_TRY_GOTO(st, hs_cpu_axis_plan(d->kernels, pw, w, d->cp, 1.0, &d->x), fail);
    HS_TRY_GOTO(st, hs_cpu_axis_plan(d->kernels, ph, h, d->cp, sqrt(2.0 / ((double)ph * pw)), &d->y), fail);
    HS_TRY_GOTO(st, self_plan(d), fail);
    d->block = block_of(device, d);
    const size_t b = (size_t)d->block;
    d->row_floats = ((size_t)w + 2 * (size_t)pw + 2) * b;
    d->t_column = (size_t)h * 2 * b + HS_CPU_PAD; /* the line more keeps columns off one cache set */
    d->t_floats = (size_t)d->x.cosines * d->t_column;
    d->y_floats = (4 * ((size_t)ph / 2 + 1) + (size_t)ph) * 2 * b;
    if (d->x.fftw || d->y.fftw)
        d->fftw_floats = hs_cpu_fftw_floats(ph > pw ? ph : pw);
    *out = d;
    return HS_OK;
fail:
    hs_cpu_dft_destroy(&d);
    return st;
}

void hs_cpu_dft_limit(hs_cpu_dft *d, int channels)
{
    d->block = d->block < channels ? d->block : channels;
}

void hs_cpu_dft_destroy(hs_cpu_dft **plan)
{
    hs_cpu_dft *d = *plan;
    if (!d)
        return;
    hs_cpu_axis_destroy(&d->x), hs_cpu_axis_destroy(&d->y);
    hs_free(d->self_cos);
    hs_free(d->column);
    hs_free(d);
    *plan = NULL;
}

size_t hs_cpu_dft_scratch_bytes(const hs_cpu_dft *d)
{
    return hs_cpu_plane_floats(d) * sizeof(float) * (size_t)d->threads;
}

int hs_cpu_dft_column(const hs_cpu_dft *d, int v, bool *self)
{
    *self = v == 0 || 2 * v == d->x.p;
    return d->column[v];
}

/* ---- whole batches ------------------------------------------------------------------------------------------------------------------------ */

size_t hs_cpu_gate_bytes(int n, int h, int w, int c)
{
    return (size_t)n * h * w * hs_cpu_pad(c) / 8;
}

/* What every plane of a batch is told. */
typedef struct batch {
    const hs_cpu_dft *d;
    hs_cpu_spectrum from, to;
    hs_cpu_gate gate;
    const float *bias, *in;
    float *out, *scratch;
} batch;

static float *memory_of(const batch *b, int thread)
{
    return b->scratch + hs_cpu_plane_floats(b->d) * (size_t)thread;
}

static void forward(const void *context, int task, int thread)
{
    const batch *b = context;
    const hs_cpu_plane j = hs_cpu_plane_of(b->d, task, b->to, memory_of(b, thread));
    for (int row = 0; row < b->d->y.len; row++) {
        ptrdiff_t ldx;
        const float *x = hs_cpu_plane_load(&j, b->gate, row, b->in, &ldx);
        hs_cpu_plane_row_forward(&j, row, x, ldx, b->in, row + 1);
    }
    hs_cpu_plane_columns_forward(&j);
}

static void inverse(const void *context, int task, int thread)
{
    const batch *b = context;
    const hs_cpu_plane j = hs_cpu_plane_of(b->d, task, b->from, memory_of(b, thread));
    hs_cpu_plane_columns_inverse(&j);
    for (int row = 0; row < b->d->y.len; row++)
        hs_cpu_plane_store(&j, b->gate, row, b->bias, b->out);
    atomic_thread_fence(memory_order_seq_cst); /* stores past the cache are not ordered by themselves */
}

/* A row of T is read as a whole before it is written: the two transforms share it. */
static void turn(const void *context, int task, int thread)
{
    const batch *b = context;
    const hs_cpu_plane from = hs_cpu_plane_of(b->d, task, b->from, memory_of(b, thread));
    const hs_cpu_plane to = hs_cpu_plane_of(b->d, task, b->to, memory_of(b, thread));
    hs_cpu_plane_columns_inverse(&from);
    for (int row = 0; row < b->d->y.len; row++) {
        hs_cpu_plane_row_inverse(&from, row, b->bias, from.line, from.width, false);
        hs_cpu_plane_gate(&from, b->gate, row);
        hs_cpu_plane_row_forward(&to, row, to.line, to.width, NULL, 0);
    }
    hs_cpu_plane_columns_forward(&to);
}

void hs_cpu_dft_forward(const hs_cpu_dft *d, int n, const float *x, hs_cpu_gate gate, hs_cpu_spectrum spectrum, void *scratch)
{
    hs_cpu_each(d->threads, hs_cpu_planes(d, n), forward, &(batch){.d = d, .to = spectrum, .gate = gate, .in = x, .scratch = scratch});
}

void hs_cpu_dft_inverse(const hs_cpu_dft *d, int n, hs_cpu_spectrum spectrum, const float *bias, hs_cpu_gate gate, float *x, void *scratch)
{
    const batch b = {.d = d, .from = spectrum, .gate = gate, .bias = bias, .out = x, .scratch = scratch};
    hs_cpu_each(d->threads, hs_cpu_planes(d, n), inverse, &b);
}

void hs_cpu_dft_turn(const hs_cpu_dft *d, int n, hs_cpu_spectrum from, const float *bias, hs_cpu_gate gate, hs_cpu_spectrum to, void *scratch)
{
    const batch b = {.d = d, .from = from, .to = to, .gate = gate, .bias = bias, .scratch = scratch};
    hs_cpu_each(d->threads, hs_cpu_planes(d, n), turn, &b);
}
