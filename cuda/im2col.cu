/* im2col.cu - windows of a map as rows of a matrix, and back as sums. */
#include "launch.h"

#include "kernels.h"

/* Place on an axis of N that tap T meets at output P; -1 outside. Flip turns the taps about the anchor PAD. */
static __device__ int cell_of(int p, int t, int n, int pad, const hs_cuda_taps &g)
{
    const int at = p * g.stride + (g.flip ? pad - t : t - pad);
    if (g.periodic)
        return (at % n + n) % n;
    return at >= 0 && at < n ? at : -1;
}

/* Output whose tap T meets cell AT; -1: none. There is one at most, as OUT = ceil(N / stride). */
static __device__ int output_of(int at, int t, int n, int pad, int out, const hs_cuda_taps &g)
{
    int p = at - (g.flip ? pad - t : t - pad);
    if (g.periodic)
        p = (p % n + n) % n;
    return p >= 0 && p % g.stride == 0 && p / g.stride < out ? p / g.stride : -1;
}

static __global__ void im2col(hs_cuda_taps g, size_t count, const float *x, float *cols)
{
    HS_EACH(i, count)
    {
        const int c = (int)(i % g.ci), tx = (int)(i / g.ci % g.kw), ty = (int)(i / g.ci / g.kw % g.kh);
        const size_t row = i / g.ci / g.kw / g.kh, sample = row / g.ow / g.oh;
        const int cy = cell_of((int)(row / g.ow % g.oh), ty, g.h, g.pad_h, g), cx = cell_of((int)(row % g.ow), tx, g.w, g.pad_w, g);
        cols[i] = cy < 0 || cx < 0 ? 0 : x[((sample * g.h + cy) * g.w + cx) * g.ci + c];
    }
}

static __global__ void col2im(hs_cuda_taps g, size_t count, const float *cols, float *dx)
{
    HS_EACH(i, count)
    {
        const int c = (int)(i % g.ci), cx = (int)(i / g.ci % g.w), cy = (int)(i / g.ci / g.w % g.h);
        const size_t sample = i / g.ci / g.w / g.h;
        double sum = 0;
        for (int ty = 0; ty < g.kh; ty++) {
            const int py = output_of(cy, ty, g.h, g.pad_h, g.oh, g);
            for (int tx = 0; py >= 0 && tx < g.kw; tx++) {
                const int px = output_of(cx, tx, g.w, g.pad_w, g.ow, g);
                if (px >= 0)
                    sum += cols[((((sample * g.oh + py) * g.ow + px) * g.kh + ty) * g.kw + tx) * g.ci + c];
            }
        }
        dx[i] = (float)sum;
    }
}

cudaError_t hs_cuda_im2col(cudaStream_t s, hs_cuda_taps t, int n, const float *x, float *cols)
{
    const size_t count = (size_t)n * t.oh * t.ow * t.kh * t.kw * t.ci;
    return count ? HS_LAUNCH(im2col, hs_blocks(count), HS_BLOCK, 0, s, t, count, x, cols) : cudaSuccess;
}

cudaError_t hs_cuda_col2im(cudaStream_t s, hs_cuda_taps t, int n, const float *cols, float *dx)
{
    const size_t count = (size_t)n * t.h * t.w * t.ci;
    return count ? HS_LAUNCH(col2im, hs_blocks(count), HS_BLOCK, 0, s, t, count, cols, dx) : cudaSuccess;
}
