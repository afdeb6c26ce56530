/* loops.h - what loops.c shows of one core. */
#ifndef HS_BENCH_LOOPS_H
#define HS_BENCH_LOOPS_H

#include <stddef.h>

enum { HS_LOOP_CHAINS = 12 };

/* TURNS of HS_LOOP_CHAINS multiply-adds on vectors of a width; what it returns keeps the work from being dropped. */
typedef float (*hs_loop)(long turns);
/* WIDTH 16, 8 or 4 floats; a narrower one where this processor has no such vectors. *WIDTH says which it became. */
hs_loop hs_loop_find(int *width);
/* Sum of X [count], aligned to 64 bytes, count a multiple of 128. */
float hs_loop_read(const float *x, size_t count);

#endif
