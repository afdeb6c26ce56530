/* plots.c - /plots: NXdata groups of soft links, so that h5web, myHDF5, silx and NeXpy draw a run unaided. Signal and axes must
 * be children of the group and `signal` a single text; soft links count as children. */
#include <stdio.h>
#include <string.h>

#include "run_parts.h"

typedef struct plot {
    const char *name, *title, *from; /* group whose data sets are linked; "%s": the layer */
    const char *signal, *more[3];    /* auxiliary signals */
    const char *axes[3];
    const char *style;               /* silx, as JSON; NULL: none */
} plot;

static const plot run_plot[] = {
    {"loss", "training loss", "/train", "loss", {"loss_data"}, {"step"}, "{\"signal_scale_type\": \"log\"}"},
    {"error", "evaluation error", "/eval", "error_top1", {"error_top5"}, {"step"}, NULL},
    {"lr", "learning rate", "/train", "lr", {0}, {"step"}, "{\"signal_scale_type\": \"log\"}"},
    {"norms", "norms", "/train", "grad_norm", {"update_norm", "param_norm"}, {"step"}, "{\"signal_scale_type\": \"log\"}"},
};
static const plot layer_plot[] = {
    {"%s_filters", "%s: filters in space", "/history/%s", "spatial_mosaic", {0}, {"step", "mosaic_y", "mosaic_x"}, NULL},
    {"%s_energy",
     "%s: mean |X|^2",
     "/history/%s",
     "energy",
     {0},
     {"step", "ky_centered", "kx"},
     "{\"signal_scale_type\": \"log\"}"},
    {"%s_radial", "%s: power by |k|", "/history/%s", "radial_power", {0}, {"step", "radius"}, "{\"signal_scale_type\": \"log\"}"},
    {"%s_histogram", "%s: number of |X| by magnitude", "/history/%s", "hist_spectral", {0}, {"step", "log10_abs"}, NULL},
    {"%s_sparsity", "%s: sparsity", "/history/%s", "hoyer", {"gini", "frac_small"}, {"step"}, NULL},
};

static int count_of(const char *const *list, int most)
{
    int n = 0;
    while (n < most && list[n])
        n++;
    return n;
}

static hs_status link_child(hid_t group, const char *from, const char *name)
{
    char target[256];
    snprintf(target, sizeof target, "%s/%s", from, name);
    H5_TRY(group, H5Lcreate_soft(target, group, name, H5P_DEFAULT, H5P_DEFAULT));
    return HS_OK;
}

static hs_status link_all(hid_t group, const plot *p, const char *from)
{
    HS_TRY(link_child(group, from, p->signal));
    for (int i = 0; i < count_of(p->more, 3); i++)
        HS_TRY(link_child(group, from, p->more[i]));
    for (int i = 0; i < count_of(p->axes, 3); i++)
        HS_TRY(link_child(group, from, p->axes[i]));
    return HS_OK;
}

static hs_status describe(hid_t group, const plot *p, const char *title)
{
    static const char *const slice[] = {"0", ".", "."};
    HS_TRY(hs_h5_set_text(group, "NX_class", "NXdata"));
    HS_TRY(hs_h5_set_text(group, "signal", p->signal));
    HS_TRY(hs_h5_set_texts(group, "axes", p->axes, count_of(p->axes, 3)));
    if (p->more[0])
        HS_TRY(hs_h5_set_texts(group, "auxiliary_signals", p->more, count_of(p->more, 3)));
    if (p->axes[2])
        HS_TRY(hs_h5_set_texts(group, "default_slice", slice, 3));
    if (p->style)
        HS_TRY(hs_h5_set_text(group, "SILX_style", p->style));
    return hs_h5_set_text(group, "title", title);
}

/* TEXT with its one "%s", if any, replaced by LAYER. */
static void fill_in(const char *text, const char *layer, char *out, size_t capacity)
{
    const char *mark = strstr(text, "%s");
    if (mark)
        snprintf(out, capacity, "%.*s%s%s", (int)(mark - text), text, layer, mark + 2);
    else
        snprintf(out, capacity, "%s", text);
}

static hs_status make_plot(hid_t plots, const plot *p, const char *layer)
{
    char name[96], title[128], from[96];
    hid_t group = -1;
    fill_in(p->name, layer, name, sizeof name);
    fill_in(p->title, layer, title, sizeof title);
    fill_in(p->from, layer, from, sizeof from);
    HS_TRY(hs_h5_make_group(plots, name, &group));
    hs_status st = describe(group, p, title);
    if (st == HS_OK)
        st = link_all(group, p, from);
    hs_h5_drop(group);
    return st;
}

hs_status hs_plots_make(hid_t file, const hs_run_layer *layer, int layers)
{
    hid_t plots = -1;
    hs_status st = HS_OK;
    HS_TRY(hs_h5_make_group(file, "plots", &plots));
    HS_TRY_GOTO(st, hs_h5_set_text(plots, "NX_class", "NXcollection"), done);
    HS_TRY_GOTO(st, hs_h5_set_text(plots, "default", "loss"), done);
    for (size_t i = 0; i < sizeof run_plot / sizeof run_plot[0]; i++)
        HS_TRY_GOTO(st, make_plot(plots, &run_plot[i], ""), done);
    for (int l = 0; l < layers; l++)
        for (size_t i = 0; layer[l].filters && i < sizeof layer_plot / sizeof layer_plot[0]; i++)
            HS_TRY_GOTO(st, make_plot(plots, &layer_plot[i], layer[l].name), done);
    st = hs_h5_set_text(file, "default", "plots/loss");
done:
    hs_h5_drop(plots);
    return st;
}
