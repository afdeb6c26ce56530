/* spool.c - the spectral pooling entries of the table. Between spectra pooling is a sparse map over coordinates (spool_map.c), behind which the
 * pooled plane, the smaller one, is transformed if that is wanted; whatever starts from a map, or has to rectify it, is one pass over planes
 * (spool_plane.c), or where the size stays a transform with a rectifier on its way. Saved are the bits of the rectifiers, in then out. */
#include "spool.h"

#include <math.h>

#include "hs_base.h"
#include "hs_spectrum.h"

bool hs_cpu_spool_supports(const hs_device *device, const hs_spool_desc *desc)
{
    (void)device, (void)desc;
    return true;
}

/* Flops of a straight-line transform of COUNT numbers. */
static double transform_flops(double count)
{
    return 2.5 * count * log2(count + 1);
}

/* Rates of one core, as in conv.c measured with one thread and AVX-512 on 64 samples of 128 to 288 channels, 32 x 32 -> 27 x 27 to 12 x 12 -> 10 x 10:
 * 1.3 to 0.1 us a plane each way from map to map, 2.3 to 0.19 us between spectra with both rectifiers. */
double hs_cpu_spool_cost(const hs_device *device, const hs_spool_desc *d)
{
    const double planes = (double)d->capacity * d->c, in = (double)d->h * d->w, out = (double)d->oh * d->ow;
    const bool cropped = d->in == HS_SPECTRUM && !d->relu_in, moves = !cropped || d->relu_out || d->out == HS_SPACE;
    double flops = cropped ? 4 * out : 0;
    if (!cropped && (d->h != d->oh || d->w != d->ow))
        flops += d->h * (transform_flops(d->w) + transform_flops(d->ow)) + d->ow * (transform_flops(d->h) + transform_flops(d->oh));
    if (d->in == HS_SPECTRUM && !cropped)
        flops += transform_flops(in);
    if ((cropped && moves) || d->out == HS_SPECTRUM)
        flops += transform_flops(out) * (cropped && d->out == HS_SPECTRUM ? moves ? 2 : 0 : 1);
    const double bytes = 4 * (in + out) + (cropped ? 4 * (in + (moves ? 2 : 0) * out) : 0);
    return 2 * planes * (flops / 50e9 + bytes / 15e9) / device->threads;
}

/* ---- plan ------------------------------------------------------------------------------------------------------------------------------------ */

static bool same_size(const hs_spool_desc *d)
{
    return d->oh == d->h && d->ow == d->w;
}

static hs_status plan_axes(hs_spool *p)
{
    const hs_spool_desc *d = &p->d;
    for (int back = 0; back < 2; back++) {
        HS_TRY(hs_cpu_resize_plan(p->kernels, back ? d->ow : d->w, back ? d->w : d->ow, d->norm, &p->x[back]));
        HS_TRY(hs_cpu_resize_plan(p->kernels, back ? d->oh : d->h, back ? d->h : d->oh, d->norm, &p->y[back]));
    }
    return HS_OK;
}

static hs_status fill_plan(hs_spool *p)
{
    const hs_spool_desc *d = &p->d;
    p->cropped = d->in == HS_SPECTRUM && !d->relu_in;
    if (same_size(d) && d->in == d->out)
        HS_TRY(hs_cpu_lowpass_plan_make(d, &p->lowpass));
    if (!p->cropped || d->out == HS_SPACE || d->relu_out)
        HS_TRY(hs_cpu_dft_plan(p->device, d->oh, d->ow, d->oh, d->ow, d->c, &p->small));
    if (p->cropped)
        return hs_cpu_crop_plan(d, &p->crop);
    HS_TRY(hs_cpu_dft_plan(p->device, d->h, d->w, d->h, d->w, d->c, &p->big));
    hs_cpu_dft_limit(p->big, HS_CPU_PANEL);
    hs_cpu_dft_limit(p->small, HS_CPU_PANEL);
    return plan_axes(p);
}

hs_status hs_cpu_spool_plan(hs_device *device, const hs_spool_desc *desc, hs_spool **out)
{
    hs_spool *p = NULL;
    HS_TRY(hs_calloc(1, sizeof *p, "spectral pooling", &p));
    p->d = *desc;
    p->device = (const hs_cpu_device *)device;
    p->kernels = p->device->kernels;
    p->threads = device->threads;
    const hs_status st = fill_plan(p);
    if (st != HS_OK)
        hs_cpu_spool_destroy(&p);
    else
        *out = p;
    return st;
}

void hs_cpu_spool_destroy(hs_spool **plan)
{
    hs_spool *p = *plan;
    if (!p)
        return;
    for (int back = 0; back < 2; back++)
        hs_cpu_resize_destroy(&p->x[back]), hs_cpu_resize_destroy(&p->y[back]);
    hs_cpu_crop_destroy(&p->crop);
    hs_cpu_lowpass_destroy(&p->lowpass);
    hs_cpu_dft_destroy(&p->big), hs_cpu_dft_destroy(&p->small);
    hs_free(p);
    *plan = NULL;
}

/* ---- memory ---------------------------------------------------------------------------------------------------------------------------------- */

static size_t in_bytes(const hs_spool_desc *d)
{
    return d->relu_in ? hs_cpu_gate_bytes(d->capacity, d->h, d->w, d->c) : 0;
}

size_t hs_cpu_spool_saved_bytes(const hs_spool *p)
{
    const hs_spool_desc *d = &p->d;
    return in_bytes(d) + (d->relu_out ? hs_cpu_gate_bytes(d->capacity, d->oh, d->ow, d->c) : 0);
}

static hs_cpu_gate gate_in(const hs_spool *p, void *write, const void *read)
{
    return p->d.relu_in ? (hs_cpu_gate){write, read} : (hs_cpu_gate){0};
}

static hs_cpu_gate gate_out(const hs_spool *p, void *write, const void *read)
{
    const size_t at = in_bytes(&p->d);
    if (!p->d.relu_out)
        return (hs_cpu_gate){0};
    return write ? (hs_cpu_gate){.write = (uint16_t *)((char *)write + at)} : (hs_cpu_gate){.read = (const uint16_t *)((const char *)read + at)};
}

/* Of pooled spectra on their way to a map or through a rectifier. */
static size_t pooled_floats(const hs_spool *p)
{
    return p->cropped && p->small ? ((size_t)p->d.capacity * (size_t)p->crop.small_bins * 2 * (size_t)p->d.c + 15) / 16 * 16 : 0;
}

static size_t work_bytes(const hs_spool *p)
{
    const size_t a = p->small ? hs_cpu_dft_scratch_bytes(p->small) : 0, b = p->big ? hs_cpu_dft_scratch_bytes(p->big) : 0;
    const size_t pass = p->cropped ? 0 : hs_cpu_plane_pass_floats(p), low = hs_cpu_lowpass_floats(p);
    const size_t threads = (pass > low ? pass : low) * sizeof(float) * (size_t)p->threads;
    return threads > a && threads > b ? threads : a > b ? a : b;
}

size_t hs_cpu_spool_scratch_bytes(const hs_spool *p)
{
    return 64 + pooled_floats(p) * sizeof(float) + work_bytes(p);
}

/* ---- steps ----------------------------------------------------------------------------------------------------------------------------------- */

static hs_cpu_spectrum dense(const hs_spool *p, int n, const float *at)
{
    return (hs_cpu_spectrum){(float *)at, 2 * (ptrdiff_t)n * p->d.c, 2 * (ptrdiff_t)p->d.c, p->d.c};
}

/* From one domain to another, or the same spectrum, through a gate. */
static void convert(const hs_spool *p, const hs_cpu_dft *dft, int n, hs_domain in, hs_domain out, hs_cpu_gate gate, const float *x, float *y,
                    float *work)
{
    if (in == HS_SPACE)
        hs_cpu_dft_forward(dft, n, x, gate, dense(p, n, y), work);
    else if (out == HS_SPACE)
        hs_cpu_dft_inverse(dft, n, dense(p, n, x), NULL, gate, y, work);
    else
        hs_cpu_dft_turn(dft, n, dense(p, n, x), NULL, gate, dense(p, n, y), work);
}

/* The size stays, and the ends are not both maps: rectified once is rectified. */
static bool only_converts(const hs_spool *p)
{
    return same_size(&p->d) && (p->d.in == HS_SPECTRUM || p->d.out == HS_SPECTRUM);
}

static hs_cpu_gate either(hs_cpu_gate a, hs_cpu_gate b)
{
    return a.write || a.read ? a : b;
}

hs_status hs_cpu_spool_fwd(hs_stream *s, hs_spool *p, int n, const void *x, void *y, void *saved, void *scratch)
{
    const hs_spool_desc *d = &p->d;
    float *pooled = hs_cpu_to_line(scratch), *work = pooled + pooled_floats(p);
    const hs_cpu_gate in = gate_in(p, saved, NULL), out = gate_out(p, saved, NULL);
    (void)s;
    if (p->cropped) {
        hs_cpu_crop_run(p, false, n, x, p->small ? pooled : y);
        if (p->small)
            convert(p, p->small, n, HS_SPECTRUM, d->out, out, pooled, y, work);
    } else if (only_converts(p)) {
        convert(p, p->big, n, d->in, d->out, either(in, out), x, y, work);
    } else {
        hs_cpu_plane_pass(p, false, n, (hs_cpu_end){p->big, d->in, (float *)x, in}, (hs_cpu_end){p->small, d->out, y, out}, work);
    }
    return HS_OK;
}

hs_status hs_cpu_spool_bwd(hs_stream *s, hs_spool *p, int n, const void *dy, void *dx, const void *saved, void *scratch)
{
    const hs_spool_desc *d = &p->d;
    float *pooled = hs_cpu_to_line(scratch), *work = pooled + pooled_floats(p);
    const hs_cpu_gate in = gate_in(p, NULL, saved), out = gate_out(p, NULL, saved);
    (void)s;
    if (p->cropped) {
        if (p->small)
            convert(p, p->small, n, d->out, HS_SPECTRUM, out, dy, pooled, work);
        hs_cpu_crop_run(p, true, n, p->small ? pooled : dy, dx);
    } else if (only_converts(p)) {
        convert(p, p->big, n, d->out, d->in, either(in, out), dy, dx, work);
    } else {
        hs_cpu_plane_pass(p, true, n, (hs_cpu_end){p->small, d->out, (float *)dy, out}, (hs_cpu_end){p->big, d->in, dx, in}, work);
    }
    return HS_OK;
}
