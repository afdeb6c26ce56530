/* kernels_loops.h - kernels over ranges of numbers: updates, sums, windows. Plain loops that the compiler vectorises for the instruction set of
 * the file that includes this (through kernels_body.h). */

#include <math.h>

static void sgd(const hs_cpu_step *u, size_t count, float *p, const float *g, float *m)
{
    const float lr = u->lr, decay = u->decay, scale = u->scale, momentum = u->momentum;
    const float own = u->nesterov ? 1.0f : 0.0f, past = u->nesterov ? momentum : 1.0f;
    if (!m) {
#pragma omp simd
        for (size_t i = 0; i < count; i++)
            p[i] -= lr * (scale * g[i] + decay * p[i]);
        return;
    }
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        const float step = scale * g[i], v = momentum * m[i] + step;
        m[i] = v;
        p[i] -= lr * (own * step + past * v + decay * p[i]);
    }
}

/* lr (m / c1) / (sqrt(v / c2) + epsilon) = rate m / (root sqrt(v) + epsilon): 28 bytes of memory traffic a number, which is what bounds it. */
static void adam(const hs_cpu_step *u, size_t count, float *p, const float *g, float *m, float *v)
{
    const float scale = u->scale, beta1 = u->beta1, beta2 = u->beta2, new1 = u->new1, new2 = u->new2;
    const float rate = u->rate, root = u->root, epsilon = u->epsilon, shrink = u->lr * u->decay;
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        const float grad = scale * g[i];
        const float first = beta1 * m[i] + new1 * grad, second = beta2 * v[i] + new2 * grad * grad;
        m[i] = first;
        v[i] = second;
        p[i] -= rate * first / (root * sqrtf(second) + epsilon) + shrink * p[i];
    }
}

/* Four sums side by side, over quarters of the range: one alone waits for its own additions (10 GB/s instead of the memory's 14). */
static double dot(size_t count, const float *x, const float *y)
{
    const size_t q = count / 4;
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (size_t i = 0; i < q; i++) {
        s0 += (double)x[i] * (double)y[i];
        s1 += (double)x[q + i] * (double)y[q + i];
        s2 += (double)x[2 * q + i] * (double)y[2 * q + i];
        s3 += (double)x[3 * q + i] * (double)y[3 * q + i];
    }
    for (size_t i = 4 * q; i < count; i++)
        s0 += (double)x[i] * (double)y[i];
    return (s0 + s1) + (s2 + s3);
}

static double distance(size_t count, const float *x, const float *y)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < count; i++) {
        const double gap = (double)x[i] - (double)y[i];
        sum += gap * gap;
    }
    return sum;
}

static void add_scaled(int c, float factor, const float *x, float *y)
{
#pragma omp simd
    for (int i = 0; i < c; i++)
        y[i] += factor * x[i];
}

/* Sums over rows of the first WIDTH <= LINE of C channels: runs of 64 rows in float, runs in double. */
enum { LINE = 16, RUN = 64 };

static void moments(size_t rows, int c, int width, const float *x, double *sum, double *square)
{
    for (size_t first = 0; first < rows; first += RUN) {
        const size_t last = first + RUN < rows ? first + RUN : rows;
        float a[LINE] = {0}, b[LINE] = {0};
        for (size_t r = first; r < last; r++) {
            const float *row = x + r * (size_t)c;
#pragma omp simd
            for (int i = 0; i < width; i++) {
                a[i] += row[i];
                b[i] += row[i] * row[i];
            }
        }
        for (int i = 0; i < width; i++)
            sum[i] += a[i], square[i] += b[i];
    }
}

static void moments_adjoint(size_t rows, int c, int width, const float *x, const float *dy, const float *mean, const float *rstd, double *sum,
                            double *product)
{
    for (size_t first = 0; first < rows; first += RUN) {
        const size_t last = first + RUN < rows ? first + RUN : rows;
        float a[LINE] = {0}, b[LINE] = {0};
        for (size_t r = first; r < last; r++) {
            const float *row = x + r * (size_t)c, *grad = dy + r * (size_t)c;
#pragma omp simd
            for (int i = 0; i < width; i++) {
                a[i] += grad[i];
                b[i] += grad[i] * ((row[i] - mean[i]) * rstd[i]);
            }
        }
        for (int i = 0; i < width; i++)
            sum[i] += a[i], product[i] += b[i];
    }
}
