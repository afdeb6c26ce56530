/* backends.c - the one place that names the backends. */
#include "hs_backend.h"

#include <string.h>

#include "config.h"
#include "hs_base.h"

extern const hs_backend hs_backend_ref, hs_backend_cpu, hs_backend_cuda;

static const hs_backend *const list[] = {
#ifdef HAVE_CUDA_BACKEND
    &hs_backend_cuda,
#endif
#ifdef HAVE_CPU_BACKEND
    &hs_backend_cpu,
#endif
    &hs_backend_ref, NULL};

const hs_backend *const *hs_backends(void)
{
    return list;
}

hs_status hs_backend_find(const char *name, const hs_backend **backend)
{
    const char *names[8];
    int count = 0;
    for (const hs_backend *const *b = list; *b; b++) {
        if (strcmp((*b)->name, name) == 0) {
            *backend = *b;
            return HS_OK;
        }
        names[count++] = (*b)->name;
    }
    if (strcmp(name, "cuda") == 0)
        return hs_fail(HS_EUNSUPPORTED, "device = cuda: this program was built without CUDA; configure with --with-cuda=DIR, or use device = cpu");
    if (strcmp(name, "cpu") == 0)
        return hs_fail(HS_EUNSUPPORTED, "device = cpu: this program was built without FFTW or BLAS; install libfftw3-dev and libopenblas-dev and "
                                        "configure again, or use device = ref (slow)");
    const char *near = hs_nearest(name, names, count);
    return hs_fail(HS_EUSAGE, "device = %s: no such backend%s%s%s", name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static hs_status open_one(const hs_backend *backend, const hs_device_options *options, hs_device **device)
{
    return backend->device->open(backend, options, device);
}

/* "cuda:1" is backend "cuda" with ordinal 1. */
static hs_status open_named(const char *name, const hs_device_options *options, hs_device **device)
{
    char stem[32];
    hs_device_options own = *options;
    size_t length = strcspn(name, ":");
    if (length >= sizeof stem)
        return hs_fail(HS_EUSAGE, "device = %s: no such backend", name);
    memcpy(stem, name, length);
    stem[length] = '\0';
    if (name[length] == ':') {
        const char *digits = name + length + 1;
        if (!*digits || strspn(digits, "0123456789") != strlen(digits) || strlen(digits) > 4)
            return hs_fail(HS_EUSAGE, "device = %s: what follows ':' must be a GPU number", name);
        own.ordinal = 0;
        for (; *digits; digits++)
            own.ordinal = own.ordinal * 10 + (*digits - '0');
    }
    const hs_backend *backend = NULL;
    HS_TRY(hs_backend_find(stem, &backend));
    return open_one(backend, &own, device);
}

hs_status hs_device_open(const char *name, const hs_device_options *options, hs_device **device)
{
    if (strcmp(name, "auto") != 0)
        return open_named(name, options, device);
    hs_status st = HS_EINTERNAL;
    for (const hs_backend *const *b = list; *b; b++) {
        st = open_one(*b, options, device);
        if (st == HS_OK)
            return st;
        if (b[1] && (options->local_rank == 0 || st != HS_EUNSUPPORTED)) /* what the host lacks, its first rank says for all */
            hs_warn(options->log, "%s cannot be used (%s); trying %s", (*b)->name, hs_fail_text(), b[1]->name);
    }
    return st;
}

void hs_device_close(hs_device **device)
{
    if (device && *device)
        (*device)->backend->device->close(device);
}
