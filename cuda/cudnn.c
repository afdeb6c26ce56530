/* cudnn.c - finds and opens cuDNN at run time. That there is none, or one too old, is no error: other ways convolve too. */
#include "cudnn_api.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "hs_base.h"
#include "hs_log.h"

#ifndef HS_CUDNN_FILES
#define HS_CUDNN_FILES "libcudnn.so.9", "libcudnn.so" /* tests, whose memory is no GPU's, look for none of these */
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
                  {"cudnnGetErrorString", &c->GetErrorString},
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

static bool start(hs_cudnn *c, const hs_log *log, const char *file)
{
    const char *missing = look_up(c);
    if (missing) {
        hs_debug(log, "cuDNN: %s has no %s: convolving without it", file, missing);
        return false;
    }
    c->version = c->GetVersion();
    if (c->version < OLDEST) {
        hs_debug(log, "cuDNN: %s is version %zu, 9.0 (%d) is the oldest that serves: convolving without it", file, c->version, OLDEST);
        return false;
    }
    const int status = c->Create(&c->handle);
    if (status)
        hs_debug(log, "cuDNN %zu does not start: %s: convolving without it", c->version, c->GetErrorString(status));
    return status == 0;
}

static void *open_one(const char **file)
{
    static const char *const names[] = {HS_CUDNN_FILES};
    const char *given = getenv("HALFSPEC_CUDNN");
    void *library = NULL;
    if (given && *given) {
        *file = given;
        return strcmp(given, "none") == 0 ? NULL : dlopen(given, RTLD_NOW | RTLD_LOCAL);
    }
    for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++)
        library = dlopen(*file = names[i], RTLD_NOW | RTLD_LOCAL);
    return library;
}

hs_cudnn *hs_cudnn_open(const hs_log *log)
{
    hs_cudnn *c = NULL;
    const char *file = "";
    void *library = open_one(&file);
    if (!library) {
        const char *why = strcmp(file, "none") == 0 ? "not wanted" : dlerror();
        hs_debug(log, "cuDNN: %s: convolving without it", why ? why : file);
        return NULL;
    }
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
