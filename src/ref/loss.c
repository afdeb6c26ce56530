/* loss.c - softmax cross-entropy and hits. */
#include "real.h"

#include <math.h>

/* log of the sum of exp, without overflow: the greatest is taken out first. */
static double log_sum_exp(const real *z, int classes)
{
    double top = z[0], sum = 0;
    for (int j = 1; j < classes; j++)
        top = z[j] > top ? (double)z[j] : top;
    for (int j = 0; j < classes; j++)
        sum += exp((double)z[j] - top);
    return top + log(sum);
}

/* How many other classes are not clearly below the label: 0 is a top-1 hit. A tie counts against, a NaN too. */
static int rank_of(const real *z, int classes, int label)
{
    int above = 0;
    for (int j = 0; j < classes; j++)
        above += j != label && !(z[j] < z[label]);
    return above;
}

hs_status REF(softmax)(hs_stream *s, int n, int classes, const void *logits, const int32_t *labels, double scale, void *dlogits,
                       double *totals)
{
    (void)s;
    const real *z = logits;
    real *dz = dlogits;
    totals[0] = totals[1] = totals[2] = 0;
    for (int i = 0; i < n; i++, z += classes) {
        double norm = log_sum_exp(z, classes);
        int rank = rank_of(z, classes, labels[i]);
        totals[0] += norm - (double)z[labels[i]];
        totals[1] += rank < 1;
        totals[2] += rank < 5;
        for (int j = 0; dz && j < classes; j++)
            *dz++ = (real)((exp((double)z[j] - norm) - (j == labels[i])) * scale);
    }
    return HS_OK;
}

const hs_loss_ops REF(loss_ops) = {
    .softmax = REF(softmax),
};
