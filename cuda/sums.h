/* sums.h - one number out of many, in two passes: a sum of each block, then the blocks' sums in order. */
#ifndef HS_CUDA_SUMS_H
#define HS_CUDA_SUMS_H

#include "launch.h"

enum { HS_SUM_BLOCKS = 1024 };

static inline unsigned hs_sum_blocks(size_t count)
{
    const size_t blocks = (count + 4 * HS_SUM_BLOCK - 1) / (4 * HS_SUM_BLOCK);
    return (unsigned)(blocks < HS_SUM_BLOCKS ? blocks : (size_t)HS_SUM_BLOCKS);
}

/* *VALUE += FACTOR * sum of PARTIAL [blocks], by one block. */
static __global__ void hs_sum_total(int blocks, double factor, const double *partial, double *value)
{
    HS_SHARED(double, room);
    double sum = 0;
    for (int k = (int)threadIdx.x; k < blocks; k += HS_SUM_BLOCK)
        sum += partial[k];
    sum = hs_block_sum(sum, room);
    if (threadIdx.x == 0)
        *value += factor * sum;
}

#endif
