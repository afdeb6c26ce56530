/* t_bench_cuda.c - the benchmark on the cuda backend, its kernels run by the emulation of tests/cuda_emulation: device memory that the host cannot
 * see, and every part's error against the reference. How fast an emulation is says nothing. ranks: 1 2 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "halfspec.h"
#include "hs_tap.h"

static hs_status measure(hs_comm *comm, const char *const *words, hs_bench_options *options)
{
    static const char *const base[] = {"device=cuda", "data=synthetic:16,8,8,2,4", "batch=8", "threads=1", "watchdog=60"};
    hs_config *config = calloc(1, sizeof *config);
    hs_log log = {stdout, stderr, HS_LOG_WARN, ""};
    hs_status st = HS_OK;
    if (!config)
        exit(99);
    options->log = &log;
    options->seconds = 0.1;
    hs_config_init(config);
    for (size_t i = 0; st == HS_OK && i < sizeof base / sizeof base[0]; i++)
        st = hs_config_assign(config, base[i]);
    for (; st == HS_OK && *words; words++)
        st = hs_config_assign(config, *words);
    if (st == HS_OK)
        st = hs_bench_defaults(config);
    if (st == HS_OK)
        st = hs_bench_run(config, comm, options);
    free(config);
    return st;
}

/* Lines of the file at PATH with TEXT in them. */
static int count_lines(const char *path, const char *text)
{
    char line[1024];
    int count = 0;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        count += strstr(line, text) != NULL;
    if (f)
        fclose(f);
    return count;
}

static void check_parts(hs_comm *comm, const char *path)
{
    static const char *const lines[] = {"\"multiply-add\",\"what\":\"product of", "\"memory\",\"what\":\"copy of", "{\"part\":\"layers\"", "\"name\":\"optimizer\"",
                                        "\"name\":\"step\",\"what\""};
    hs_bench_options options = {.json = path};
    hs_status st = measure(comm, (const char *const[]){"net=C4k3 R SP5 C6k3 R F4", NULL}, &options);
    tap_ok(st == HS_OK, "all parts, in space: %s", st == HS_OK ? "as the reference" : hs_fail_text());
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        tap_ok(comm->rank > 0 || count_lines(path, lines[i]) > 0, "a line with %s", lines[i]);
    tap_ok(comm->rank > 0 || count_lines(path, "\"part\":\"allreduce\",\"name\":\"exposed\"") == (comm->size > 1), "the all-reduce where there are several");
}

static void check_nets(hs_comm *comm)
{
    hs_bench_options options = {.parts = HS_BENCH_LAYERS | HS_BENCH_TRANSFORMS | HS_BENCH_PRODUCTS};
    hs_status st = measure(comm, (const char *const[]){"net=C4k3 R SP5 C6k3 R C4k3 MR F4", "boundary=periodic", "conv.engine=fft", NULL}, &options);
    tap_ok(st == HS_OK, "spectra handed on: %s", st == HS_OK ? "as the reference" : hs_fail_text());
    st = measure(comm, (const char *const[]){"net=C4k3 R M3s2 C6k3 R M2 F4", NULL}, &options);
    tap_ok(st == HS_OK, "a convolution that rectifies and pools: %s", st == HS_OK ? "as the reference" : hs_fail_text());
    options.parts = HS_BENCH_STEP;
    options.model_scaling = true;
    st = measure(comm, (const char *const[]){"net=C4k3 BN R [C4k3 R] D0.5 F4", "conv.engine=fft", NULL}, &options);
    tap_ok(st == HS_OK, "a step with batch normalisation: %s", st == HS_OK ? "as the reference" : hs_fail_text());
}

int main(int argc, char **argv)
{
    hs_comm *comm = NULL;
    char path[] = "t_bench_cuda.XXXXXX";
    if (hs_comm_start(&argc, &argv) != HS_OK || hs_comm_world(&comm) != HS_OK)
        return 99;
    tap_comm = comm;
    int file = mkstemp(path); /* each rank its own; rank 0's is written */
    if (file < 0)
        return 99;
    close(file);
    check_parts(comm, path);
    check_nets(comm);
    remove(path);
    int failed = tap_done();
    hs_comm_destroy(&comm);
    hs_comm_finish();
    return failed;
}
