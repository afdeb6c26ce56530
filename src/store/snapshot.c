/* snapshot.c - one row of /history/<layer>: the statistics of one layer's filters at one step. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "hs_spectrum.h"
#include "run_parts.h"

static size_t pairs_of(const hs_run_layer *l)
{
    return (size_t)l->out_channels * (size_t)l->in_channels;
}

static size_t taps_of(const hs_run_layer *l)
{
    return (size_t)l->kernel_h * (size_t)l->kernel_w;
}

static double norm_of(const double *x, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

static double sum_of_magnitudes(const double *x, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += fabs(x[i]);
    return sum;
}

/* |X| of all bins of all filters, MODULI [pairs*taps]: a bin that stands for two gives its modulus twice. |X| = |coordinates| /
 * sqrt2 there. */
static void moduli_of(const hs_run_layer *l, const double *coords, double *moduli)
{
    int bins = hs_bins_count(l->kernel_h, l->kernel_w);
    size_t taps = taps_of(l), pairs = pairs_of(l), at = 0;
    for (int u = 0; u < bins; u++) {
        int ky, kx, first = hs_bin_coord(l->kernel_h, l->kernel_w, u);
        hs_bin_at(l->kernel_h, l->kernel_w, u, &ky, &kx);
        bool self = hs_bin_is_self(l->kernel_h, l->kernel_w, ky, kx);
        for (size_t q = 0; q < pairs; q++) {
            const double *c = coords + q * taps + first;
            if (self) {
                moduli[at++] = fabs(c[0]);
            } else {
                moduli[at] = moduli[at + 1] = sqrt(0.5 * (c[0] * c[0] + c[1] * c[1]));
                at += 2;
            }
        }
    }
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------ */

static hs_status put_rings(hid_t group, const hs_run_layer *l, const char *name, const double *coords, double *rings)
{
    int radii = hs_radii_count(l->kernel_h, l->kernel_w);
    for (int r = 0; r < radii; r++)
        rings[r] = NAN;
    if (coords)
        hs_radial_power(l->kernel_h, l->kernel_w, coords, pairs_of(l), rings);
    return hs_h5_append(group, name, HS_H5_F64, 1, rings);
}

static hs_status put_histogram(hid_t group, const char *name, const double *x, size_t count)
{
    int32_t bins[64] = {0};
    if (x)
        hs_log_histogram(x, count, bins);
    return hs_h5_append(group, name, HS_H5_I32, 1, bins);
}

static hs_status put_number(hid_t group, const char *name, double value)
{
    return hs_h5_append(group, name, HS_H5_F64, 1, &value);
}

static hs_status put_power(hid_t group, const hs_run_layer *l, const hs_snapshot *s, hs_history_scratch *w)
{
    HS_TRY(put_rings(group, l, "radial_power", s->spectrum, w->rings));
    HS_TRY(put_rings(group, l, "grad_radial_power", s->gradient, w->rings));
    HS_TRY(put_rings(group, l, "update_radial_power", s->update, w->rings));
    HS_TRY(put_rings(group, l, "momentum_radial_power", s->momentum, w->rings));
    hs_energy_map(l->kernel_h, l->kernel_w, s->spectrum, pairs_of(l), w->energy);
    return hs_h5_append(group, "energy", HS_H5_F64, 1, w->energy);
}

static hs_status put_sparsity(hid_t group, const hs_run_layer *l, const hs_snapshot *s, const double *taps, hs_history_scratch *w)
{
    size_t count = pairs_of(l) * taps_of(l);
    hs_sparsity spectral;
    moduli_of(l, s->spectrum, w->moduli);
    HS_TRY(put_histogram(group, "hist_spectral", w->moduli, count));
    HS_TRY(put_histogram(group, "hist_spatial", taps, count));
    hs_sparsity_of(w->moduli, count, HS_SMALL_SHARE, w->sorted, &spectral);
    HS_TRY(put_number(group, "hoyer", spectral.hoyer));
    HS_TRY(put_number(group, "gini", spectral.gini));
    HS_TRY(put_number(group, "frac_small", spectral.small));
    HS_TRY(put_number(group, "l1_spectral", spectral.l1));
    HS_TRY(put_number(group, "l1_spatial", sum_of_magnitudes(taps, count)));
    HS_TRY(put_number(group, "l2", spectral.l2));
    HS_TRY(put_number(group, "grad_norm", s->gradient ? norm_of(s->gradient, count) : NAN));
    HS_TRY(put_number(group, "update_ratio", s->update && spectral.l2 > 0.0 ? norm_of(s->update, count) / spectral.l2 : NAN));
    if (s->momentum)
        moduli_of(l, s->momentum, w->moduli);
    return put_histogram(group, "hist_momentum", s->momentum ? w->moduli : NULL, count);
}

/* The first filters, as many as the file has room for: a resumed run keeps the choice it started with. */
static hs_status put_filters(hid_t group, const hs_run_layer *l, const double *spectrum, double *half)
{
    hid_t data = -1;
    hs_h5_shape shape;
    size_t taps = taps_of(l), size = 2 * (size_t)l->kernel_h * (size_t)(l->kernel_w / 2 + 1);
    if (!hs_h5_is_hard(group, "half_spectrum"))
        return HS_OK;
    HS_TRY(hs_h5_open_data(group, "half_spectrum", SIZE_MAX / 32, &data, &shape));
    hs_h5_drop(data);
    if (shape.rank != 5 || shape.dim[1] > (hsize_t)l->out_channels || shape.dim[2] != (hsize_t)l->in_channels ||
        shape.dim[3] != (hsize_t)l->kernel_h || shape.dim[4] != (hsize_t)(l->kernel_w / 2 + 1))
        return hs_fail(HS_EINPUT, "the history of %s in run.h5 is of another shape than this network: choose another `run`",
                       l->name);
    for (size_t q = 0; q < (size_t)shape.dim[1] * (size_t)l->in_channels; q++)
        hs_coords_to_half(l->kernel_h, l->kernel_w, spectrum + q * taps, half + q * size);
    return hs_h5_append(group, "half_spectrum", HS_H5_C128, 1, half);
}

/* Tile (row, column): with one input channel out-channels run on over rows, else rows are in-channels and columns out-channels. */
static hs_status put_mosaic(hid_t group, const hs_run_layer *l, const double *taps, double *mosaic)
{
    hs_mosaic m = hs_mosaic_of(l);
    for (int i = 0; i < m.height * m.width; i++)
        mosaic[i] = NAN;
    for (int r = 0; r < m.rows; r++)
        for (int c = 0; c < m.columns; c++) {
            int o = l->in_channels == 1 ? r * m.columns + c : c, i = l->in_channels == 1 ? 0 : r;
            if (o >= l->out_channels)
                continue;
            const double *tile = taps + ((size_t)o * (size_t)l->in_channels + (size_t)i) * taps_of(l);
            for (int y = 0; y < l->kernel_h; y++)
                memcpy(mosaic + (r * (l->kernel_h + 1) + 1 + y) * m.width + c * (l->kernel_w + 1) + 1, tile + y * l->kernel_w,
                       (size_t)l->kernel_w * sizeof *tile);
        }
    return hs_h5_append(group, "spatial_mosaic", HS_H5_F64, 1, mosaic);
}

static const double *taps_for(const hs_run_layer *l, const hs_snapshot *s, hs_history_scratch *w)
{
    if (s->taps)
        return s->taps;
    for (size_t q = 0; q < pairs_of(l); q++)
        hs_coords_to_plane(l->kernel_h, l->kernel_w, s->spectrum + q * taps_of(l), w->planes + q * taps_of(l), w->plane);
    return w->planes;
}

hs_status hs_history_append(hid_t history, const hs_run_layer *layer, const hs_snapshot *snapshot, hs_history_scratch *scratch)
{
    hid_t group = -1;
    hs_status st;
    H5_TRY(history, group = H5Gopen2(history, layer->name, H5P_DEFAULT));
    const double *taps = taps_for(layer, snapshot, scratch);
    HS_TRY_GOTO(st, put_filters(group, layer, snapshot->spectrum, scratch->half), done);
    HS_TRY_GOTO(st, hs_h5_append(group, "step", HS_H5_I64, 1, &snapshot->step), done);
    HS_TRY_GOTO(st, put_power(group, layer, snapshot, scratch), done);
    HS_TRY_GOTO(st, put_sparsity(group, layer, snapshot, taps, scratch), done);
    st = put_mosaic(group, layer, taps, scratch->mosaic);
done:
    hs_h5_drop(group);
    return st;
}
