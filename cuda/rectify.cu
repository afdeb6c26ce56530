/* rectify.cu - what stands at the end of a convolution in space, and at the beginning of its way back: a bias, a rectifier with one bit
 * a number for the way back, and the bias' gradient, summed in the same pass. A number that is not one passes both ways, so that it
 * is seen.
 *
 * A thread does the eight columns of one byte of the mask: 16 bytes of a map in bf16, 32 in fp32, by loads of 16 bytes where rows
 * begin at such addresses. Neighbouring threads do neighbouring bytes, whatever the number of columns, so that a warp's reads join. */
#include "columns.h"
#include "eight.h"

/* ACROSS: most bytes of a row that a block does. FEW rows are summed in one pass, a thread LOOKS at that many of a column. */
enum { EIGHT = 8, ACROSS = 32, FEW = 1024, LOOKS = 8 };

/* Lines begin where 16 bytes do: as many columns, from such an address. */
static bool is_wide(int cols, const void *one, const void *other)
{
    return cols % EIGHT == 0 && ((uintptr_t)one | (uintptr_t)other) % 16 == 0;
}

/* ---- forward ---------------------------------------------------------------------------------------------------------------- */

/* What was rectified already, and has no bias to come, is only looked at. */
template <typename T>
static __global__ void rectify(size_t count, int cols, bool wide, const float *bias, T *y, uint8_t *mask)
{
    const int bytes = (cols + 7) / 8;
    HS_EACH (i, count) {
        const size_t row = wide && !bias ? 0 : i / bytes; /* whole lines lie behind each other */
        const int col = wide && !bias ? 0 : (int)(i - row * bytes) * EIGHT;
        T *at = wide ? y + i * EIGHT : y + row * cols + col;
        float v[EIGHT];
        unsigned bits = 0;
        bool changed = bias != NULL;
        hs_get_eight(wide, cols - col, at, v);
        HS_UNROLL
        for (int k = 0; k < EIGHT; k++) {
            v[k] += bias && col + k < cols ? bias[col + k] : 0;
            bits |= (unsigned)(col + k < cols && !(v[k] <= 0)) << k;
            changed = changed || (mask && v[k] < 0);
            v[k] = mask && v[k] < 0 ? 0 : v[k];
        }
        if (mask)
            mask[i] = (uint8_t)bits;
        if (changed)
            hs_put_eight(wide, cols - col, v, at);
    }
}

template <typename T>
static cudaError_t start_rectify(cudaStream_t s, size_t rows, int cols, const float *bias, T *y, uint8_t *mask)
{
    const size_t count = rows * ((cols + 7) / 8);
    const auto rectify_kernel = rectify<T>;
    return count ? HS_LAUNCH(rectify_kernel, hs_blocks(count), HS_BLOCK, 0, s, count, cols, is_wide(cols, y, y), bias, y, mask)
                 : cudaSuccess;
}

cudaError_t hs_cuda_rectify(cudaStream_t s, size_t rows, int cols, const float *bias, bool half, void *y, uint8_t *mask)
{
    if (!bias && !mask)
        return cudaSuccess;
    return half ? start_rectify(s, rows, cols, bias, (hs_half *)y, mask) : start_rectify(s, rows, cols, bias, (float *)y, mask);
}

/* ---- backward --------------------------------------------------------------------------------------------------------------- */

/* How a matrix is cut: blocks of LINES rows of WIDTH bytes at a time, BLOCKS of them side by side. Few rows, which one block does from first to
 * last, are cut the finer, so that there are blocks enough. */
struct cut {
    int bytes, width, lines, blocks;
};

static cut cut_of(size_t rows, int cols)
{
    cut c = {(cols + 7) / 8, 0, 0, 0};
    const int fine = rows <= FEW ? (int)(HS_BLOCK * LOOKS / rows) : ACROSS, across = fine < ACROSS ? fine : ACROSS;
    c.blocks = (c.bytes + across - 1) / across;
    c.width = (c.bytes + c.blocks - 1) / c.blocks;
    c.lines = HS_BLOCK / c.width;
    return c;
}

/* Rows a block does: all of few; else some 64 at least, more where PARTIAL [slices][cols] would not hold all. */
static size_t rows_of(size_t rows, int cols)
{
    if (rows <= FEW)
        return rows;
    const size_t most = HS_CUDA_PARTIALS / (size_t)cols, wanted = (rows + 63) / 64;
    const size_t fit = most < 1 ? 1 : most < 1024 ? most : 1024, slices = wanted < fit ? wanted : fit;
    return (rows + slices - 1) / slices;
}

/* Sums go to PARTIAL, or those of the only slice to DBIAS, which is there then. */
template <typename Dy, typename Dm>
static __global__ void masked(size_t rows, int cols, cut by, size_t slice, bool wide, const Dy *dy, const uint8_t *mask, Dm *dm,
                              double *partial, float *dbias)
{
    HS_SHARED(double, room);
    const int line = (int)threadIdx.x / by.width, byte = (int)blockIdx.x * by.width + (int)threadIdx.x % by.width, col = byte * EIGHT;
    const size_t first = (size_t)blockIdx.y * slice, end = first + slice < rows ? first + slice : rows;
    double sum[EIGHT] = {};
    for (size_t row = first + line; line < by.lines && byte < by.bytes && row < end; row += by.lines) {
        float v[EIGHT];
        hs_get_eight(wide, cols - col, dy + row * cols + col, v);
        const unsigned bits = mask ? mask[row * by.bytes + byte] : 0xFF;
        HS_UNROLL
        for (int k = 0; k < EIGHT; k++) {
            v[k] = bits >> k & 1 ? v[k] : 0;
            sum[k] += v[k];
        }
        if (dm)
            hs_put_eight(wide, cols - col, v, dm + row * cols + col);
    }
    if (!partial && !dbias)
        return;
    HS_UNROLL
    for (int k = 0; k < EIGHT; k++)
        room[k * HS_BLOCK + threadIdx.x] = sum[k];
    __syncthreads();
    for (int c = (int)threadIdx.x; c < by.width * EIGHT; c += HS_BLOCK) {
        const int at = c % EIGHT * HS_BLOCK + c / EIGHT, to = (int)blockIdx.x * by.width * EIGHT + c;
        double all = 0;
        for (int l = 0; l < by.lines; l++)
            all += room[at + l * by.width];
        if (to < cols && dbias)
            dbias[to] = (float)all;
        else if (to < cols)
            partial[(size_t)blockIdx.y * cols + to] = all;
    }
}

static __global__ void masked_total(int slices, int cols, const double *partial, float *dbias)
{
    HS_SHARED(double, room);
    int col;
    double sum;
    if (hs_column_total(partial, slices, (size_t)cols, cols, room, &col, &sum))
        dbias[col] = (float)sum;
}

template <typename Dy, typename Dm>
static cudaError_t start_masked(cudaStream_t s, double *partial, size_t rows, int cols, const Dy *dy, const uint8_t *mask, Dm *dm,
                                float *dbias)
{
    const cut by = cut_of(rows, cols);
    const size_t slice = rows_of(rows, cols);
    const int slices = (int)((rows + slice - 1) / slice);
    const auto masked_kernel = masked<Dy, Dm>;
    const dim3 grid((unsigned)by.blocks, (unsigned)slices);
    const cudaError_t error = HS_LAUNCH_TOGETHER(masked_kernel, grid, HS_BLOCK, EIGHT * HS_BLOCK * sizeof(double), s, rows, cols, by,
                                                 slice, is_wide(cols, dy, dm), dy, mask, dm, dbias && slices > 1 ? partial : NULL,
                                                 slices == 1 ? dbias : NULL);
    if (error != cudaSuccess || !dbias || slices == 1)
        return error;
    return HS_LAUNCH_TOGETHER(masked_total, hs_total_grid(cols, 1), HS_COL_BLOCK, HS_COL_SHARED, s, slices, cols, partial, dbias);
}

template <typename Dy>
static cudaError_t start_to(cudaStream_t s, double *partial, size_t rows, int cols, const Dy *dy, const uint8_t *mask, bool half_dm,
                            void *dm, float *dbias)
{
    return half_dm ? start_masked(s, partial, rows, cols, dy, mask, (hs_half *)dm, dbias)
                   : start_masked(s, partial, rows, cols, dy, mask, (float *)dm, dbias);
}

cudaError_t hs_cuda_rectify_grad(cudaStream_t s, double *partial, size_t rows, int cols, bool half, const void *dy,
                                 const uint8_t *mask, bool half_dm, void *dm, float *dbias)
{
    if (rows == 0 || cols == 0 || (!dm && !dbias))
        return cudaSuccess;
    return half ? start_to(s, partial, rows, cols, (const hs_half *)dy, mask, half_dm, dm, dbias)
                : start_to(s, partial, rows, cols, (const float *)dy, mask, half_dm, dm, dbias);
}
