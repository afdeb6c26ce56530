/* t_train_alloc - a step allocates nothing and opens no file: this program stands before the C library's malloc and open and counts the calls of 100
 * steps, of every thread, on both CPU backends. One caller is told apart: GCC's OpenMP runtime makes and drops a team of its own for every parallel
 * region that runs on one thread (team.c, gomp_team_end), which no caller can plan. */
#include "train_fixture.h"

#include <dlfcn.h>
#include <link.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

/* glibc's own entries, which need no look-up. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static atomic_bool armed;
static atomic_long blocks, runtime_blocks, files;
static uintptr_t runtime_from, runtime_to; /* where libgomp's code lies */

static int find_runtime(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size, (void)context;
    if (!strstr(info->dlpi_name, "libgomp"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
            runtime_from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            runtime_to = runtime_from + info->dlpi_phdr[i].p_memsz;
        }
    return 1;
}

static void count_block(void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    if (atomic_load(&armed))
        atomic_fetch_add(at >= runtime_from && at < runtime_to ? &runtime_blocks : &blocks, 1);
}

void *malloc(size_t size)
{
    count_block(__builtin_return_address(0));
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    count_block(__builtin_return_address(0));
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    count_block(__builtin_return_address(0));
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    count_block(__builtin_return_address(0));
    return __libc_memalign(align, size);
}

void *memalign(size_t align, size_t size)
{
    count_block(__builtin_return_address(0));
    return __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    count_block(__builtin_return_address(0));
    *out = __libc_memalign(align, size);
    return *out ? 0 : 12;
}

static void count_file(void)
{
    if (atomic_load(&armed))
        atomic_fetch_add(&files, 1);
}

int open(const char *path, int flags, ...)
{
    static int (*next)(const char *, int, ...);
    va_list args;
    va_start(args, flags);
    int mode = va_arg(args, int);
    va_end(args);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "open");
    count_file();
    return next(path, flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
    static FILE *(*next)(const char *, const char *);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "fopen");
    count_file();
    return next(path, mode);
}

/* Ten steps to warm up, a hundred to count. */
static void on_step(void *context, int64_t step, double loss)
{
    (void)context, (void)loss;
    if (step == 10)
        atomic_store(&armed, true);
    if (step == 110)
        atomic_store(&armed, false);
}

static char scratch[256];

static void count(const char *what, const char *const *special)
{
    hs_comm *self = NULL;
    char run[400];
    const char *words[16] = {"max-steps=112", "epochs=1000", "data.prefetch=yes", "check-ranks.every=0"};
    static int number;
    for (int i = 0; special[i]; i++)
        words[4 + i] = special[i];
    assert_int_equal(hs_comm_self(&self), HS_OK);
    snprintf(run, sizeof run, "%s/%d", scratch, number++);
    atomic_store(&blocks, 0);
    atomic_store(&files, 0);
    atomic_store(&runtime_blocks, 0);
    hs_train_result result;
    assert_int_equal(fixture_train_with(self, run, words, on_step, NULL, &result), HS_OK);
    hs_comm_destroy(&self);
    print_message("# %s: %ld allocations and %ld opened files in 100 steps (OpenMP's teams: %ld)\n", what, atomic_load(&blocks), atomic_load(&files),
                  atomic_load(&runtime_blocks));
    assert_int_equal(atomic_load(&blocks), 0);
    assert_int_equal(atomic_load(&files), 0);
}

static void counter_counts(void **state)
{
    (void)state;
    atomic_store(&armed, true);
    void *volatile p = malloc(10);
    FILE *f = fopen("/dev/null", "r");
    atomic_store(&armed, false);
    free(p);
    if (f)
        fclose(f);
    assert_true(atomic_load(&blocks) >= 1);
    assert_true(atomic_load(&files) >= 1);
}

#define EVERYTHING "net=C4k3 BN R FD SP5 [C4k3 R] C6k3{boundary=periodic} MR SP4 D0.2 A2s2 F8 T F4"
static void on_ref(void **state)
{
    (void)state;
    count("ref, momentum", (const char *const[]){"device=ref", "optimizer=momentum", "l1.spectral=1e-4", NULL});
    count("ref, all layers", (const char *const[]){"device=ref", "optimizer=adam", EVERYTHING, "augment.shift=1", NULL});
}

static void on_cpu(void **state)
{
    (void)state;
    count("cpu, momentum", (const char *const[]){"device=cpu", "optimizer=momentum", "l2=1e-4", "clip=1", NULL});
    count("cpu, all layers", (const char *const[]){"device=cpu", "optimizer=adam", EVERYTHING, "augment.shift=1", NULL});
    count("cpu, fft", (const char *const[]){"device=cpu", "conv.engine=fft", "data=synthetic:96,16,16,3,4", NULL});
    count("cpu, direct", (const char *const[]){"device=cpu", "conv.engine=direct", "data=synthetic:96,16,16,3,4", NULL});
    count("cpu, data sets in shards", (const char *const[]){"device=cpu", "reproducible=yes", NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counter_counts), cmocka_unit_test(on_ref), cmocka_unit_test(on_cpu)};
    hs_comm *self = NULL;
    dl_iterate_phdr(find_runtime, NULL);
    if (hs_comm_self(&self) != HS_OK)
        return 99;
    fixture_scratch(self, scratch);
    hs_comm_destroy(&self);
    int failed = cmocka_run_group_tests_name("train_alloc", tests, NULL, NULL);
    fixture_remove(scratch);
    return failed;
}
