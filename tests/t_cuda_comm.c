/* t_cuda_comm.c - sums of (emulated) device memory: buckets through NCCL as fp32 and as bf16, through pinned memory and MPI, and through MPI that
 * takes device memory; sums in the middle of a pass; and what happens when NCCL does not start on one rank, a sum does not end, or ranks do not
 * agree on it: a message on every rank, in time, also when a recording holds NCCL's communicator. ranks: 1 2 3 4 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "halfspec.h"
#include "hs_backend.h"
#include "hs_base.h"
#include "hs_tap.h"

#ifdef HAVE_NCCL

enum { COUNT = 5000 };

typedef struct gpu {
    const hs_backend *backend;
    hs_device *device;
    hs_stream *s;
    float *slab;
    double *few;
} gpu;

static bool open_gpu(gpu *g, const hs_comm *host)
{
    const hs_device_options options = {.ordinal = -1, .local_rank = host->local_rank, .local_size = host->local_size, .precision = "fp32"};
    *g = (gpu){0};
    return hs_backend_find("cuda", &g->backend) == HS_OK && g->backend->device->open(g->backend, &options, &g->device) == HS_OK &&
           g->backend->device->stream_create(g->device, &g->s) == HS_OK &&
           g->backend->memory->alloc(g->device, COUNT * sizeof *g->slab, (void **)&g->slab) == HS_OK &&
           g->backend->memory->alloc(g->device, 4 * sizeof *g->few, (void **)&g->few) == HS_OK;
}

static void close_gpu(gpu *g)
{
    g->backend->memory->free(g->device, g->slab);
    g->backend->memory->free(g->device, g->few);
    g->backend->device->stream_destroy(&g->s);
    hs_device_close(&g->device);
}

/* What rank R has at I: of very different sizes. */
static float value(int r, int i)
{
    return (float)(ldexp(1 + (i * 37 % 101) / 101.0, i % 20 - 10) * ((i + r) % 3 ? 1 : -0.7));
}

static bool fill(gpu *g, const hs_comm *c)
{
    static float host[COUNT];
    for (int i = 0; i < COUNT; i++)
        host[i] = value(c->rank, i);
    return g->backend->memory->upload(g->s, g->slab, host, sizeof host) == HS_OK;
}

/* One round of buckets, reported from the end as backward does, with a sum in between, as batch normalisation has them. */
static hs_status one_round(gpu *g, hs_comm *c, hs_buckets *buckets)
{
    const double few[4] = {1, 2, 3, c->rank};
    HS_TRY(g->backend->memory->upload(g->s, g->few, few, sizeof few));
    HS_TRY(hs_buckets_begin(buckets));
    HS_TRY(hs_buckets_ready(buckets, 3000, 2000));
    HS_TRY(hs_allreduce(c, g->few, 4, HS_COMM_F64, HS_SUM));
    HS_TRY(hs_buckets_ready(buckets, 0, 3000));
    HS_TRY(hs_buckets_finish(buckets));
    return c->ops->settle ? c->ops->settle(c) : HS_OK;
}

/* Largest error over the sum of magnitudes. */
static double error_of(gpu *g, const hs_comm *c)
{
    static float got[COUNT];
    double worst = 0;
    if (g->backend->memory->download(g->s, got, g->slab, sizeof got) != HS_OK)
        return INFINITY;
    for (int i = 0; i < COUNT; i++) {
        double sum = 0, size = 0;
        for (int r = 0; r < c->size; r++) {
            sum += value(r, i);
            size += fabs(value(r, i));
        }
        worst = fmax(worst, fabs(got[i] - sum) / size);
    }
    return worst;
}

static void sums(hs_comm *host, const char *kind, bool bf16, double limit)
{
    const hs_comm_wish wish = {.kind = kind, .bf16 = bf16, .timeout = 20};
    hs_comm *c = NULL;
    hs_buckets *buckets = NULL;
    double few[4] = {0}, error = INFINITY;
    gpu g;
    bool ok = open_gpu(&g, host) && g.backend->comm(g.device, g.s, host, &wish, &c) == HS_OK && strcmp(c->ops->name, kind) == 0 &&
              hs_buckets_create(c, g.slab, COUNT, HS_F32, 4096, &buckets) == HS_OK;
    for (int round = 0; ok && round < 3; round++) {
        ok = fill(&g, host) && one_round(&g, c, buckets) == HS_OK;
        error = ok ? error_of(&g, host) : INFINITY;
    }
    ok = ok && g.backend->memory->download(g.s, few, g.few, sizeof few) == HS_OK;
    tap_ok(ok && error <= limit, "%s%s: largest error of a sum %.1e (limit %.1e)", kind, bf16 ? " as bf16" : "", error, limit);
    tap_ok(few[0] == host->size && few[2] == 3 * host->size && few[3] == host->size * (host->size - 1) / 2, "%s: sums in the middle of a pass", kind);
    int64_t most = host->rank;
    tap_ok(c && hs_allreduce(c, &most, 1, HS_COMM_I64, HS_MAX) == HS_OK && most == host->size - 1, "%s: sums of host memory", kind);
    hs_buckets_destroy(&buckets);
    hs_comm_destroy(&c);
    close_gpu(&g);
}

/* One rank's memory cannot be registered: then nobody's is, or sums would not fit together. */
static void registers_nothing(hs_comm *host)
{
    setenv("HS_EMULATE", "nccl-no-register-1", 1);
    sums(host, "nccl", true, (host->size + 1) / 512.0);
    unsetenv("HS_EMULATE");
}

/* MPI gets device memory only where it says that it takes it. */
static void asks_mpi(hs_comm *host)
{
    const hs_comm_wish wish = {.kind = "mpi-cuda", .timeout = 1};
    hs_comm *c = NULL;
    gpu g;
    bool ok = open_gpu(&g, host);
    tap_ok(ok && g.backend->comm(g.device, g.s, host, &wish, &c) == HS_EUNSUPPORTED && !c && strstr(hs_fail_text(), "does not take device memory"),
           "mpi-cuda without an MPI that takes device memory is refused");
    close_gpu(&g);
#ifdef HAVE_MPIX_QUERY_CUDA_SUPPORT
    setenv("HS_EMULATE_MPI", "aware", 1);
    if (host->size > 1)
        sums(host, "mpi-cuda", false, 2e-7);
    setenv("HS_EMULATE_DEVICES", "1", 1); /* all ranks on one GPU: auto takes the best that is left */
    const hs_comm_wish any = {.kind = "auto", .timeout = 20};
    const char *best = host->size > 1 ? "mpi-cuda" : "nccl";
    ok = open_gpu(&g, host) && g.backend->comm(g.device, g.s, host, &any, &c) == HS_OK;
    tap_ok(ok && strcmp(c->ops->name, best) == 0, "auto is %s for %d ranks on one GPU", best, host->size);
    hs_comm_destroy(&c);
    close_gpu(&g);
    setenv("HS_EMULATE_DEVICES", "8", 1);
    unsetenv("HS_EMULATE_MPI");
#endif
}

/* Ranks take turns in their messages; all are in time. */
static bool says(const char *text)
{
    const bool found = strstr(hs_fail_text(), text) != NULL;
    if (!found)
        fprintf(stderr, "# instead of '%s': %s\n", text, hs_fail_text());
    return found;
}

static void does_not_start(hs_comm *host)
{
    const hs_comm_wish wish = {.kind = "nccl", .timeout = 0.5};
    hs_comm *c = NULL;
    gpu g;
    bool ok = open_gpu(&g, host);
    const double begin = hs_now();
    setenv("HS_EMULATE", "nccl-fails-1", 1);
    const hs_status st = g.backend->comm(g.device, g.s, host, &wish, &c);
    unsetenv("HS_EMULATE");
    tap_ok(ok && st == HS_EIO && !c && says(host->rank == 1 ? "unhandled system error" : "no answer in time") && hs_now() - begin < 20,
           "NCCL does not start: every rank says so");
    close_gpu(&g);
}

/* The third sum does not end. Rank 1 (or the only rank, by the clock) learns why. */
static void breaks(hs_comm *host)
{
    const hs_comm_wish wish = {.kind = "nccl", .timeout = 0.5};
    hs_comm *c = NULL;
    hs_buckets *buckets = NULL;
    hs_status st = HS_OK;
    int rounds = 0;
    gpu g;
    bool ok = open_gpu(&g, host) && g.backend->comm(g.device, g.s, host, &wish, &c) == HS_OK && fill(&g, host) &&
              hs_buckets_create(c, g.slab, COUNT, HS_F32, 0, &buckets) == HS_OK;
    const double begin = hs_now();
    setenv("HS_EMULATE", "nccl-breaks-1", 1);
    for (; ok && st == HS_OK && rounds < 4; rounds++) /* two sums a round */
        st = one_round(&g, c, buckets);
    unsetenv("HS_EMULATE");
    tap_ok(ok && st == HS_EIO && rounds == 2 && says(host->rank == 1 ? "remote process exited" : "no answer in time") && hs_now() - begin < 20,
           "a sum does not end: every rank says so");
    tap_ok(c && hs_buckets_begin(buckets) == HS_OK && hs_buckets_finish(buckets) == HS_EIO && says("after an earlier failure"),
           "no further sum is begun");
    hs_buckets_destroy(&buckets);
    hs_comm_destroy(&c);
    close_gpu(&g);
}

/* Rank 0 adds other numbers than the rest, or in other buckets: the sum never ends, and every rank says so in time. */
static void does_not_fit(hs_comm *host)
{
    const hs_comm_wish wish = {.kind = "nccl", .timeout = 0.5};
    hs_comm *c = NULL;
    gpu g;
    if (host->size == 1)
        return;
    bool ok = open_gpu(&g, host) && g.backend->comm(g.device, g.s, host, &wish, &c) == HS_OK && fill(&g, host);
    const size_t count = host->rank == 0 ? 100 : 101;
    ok = ok && c->ops->start(c, 0, g.slab, count, HS_COMM_F32) == HS_OK && c->ops->wait(c, 0) == HS_OK;
    tap_ok(ok && c->ops->settle(c) == HS_EIO && says("no answer in time"), "sums of different sizes: every rank says that one does not end");
    hs_comm_destroy(&c);
    close_gpu(&g);
}

/* NCCL does not let go of a communicator while a recording has its sums: to give up must not wait for that, to destroy may. */
static void breaks_recorded(hs_comm *host)
{
    const hs_comm_wish wish = {.kind = "nccl", .timeout = 0.5};
    const hs_device_ops *device;
    hs_comm *c = NULL;
    hs_recording *recording = NULL;
    gpu g;
    bool ok = open_gpu(&g, host) && g.backend->comm(g.device, g.s, host, &wish, &c) == HS_OK && fill(&g, host);
    device = g.backend->device;
    ok = ok && device->record_begin(g.s) == HS_OK && c->ops->start(c, 0, g.slab, COUNT, HS_COMM_F32) == HS_OK && c->ops->wait(c, 0) == HS_OK &&
         device->record_end(g.s, &recording) == HS_OK;
    ok = ok && device->record_repeat(g.s, recording) == HS_OK && c->ops->settle(c) == HS_OK;
    tap_ok(ok && error_of(&g, host) <= 2e-7, "a recorded sum");
    setenv("HS_EMULATE", "nccl-breaks-1", 1);
    setenv("HS_EMULATE_SUM", "2", 1);
    const double begin = hs_now();
    ok = ok && device->record_repeat(g.s, recording) == HS_OK && c->ops->settle(c) == HS_EIO;
    unsetenv("HS_EMULATE_SUM");
    unsetenv("HS_EMULATE");
    tap_ok(ok && says(host->rank == 1 ? "remote process exited" : "no answer in time") && hs_now() - begin < 20, "a recorded sum does not end: every rank says so");
    device->record_destroy(&recording);
    hs_comm_destroy(&c);
    tap_ok(c == NULL && hs_now() - begin < 20, "and the communicator ends behind its recording");
    close_gpu(&g);
}

static void refuses(hs_comm *host)
{
    const hs_comm_wish wish = {.kind = "mpi-staged", .bf16 = true, .timeout = 1};
    hs_comm *c = NULL;
    gpu g;
    bool ok = open_gpu(&g, host);
    tap_ok(ok && g.backend->comm(g.device, g.s, host, &wish, &c) == HS_EUSAGE && !c, "bf16 through MPI is refused");
    close_gpu(&g);
}

int main(int argc, char **argv)
{
    hs_comm *comm = NULL;
    if (hs_comm_start(&argc, &argv) != HS_OK || hs_comm_world(&comm) != HS_OK)
        return 99;
    tap_comm = comm;
    setenv("HS_EMULATE_DEVICES", "8", 1);
    sums(comm, "nccl", false, 2e-7);
    sums(comm, "nccl", true, (comm->size + 1) / 512.0); /* each number rounded once, then each partial sum */
    sums(comm, "mpi-staged", false, 2e-7);
    registers_nothing(comm);
    asks_mpi(comm);
    does_not_start(comm);
    breaks(comm);
    breaks_recorded(comm);
    does_not_fit(comm);
    refuses(comm);
    int failed = tap_done();
    hs_comm_destroy(&comm);
    hs_comm_finish();
    return failed;
}

#else

int main(void)
{
    puts("1..0 # SKIP the stand-in for NCCL stands on MPI");
    return 0;
}

#endif
