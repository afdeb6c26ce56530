/* of_net.c - hs_optim_create: an optimizer on a network's slab. */
#include <string.h>

#include "hs_base.h"
#include "hs_spectrum.h"
#include "optim_internal.h"

/* Columns of R = M S, from the network's own conversion: unit coordinate c is put into the (in, out) pair c - FIRST, and its half spectrum is
 * column c of R. */
static hs_status probe(const hs_net *net, const hs_param *param, int first, double *coords, double *spectrum, double *r)
{
    int n = param->kh * param->kw, out = param->out;
    size_t pairs = (size_t)param->in * out;
    memset(coords, 0, param->count * sizeof *coords);
    for (int c = first; c < n && (size_t)(c - first) < pairs; c++)
        coords[(size_t)c * pairs + (c - first)] = 1.0;
    HS_TRY(hs_net_filter_to_spectrum(net, param, coords, spectrum));
    for (int c = first; c < n && (size_t)(c - first) < pairs; c++) {
        int i = (c - first) / out, o = (c - first) % out; /* coordinates are [coord][in][out], spectra [out][in][coord] */
        for (int row = 0; row < n; row++)
            r[(size_t)row * n + c] = spectrum[((size_t)o * param->in + i) * n + row];
    }
    return HS_OK;
}

/* S = M^T R, M orthogonal. */
static void synthesis_from(int kh, int kw, const double *r, double *m, double *synthesis)
{
    int n = kh * kw;
    hs_coord_matrix(kh, kw, m);
    for (int tap = 0; tap < n; tap++)
        for (int c = 0; c < n; c++) {
            double sum = 0.0;
            for (int row = 0; row < n; row++)
                sum += m[(size_t)row * n + tap] * r[(size_t)row * n + c];
            synthesis[(size_t)tap * n + c] = sum;
        }
}

static hs_status rotation_of_net(void *context, const hs_param *param, double *synthesis)
{
    const hs_net *net = context;
    int n = param->kh * param->kw;
    size_t pairs = (size_t)param->in * param->out;
    double *coords = NULL, *spectrum = NULL, *r = NULL, *m = NULL;
    hs_status st;
    HS_TRY_GOTO(st, hs_calloc(param->count, sizeof *coords, "a rotation's probe", &coords), done);
    HS_TRY_GOTO(st, hs_calloc(param->count, sizeof *spectrum, "a rotation's answer", &spectrum), done);
    HS_TRY_GOTO(st, hs_calloc((size_t)n * n, sizeof *r, "a rotation", &r), done);
    HS_TRY_GOTO(st, hs_calloc((size_t)n * n, sizeof *m, "a rotation's spectrum", &m), done);
    for (size_t first = 0; first < (size_t)n; first += pairs)
        HS_TRY_GOTO(st, probe(net, param, (int)first, coords, spectrum, r), done);
    synthesis_from(param->kh, param->kw, r, m, synthesis);
done:
    hs_free(coords);
    hs_free(spectrum);
    hs_free(r);
    hs_free(m);
    return st;
}

hs_status hs_optim_create(const hs_optim_config *config, hs_net *net, hs_device *device, hs_stream *stream, hs_optim **optim)
{
    hs_optim_target target = {.rotation = rotation_of_net, .context = net};
    target.params = hs_net_params(net, &target.params_count);
    target.numbers = hs_net_params_count(net);
    target.slab = hs_net_slab(net);
    target.gradients = hs_net_gradients(net);
    return hs_optim_create_on(config, &target, device, stream, optim);
}
