/* init.c - initial parameters, a pure function of (seed, parameter, element). Filters are drawn in space in double and then turned into the
 * coordinates of their arm, so that every arm starts with the same filters. Elements are numbered [out][in][kh][kw]. */
#include <math.h>

#include "hs_rng.h"
#include "net.h"

/* Standard normal, cut at two deviations: drawn again until it fits (at most a few times: 4.6 % lie outside). */
static double truncated(uint64_t seed, uint32_t param, uint64_t element)
{
    double z = 3;
    for (uint32_t attempt = 0; fabs(z) > 2; attempt++)
        z = hs_normal(hs_random(seed, HS_DRAW_INIT, param, attempt, element));
    return z;
}

/* One weight. He: normal, variance 2/fan_in (He et al. 2015). Glorot: uniform, variance 2/(fan_in + fan_out) (Glorot and Bengio 2010). */
static double weight(const hs_net_options *o, const hs_param *p, uint32_t number, uint64_t element)
{
    double area = (double)p->kh * p->kw, fan_in = p->in * area, fan_out = p->out * area;
    hs_words r = hs_random(o->seed, HS_DRAW_INIT, number, 0, element);
    switch (o->init) {
    case HS_INIT_GLOROT:
        return sqrt(6 / (fan_in + fan_out)) * (2 * hs_uniform(r.w[0], r.w[1]) - 1);
    case HS_INIT_TRUNCATED:
        return o->init_std * truncated(o->seed, number, element);
    default: /* spectrum: the same normal numbers, taken as orthonormal coordinates */
        return sqrt(2 / fan_in) * hs_normal(r);
    }
}

/* TAPS [kh*kw][in][out] from elements numbered [out][in][kh*kw]. */
static void draw(const hs_net *net, const hs_param *p, uint32_t number, double *taps)
{
    size_t size = (size_t)p->kh * (size_t)p->kw, in = (size_t)p->in, out = (size_t)p->out;
    for (size_t t = 0; t < size; t++)
        for (size_t i = 0; i < in; i++)
            for (size_t o = 0; o < out; o++)
                taps[(t * in + i) * out + o] = weight(&net->options, p, number, (o * in + i) * size + t);
}

/* In place: orthonormal coordinates -> taps, of every filter. */
static hs_status coords_to_taps(const hs_param *p, double *bank)
{
    size_t size = (size_t)p->kh * (size_t)p->kw, q = (size_t)p->in * (size_t)p->out;
    double *one = NULL;
    HS_TRY(hs_calloc(2 * size + 2 * (size_t)p->kh * ((size_t)p->kw / 2 + 1), sizeof *one, "filter", &one));
    for (size_t f = 0; f < q; f++) {
        for (size_t t = 0; t < size; t++)
            one[t] = bank[t * q + f];
        hs_coords_to_plane(p->kh, p->kw, one, one + size, one + 2 * size);
        for (size_t t = 0; t < size; t++)
            bank[t * q + f] = one[size + t];
    }
    hs_free(one);
    return HS_OK;
}

static hs_status init_filter(const hs_net *net, const hs_param *p, uint32_t number, double *coords)
{
    double *taps = NULL;
    hs_status st = HS_OK;
    HS_TRY(hs_calloc((size_t)p->kh * (size_t)p->kw * (size_t)p->in * (size_t)p->out, sizeof *taps, "initial filters", &taps));
    draw(net, p, number, taps);
    if (net->options.init == HS_INIT_SPECTRUM)
        HS_TRY_GOTO(st, coords_to_taps(p, taps), done);
    st = hs_filter_from_kernel(net, p, taps, coords);
done:
    hs_free(taps);
    return st;
}

/* A soft threshold of exactly 0 has no gradient: its offsets start a little above. */
static double constant(const hs_net *net, const hs_param *p)
{
    if (p->role == HS_ROLE_SCALE)
        return 1;
    if (p->role == HS_ROLE_THRESHOLD)
        return 0.01;
    return p->role == HS_ROLE_BIAS ? net->options.init_bias : 0;
}

static hs_status init_params(const hs_net *net, double *slab)
{
    for (int i = 0; i < net->params; i++) {
        const hs_param *p = &net->param[i];
        double *to = slab + p->offset;
        if (p->role == HS_ROLE_FILTER)
            HS_TRY(init_filter(net, p, (uint32_t)i, to));
        else if (p->role == HS_ROLE_DENSE)
            draw(net, p, (uint32_t)i, to);
        else
            for (size_t j = 0; j < p->count; j++)
                to[j] = constant(net, p);
    }
    return HS_OK;
}

hs_status hs_net_init(hs_net *net, hs_stream *s)
{
    double *host = NULL;
    size_t count = net->params_count > net->statistics_count ? net->params_count : net->statistics_count;
    hs_status st = HS_OK;
    if (!net->planned)
        return hs_fail(HS_EINTERNAL, "hs_net_init before hs_net_plan");
    if (count == 0)
        return HS_OK;
    HS_TRY(hs_calloc(count, sizeof *host, "initial parameters", &host));
    HS_TRY_GOTO(st, init_params(net, host), done);
    HS_TRY_GOTO(st, hs_upload_reals(net, s, host, net->params_count, net->slab), done);
    for (int i = 0; i < net->statistics; i++) /* running means 0, variances 1, in turn */
        for (size_t j = 0; j < net->statistic[i].count; j++)
            host[net->statistic[i].offset + j] = net->statistic[i].name[0] == 'v';
    st = hs_upload_reals(net, s, host, net->statistics_count, net->statistics_slab);
done:
    hs_free(host);
    return st;
}
