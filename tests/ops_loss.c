/* ops_loss.c - cases of hs_loss_ops. */
#include <math.h>
#include <stdlib.h>

#include "op_cases.h"

typedef struct loss {
    int n, classes;
    double spread;
    bool ties, evaluate; /* logits on a coarse grid; no gradient wanted */
} loss;

static hs_status run_filled(op_run *run, const loss *p, double *logits, int32_t *labels)
{
    const size_t count = (size_t)p->n * p->classes;
    for (size_t j = 0; j < count; j++) {
        double z = p->spread * op_normal(run, "z", j);
        logits[j] = p->ties ? floor(z) : z;
    }
    for (int i = 0; i < p->n; i++) /* mostly the greatest, so that there are hits to count */
        for (int j = 0; j < p->classes; j++)
            if (i % 3 ? logits[(size_t)i * p->classes + j] > logits[(size_t)i * p->classes + labels[i]] : j == i % p->classes)
                labels[i] = j;
    void *z = op_in_values(run, "logits", OP_REAL, count, logits);
    int32_t *label = op_in_values(run, "labels", OP_INT32, (size_t)p->n, labels);
    op_limit(run, 5e-6, "exp of up to 60 enlarges rounding so many times");
    op_floor(run, 1e-3 / p->classes);
    void *dz = p->evaluate ? NULL : op_out(run, "dlogits", OP_REAL, count);
    op_floor(run, 1);
    return op_backend(run)->loss->softmax(op_stream(run), p->n, p->classes, z, label, 0.125, dz, op_out(run, "totals", OP_DOUBLE, 3));
}

static hs_status run_loss(op_run *run, const void *parameters)
{
    const loss *p = parameters;
    double *logits = calloc((size_t)p->n * p->classes + 1, sizeof *logits);
    int32_t *labels = calloc((size_t)p->n + 1, sizeof *labels);
    hs_status st = logits && labels ? run_filled(run, p, logits, labels) : hs_fail(HS_EINTERNAL, "no memory");
    free(logits);
    free(labels);
    return st;
}

void ops_loss(op_suite *suite)
{
    op_topic(suite, "softmax cross-entropy");
    const int classes[] = {1, 2, 5, 10, 16, 17, 100, 1000};
    for (int i = 0; i < 24; i++) {
        loss p = {i == 3 ? 0 : op_random(suite, 1, 60), classes[i % 8], i % 5 == 4 ? 30 : 3, i % 2, i % 6 == 5};
        op_case(suite, run_loss, &p, "softmax n=%d classes=%d spread=%g%s%s", p.n, p.classes, p.spread, p.ties ? " ties" : "",
                p.evaluate ? " no gradient" : "");
    }
}
