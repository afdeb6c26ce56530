/* vec.h - GCC vectors of HS_LANES floats, for the files that are compiled once per instruction set. PUT(stream, p, v) is theirs: it stores a
 * vector, past the cache if STREAM, where P must then begin a vector. */
#ifndef HS_CPU_VEC_H
#define HS_CPU_VEC_H

#include <stdint.h>

typedef float vec __attribute__((vector_size(HS_LANES * 4)));
typedef float mem __attribute__((vector_size(HS_LANES * 4), aligned(4), may_alias)); /* as it lies in memory, any alignment */
typedef uint32_t ivec __attribute__((vector_size(HS_LANES * 4)));
typedef uint32_t imem __attribute__((vector_size(HS_LANES * 4), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define LOAD(p) ((vec) * (const mem *)(p))
#define STORE(p, v) (*(mem *)(p) = (mem)(v))
#define ILOAD(p) ((ivec) * (const imem *)(p))
#define ISTORE(p, v) (*(imem *)(p) = (imem)(v))
#define LOOP(l, width) for (int l = 0; l < (width); l += HS_LANES)

#endif
