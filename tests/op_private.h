/* op_private.h - what op_buffers.c and op_cases.c share. */
#ifndef OP_PRIVATE_H
#define OP_PRIVATE_H

#include "op_cases.h"

enum { OP_BUFFERS = 24, OP_GUARD = 256, OP_SENTINEL = 0xA5, OP_GARBAGE = 0xFF };

typedef enum op_role { OP_ROLE_IN, OP_ROLE_OUT, OP_ROLE_SCRATCH } op_role;

typedef struct op_buffer {
    char what[32];
    op_role role;
    op_kind kind;
    size_t count, bytes;
    char *memory;      /* device: OP_GUARD bytes, the numbers, OP_GUARD bytes */
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
    bool skipped;
    double limit, floor;
    const char *reason;
    int buffers;
    op_buffer buffer[OP_BUFFERS];
};

/* A test that cannot go on: no memory, or a device that refuses a copy. */
void op_must(hs_status st, const char *what);
/* Number I of an image (sent or back) of a buffer. */
double op_number(const op_run *run, const op_buffer *b, const char *image, size_t i);

#endif
