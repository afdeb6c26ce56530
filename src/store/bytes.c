/* bytes.c - how much memory writing takes, for the plan: files are built in memory (h5.h) and copied once more on their way to the disk. */
#include "run_parts.h"

enum { STEP = 1 << 20 }; /* the core driver's buffer grows by so much (h5.c) */

static double greater(double a, double b)
{
    return a > b ? a : b;
}

/* Numbers of filter P as its file shows it: half spectra, or taps. */
static double shown_count(const hs_param *p)
{
    const double pairs = (double)p->out * p->in;
    return pairs * p->kh * (hs_layout_is_spectral(p->arm) ? 2 * (p->kw / 2 + 1) : p->kw);
}

/* Model and moments stand in the file; when the largest filter is written it lies there as coordinates, spectrum and shown numbers, all double, and
 * once more moved. */
double hs_checkpoint_memory(const hs_checkpoint *ck)
{
    double model = STEP, moments = 0, largest = 0;
    for (int i = 0; i < ck->params; i++) {
        const hs_param *p = &ck->param[i];
        const double count = (double)p->count, area = (double)p->kh * p->kw * p->out * p->in;
        const bool filter = p->role == HS_ROLE_FILTER;
        model += ck->real * (count + (filter ? shown_count(p) : 0));
        moments += ck->real * count * ck->moments;
        largest = greater(largest, ck->real * count + (filter ? 8 * (count + area + shown_count(p)) : 0));
    }
    return greater(2 * (model + moments), model + largest);
}

/* Buffers of hs_run_open and a file that holds no history yet: that takes 1 to 2 steps, and its copy. */
double hs_run_memory(const hs_run_layer *layer, int layers)
{
    double numbers = 0, half = 0, mosaic = 0;
    for (int i = 0; i < layers; i++) {
        const hs_run_layer *l = &layer[i];
        if (!l->filters)
            continue;
        const double pairs = (double)l->out_channels * l->in_channels;
        const hs_mosaic m = hs_mosaic_of(l);
        numbers = greater(numbers, pairs * l->kernel_h * l->kernel_w);
        half = greater(half, pairs * 2 * l->kernel_h * (l->kernel_w / 2 + 1));
        mosaic = greater(mosaic, (double)m.height * m.width);
    }
    return 8 * (3 * numbers + half + mosaic) + 2 * STEP;
}
