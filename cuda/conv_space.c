/* conv_space.c - convolution in space: which of the ways, and what all of them share, bias, rectifier and mask.
 *
 * Ways: our own kernels (implicit), cuDNN where it can be loaded (with bias and rectifier or apart from them), windows in memory and
 * cuBLAS, or for a filter of one tap cuBLAS alone (product). The choice follows the estimates, which depend on the device, the libraries
 * and the shape alone, so equal runs compute the same way. HALFSPEC_CUDA_CONV = NAME takes one that covers the shape whatever it costs: for
 * tests, and to compare. A planner that measures asks for each by number. */
#include "hs_cuda.h"

#include "hs_log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const hs_cuda_way *const ways[] = {&hs_cuda_implicit_way, &hs_cuda_cudnn_way, &hs_cuda_windows_way, &hs_cuda_cudnn_apart_way,
                                    &hs_cuda_product_way};
enum { WAYS = sizeof ways / sizeof *ways };

/* By the environment, or by number. */
static const hs_cuda_way *asked_for(const hs_cuda_device *d, const hs_conv_desc *desc)
{
    const char *name = getenv("HALFSPEC_CUDA_CONV");
    for (int i = 0; name && i < WAYS; i++)
        if (strcmp(name, ways[i]->name) == 0 && ways[i]->offers(d, desc))
            return ways[i];
    return desc->way > 0 && desc->way <= WAYS && ways[desc->way - 1]->offers(d, desc) ? ways[desc->way - 1] : NULL;
}

unsigned hs_cuda_space_ways(const hs_cuda_device *d, const hs_conv_desc *desc)
{
    const char *name = getenv("HALFSPEC_CUDA_CONV");
    unsigned bits = 0;
    for (int i = 0; i < WAYS; i++)
        bits |= (unsigned)ways[i]->offers(d, desc) << i;
    return name && *name ? 0 : bits;
}

/* The cheapest but for what FAILED, a bit a way. */
static const hs_cuda_way *choose(const hs_cuda_device *d, const hs_conv_desc *desc, unsigned failed, double *seconds)
{
    const hs_cuda_way *asked = failed ? NULL : asked_for(d, desc), *best = asked;
    *seconds = best ? best->seconds(d, desc) : 0;
    for (int i = 0; i < WAYS && !asked; i++) {
        const double own = !(failed >> i & 1) && ways[i]->offers(d, desc) ? ways[i]->seconds(d, desc) : -1;
        if (own >= 0 && (!best || own < *seconds)) {
            best = ways[i];
            *seconds = own;
        }
    }
    return best;
}

double hs_cuda_longest(const hs_cuda_device *d, double numbers, double flops, double rate)
{
    const double moving = 4 * numbers / d->bandwidth, computing = flops / rate;
    return 5e-6 + (moving > computing ? moving : computing);
}

/* Rows of y as the kernels count them. */
static size_t rows_of(const hs_conv *conv, int n)
{
    return (size_t)n * conv->d.oh * conv->d.ow;
}

size_t hs_cuda_conv_mask(const hs_conv *conv)
{
    return conv->d.relu ? hs_cuda_line(rows_of(conv, conv->d.capacity) * ((conv->d.co + 7) / 8)) : 0;
}

static bool rounds(const hs_conv *conv)
{
    return conv->way->rounds && (conv->half_in || conv->half_out);
}

/* Taps as bf16, saved for backward behind the mask: they are read twice, and weights of a dense layer are larger than its maps. */
static size_t rounded_count(const hs_conv *conv)
{
    return rounds(conv) ? (size_t)conv->taps * conv->d.ci * conv->d.co : 0;
}

static void *rounded_at(const hs_conv *conv, const void *saved)
{
    return (char *)(uintptr_t)saved + hs_cuda_conv_mask(conv);
}

/* dy behind the mask, or rounded: in scratch, before what the way needs. */
static bool half_dm(const hs_conv *conv)
{
    return conv->half_out || rounds(conv);
}

static bool copies_dy(const hs_conv *conv)
{
    return conv->d.relu || half_dm(conv) != conv->half_out;
}

static size_t masked_bytes(const hs_conv *conv)
{
    return copies_dy(conv) ? hs_cuda_line(rows_of(conv, conv->d.capacity) * conv->d.co * (half_dm(conv) ? 2 : sizeof(float))) : 0;
}

double hs_cuda_space_seconds(const hs_cuda_device *d, const hs_conv_desc *desc)
{
    double seconds;
    const hs_cuda_way *way = choose(d, desc, 0, &seconds);
    if (!way)
        return HUGE_VAL;
    const double rows = (double)desc->capacity * desc->oh * desc->ow;
    const double y = rows * desc->co * (hs_cuda_half_edge(&d->base, desc->sealed_out) ? 0.5 : 1);
    if (!way->finishes && (desc->bias || desc->relu))
        seconds += hs_cuda_longest(d, 2 * y, 0, d->plain);
    return seconds + (desc->relu ? hs_cuda_longest(d, 2 * y, 0, d->plain) : desc->bias ? hs_cuda_longest(d, y, 0, d->plain) : 0);
}

hs_status hs_cuda_space_plan(hs_conv *conv)
{
    hs_status st = HS_EUNSUPPORTED;
    double seconds;
    for (unsigned failed = 0; st == HS_EUNSUPPORTED;) {
        conv->way = choose(hs_cuda_device_of(conv->device), &conv->d, failed, &seconds);
        if (!conv->way)
            return hs_fail(HS_EUNSUPPORTED, "convolution of %d samples at %dx%d: none of our ways covers so many; use a smaller batch",
                           conv->d.capacity, conv->d.h, conv->d.w);
        st = conv->way->plan(conv);
        for (int i = 0; st == HS_EUNSUPPORTED && i < WAYS; i++)
            failed |= (unsigned)(conv->way == ways[i]) << i;
        if (st == HS_EUNSUPPORTED) {
            hs_debug(conv->device->log, "%s: convolving in another way", hs_fail_text());
            conv->way->destroy(conv);
        }
    }
    return st;
}

void hs_cuda_space_destroy(hs_conv *conv)
{
    if (conv->way)
        conv->way->destroy(conv);
}

size_t hs_cuda_space_saved(const hs_conv *conv)
{
    return hs_cuda_conv_mask(conv) + hs_cuda_line(2 * rounded_count(conv));
}

size_t hs_cuda_space_scratch(const hs_conv *conv)
{
    return masked_bytes(conv) + conv->way->scratch_bytes(conv);
}

hs_status hs_cuda_conv_finish(hs_stream *s, const hs_conv *conv, int n, const float *bias, void *y, uint8_t *mask)
{
    return hs_cuda_check(hs_cuda_rectify(hs_cuda_raw(s), rows_of(conv, n), conv->d.co, bias, conv->half_out, y, mask), "convolution");
}

hs_status hs_cuda_conv_begin(hs_stream *s, const hs_conv *conv, int n, const void *dy, const uint8_t *mask, bool half_dm, void *dm,
                             float *dbias)
{
    return hs_cuda_check(hs_cuda_rectify_grad(hs_cuda_raw(s), hs_cuda_partial(s), rows_of(conv, n), conv->d.co, conv->half_out, dy, mask,
                                              half_dm, dm, dbias),
                         "convolution");
}

hs_status hs_cuda_space_forward(hs_stream *s, const hs_conv *conv, int n, const void *x, const float *taps, const float *bias,
                                void *y, void *saved, void *scratch)
{
    const float *added = conv->d.bias ? bias : NULL;
    uint8_t *mask = conv->d.relu ? saved : NULL;
    void *room = (char *)scratch + masked_bytes(conv);
    const void *read = rounds(conv) ? rounded_at(conv, saved) : taps;
    if (rounds(conv))
        HS_TRY(hs_cuda_check(hs_cuda_to_bf16(hs_cuda_raw(s), rounded_count(conv), taps, rounded_at(conv, saved)), "convolution"));
    if (conv->way->finishes)
        return conv->way->forward(s, conv, n, x, read, added, y, mask, room);
    HS_TRY(conv->way->forward(s, conv, n, x, read, NULL, y, NULL, room));
    return hs_cuda_conv_finish(s, conv, n, added, y, mask);
}

hs_status hs_cuda_space_backward(hs_stream *s, const hs_conv *conv, int n, const void *x, const float *taps, const void *dy,
                                 void *dx, float *dtaps, float *dbias, const void *saved, void *scratch)
{
    const bool copies = copies_dy(conv);
    HS_TRY(hs_cuda_conv_begin(s, conv, n, dy, conv->d.relu ? saved : NULL, half_dm(conv), copies ? scratch : NULL, dbias));
    return conv->way->backward(s, conv, n, x, rounds(conv) ? rounded_at(conv, saved) : taps, copies ? scratch : dy, dx, dtaps,
                               (char *)scratch + masked_bytes(conv));
}
