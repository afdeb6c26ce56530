/* transform.c - the transforms of the backend's table: dft.c on the plane's own grid, spectrum unpadded [bin][n][re c | im c]. */
#include "dft.h"
#include "hs_base.h"

struct hs_transform {
    hs_cpu_dft *dft;
    int c;
};


static hs_status plan(hs_device *device, int capacity, int h, int w, int c, hs_transform **out)
{
    (void)capacity;
    hs_transform *t = NULL;
    HS_TRY(hs_calloc(1, sizeof *t, "transform", &t));
    t->c = c;
    hs_status st = hs_cpu_dft_plan((const hs_cpu_device *)device, h, w, h, w, c, &t->dft);
    if (st != HS_OK)
        hs_free(t);
    else
        *out = t;
    return st;
}

static void destroy(hs_transform **plan)
{
    if (!*plan)
        return;
    hs_cpu_dft_destroy(&(*plan)->dft);
    hs_free(*plan);
    *plan = NULL;
}

static size_t scratch_bytes(const hs_transform *plan)
{
    return hs_cpu_dft_scratch_bytes(plan->dft);
}

static hs_cpu_spectrum dense(const hs_transform *t, int n, const void *at)
{
    return (hs_cpu_spectrum){(float *)at, 2 * (ptrdiff_t)t->c * n, 2 * (ptrdiff_t)t->c, t->c};
}

static hs_status forward(hs_stream *s, hs_transform *t, int n, const void *space, void *spectrum, void *scratch)
{
    (void)s;
    hs_cpu_dft_forward(t->dft, n, space, (hs_cpu_gate){0}, dense(t, n, spectrum), scratch);
    return HS_OK;
}

static hs_status inverse(hs_stream *s, hs_transform *t, int n, const void *spectrum, void *space, void *scratch)
{
    (void)s;
    hs_cpu_dft_inverse(t->dft, n, dense(t, n, spectrum), NULL, (hs_cpu_gate){0}, space, scratch);
    return HS_OK;
}

const hs_transform_ops hs_cpu_transform_ops = {
    .plan = plan,
    .destroy = destroy,
    .scratch_bytes = scratch_bytes,
    .forward = forward,
    .inverse = inverse,
};
