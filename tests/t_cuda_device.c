/* t_cuda_device.c - opening an emulated GPU, and every way in which there may be none: each has a sentence of its own, and no
 * device is left half open. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hs_backend.h"
#include "hs_base.h"
#include "hs_cuda.h"

static hs_status open_with(const char *precision, int ordinal, int local_rank, hs_device **device)
{
    const hs_backend *backend = NULL;
    hs_device_options options = {.ordinal = ordinal, .local_rank = local_rank, .local_size = 4, .precision = precision};
    assert_int_equal(hs_backend_find("cuda", &backend), HS_OK);
    return backend->device->open(backend, &options, device);
}

static void opens(void **state)
{
    (void)state;
    static const char *const precision[] = {"fp32", "tf32", "bf16", "exact"};
    const long before = hs_live_blocks();
    for (int i = 0; i < 4; i++) {
        char text[256];
        hs_device *device = NULL;
        hs_stream *stream = NULL;
        assert_int_equal(open_with(precision[i], -1, 0, &device), HS_OK);
        device->backend->device->describe(device, text, sizeof text);
        assert_non_null(strstr(text, precision[i]));
        assert_non_null(strstr(text, "emulated device 0"));
        assert_int_equal(device->backend->device->stream_create(device, &stream), HS_OK);
        device->backend->device->stream_destroy(&stream);
        hs_device_close(&device);
        assert_null(device);
    }
    assert_int_equal(hs_live_blocks(), before);
}

static void takes_turns(void **state)
{
    (void)state;
    setenv("HS_EMULATE_DEVICES", "2", 1);
    for (int rank = 0; rank < 4; rank++) {
        hs_device *device = NULL;
        assert_int_equal(open_with("fp32", -1, rank, &device), HS_OK);
        assert_int_equal(device->ordinal, rank % 2);
        hs_device_close(&device);
    }
    hs_device *device = NULL;
    assert_int_equal(open_with("fp32", 5, 0, &device), HS_EUSAGE);
    assert_non_null(strstr(hs_fail_text(), "2 CUDA devices"));
    unsetenv("HS_EMULATE_DEVICES");
}

static void says_what_is_missing(void **state)
{
    (void)state;
    static const struct {
        const char *state, *text;
        hs_status status;
    } bad[] = {{"no-driver", "no NVIDIA driver", HS_EUNSUPPORTED},
               {"old-driver", "CUDA 11.4, this program needs 13.0", HS_EUNSUPPORTED},
               {"no-device", "no CUDA device is visible", HS_EUNSUPPORTED},
               {"not-ready", "nvidia-fabricmanager", HS_EIO},
               {"wrong-arch", "--with-cuda-arch", HS_EUNSUPPORTED},
               {"busy", "another process", HS_EIO}};
    const long before = hs_live_blocks();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hs_device *device = NULL;
        setenv("HS_EMULATE", bad[i].state, 1);
        assert_int_equal(open_with("fp32", -1, 0, &device), bad[i].status);
        if (!strstr(hs_fail_text(), bad[i].text))
            fail_msg("%s: %s", bad[i].state, hs_fail_text());
        assert_null(device);
    }
    unsetenv("HS_EMULATE");
    hs_device *device = NULL;
    assert_int_equal(open_with("double", -1, 0, &device), HS_EUNSUPPORTED);
    assert_int_equal(hs_live_blocks(), before);
}

/* "auto" goes on to the next backend with one line. */
static void falls_back(void **state)
{
    (void)state;
    FILE *err = tmpfile();
    char text[512] = "";
    assert_non_null(err);
    hs_log log = {.out = stdout, .err = err, .level = HS_LOG_WARN};
    hs_device_options options = {.ordinal = -1, .local_size = 1, .precision = "fp32", .log = &log};
    hs_device *device = NULL;
    setenv("HS_EMULATE", "no-driver", 1);
    assert_int_equal(hs_device_open("auto", &options, &device), HS_OK);
    unsetenv("HS_EMULATE");
    assert_string_not_equal(device->backend->name, "cuda");
    hs_device_close(&device);
    rewind(err);
    size_t length = fread(text, 1, sizeof text - 1, err);
    assert_non_null(strstr(text, "no NVIDIA driver"));
    assert_ptr_equal(strchr(text, '\n'), text + length - 1);
    fclose(err);
    options.log = NULL;
    assert_int_equal(hs_device_open("auto", &options, &device), HS_OK);
    assert_string_equal(device->backend->name, "cuda");
    hs_device_close(&device);
}

static void says_what_memory_was_needed(void **state)
{
    (void)state;
    hs_device *device = NULL;
    void *memory = NULL;
    setenv("HS_EMULATE_MEMORY", "67108864", 1);
    assert_int_equal(open_with("fp32", -1, 0, &device), HS_OK);
    assert_int_equal(device->backend->memory->alloc(device, (size_t)100 << 20, &memory), HS_EINTERNAL);
    assert_non_null(strstr(hs_fail_text(), "100.0 MiB of device memory are needed, 64.0 of 64.0 MiB are free"));
    assert_int_equal(device->backend->memory->alloc(device, (size_t)10 << 20, &memory), HS_OK);
    device->backend->memory->free(device, memory);
    hs_device_close(&device);
    unsetenv("HS_EMULATE_MEMORY");
}

/* More than one staging buffer, up and down, and memory that begins as zeros. */
static void copies(void **state)
{
    (void)state;
    enum { BYTES = 9 << 20 };
    hs_device *device = NULL;
    hs_stream *s = NULL;
    unsigned char *a = malloc(BYTES), *b = malloc(BYTES);
    void *memory = NULL;
    assert_true(a && b);
    assert_int_equal(open_with("fp32", -1, 0, &device), HS_OK);
    const hs_memory_ops *ops = device->backend->memory;
    assert_int_equal(device->backend->device->stream_create(device, &s), HS_OK);
    assert_int_equal(ops->alloc(device, BYTES, &memory), HS_OK);
    assert_int_equal(ops->download(s, b, memory, BYTES), HS_OK);
    for (int i = 0; i < BYTES; i++)
        assert_true(b[i] == 0);
    for (int i = 0; i < BYTES; i++)
        a[i] = (unsigned char)(i * 2654435761u >> 24);
    assert_int_equal(ops->upload(s, memory, a, BYTES), HS_OK);
    unsigned char kept = a[BYTES - 1];
    a[BYTES - 1] = (unsigned char)~kept; /* host memory is ours again when upload returns */
    assert_int_equal(ops->download(s, b, memory, BYTES), HS_OK);
    a[BYTES - 1] = kept;
    assert_memory_equal(a, b, BYTES);
    ops->free(device, memory);
    device->backend->device->stream_destroy(&s);
    hs_device_close(&device);
    free(a);
    free(b);
}

/* More products than a grid has blocks. */
static void many_products(void **state)
{
    (void)state;
    enum { COUNT = 70000 };
    hs_device *device = NULL;
    hs_stream *s = NULL;
    float *host = malloc(COUNT * sizeof *host), *a = NULL, *c = NULL;
    assert_non_null(host);
    assert_int_equal(open_with("fp32", -1, 0, &device), HS_OK);
    assert_int_equal(device->backend->device->stream_create(device, &s), HS_OK);
    const hs_memory_ops *ops = device->backend->memory;
    assert_int_equal(ops->alloc(device, COUNT * sizeof *a, (void **)&a), HS_OK);
    assert_int_equal(ops->alloc(device, COUNT * sizeof *c, (void **)&c), HS_OK);
    for (int i = 0; i < COUNT; i++)
        host[i] = (float)i;
    assert_int_equal(ops->upload(s, a, host, COUNT * sizeof *host), HS_OK);
    const hs_cuda_product squares = {.m = 1,
                                     .n = 1,
                                     .k = 1,
                                     .a = a,
                                     .b = a,
                                     .c = c,
                                     .lda = 1,
                                     .ldb = 1,
                                     .ldc = 1,
                                     .stride_a = 1,
                                     .stride_b = 1,
                                     .stride_c = 1,
                                     .batch = COUNT,
                                     .alpha = 1};
    assert_int_equal(hs_cuda_multiply(s, &squares), HS_OK);
    assert_int_equal(ops->download(s, host, c, COUNT * sizeof *host), HS_OK);
    for (int i = 0; i < COUNT; i++)
        assert_true(host[i] == (float)i * (float)i);
    ops->free(device, a);
    ops->free(device, c);
    device->backend->device->stream_destroy(&s);
    hs_device_close(&device);
    free(host);
}

/* ---- what a GPU does not allow ends the program, here ------------------------------------------------------------------------------ */

typedef struct gpu {
    hs_device *device;
    hs_stream *s;
    void *memory;
} gpu;

static void scale_while_recording(gpu *g, bool has_run)
{
    hs_recording *recording = NULL;
    const hs_backend *b = g->device->backend;
    if (has_run)
        (void)b->element->scale(g->s, 1, 2, g->memory);
    (void)b->device->record_begin(g->s);
    (void)b->element->scale(g->s, 1, 2, g->memory);
    (void)b->device->record_end(g->s, &recording);
}

static void *allocate(void *argument)
{
    const gpu *g = argument;
    void *memory;
    (void)g->device->backend->memory->alloc(g->device, 16, &memory);
    return NULL;
}

static void allocate_in_a_thread(gpu *g, bool chooses)
{
    pthread_t thread;
    if (chooses)
        (void)allocate(g);
    else if (pthread_create(&thread, NULL, allocate, g) == 0)
        (void)pthread_join(thread, NULL);
}

/* In a process of its own. */
static bool dies(void (*what)(gpu *, bool), gpu *g, bool flag)
{
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        what(g, flag);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void does_not_allow(void **state)
{
    gpu g = {NULL};
    (void)state;
    assert_int_equal(open_with("fp32", -1, 0, &g.device), HS_OK);
    assert_int_equal(g.device->backend->device->stream_create(g.device, &g.s), HS_OK);
    assert_int_equal(g.device->backend->memory->alloc(g.device, 16, &g.memory), HS_OK);
    assert_true(dies(scale_while_recording, &g, false));
    assert_false(dies(scale_while_recording, &g, true));
    assert_true(dies(allocate_in_a_thread, &g, false));
    assert_false(dies(allocate_in_a_thread, &g, true));
    g.device->backend->memory->free(g.device, g.memory);
    g.device->backend->device->stream_destroy(&g.s);
    hs_device_close(&g.device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens),
        cmocka_unit_test(takes_turns),
        cmocka_unit_test(says_what_is_missing),
        cmocka_unit_test(falls_back),
        cmocka_unit_test(says_what_memory_was_needed),
        cmocka_unit_test(copies),
        cmocka_unit_test(many_products),
        cmocka_unit_test(does_not_allow),
    };
    return cmocka_run_group_tests_name("emulated GPU", tests, NULL, NULL);
}
