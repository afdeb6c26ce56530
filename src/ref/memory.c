/* memory.c - device memory that is host memory. */
#include "real.h"

#include <string.h>

#include "hs_base.h"

enum { ALIGN = 256 };

/* The block from hs_calloc is remembered in the pointer-sized cell before the aligned address. */
hs_status REF(memory_alloc)(hs_device *device, size_t bytes, void **memory)
{
    (void)device;
    const size_t extra = ALIGN + sizeof(void *);
    if (bytes > SIZE_MAX - extra)
        return hs_fail(HS_EINTERNAL, "device memory: %zu bytes is more than the machine can address", bytes);
    void *block = NULL;
    HS_TRY(hs_calloc(bytes + extra, 1, "device memory", &block));
    uintptr_t at = ((uintptr_t)block + extra) / ALIGN * ALIGN;
    ((void **)at)[-1] = block;
    *memory = (void *)at;
    return HS_OK;
}

void REF(memory_free)(hs_device *device, void *memory)
{
    (void)device;
    if (memory)
        hs_free(((void **)memory)[-1]);
}

hs_status REF(memory_copy)(hs_stream *s, void *to, const void *from, size_t bytes)
{
    (void)s;
    if (bytes)
        memmove(to, from, bytes);
    return HS_OK;
}

hs_status REF(memory_upload)(hs_stream *s, void *device_to, const void *host_from, size_t bytes)
{
    return REF(memory_copy)(s, device_to, host_from, bytes);
}

hs_status REF(memory_download)(hs_stream *s, void *host_to, const void *device_from, size_t bytes)
{
    return REF(memory_copy)(s, host_to, device_from, bytes);
}

hs_status REF(memory_zero)(hs_stream *s, void *memory, size_t bytes)
{
    (void)s;
    if (bytes)
        memset(memory, 0, bytes);
    return HS_OK;
}

hs_status REF(memory_from_float)(hs_stream *s, size_t count, const float *host_from, void *real_to)
{
    (void)s;
    real *to = real_to;
    for (size_t i = 0; i < count; i++)
        to[i] = (real)host_from[i];
    return HS_OK;
}

const hs_memory_ops REF(memory_ops) = {
    .alloc = REF(memory_alloc),
    .free = REF(memory_free),
    .upload = REF(memory_upload),
    .download = REF(memory_download),
    .copy = REF(memory_copy),
    .zero = REF(memory_zero),
    .from_float = REF(memory_from_float),
    .host_visible = true,
};
