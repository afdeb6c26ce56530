/* device.c - the host as a device of one thread: work is done when a call returns. */
#include "real.h"

#include <stdio.h>

#include "hs_base.h"

hs_status REF(device_open)(const hs_backend *backend, const hs_device_options *options, hs_device **device)
{
    hs_device *d = NULL;
    HS_TRY(hs_calloc(1, sizeof *d, "device", &d));
    *d = (hs_device){.backend = backend, .threads = 1, .ordinal = -1, .log = options->log};
    *device = d;
    return HS_OK;
}

void REF(device_close)(hs_device **device)
{
    hs_free(*device);
    *device = NULL;
}

void REF(device_describe)(const hs_device *device, char *text, size_t capacity)
{
    snprintf(text, capacity, "%s: plain loops in double, numbers kept as %s, 1 thread", device->backend->name,
             sizeof(real) == sizeof(double) ? "double" : "float");
}

hs_status REF(stream_create)(hs_device *device, hs_stream **stream)
{
    hs_stream *s = NULL;
    HS_TRY(hs_calloc(1, sizeof *s, "stream", &s));
    s->device = device;
    *stream = s;
    return HS_OK;
}

void REF(stream_destroy)(hs_stream **stream)
{
    hs_free(*stream);
    *stream = NULL;
}

hs_status REF(stream_sync)(hs_stream *stream)
{
    (void)stream;
    return HS_OK;
}

const hs_device_ops REF(device_ops) = {
    .open = REF(device_open),
    .close = REF(device_close),
    .describe = REF(device_describe),
    .stream_create = REF(stream_create),
    .stream_destroy = REF(stream_destroy),
    .stream_sync = REF(stream_sync),
};
