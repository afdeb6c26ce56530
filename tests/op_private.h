/* op_private.h - what op_buffers.c and op_cases.c share. */
#ifndef OP_PRIVATE_H
#define OP_PRIVATE_H

#include <string.h>

#include "op_cases.h"

enum { OP_BUFFERS = 24, OP_DRAWS = 50, OP_GUARD = 256, OP_SENTINEL = 0xA5, OP_GARBAGE = 0xFF };

typedef enum op_role { OP_ROLE_IN, OP_ROLE_OUT, OP_ROLE_SCRATCH } op_role;

typedef struct op_buffer {
    char what[32];
    op_role role;
    op_kind kind;
    bool half;         /* of a sealed edge: bf16, on ref's side numbers that are rounded to it */
    size_t count, bytes;
    size_t start;      /* where the numbers begin: OP_GUARD, or one number later */
    char *memory;      /* device: guard, the numbers, OP_GUARD bytes */
    char *sent, *back; /* host: what was uploaded and what came back, guards included */
    double limit, floor;
    const char *reason;
} op_buffer;

typedef struct op_side {
    hs_device *device;
    hs_stream *stream;
} op_side;

struct op_run {
    const op_side *side;
    uint64_t seed;
    bool skipped, slab, again;
    bool half, sealed; /* of the suite; of the buffers to come */
    double limit, floor;
    const char *reason;
    int buffers;
    op_buffer buffer[OP_BUFFERS];
};

/* The upper half of a float, nearest, ties to even, and back. */
static inline uint16_t op_to_half(double value)
{
    const float x = (float)value;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return x != x ? 0x7FC0 : (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static inline double op_from_half(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

/* Bytes of a buffer with its guards. */
static inline size_t op_extent(const op_buffer *b)
{
    return b->start + b->bytes + OP_GUARD;
}

/* A test that cannot go on: no memory, or a device that refuses a copy. */
void op_must(hs_status st, const char *what);
/* Number I of an image (sent or back) of a buffer. */
double op_number(const op_run *run, const op_buffer *b, const char *image, size_t i);

#endif
