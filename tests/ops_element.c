/* ops_element.c - cases of hs_element_ops, with NaN, infinities and the ends of the number range among the inputs. */
#include <math.h>
#include <stdlib.h>

#include "hs_spectrum.h"
#include "op_cases.h"

enum element_op { RELU_FWD, RELU_BWD, TANH_FWD, TANH_BWD, ADD, SCALE, ELEMENT_OPS };
static const char *const op_name[] = {"relu_fwd", "relu_bwd", "tanh_fwd", "tanh_bwd", "add", "scale"};

typedef struct element {
    enum element_op op;
    size_t count;
    bool in_place;
} element;

/* Outputs of tanh: in -1 .. 1, and a NaN now and then. */
static void *tanh_output(op_run *run, size_t count)
{
    double *y = calloc(count + 1, sizeof *y);
    for (size_t i = 0; y && i < count; i++)
        y[i] = i % 17 == 5 ? NAN : tanh(op_normal(run, "z", i));
    void *memory = y ? op_in_values(run, "y", OP_REAL, count, y) : NULL;
    free(y);
    return memory;
}

static hs_status run_forward(op_run *run, const element *p, hs_status (*op)(hs_stream *, size_t, const void *, void *))
{
    if (p->in_place) {
        void *xy = op_inout_special(run, "x", p->count);
        return op(op_stream(run), p->count, xy, xy);
    }
    void *x = op_in_special(run, "x", p->count);
    return op(op_stream(run), p->count, x, op_out(run, "y", OP_REAL, p->count));
}

static hs_status run_relu_bwd(op_run *run, const element *p)
{
    const hs_element_ops *ops = op_backend(run)->element;
    void *y = op_in_special(run, "y", p->count);
    if (p->in_place) {
        void *both = op_inout_special(run, "dy", p->count);
        return ops->relu_bwd(op_stream(run), p->count, y, both, both);
    }
    void *dy = op_in_special(run, "dy", p->count);
    return ops->relu_bwd(op_stream(run), p->count, y, dy, op_out(run, "dx", OP_REAL, p->count));
}

static hs_status run_add(op_run *run, const element *p)
{
    const hs_element_ops *ops = op_backend(run)->element;
    void *b = op_in_special(run, "b", p->count);
    if (p->in_place) {
        void *a = op_inout_special(run, "a", p->count);
        return ops->add(op_stream(run), p->count, a, b, a);
    }
    void *a = op_in_special(run, "a", p->count);
    return ops->add(op_stream(run), p->count, a, b, op_out(run, "y", OP_REAL, p->count));
}

static hs_status run_element(op_run *run, const void *parameters)
{
    const element *p = parameters;
    const hs_element_ops *ops = op_backend(run)->element;
    op_limit(run, p->op == RELU_FWD || p->op == RELU_BWD ? 0 : 2e-6, p->op < TANH_FWD ? "numbers are copied" : "a few roundings a number");
    switch (p->op) {
    case RELU_FWD:
        return run_forward(run, p, ops->relu_fwd);
    case RELU_BWD:
        return run_relu_bwd(run, p);
    case TANH_FWD:
        return run_forward(run, p, ops->tanh_fwd);
    case TANH_BWD: {
        void *y = tanh_output(run, p->count), *dy = op_in(run, "dy", p->count, 1);
        return ops->tanh_bwd(op_stream(run), p->count, y, dy, op_out(run, "dx", OP_REAL, p->count));
    }
    case ADD:
        return run_add(run, p);
    default:
        return ops->scale(op_stream(run), p->count, -1.5, op_inout_special(run, "y", p->count));
    }
}

typedef struct drop {
    int n;
    size_t features;
    double p;
    uint32_t step, layer;
    int64_t first;
    bool special;
} drop;

static hs_status run_dropout(op_run *run, const void *parameters)
{
    const drop *p = parameters;
    const size_t count = (size_t)p->n * p->features;
    op_limit(run, 1e-6, "the same mask, one rounding a number");
    void *x = p->special ? op_in_special(run, "x", count) : op_in(run, "x", count, 1);
    const int32_t key = (int32_t)p->step;
    const uint32_t *step = op_in_values(run, "step", OP_INT32, 1, &key);
    return op_backend(run)->element->dropout(op_stream(run), p->n, p->features, p->p, 77, step, p->layer, p->first, x,
                                             op_out(run, "y", OP_REAL, count));
}

/* ---- spectral activations ----------------------------------------------------------------------------------------------------------- */

typedef struct modulus {
    bool soft;
    int n, h, w, c;
} modulus;

/* Coordinates kept away from the cut 1 + offset/|z| = 0, where the derivative jumps and rounding alone would decide, and from |z| far below the
 * offset, where the two parts of dx are offset/|z| times as large as their sum may be; one bin in nine is zero. Writes SELF [bins], X [bins][n][2c], B [c]. */
static void fill_modulus(const op_run *run, const modulus *p, uint8_t *self, double *x, double *b)
{
    const int bins = hs_bins_count(p->h, p->w);
    for (int j = 0; j < p->c; j++)
        b[j] = (float)(0.6 * op_normal(run, "b", (size_t)j));
    for (int u = 0; u < bins; u++) {
        int ky, kx;
        hs_bin_at(p->h, p->w, u, &ky, &kx);
        self[u] = hs_bin_is_self(p->h, p->w, ky, kx);
        for (int i = 0; i < p->n; i++)
            for (int j = 0; j < p->c; j++) {
                size_t at = ((size_t)u * p->n + i) * 2 * p->c + j;
                double re = op_normal(run, "re", at), im = self[u] ? 0 : op_normal(run, "im", at);
                double r = hypot(re, im) * (self[u] ? 1 : sqrt(0.5)), offset = p->soft ? -fabs(b[j]) : b[j];
                double least = r < 0.1 * fabs(offset) ? 0.1 * fabs(offset) / r : 1;
                double factor = at % 9 == 4 || r == 0 ? 0 : fabs(r + offset) < 0.02 * r ? 1.1 : least;
                x[at] = factor * re;
                x[at + p->c] = factor * im;
            }
    }
}

static hs_status run_filled(op_run *run, const modulus *p, uint8_t *self, double *x, double *b)
{
    const int bins = hs_bins_count(p->h, p->w);
    const size_t count = (size_t)bins * p->n * 2 * p->c;
    const hs_element_ops *ops = op_backend(run)->element;
    fill_modulus(run, p, self, x, b);
    void *kind = op_in_values(run, "self", OP_BYTE, (size_t)bins, self), *in = op_in_values(run, "x", OP_REAL, count, x);
    void *dy = op_in_spectrum(run, "dy", p->n, p->h, p->w, p->c);
    op_slab(run, true);
    void *offset = op_in_values(run, "b", OP_REAL, (size_t)p->c, b);
    op_slab(run, false);
    op_limit(run, 5e-6, "a quotient of a root, up to 50 times enlarged near the cut");
    HS_TRY(ops->modulus_fwd(op_stream(run), p->soft, bins, kind, p->n, p->c, in, offset, op_out(run, "y", OP_REAL, count)));
    op_floor(run, 0.3); /* g dz and the part along z may cancel */
    void *dx = op_out(run, "dx", OP_REAL, count);
    op_floor(run, sqrt((double)bins * p->n));
    op_slab(run, true);
    return ops->modulus_bwd(op_stream(run), p->soft, bins, kind, p->n, p->c, in, offset, dy, dx, op_out(run, "db", OP_REAL, (size_t)p->c));
}

static hs_status run_modulus(op_run *run, const void *parameters)
{
    const modulus *p = parameters;
    const size_t bins = (size_t)hs_bins_count(p->h, p->w);
    uint8_t *self = calloc(bins, 1);
    double *x = calloc(bins * p->n * 2 * p->c + 1, sizeof *x), *b = calloc((size_t)p->c, sizeof *b);
    hs_status st = self && x && b ? run_filled(run, p, self, x, b) : hs_fail(HS_EINTERNAL, "no memory");
    free(self);
    free(x);
    free(b);
    return st;
}

void ops_element(op_suite *suite)
{
    op_topic(suite, "elementwise");
    const size_t counts[] = {0, 1, 7, 64, 1000, 4099};
    for (int op = 0; op < ELEMENT_OPS; op++)
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
            for (int in_place = 0; in_place <= (op == RELU_FWD || op == RELU_BWD || op == ADD); in_place++) {
                element p = {(enum element_op)op, counts[i], in_place};
                op_case(suite, run_element, &p, "%s count=%zu%s special", op_name[op], p.count, in_place ? " in place" : "");
            }
    op_topic(suite, "dropout");
    for (int i = 0; i < 12; i++) {
        drop p = {i ? op_random(suite, 1, 9) : 0, (size_t)op_random(suite, 1, 700), i % 4 * 0.3, (uint32_t)op_random(suite, 0, 9999),
                  (uint32_t)op_random(suite, 0, 20), i % 2 ? op_random(suite, 0, 100000) : (int64_t)1 << 33, i % 3 == 0};
        op_case(suite, run_dropout, &p, "dropout n=%d features=%zu p=%g step=%u layer=%u first=%lld%s", p.n, p.features, p.p, p.step, p.layer,
                (long long)p.first, p.special ? " special" : "");
    }
    op_topic(suite, "spectral activations");
    for (int i = 0; i < 16; i++) {
        modulus p = {i % 2, i < 2 ? 0 : op_random(suite, 1, 4), op_random(suite, 1, 12), op_random(suite, 1, 12), op_random(suite, 1, 20)};
        op_case(suite, run_modulus, &p, "%s n=%d %dx%d c=%d", p.soft ? "soft" : "modrelu", p.n, p.h, p.w, p.c);
    }
}
