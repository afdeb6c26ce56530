/* cudnn.c - finds and opens cuDNN at run time. That there is none, or one that does not serve, is no error: other ways convolve too.
 *
 * Version 9 is eight libraries, of which all that is needed here is called in libcudnn_graph. Where its engines or heuristics are missing it offers
 * none. But libcudnn, which only passes calls on, ends the process where libcudnn_graph is missing, and engines do so where the loader
 * does not find the cuBLASLt of the CUDA that they were built for, which need not be ours (all seen with 9.19): so the one is not used, and the
 * other is looked for before. */
#include "cudnn_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hs_base.h"
#include "hs_log.h"

#ifndef HS_CUDNN_FILES
#define HS_CUDNN_FILES "libcudnn_graph.so.9" /* tests, whose memory is no GPU's, do not look for it */
#endif
enum { OLDEST = 90000 }; /* 9.0.0; since then versions count 10000 * major + 100 * minor + patch */

/* A function of the library into the pointer at SLOT; POSIX says that a void pointer holds it. */
static bool find(void *library, const char *name, void *slot)
{
    void *symbol = dlsym(library, name);
    memcpy(slot, &symbol, sizeof symbol);
    return symbol != NULL;
}

static const char *look_up(hs_cudnn *c)
{
    const struct {
        const char *name;
        void *slot;
    } wanted[] = {{"cudnnGetVersion", &c->GetVersion},
                  {"cudnnGetCudartVersion", &c->GetCudartVersion},
                  {"cudnnGetErrorString", &c->GetErrorString},
                  {"cudnnGetLastErrorString", &c->GetLastErrorString},
                  {"cudnnCreate", &c->Create},
                  {"cudnnDestroy", &c->Destroy},
                  {"cudnnSetStream", &c->SetStream},
                  {"cudnnBackendCreateDescriptor", &c->BackendCreateDescriptor},
                  {"cudnnBackendDestroyDescriptor", &c->BackendDestroyDescriptor},
                  {"cudnnBackendFinalize", &c->BackendFinalize},
                  {"cudnnBackendSetAttribute", &c->BackendSetAttribute},
                  {"cudnnBackendGetAttribute", &c->BackendGetAttribute},
                  {"cudnnBackendExecute", &c->BackendExecute}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!find(c->library, wanted[i].name, wanted[i].slot))
            return wanted[i].name;
    return NULL;
}

const char *hs_cudnn_says(const hs_cudnn *c, int status, char text[HS_CUDNN_TEXT])
{
    const int used = snprintf(text, HS_CUDNN_TEXT, "%s: ", c->GetErrorString(status));
    if (used > 0 && used < HS_CUDNN_TEXT)
        c->GetLastErrorString(text + used, (size_t)(HS_CUDNN_TEXT - used));
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static bool loads(const char *folder, const char *way, const char *name)
{
    char path[4096];
    const int length = snprintf(path, sizeof path, "%s%s%s", folder, way, name);
    return length > 0 && (size_t)length < sizeof path && dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

/* By NAME, or where cuDNN's own search path leads: beside it, or beside its own in Python's packages. Once loaded it is found by its name. */
static bool has_blas(const hs_cudnn *c, size_t major, const char *name)
{
    char folder[3072], later[40];
    Dl_info here;
    void *symbol = NULL;
    memcpy(&symbol, &c->GetVersion, sizeof symbol);
    const char *file = dladdr(symbol, &here) && here.dli_fname ? here.dli_fname : "", *end = strrchr(file, '/');
    snprintf(folder, sizeof folder, "%.*s", end ? (int)(end - file) : 0, file);
    snprintf(later, sizeof later, "/../../cu%zu/lib/", major);
    return loads("", "", name) || (end && (loads(folder, "/", name) || loads(folder, "/../../cublas/lib/", name) || loads(folder, later, name)));
}

static bool start(hs_cudnn *c, const hs_log *log, const char *file)
{
    char text[HS_CUDNN_TEXT];
    const char *missing = look_up(c);
    if (missing) {
        hs_warn(log, "cuDNN: %s has no %s: convolving without it", file, missing);
        return false;
    }
    c->version = c->GetVersion();
    if (c->version < OLDEST) {
        hs_warn(log, "cuDNN: %s is version %zu, 9.0 (%d) is the oldest that serves: convolving without it", file, c->version, OLDEST);
        return false;
    }
    char blas[40];
    const size_t cuda = c->GetCudartVersion() / 1000;
    snprintf(blas, sizeof blas, "libcublasLt.so.%zu", cuda);
    if (cuda && !has_blas(c, cuda, blas)) {
        hs_warn(log, "cuDNN: %s is for CUDA %zu, of which there is no %s: convolving without it", file, cuda, blas);
        return false;
    }
    const int status = c->Create(&c->handle);
    if (status)
        hs_warn(log, "cuDNN %zu does not start: %s: convolving without it", c->version, hs_cudnn_says(c, status, text));
    return status == 0;
}

/* It stays in memory when it is closed: it has threads, and the driver knows its kernels. */
static void *open_one(const hs_log *log, const char **file)
{
    static const char *const names[] = {HS_CUDNN_FILES};
    const char *given = getenv("HALFSPEC_CUDNN");
    const bool asked = given && *given;
    void *library = NULL;
    if (asked && strcmp(given, "none") == 0)
        return NULL;
    for (size_t i = 0; !library && i < (asked ? 1 : sizeof names / sizeof *names); i++)
        library = dlopen(*file = asked ? given : names[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library && asked)
        hs_warn(log, "cuDNN: HALFSPEC_CUDNN: %s: convolving without it", dlerror());
    else if (!library)
        hs_debug(log, "cuDNN: %s: convolving without it", dlerror());
    return library;
}

hs_cudnn *hs_cudnn_open(const hs_log *log)
{
    hs_cudnn *c = NULL;
    const char *file = "";
    void *library = open_one(log, &file);
    if (!library)
        return NULL;
    if (hs_calloc(1, sizeof *c, "cuDNN", &c) != HS_OK) {
        dlclose(library);
        return NULL;
    }
    c->library = library;
    if (!start(c, log, file))
        hs_cudnn_close(&c);
    return c;
}

void hs_cudnn_close(hs_cudnn **cudnn)
{
    hs_cudnn *c = *cudnn;
    if (!c)
        return;
    if (c->handle)
        (void)c->Destroy(c->handle);
    dlclose(c->library);
    hs_free(c);
    *cudnn = NULL;
}
