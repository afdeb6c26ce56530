/* history.c - /history/<layer>: what filters did over time. One snapshot appends one row to every data set.
 *
 * half_spectrum holds the filters themselves, as numpy.fft.rfft2(taps, norm="ortho") would give them; the rest are statistics of
 * ALL filters of the layer. Moduli are |X| of the unitary transform over the implied full spectrum, so that a mirrored bin counts
 * twice: they do not depend on where a filter is centred. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hs_spectrum.h"
#include "run_parts.h"

hs_status hs_history_first(const char *text, int *first)
{
    char *end = NULL;
    if (!text || strcmp(text, "none") == 0) {
        *first = 0;
        return HS_OK;
    }
    if (strcmp(text, "all") == 0) {
        *first = INT32_MAX;
        return HS_OK;
    }
    long n = strncmp(text, "first:", 6) == 0 ? strtol(text + 6, &end, 10) : -1;
    if (n < 0 || n > INT32_MAX || end == text + 6 || *end)
        return hs_fail(HS_EUSAGE, "history.filters = %s: use none, first:N or all", text);
    *first = (int)n;
    return HS_OK;
}

hs_mosaic hs_mosaic_of(const hs_run_layer *layer)
{
    hs_mosaic m;
    int most = layer->out_channels < 32 ? layer->out_channels : 32;
    m.columns = most < 8 ? most : 8;
    if (layer->in_channels == 1)
        m.rows = (most + m.columns - 1) / m.columns;
    else
        m.rows = layer->in_channels < 4 ? layer->in_channels : 4;
    m.height = m.rows * (layer->kernel_h + 1) + 1;
    m.width = m.columns * (layer->kernel_w + 1) + 1;
    return m;
}

/* ---- creation -------------------------------------------------------------------------------------------------------------- */

static const char *const scalar_name[] = {"hoyer",      "gini", "frac_small", "l1_spectral",
                                          "l1_spatial", "l2",   "grad_norm",  "update_ratio"};
static const char *const scalar_text[] = {"Hoyer sparsity of |X|",
                                          "Gini index of |X|",
                                          "share of |X| below 1 % of the largest",
                                          "sum of |X| over the full spectrum",
                                          "sum of |taps|",
                                          "norm of the filters",
                                          "norm of the gradient",
                                          "norm of the update / norm of the filters"};
static const char *const ring_name[] = {"radial_power", "grad_radial_power", "update_radial_power", "momentum_radial_power"};
static const char *const ring_text[] = {"power of the filters by |k|", "power of the gradient by |k|", "power of the update by |k|",
                                        "power of the momentum by |k|"};
static const char *const hist_name[] = {"hist_spectral", "hist_spatial", "hist_momentum"};
static const char *const hist_text[] = {"number of |X| by log10", "number of |taps| by log10",
                                        "number of |momentum| in the spectrum by log10"};
enum { SCALARS = 8, RINGS = 4, HISTS = 3 };

/* numpy.fft.fftfreq(n) * n, shifted by numpy.fft.fftshift if CENTRED. */
static hs_status frequency_axis(hid_t group, const char *name, int n, bool centred)
{
    int32_t *k = NULL;
    HS_TRY(hs_calloc((size_t)n, sizeof *k, name, &k));
    for (int i = 0; i < n; i++)
        k[i] = centred ? i - n / 2 : i < (n + 1) / 2 ? i : i - n;
    hs_status st = hs_h5_make_axis(group, name, (hsize_t)n, k);
    hs_free(k);
    return st;
}

static hs_status log_axis(hid_t group)
{
    float centre[64];
    hs_h5_spec spec = {.name = "log10_abs",
                       .type = HS_H5_F32,
                       .rank = 1,
                       .dim = {64},
                       .is_scale = true,
                       .units = "1",
                       .long_name = "log10 of the magnitude"};
    for (int i = 0; i < 64; i++) /* 64 equal bins over [-8, 2] */
        centre[i] = (float)(-8.0 + 10.0 * (i + 0.5) / 64.0);
    return hs_h5_make(group, &spec, HS_H5_SAME, centre);
}

static hs_status make_axes(hid_t group, const hs_run_layer *l, int filters)
{
    hs_mosaic m = hs_mosaic_of(l);
    hs_h5_spec step = {.name = "step",
                       .type = HS_H5_I64,
                       .rank = 1,
                       .grows = true,
                       .chunk_rows = 256,
                       .is_scale = true,
                       .units = "1",
                       .long_name = "step"};
    HS_TRY(hs_h5_make(group, &step, HS_H5_SAME, NULL));
    if (filters > 0) {
        HS_TRY(hs_h5_make_axis(group, "out_channel", (hsize_t)filters, NULL));
        HS_TRY(hs_h5_make_axis(group, "in_channel", (hsize_t)l->in_channels, NULL));
        HS_TRY(frequency_axis(group, "ky", l->kernel_h, false));
    }
    HS_TRY(hs_h5_make_axis(group, "kx", (hsize_t)(l->kernel_w / 2 + 1), NULL));
    HS_TRY(frequency_axis(group, "ky_centered", l->kernel_h, true));
    HS_TRY(hs_h5_make_axis(group, "radius", (hsize_t)hs_radii_count(l->kernel_h, l->kernel_w), NULL));
    HS_TRY(log_axis(group));
    HS_TRY(hs_h5_make_axis(group, "mosaic_y", (hsize_t)m.height, NULL));
    return hs_h5_make_axis(group, "mosaic_x", (hsize_t)m.width, NULL);
}

/* An array over (step, axis...) whose chunk is one snapshot. */
static hs_status make_array(hid_t group, const char *name, hs_h5_type type, int rank, const hsize_t *dim,
                            const char *const *scale, const char *text)
{
    hs_h5_spec spec = {.name = name,
                       .type = type,
                       .rank = rank,
                       .grows = true,
                       .chunk_rows = 1,
                       .packed = true,
                       .units = "1",
                       .long_name = text};
    memcpy(spec.dim + 1, dim, (size_t)(rank - 1) * sizeof *dim);
    memcpy(spec.scale + 1, scale, (size_t)(rank - 1) * sizeof *scale);
    spec.scale[0] = "step";
    return hs_h5_make(group, &spec, HS_H5_SAME, NULL);
}

static hs_status make_statistics(hid_t group, const hs_run_layer *l)
{
    hsize_t radii = (hsize_t)hs_radii_count(l->kernel_h, l->kernel_w), bins = 64;
    const char *radius = "radius", *log10_abs = "log10_abs";
    for (int i = 0; i < RINGS; i++)
        HS_TRY(make_array(group, ring_name[i], HS_H5_F32, 2, &radii, &radius, ring_text[i]));
    for (int i = 0; i < HISTS; i++)
        HS_TRY(make_array(group, hist_name[i], HS_H5_I32, 2, &bins, &log10_abs, hist_text[i]));
    for (int i = 0; i < SCALARS; i++) {
        hs_h5_spec spec = {.name = scalar_name[i],
                           .type = HS_H5_F32,
                           .rank = 1,
                           .grows = true,
                           .chunk_rows = 256,
                           .scale = {"step"},
                           .units = "1",
                           .long_name = scalar_text[i]};
        HS_TRY(hs_h5_make(group, &spec, HS_H5_SAME, NULL));
    }
    return HS_OK;
}

static hs_status make_arrays(hid_t group, const hs_run_layer *l, int filters)
{
    hs_mosaic m = hs_mosaic_of(l);
    hsize_t half = (hsize_t)(l->kernel_w / 2 + 1);
    hsize_t spectrum[] = {(hsize_t)filters, (hsize_t)l->in_channels, (hsize_t)l->kernel_h, half};
    hsize_t energy[] = {(hsize_t)l->kernel_h, half}, mosaic[] = {(hsize_t)m.height, (hsize_t)m.width};
    const char *spectrum_axes[] = {"out_channel", "in_channel", "ky", "kx"}, *energy_axes[] = {"ky_centered", "kx"};
    const char *mosaic_axes[] = {"mosaic_y", "mosaic_x"};
    if (filters > 0)
        HS_TRY(make_array(group, "half_spectrum", HS_H5_C64, 5, spectrum, spectrum_axes, "unitary half spectrum of the filters"));
    HS_TRY(make_array(group, "energy", HS_H5_F32, 3, energy, energy_axes, "mean |X|^2 of the filters"));
    return make_array(group, "spatial_mosaic", HS_H5_F32, 3, mosaic, mosaic_axes, "filters in space");
}

static hs_status image_attribute(hid_t group, const char *name)
{
    hid_t data = H5Dopen2(group, name, H5P_DEFAULT);
    H5_TRY(group, data);
    hs_status st = hs_h5_set_text(data, "interpretation", "image");
    H5Dclose(data);
    return st;
}

static hs_status threshold_attribute(hid_t group)
{
    hid_t data = H5Dopen2(group, "frac_small", H5P_DEFAULT);
    H5_TRY(group, data);
    hs_status st = hs_h5_set_f64(data, "threshold", HS_SMALL_SHARE);
    H5Dclose(data);
    return st;
}

static hs_status describe(hid_t group, const hs_run_layer *l)
{
    int32_t kernel[2] = {l->kernel_h, l->kernel_w};
    HS_TRY(hs_h5_set(group, "kernel", HS_H5_I32, 2, kernel));
    HS_TRY(hs_h5_set_text(group, "param", hs_arm_name(l->arm)));
    HS_TRY(hs_h5_set_text(group, "fft_norm", "ortho"));
    return hs_h5_set_text(group, "reader", "taps = numpy.fft.irfft2(half_spectrum, s=tuple(kernel), norm=fft_norm)");
}

hs_status hs_history_make(hid_t history, const hs_run_layer *layer, int first)
{
    hid_t group = -1;
    hs_status st;
    int filters = first < layer->out_channels ? first : layer->out_channels;
    HS_TRY(hs_h5_make_group(history, layer->name, &group));
    HS_TRY_GOTO(st, describe(group, layer), done);
    HS_TRY_GOTO(st, make_axes(group, layer, filters), done);
    HS_TRY_GOTO(st, make_arrays(group, layer, filters), done);
    HS_TRY_GOTO(st, make_statistics(group, layer), done);
    HS_TRY_GOTO(st, threshold_attribute(group), done);
    HS_TRY_GOTO(st, image_attribute(group, "spatial_mosaic"), done);
    st = image_attribute(group, "energy");
done:
    hs_h5_drop(group);
    return st;
}

/* ---- cutting --------------------------------------------------------------------------------------------------------------- */

static hs_status cut_all(hid_t group, hsize_t rows)
{
    HS_TRY(hs_h5_cut(group, "step", rows));
    for (int i = 0; i < RINGS; i++)
        HS_TRY(hs_h5_cut(group, ring_name[i], rows));
    for (int i = 0; i < HISTS; i++)
        HS_TRY(hs_h5_cut(group, hist_name[i], rows));
    for (int i = 0; i < SCALARS; i++)
        HS_TRY(hs_h5_cut(group, scalar_name[i], rows));
    HS_TRY(hs_h5_cut(group, "energy", rows));
    HS_TRY(hs_h5_cut(group, "spatial_mosaic", rows));
    return hs_h5_is_hard(group, "half_spectrum") ? hs_h5_cut(group, "half_spectrum", rows) : HS_OK;
}

hs_status hs_history_cut(hid_t history, const hs_run_layer *layer, int64_t step)
{
    hid_t group = -1;
    hsize_t rows = 0;
    int32_t kernel[2];
    char path[512];
    HS_TRY(hs_h5_open_group(history, layer->name, &group));
    hs_status st = hs_h5_get(group, "kernel", HS_H5_I32, 2, kernel);
    if (st == HS_OK && (kernel[0] != layer->kernel_h || kernel[1] != layer->kernel_w))
        st = hs_fail(HS_EINPUT, "%s: the history of %s is of %dx%d filters, this network has %dx%d: choose another `run`",
                     hs_h5_path(group, path, sizeof path), layer->name, kernel[0], kernel[1], layer->kernel_h, layer->kernel_w);
    if (st == HS_OK)
        st = hs_rows_until(group, step, &rows);
    if (st == HS_OK)
        st = cut_all(group, rows);
    hs_h5_drop(group);
    return st;
}
