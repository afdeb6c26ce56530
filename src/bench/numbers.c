/* numbers.c - random input, comparing, and the reference backend that results are compared with. */
#include <math.h>
#include <string.h>

#include "bench.h"
#include "hs_rng.h"

void hs_bench_random(uint64_t seed, float *x, size_t count)
{
    enum { PATTERN = 4096 }; /* drawing is slower than copying, and speed needs no more than that numbers differ */
    size_t drawn = count < PATTERN ? count : PATTERN;
    for (size_t i = 0; i < drawn; i += 4) {
        hs_words r = hs_random(seed, HS_DRAW_TEST, 0, 0, i);
        for (size_t j = 0; j < 4 && i + j < drawn; j++)
            x[i + j] = ((float)(r.w[j] >> 9) + 0.5f) / (float)(1 << 22) - 1; /* odd multiples of 2^-23: never 0 */
    }
    for (size_t done = drawn; done < count; done += drawn)
        memcpy(x + done, x, (count - done < drawn ? count - done : drawn) * sizeof *x);
}

double hs_bench_rms(const double *x, const double *reference, size_t count)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        difference += (x[i] - reference[i]) * (x[i] - reference[i]);
        size += reference[i] * reference[i];
    }
    return size > 0 ? sqrt(difference / size) : sqrt(difference);
}

hs_status hs_bench_download(hs_device *device, hs_stream *s, const void *from, size_t count, double *to)
{
    const hs_backend *backend = device->backend;
    HS_TRY(backend->memory->download(s, to, from, count * backend->real));
    if (backend->real == HS_F64)
        return HS_OK;
    float narrow; /* floats fill the first half: widened from the end */
    for (size_t i = count; i-- > 0;) {
        memcpy(&narrow, (const char *)to + i * sizeof narrow, sizeof narrow);
        to[i] = narrow;
    }
    return HS_OK;
}

hs_status hs_bench_reference(const hs_log *log, hs_device **device, hs_stream **stream)
{
    hs_device_options options = {.threads = 1, .ordinal = -1, .local_size = 1, .precision = "double", .log = log};
    HS_TRY(hs_device_open("ref", &options, device));
    hs_status st = (*device)->backend->device->stream_create(*device, stream);
    if (st != HS_OK)
        hs_device_close(device);
    return st;
}

void hs_bench_reference_close(hs_device **device, hs_stream **stream)
{
    if (*stream)
        (*device)->backend->device->stream_destroy(stream);
    hs_device_close(device);
}
