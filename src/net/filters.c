/* filters.c - filters as people know them: taps in space, or orthonormal half spectra, from the coordinates of any arm and back; on the host,
 * in double. */
#include "net.h"

hs_status hs_filter_shape(const hs_net *net, const hs_param *param, bool plain, hs_arm_shape *shape)
{
    if (param->role != HS_ROLE_FILTER)
        return hs_fail(HS_EINTERNAL, "%s.%s is not a convolution filter", param->layer, param->name);
    int index = (int)(param - net->param);
    const hs_node *owner = NULL;
    for (int i = 1; i < net->layers; i++)
        if (net->layer[i]->params && net->layer[i]->param <= index && index < net->layer[i]->param + net->layer[i]->params)
            owner = net->layer[i];
    if (!owner)
        return hs_fail(HS_EINTERNAL, "%s.%s is not a parameter of this network", param->layer, param->name);
    *shape = (hs_arm_shape){.arm = param->arm, .embed = plain ? HS_EMBED_SPACE : param->embed, .kh = param->kh, .kw = param->kw, .in = param->in,
                            .plane_h = owner->in.h, .plane_w = owner->in.w, .seed = net->options.seed};
    return HS_OK;
}

/* to [rows][width] = m [rows][cols] from [cols][width]. */
static void multiply(const double *m, int rows, int cols, const double *from, size_t width, double *to)
{
    for (int i = 0; i < rows; i++) {
        double *row = to + (size_t)i * width;
        for (size_t j = 0; j < width; j++)
            row[j] = 0;
        for (int k = 0; k < cols; k++) {
            double f = m[(size_t)i * (size_t)cols + (size_t)k];
            const double *source = from + (size_t)k * width;
            for (size_t j = 0; j < width && f != 0; j++)
                row[j] += f * source[j];
        }
    }
}

/* Apply the arm's synthesis (to taps) or analysis (to coordinates) to a whole filter bank. */
static hs_status map_bank(const hs_net *net, const hs_param *param, bool plain, bool synthesis, const double *from, double *to)
{
    hs_arm_shape shape;
    int taps = 0, coords = 0;
    double *m = NULL;
    HS_TRY(hs_filter_shape(net, param, plain, &shape));
    hs_arm_size(&shape, &taps, &coords);
    size_t width = param->count / (size_t)coords;
    HS_TRY(hs_calloc((size_t)taps * (size_t)coords, sizeof *m, "filter map", &m));
    hs_status st = hs_arm_matrices(&shape, synthesis ? m : NULL, synthesis ? NULL : m);
    if (st == HS_OK)
        multiply(m, synthesis ? taps : coords, synthesis ? coords : taps, from, width, to);
    hs_free(m);
    return st;
}

hs_status hs_net_filter_to_taps(const hs_net *net, const hs_param *param, const double *coords, double *taps)
{
    return map_bank(net, param, false, true, coords, taps);
}

hs_status hs_net_filter_to_coords(const hs_net *net, const hs_param *param, const double *taps, double *coords)
{
    return map_bank(net, param, false, false, taps, coords);
}

hs_status hs_filter_from_kernel(const hs_net *net, const hs_param *param, const double *taps, double *coords)
{
    return map_bank(net, param, true, false, taps, coords);
}

hs_status hs_net_filter_to_spectrum(const hs_net *net, const hs_param *param, const double *coords, double *spectrum)
{
    int size = param->kh * param->kw;
    size_t q = (size_t)param->in * (size_t)param->out;
    double *taps = NULL, *m = NULL, *bank = NULL;
    hs_status st = HS_OK;
    HS_TRY_GOTO(st, hs_calloc((size_t)size * q, sizeof *taps, "filter taps", &taps), done);
    HS_TRY_GOTO(st, hs_calloc((size_t)size * q, sizeof *bank, "filter spectra", &bank), done);
    HS_TRY_GOTO(st, hs_calloc((size_t)size * (size_t)size, sizeof *m, "filter map", &m), done);
    HS_TRY_GOTO(st, map_bank(net, param, true, true, coords, taps), done);
    hs_coord_matrix(param->kh, param->kw, m);
    multiply(m, size, size, taps, q, bank);
    for (int t = 0; t < size; t++) /* [coord][in][out] -> [out][in][coord] */
        for (int i = 0; i < param->in; i++)
            for (int o = 0; o < param->out; o++)
                spectrum[((size_t)o * (size_t)param->in + (size_t)i) * (size_t)size + (size_t)t] =
                    bank[(size_t)t * q + (size_t)i * (size_t)param->out + (size_t)o];
done:
    hs_free(taps);
    hs_free(m);
    hs_free(bank);
    return st;
}
