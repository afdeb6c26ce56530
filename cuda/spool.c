/* spool.c - spectral pooling, the rectifiers beside it, and frequency dropout: a chain of plane.h each, so that memory is passed
 * over once whatever the domains are.
 *
 * Forward, a map of h x w comes to oh x ow:
 *   relu_in    from the spectrum to space, rectified there
 *   pool       P_h x P_w^T in space; in a spectrum the first coordinates are kept, which loading them does; from space to the
 *              spectrum the first rows of the basis, from the spectrum to space the small basis' transpose
 *   relu_out   rectified in space, and from there to the spectrum
 * and backward is every step's transpose in the other order. Spectral norm = mean scales by sqrt(oh ow / (h w)). */
#include "spool.h"

#include <math.h>

#include "hs_base.h"
#include "hs_spectrum.h"
#include "plane.h"

struct hs_spool {
    hs_spool_desc d;
    bool small;
    bool half_in, half_out; /* x and dx, y and dy are stored as bf16 */
    hs_cuda_plane forward, backward, lowpass;
    hs_cuda_general *general;
};

bool hs_cuda_spool_supports(const hs_device *device, const hs_spool_desc *d)
{
    return hs_cuda_plane_fits(device, d->h, d->w) || (!d->relu_in && !d->relu_out);
}

/* ---- chains ------------------------------------------------------------------------------------------------------------- */

static float scale_of(const hs_spool_desc *d)
{
    return d->norm == HS_POOL_MEAN ? (float)sqrt((double)d->oh * d->ow / ((double)d->h * d->w)) : 1;
}

static int words_in(const hs_spool_desc *d, const hs_cuda_chain *chain)
{
    return d->relu_in ? hs_cuda_chain_words(chain, d->h, d->w) : 0;
}

static int words_of(const hs_spool_desc *d, const hs_cuda_chain *chain)
{
    return words_in(d, chain) + (d->relu_out ? hs_cuda_chain_words(chain, d->oh, d->ow) : 0);
}

/* IN and OUT: the domains in which the map comes and is wanted. */
static void pool_step(const hs_spool_desc *d, hs_domain in, hs_domain out, hs_cuda_chain *chain)
{
    if (in == HS_SPACE && out == HS_SPACE)
        hs_cuda_chain_multiply(chain, HS_AXIS_POOL, d->h, d->w, d->oh, d->ow);
    else if (in == HS_SPACE)
        hs_cuda_chain_multiply(chain, HS_AXIS_FORWARD, d->h, d->w, d->oh, d->ow);
    else
        hs_cuda_chain_first(chain, d->oh, d->ow);
    if (in == HS_SPECTRUM && out == HS_SPACE)
        hs_cuda_chain_multiply(chain, HS_AXIS_INVERSE, d->oh, d->ow, d->oh, d->ow);
}

static hs_status forward_chain(const hs_device *device, hs_spool *p)
{
    const hs_spool_desc *d = &p->d;
    const hs_domain pool_in = d->relu_in ? HS_SPACE : d->in, pool_out = d->relu_out ? HS_SPACE : d->out;
    hs_cuda_chain chain;
    HS_TRY(hs_cuda_chain_begin(device, d->in, d->h, d->w, d->c, d->h, d->w, &chain));
    chain.p.scale = scale_of(d);
    if (d->relu_in && d->in == HS_SPECTRUM)
        hs_cuda_chain_multiply(&chain, HS_AXIS_INVERSE, d->h, d->w, d->h, d->w);
    if (d->relu_in)
        hs_cuda_chain_add(&chain, HS_PLANE_RELU, 0);
    pool_step(d, pool_in, pool_out, &chain);
    if (d->relu_out)
        hs_cuda_chain_add(&chain, HS_PLANE_RELU, words_in(d, &chain));
    if (d->relu_out && d->out == HS_SPECTRUM)
        hs_cuda_chain_multiply(&chain, HS_AXIS_FORWARD, d->oh, d->ow, d->oh, d->ow);
    chain.p.in_half = p->half_in;
    chain.p.out_half = p->half_out;
    return hs_cuda_chain_end(&chain, d->out, d->oh, d->ow, words_of(d, &chain), &p->forward);
}

/* A spectrum that grows is filled up with zeros when it is stored or, by the columns that there are, when it is multiplied. */
static void spread_step(const hs_spool_desc *d, hs_domain in, hs_domain out, hs_cuda_chain *chain)
{
    if (in == HS_SPACE && out == HS_SPACE)
        hs_cuda_chain_multiply(chain, HS_AXIS_SPREAD, d->h, d->w, d->h, d->w);
    else if (in == HS_SPACE)
        hs_cuda_chain_multiply(chain, HS_AXIS_FORWARD, d->oh, d->ow, d->oh, d->ow);
    else if (out == HS_SPACE)
        hs_cuda_chain_multiply(chain, HS_AXIS_INVERSE, d->h, d->w, d->h, d->w);
}

static hs_status backward_chain(const hs_device *device, hs_spool *p)
{
    const hs_spool_desc *d = &p->d;
    const hs_domain pool_in = d->relu_in ? HS_SPACE : d->in, pool_out = d->relu_out ? HS_SPACE : d->out;
    hs_cuda_chain chain;
    HS_TRY(hs_cuda_chain_begin(device, d->out, d->oh, d->ow, d->c, d->h, d->w, &chain));
    chain.p.scale = scale_of(d);
    if (d->relu_out && d->out == HS_SPECTRUM)
        hs_cuda_chain_multiply(&chain, HS_AXIS_INVERSE, d->oh, d->ow, d->oh, d->ow);
    if (d->relu_out)
        hs_cuda_chain_add(&chain, HS_PLANE_MASK, words_in(d, &chain));
    spread_step(d, pool_out, pool_in, &chain);
    if (d->relu_in)
        hs_cuda_chain_add(&chain, HS_PLANE_MASK, 0);
    if (d->relu_in && d->in == HS_SPECTRUM)
        hs_cuda_chain_multiply(&chain, HS_AXIS_FORWARD, d->h, d->w, d->h, d->w);
    chain.p.in_half = p->half_out;
    chain.p.out_half = p->half_in;
    return hs_cuda_chain_end(&chain, d->in, d->h, d->w, words_of(d, &chain), &p->backward);
}

static hs_status lowpass_chain(const hs_device *device, hs_spool *p)
{
    const hs_spool_desc *d = &p->d;
    hs_cuda_chain chain;
    HS_TRY(hs_cuda_chain_begin(device, d->in, d->h, d->w, d->c, d->h, d->w, &chain));
    if (d->in == HS_SPACE)
        hs_cuda_chain_multiply(&chain, HS_AXIS_FORWARD, d->h, d->w, d->h, d->w);
    hs_cuda_chain_add(&chain, HS_PLANE_KEEP, 0);
    if (d->in == HS_SPACE)
        hs_cuda_chain_multiply(&chain, HS_AXIS_INVERSE, d->h, d->w, d->h, d->w);
    return hs_cuda_chain_end(&chain, d->in, d->h, d->w, 0, &p->lowpass);
}

/* ---- cost --------------------------------------------------------------------------------------------------------------- */

static double chain_flops(const hs_spool_desc *d)
{
    const hs_domain pool_in = d->relu_in ? HS_SPACE : d->in, pool_out = d->relu_out ? HS_SPACE : d->out;
    double flops = 0;
    if (d->relu_in && d->in == HS_SPECTRUM)
        flops += hs_cuda_plane_flops(d->h, d->w, d->h, d->w);
    if (pool_in == HS_SPACE)
        flops += hs_cuda_plane_flops(d->h, d->w, d->oh, d->ow);
    else if (pool_out == HS_SPACE)
        flops += hs_cuda_plane_flops(d->oh, d->ow, d->oh, d->ow);
    if (d->relu_out && d->out == HS_SPECTRUM)
        flops += hs_cuda_plane_flops(d->oh, d->ow, d->oh, d->ow);
    return flops;
}

/* Sealed edges: in space always, in the spectrum where a plane kernel makes it. */
static bool half_edge(const hs_device *device, bool sealed, hs_domain domain, int h, int w)
{
    return hs_cuda_half_edge(device, sealed) && (domain == HS_SPACE || hs_cuda_plane_half(device, h, w));
}

double hs_cuda_spool_cost(const hs_device *device, const hs_spool_desc *d)
{
    const double maps = (double)d->capacity * d->c, big = (double)d->h * d->w, small = (double)d->oh * d->ow;
    const bool half_in = half_edge(device, d->sealed_in, d->in, d->h, d->w), half_out = half_edge(device, d->sealed_out, d->out, d->oh, d->ow);
    if (hs_cuda_plane_fits(device, d->h, d->w))
        return 2 * hs_cuda_plane_seconds(device, maps * ((half_in ? 2 : 4) * big + (half_out ? 2 : 4) * small), maps * chain_flops(d));
    const double widened = maps * ((half_in ? 6 : 0) * big + (half_out ? 6 : 0) * small); /* bf16 to fp32, or back, in a pass of its own */
    return hs_cuda_general_cost(device, d) + 2 * widened / hs_cuda_device_of(device)->bandwidth;
}

/* ---- plans -------------------------------------------------------------------------------------------------------------- */

static bool is_projection(const hs_spool_desc *d)
{
    return d->oh == d->h && d->ow == d->w && d->in == d->out;
}

static hs_status fill_plan(hs_device *device, hs_spool *p)
{
    if (!p->small)
        return hs_cuda_general_plan(device, &p->d, &p->general);
    HS_TRY(forward_chain(device, p));
    HS_TRY(backward_chain(device, p));
    return is_projection(&p->d) ? lowpass_chain(device, p) : HS_OK;
}

hs_status hs_cuda_spool_plan(hs_device *device, const hs_spool_desc *desc, hs_spool **out)
{
    hs_spool *p = NULL;
    if (!hs_cuda_spool_supports(device, desc))
        return hs_fail(HS_EUNSUPPORTED, "spectral pooling of a map of %d x %d cannot rectify it", desc->h, desc->w);
    HS_TRY(hs_calloc(1, sizeof *p, "spectral pooling", &p));
    p->d = *desc;
    p->small = hs_cuda_plane_fits(device, desc->h, desc->w);
    p->half_in = half_edge(device, desc->sealed_in, desc->in, desc->h, desc->w);
    p->half_out = half_edge(device, desc->sealed_out, desc->out, desc->oh, desc->ow);
    const hs_status st = fill_plan(device, p);
    if (st != HS_OK)
        hs_cuda_spool_destroy(&p);
    else
        *out = p;
    return st;
}

void hs_cuda_spool_destroy(hs_spool **plan)
{
    hs_spool *p = *plan;
    if (!p)
        return;
    hs_cuda_plane_destroy(&p->forward);
    hs_cuda_plane_destroy(&p->backward);
    hs_cuda_plane_destroy(&p->lowpass);
    hs_cuda_general_destroy(&p->general);
    hs_free(p);
    *plan = NULL;
}

size_t hs_cuda_spool_saved(const hs_spool *plan)
{
    return plan->small ? hs_cuda_plane_bits(&plan->forward, plan->d.capacity) : 0;
}

/* Numbers of N maps. */
static size_t count_of(hs_domain domain, int n, int h, int w, int c)
{
    return (size_t)n * c * (domain == HS_SPACE ? (size_t)h * w : 2 * (size_t)hs_bins_count(h, w));
}

/* A large map goes through libraries in fp32, and through memory in between where an edge is bf16. */
typedef struct wide {
    float *in, *out;
    void *scratch; /* of the general way */
} wide;

static size_t lay_out(const hs_spool *p, char *scratch, wide *w)
{
    const hs_spool_desc *d = &p->d;
    const size_t in = p->half_in ? hs_cuda_line(count_of(d->in, d->capacity, d->h, d->w, d->c) * sizeof(float)) : 0;
    const size_t out = p->half_out ? hs_cuda_line(count_of(d->out, d->capacity, d->oh, d->ow, d->c) * sizeof(float)) : 0;
    *w = (wide){(void *)scratch, (void *)(scratch + in), scratch + in + out};
    return in + out;
}

size_t hs_cuda_spool_scratch(const hs_spool *plan)
{
    wide w;
    return plan->small ? 0 : lay_out(plan, NULL, &w) + hs_cuda_general_scratch(plan->general);
}

/* ---- the entries -------------------------------------------------------------------------------------------------------- */

static hs_status widen(hs_stream *s, bool half, size_t count, const void *from, float *to)
{
    return half ? hs_cuda_check(hs_cuda_from_bf16(hs_cuda_raw(s), count, from, to), "spectral pooling") : HS_OK;
}

static hs_status narrow(hs_stream *s, bool half, size_t count, const float *from, void *to)
{
    return half ? hs_cuda_check(hs_cuda_to_bf16(hs_cuda_raw(s), count, from, to), "spectral pooling") : HS_OK;
}

hs_status hs_cuda_spool_fwd(hs_stream *s, hs_spool *p, int n, const void *x, void *y, void *saved, void *scratch)
{
    const hs_spool_desc *d = &p->d;
    wide w;
    if (p->small)
        return hs_cuda_plane_call(s, &p->forward, n, x, NULL, saved, NULL, y);
    lay_out(p, scratch, &w);
    HS_TRY(widen(s, p->half_in, count_of(d->in, n, d->h, d->w, d->c), x, w.in));
    HS_TRY(hs_cuda_general_fwd(s, p->general, n, p->half_in ? w.in : x, p->half_out ? w.out : y, w.scratch));
    return narrow(s, p->half_out, count_of(d->out, n, d->oh, d->ow, d->c), w.out, y);
}

hs_status hs_cuda_spool_bwd(hs_stream *s, hs_spool *p, int n, const void *dy, void *dx, const void *saved, void *scratch)
{
    const hs_spool_desc *d = &p->d;
    wide w;
    if (p->small)
        return hs_cuda_plane_call(s, &p->backward, n, dy, NULL, (void *)saved, NULL, dx);
    lay_out(p, scratch, &w);
    HS_TRY(widen(s, p->half_out, count_of(d->out, n, d->oh, d->ow, d->c), dy, w.out));
    HS_TRY(hs_cuda_general_bwd(s, p->general, n, p->half_out ? w.out : dy, p->half_in ? w.in : dx, w.scratch));
    return narrow(s, p->half_in, count_of(d->in, n, d->h, d->w, d->c), w.in, dx);
}

hs_status hs_cuda_lowpass(hs_stream *s, hs_spool *p, int n, const void *x, const int32_t *keep, void *y, void *scratch)
{
    if (!is_projection(&p->d))
        return hs_fail(HS_EINTERNAL, "lowpass on a plan that changes size or domain");
    return p->small ? hs_cuda_plane_call(s, &p->lowpass, n, x, NULL, NULL, keep, y)
                    : hs_cuda_general_lowpass(s, p->general, n, x, keep, y, scratch);
}
