/* columns.h - sums over the rows of a matrix [rows][cols], as biases and batch normalisation need them, in two passes without
 * atomics.
 *
 * A block sums SLICE of the rows for 32 columns: a warp reads 32 neighbours of a row, the warps take rows in turn and meet in
 * shared memory. The second pass adds the slices up in order. How many slices there are depends on the shape alone, so equal
 * calls give equal bits. */
#ifndef HS_CUDA_COLUMNS_H
#define HS_CUDA_COLUMNS_H

#include "mma.h"

#include "kernels.h"

enum { HS_COL_WIDTH = 32, HS_COL_LINES = 8, HS_COL_SUMS = 2, HS_COL_AHEAD = 16 };

/* Rows a slice holds: some 64 to a block, more where PARTIAL would not hold the slices' sums. */
static inline size_t hs_slice_rows(size_t rows, int cols)
{
    const size_t most = HS_CUDA_PARTIALS / (HS_COL_SUMS * (size_t)cols);
    size_t slices = (rows + 63) / 64;
    slices = slices > 1024 ? 1024 : slices;
    slices = slices > most ? most : slices;
    return slices ? (rows + slices - 1) / slices : 1;
}

/* TERM(row, column, &a, &b) gives the two numbers to be summed. PARTIAL [slices][2][cols]. */
template <typename Term>
static __device__ void hs_column_slice(Term term, size_t rows, int cols, size_t slice, double *partial, double *room)
{
    const unsigned lane = threadIdx.x % HS_COL_WIDTH, line = threadIdx.x / HS_COL_WIDTH;
    const int col = (int)(blockIdx.x * HS_COL_WIDTH + lane);
    const size_t first = (size_t)blockIdx.y * slice, end = first + slice < rows ? first + slice : rows;
    double sum_a = 0, sum_b = 0;
    for (size_t r = first + line; col < cols && r < end; r += HS_COL_LINES) {
        double a = 0, b = 0;
        term(r, col, &a, &b);
        sum_a += a;
        sum_b += b;
    }
    room[2 * threadIdx.x] = sum_a;
    room[2 * threadIdx.x + 1] = sum_b;
    __syncthreads();
    if (line != 0 || col >= cols)
        return;
    for (unsigned l = 1; l < HS_COL_LINES; l++) {
        sum_a += room[2 * (threadIdx.x + l * HS_COL_WIDTH)];
        sum_b += room[2 * (threadIdx.x + l * HS_COL_WIDTH) + 1];
    }
    partial[2 * (size_t)blockIdx.y * cols + col] = sum_a;
    partial[(2 * (size_t)blockIdx.y + 1) * cols + col] = sum_b;
}

/* Sum of COLS columns over SLICES rows that lie STEP numbers apart, of this thread's column *COL, true in those threads that hold one. All of a
 * block of HS_COL_BLOCK come. The lines of the block take slices in turn, HS_COL_AHEAD of each under way at a time: one by one a thread would
 * wait for memory as often as there are slices. ROOM [HS_COL_BLOCK] serves once. */
template <typename T>
static __device__ __forceinline__ bool hs_column_total(const T *partial, int slices, size_t step, int cols, double *room, int *col, double *sum)
{
    const int line = (int)threadIdx.x / HS_COL_WIDTH;
    double mine = 0;
    *col = (int)(blockIdx.x * HS_COL_WIDTH + threadIdx.x % HS_COL_WIDTH);
    for (int k = *col < cols ? line : slices; k < slices; k += HS_COL_LINES * HS_COL_AHEAD) {
        T some[HS_COL_AHEAD];
        HS_UNROLL
        for (int j = 0; j < HS_COL_AHEAD; j++) {
            const int at = k + j * HS_COL_LINES;
            some[j] = at < slices ? partial[(size_t)at * step + *col] : 0;
        }
        HS_UNROLL
        for (int j = 0; j < HS_COL_AHEAD; j++)
            mine += some[j];
    }
    room[threadIdx.x] = mine;
    __syncthreads();
    for (int l = 1; line == 0 && l < HS_COL_LINES; l++)
        mine += room[threadIdx.x + l * HS_COL_WIDTH];
    *sum = mine;
    return line == 0 && *col < cols;
}

/* Launch of a kernel whose body is hs_column_slice, over all columns and slices. */
enum { HS_COL_BLOCK = HS_COL_WIDTH * HS_COL_LINES, HS_COL_SHARED = 2 * HS_COL_BLOCK * 8 };
static inline int hs_slices(size_t rows, int cols)
{
    const size_t slice = hs_slice_rows(rows, cols);
    return (int)((rows + slice - 1) / slice);
}
/* Of one whose body is hs_column_total: the columns. */
static inline dim3 hs_total_grid(int cols, unsigned sums)
{
    return dim3((unsigned)((cols + HS_COL_WIDTH - 1) / HS_COL_WIDTH), sums);
}
static inline dim3 hs_column_grid(size_t rows, int cols)
{
    return dim3((unsigned)((cols + HS_COL_WIDTH - 1) / HS_COL_WIDTH), (unsigned)hs_slices(rows, cols));
}

#endif
