/* t_cuda_cudnn.c - are our graphs what cuDNN itself takes? Since version 9.8 the library plans for a device that is only described: here an
 * H100, by what it would say of itself. So where a libcudnn is installed, a machine without a GPU learns whether the original accepts our
 * descriptors and has engines that we take for every shape; nothing is executed. HALFSPEC_TEST_CUDNN = FILE says where it is. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cudnn_api.h"

enum { CHAR_TYPE = 24, DEVICE = 38, DEVICE_JSON = 2702, HEURISTIC_DEVICE = 204, PLAN_DEVICE = 407, SINCE = 90800 };

static const char h100[] =
    "{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":65536,\"multiProcessorCount\":132,"
    "\"warpSize\":32,\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":232448,\"reservedSharedMemoryPerBlock\":1024,"
    "\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":32,\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"pciDeviceId\":9008,"
    "\"isTccDriver\":0,\"supportCoopLaunch\":1,\"totalGlobalMem\":85017755648,\"smClockRateKHz\":1980000,\"memClockRateKHz\":2619000,"
    "\"l2CacheSize\":52428800,\"cudaDeviceId\":0,\"deviceVer\":900,\"driverVer\":13000,\"deviceName\":\"NVIDIA H100 80GB HBM3\"}";

static hs_cudnn real, ours; /* the library, and the same with the description in place of a handle */
static void *device;

/* Graphs, plans and heuristics know a device by a handle, which we have not; here they get the description. */
static int set(void *descriptor, int name, int type, int64_t count, const void *values)
{
    const int described = name == HS_CUDNN_PLAN_HANDLE ? PLAN_DEVICE : name == HS_CUDNN_HEURISTIC_MODE ? HEURISTIC_DEVICE : 0;
    if (name == HS_CUDNN_GRAPH_HANDLE)
        return 0;
    const int status = described ? real.BackendSetAttribute(descriptor, described, HS_CUDNN_DESCRIPTOR_TYPE, 1, &device) : 0;
    return status || name == HS_CUDNN_PLAN_HANDLE ? status : real.BackendSetAttribute(descriptor, name, type, count, values);
}

static int no_stream(void *handle, void *stream)
{
    (void)handle, (void)stream;
    return 0;
}

static int no_execution(void *handle, void *plan, void *pack)
{
    (void)handle;
    return plan && pack ? 0 : -1;
}

static bool find(const char *name, void *slot)
{
    void *symbol = dlsym(real.library, name);
    memcpy(slot, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool open_library(void)
{
    const char *given = getenv("HALFSPEC_TEST_CUDNN");
    const char *const names[] = {given ? given : "libcudnn_graph.so.9", "/usr/local/cuda/lib/libcudnn_graph.so.9",
                                 "/usr/local/cuda/lib64/libcudnn_graph.so.9"}; /* which alone is opened in earnest, see cudnn.c */
    for (int i = 0; !real.library && i < (given ? 1 : 3); i++)
        real.library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    return real.library && find("cudnnGetVersion", &real.GetVersion) &&
           find("cudnnBackendCreateDescriptor", &real.BackendCreateDescriptor) &&
           find("cudnnBackendDestroyDescriptor", &real.BackendDestroyDescriptor) && find("cudnnBackendFinalize", &real.BackendFinalize) &&
           find("cudnnBackendSetAttribute", &real.BackendSetAttribute) && find("cudnnBackendGetAttribute", &real.BackendGetAttribute) &&
           real.GetVersion() >= SINCE;
}

static bool describe_device(void)
{
    ours = real;
    ours.BackendSetAttribute = set;
    ours.SetStream = no_stream;
    ours.BackendExecute = no_execution;
    return real.BackendCreateDescriptor(DEVICE, &device) == 0 &&
           real.BackendSetAttribute(device, DEVICE_JSON, CHAR_TYPE, (int64_t)strlen(h100), h100) == 0 && real.BackendFinalize(device) == 0;
}

typedef struct layer {
    int n, side, ci, co, k, stride;
} layer;

static hs_cudnn_shape shape_of(const layer *l, int kind, bool half)
{
    const int64_t out = (l->side + l->stride - 1) / l->stride, pre = (l->k - 1) / 2;
    int64_t post = (out - 1) * l->stride + l->k - pre - l->side;
    post = post < 0 ? 0 : post;
    return (hs_cudnn_shape){.kind = kind, .x = {l->n, l->ci, l->side, l->side}, .w = {l->co, l->ci, l->k, l->k},
                            .y = {l->n, l->co, out, out}, .pre = {pre, pre}, .post = {post, post}, .stride = {l->stride, l->stride}, .half = half};
}

/* Planned, and packed with addresses that nobody reads. */
static bool takes(const hs_cudnn_shape *shape)
{
    static char memory[512];
    char *at = memory + (16 - (uintptr_t)memory % 16);
    hs_cudnn_plan *plan = hs_cudnn_plan_create(&ours, shape);
    const bool runs = plan && hs_cudnn_plan_run(plan, NULL, at, at + 64, at + 128, at + 192, at + 256) == 0;
    hs_cudnn_plan_destroy(&plan);
    return runs;
}

/* Those of `deep`, `generic` and the last of `paper-sp`; images in bf16 come with 8 channels; and what a batch's end, a stride or odd
 * numbers make of one. */
static const layer layers[] = {{512, 32, 8, 96, 3, 1},  {512, 32, 96, 96, 3, 1},   {512, 16, 96, 192, 3, 1},  {512, 16, 192, 192, 3, 1},
                               {512, 16, 96, 192, 5, 1}, {1024, 16, 192, 192, 5, 1}, {128, 10, 288, 288, 1, 1}, {128, 10, 288, 16, 1, 1},
                               {7, 9, 16, 32, 3, 2},     {3, 7, 5, 12, 4, 1},        {1, 6, 20, 36, 2, 1},      {50, 28, 1, 16, 10, 1}};

static void each(bool half, bool only_fp32)
{
    static const int kinds[] = {HS_CUDNN_FORWARD, HS_CUDNN_DATA, HS_CUDNN_FILTER};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        for (int k = 0; k < 3; k++) {
            hs_cudnn_shape s = shape_of(&layers[i], kinds[k], half);
            s.only_fp32 = only_fp32;
            if (!takes(&s))
                fail_msg("layer %zu, kind %d: no engine", i, kinds[k]);
        }
}

static void in_fp32(void **state)
{
    (void)state;
    each(false, false);
    each(false, true);
}

static void in_bf16(void **state)
{
    (void)state;
    each(true, false);
}

/* Bias and rectifier in the same graph. */
static void fused(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        for (int half = 0; half < 2; half++)
            for (int relu = 0; relu < 2; relu++) {
                hs_cudnn_shape s = shape_of(&layers[i], HS_CUDNN_FORWARD, half);
                s.bias = true;
                s.relu = relu;
                if (!takes(&s))
                    fail_msg("layer %d, %s, %s: no engine", i, half ? "bf16" : "fp32", relu ? "with a rectifier" : "a bias alone");
            }
}

/* What does not fit together is refused and leaves nothing behind. */
static void refused(void **state)
{
    (void)state;
    hs_cudnn_shape s = shape_of(&layers[1], HS_CUDNN_FORWARD, true);
    s.y[2]++;
    assert_false(takes(&s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_fp32), cmocka_unit_test(in_bf16), cmocka_unit_test(fused), cmocka_unit_test(refused)};
    if (!open_library()) {
        printf("1..0 # SKIP NO GRAPH WAS SHOWN TO CUDNN ITSELF: there is no libcudnn_graph.so.9, or one older than 9.8\n");
        return 0;
    }
    if (!describe_device()) {
        printf("1..0 # SKIP NO GRAPH WAS SHOWN TO CUDNN ITSELF: version %zu does not take the description of a device\n", real.GetVersion());
        return 0;
    }
    const int failed = cmocka_run_group_tests_name("graphs that cuDNN itself plans", tests, NULL, NULL);
    (void)real.BackendDestroyDescriptor(device);
    return failed;
}
