/* t_cuda_graph.c - steps that are recorded and repeated, on the (emulated) device: equal bits to steps launched one by one, whatever changes from
 * step to step, though the next is launched before the host knows of one; what may not happen while a step is recorded is found; and what cannot be
 * recorded is launched plainly. And evaluations, which wait for nobody either. ranks: 1 2 */
#include "train_ranks.h"

#include <cuda_runtime_api.h>
#include <signal.h>

#include "hs_backend.h"

/* ---- whole runs --------------------------------------------------------------------------------------------------------------- */

/* 96 samples in batches of 40: two full ones and a short one; 10 steps. */
static void compare(hs_comm *comm, const char *scratch, const char *name, long repeats, const char *const *words)
{
    char run[2][320];
    long seen[2];
    trace trace[2] = {{.steps = 0}, {.steps = 0}};
    const char *all[32];
    for (int i = 0; i < 2; i++) {
        int count = 0;
        for (const char *const *w = (const char *const[]){"device=cuda", "batch=40", "max-steps=10", "log-every=5", NULL}; *w; w++)
            all[count++] = *w;
        all[count++] = i ? "graph=yes" : "graph=no";
        for (const char *const *w = words; *w; w++)
            all[count++] = *w;
        all[count] = NULL;
        snprintf(run[i], sizeof run[i], "%s/%s-%d", scratch, name, i);
        const long before = emulated_repeats();
        if (fixture_train(comm, run[i], all, &trace[i]) != HS_OK)
            trace[i].steps = -1;
        seen[i] = emulated_repeats() - before;
    }
    tap_ok(seen[0] == 0 && seen[1] == repeats, "%s: %ld steps repeated (%ld expected), %ld without graphs", name, seen[1], repeats, seen[0]);
    tap_ok(trace[0].steps == 10 && memcmp(trace[0].loss, trace[1].loss, 10 * sizeof *trace[0].loss) == 0 &&
               fixture_same_params(comm, run[0], run[1], all, 0),
           "%s: equal bits", name);
}

/* Steps 5 and 10 report, 1 and 3 are the first of their size, 2 to 5 are timed layer by layer: on all ranks, because NCCL wants the same of all. */
static void all_nets(hs_comm *comm, const char *scratch)
{
    const long repeats = 4;
    const char *sums = comm->size > 1 ? "comm=nccl" : "comm=auto";
    compare(comm, scratch, "plain", repeats, (const char *const[]){"net=C4k3 R SP5 C6k3 R F4", sums, "comm.bucket=1024", NULL});
    compare(comm, scratch, "drawn", repeats,
            (const char *const[]){"net=C4k3 BN R FD{draw=sample} D0.3 C4k3 FD R SP4 F6 D0.5 F4", sums, "augment.shift=1", "augment.flip=yes", NULL});
    compare(comm, scratch, "rates", repeats,
            (const char *const[]){"net=C4k3 R C6k5 T F4", sums, "conv.engine=fft", "optimizer=adamw", "lr.schedule=cosine", "lr.warmup=4",
                                  "lr.conv2=1e-4", "clip=0.5", "l2=1e-3", "moment=modulus", NULL});
    compare(comm, scratch, "streamed", repeats, (const char *const[]){"net=C4k3 R F4", sums, "data.resident=0", "l1.spectral=1e-3", NULL});
    compare(comm, scratch, "host sums", 0, (const char *const[]){"net=C4k3 R F4", comm->size > 1 ? "comm=mpi-staged" : "reproducible=yes", NULL});
    compare(comm, scratch, "frames", 0, (const char *const[]){"net=C4k3 R F4", sums, "param=spatial", "l1.spectral=1e-3", NULL});
    if (comm->size > 1)
        compare(comm, scratch, "bf16", repeats, (const char *const[]){"net=C4k3 R F4", sums, "comm.wire=bf16", NULL});
    static const char *const faults[] = {"no-recording", "lost-recording"};
    for (int i = 0; i < 2; i++) {
        setenv("HS_EMULATE", faults[i], 1);
        compare(comm, scratch, faults[i], 0, (const char *const[]){"net=C4k3 BN R F4", sums, NULL});
        unsetenv("HS_EMULATE");
    }
}

/* In the first steps, which are timed and launched one by one, and in one that is repeated while the next is on its way: equal steps and equal words. */
static void not_finite(hs_comm *comm, const char *scratch, const char *net, const char *lr, bool repeated)
{
    const char *words[] = {"device=cuda", "max-steps=40", net, lr, "optimizer=sgd", comm->size > 1 ? "comm=nccl" : "comm=auto", "",
                           NULL};
    int64_t steps[2];
    char said[2][512];
    const long before = emulated_repeats();
    for (int i = 0; i < 2; i++) {
        trace t = {.steps = 0};
        char run[320];
        words[6] = i ? "graph=yes" : "graph=no";
        snprintf(run, sizeof run, "%s/nonfinite-%d-%d", scratch, repeated, i);
        const hs_status st = fixture_train_with(comm, run, words, fixture_on_step, &t, NULL);
        steps[i] = st == HS_ENONFINITE ? t.steps : -1;
        snprintf(said[i], sizeof said[i], "%s", hs_fail_text());
    }
    tap_ok(steps[0] >= 0 && steps[0] == steps[1] && strcmp(said[0], said[1]) == 0 && (emulated_repeats() > before + 1) == repeated,
           "a gradient that is not finite ends both after step %lld (%lld): %s", (long long)steps[0], (long long)steps[1], said[1]);
}

/* ---- one step ahead ------------------------------------------------------------------------------------------------------------- */

static void stop_at_7(void *context, int64_t step, double loss)
{
    (void)context, (void)loss;
    if (step == 7 && tap_comm->rank == tap_comm->size - 1)
        raise(SIGTERM);
}

/* Step 9 is on its way when the ranks hear, in step 8, that one was told to stop: the checkpoint is that of step 9, and the run goes on from there. */
static void stops(hs_comm *comm, const char *scratch)
{
    const char *words[] = {"device=cuda", "max-steps=12", "batch=32", "net=C4k3 R F4", comm->size > 1 ? "comm=nccl" : "comm=auto", "", NULL};
    const int64_t expected[2] = {8, 9};
    char whole[320], run[320];
    snprintf(whole, sizeof whole, "%s/whole", scratch);
    words[5] = "graph=no";
    bool ok = fixture_train(comm, whole, words, NULL) == HS_OK;
    for (int i = 0; i < 2; i++) {
        hs_train_result result = {.steps = 0};
        words[5] = i ? "graph=yes" : "graph=no";
        snprintf(run, sizeof run, "%s/stopped-%d", scratch, i);
        const hs_status st = fixture_train_with(comm, run, words, stop_at_7, NULL, &result);
        ok = ok && st == HS_STOPPED && fixture_train(comm, run, words, NULL) == HS_OK && fixture_same_params(comm, whole, run, words, 0);
        tap_ok(ok && result.steps == expected[i], "%s: told to stop after step 7, it stops after step %lld and goes on as if nothing had been", words[5],
               (long long)result.steps);
    }
}

/* ---- the held-out set ----------------------------------------------------------------------------------------------------------- */

typedef struct outcome {
    double loss, first, fifth;
} outcome;

static outcome outcome_of(hs_comm *comm, const char *run, const char *const *words)
{
    hs_train_result result = {.steps = 0};
    const bool ok = fixture_train_with(comm, run, words, NULL, NULL, &result) == HS_OK;
    return ok ? (outcome){result.loss, result.error_top1, result.error_top5} : (outcome){NAN, NAN, NAN};
}

/* On the device and from the host: equal bits, though parts end in the middle of a batch. */
static void evaluates(hs_comm *comm, const char *scratch, const char *net, const char *sums, const char *limit)
{
    const char *words[] = {"device=cuda", "max-steps=2", "batch=36", net, "eval-every=1", sums, limit, "", NULL};
    outcome seen[2];
    for (int i = 0; i < 2; i++) {
        char run[320];
        words[7] = i ? "data.resident=0.5" : "data.resident=0";
        snprintf(run, sizeof run, "%s/%s-%s-%d", scratch, sums, limit, i);
        seen[i] = outcome_of(comm, run, words);
    }
    tap_ok(isfinite(seen[0].loss) && memcmp(&seen[0], &seen[1], sizeof seen[0]) == 0, "%s, %s: loss %.17g on the device, %.17g from the host", sums,
           limit, seen[1].loss, seen[0].loss);
}

/* ---- what may not be recorded ------------------------------------------------------------------------------------------------- */

typedef struct gpu {
    const hs_backend *backend;
    hs_device *device;
    hs_stream *s, *other;
    float *a, *b;
} gpu;

static hs_status waits(gpu *g)
{
    return g->backend->device->stream_sync(g->s);
}

static hs_status uploads(gpu *g)
{
    const float x = 1;
    return g->backend->memory->upload(g->s, g->a, &x, sizeof x);
}

static hs_status downloads(gpu *g)
{
    float x;
    return g->backend->memory->download(g->s, &x, g->a, sizeof x);
}

static hs_status allocates(gpu *g)
{
    void *memory;
    return g->backend->memory->alloc(g->device, 16, &memory);
}

static bool refused(gpu *g, hs_status (*what)(gpu *))
{
    hs_recording *recording = NULL;
    bool ok = g->backend->device->record_begin(g->s) == HS_OK;
    ok = ok && g->backend->element->scale(g->s, 1, 2, g->a) == HS_OK;
    const hs_status inside = what(g), end = g->backend->device->record_end(g->s, &recording);
    ok = ok && inside != HS_OK && end != HS_OK && !recording;
    return ok && g->backend->device->stream_sync(g->s) == HS_OK; /* usable again */
}

static float value_at(gpu *g, const float *at)
{
    float x = -1;
    if (g->backend->memory->download(g->s, &x, at, sizeof x) != HS_OK)
        return -1;
    return x;
}

/* Arguments are those of the recording, contents those of each repeat. */
static void repeats(gpu *g)
{
    hs_recording *recording = NULL;
    float x = 3, factor = 2;
    hs_status st = g->backend->memory->upload(g->s, g->a, &x, sizeof x);
    st = st == HS_OK ? g->backend->device->record_begin(g->s) : st;
    st = st == HS_OK ? g->backend->element->scale(g->s, 1, factor, g->a) : st;
    st = st == HS_OK ? g->backend->memory->copy(g->s, g->b, g->a, sizeof x) : st;
    st = st == HS_OK ? g->backend->device->record_end(g->s, &recording) : st;
    tap_ok(st == HS_OK && value_at(g, g->a) == 3, "nothing is done while it is recorded");
    factor = 100; /* too late */
    for (int i = 0; i < 2 && st == HS_OK; i++)
        st = g->backend->device->record_repeat(g->s, recording);
    tap_ok(st == HS_OK && value_at(g, g->a) == 12 && value_at(g, g->b) == 12, "each repeat works on what is there then");
    x = 5;
    st = g->backend->memory->upload(g->s, g->a, &x, sizeof x);
    st = st == HS_OK ? g->backend->device->record_repeat(g->s, recording) : st;
    tap_ok(st == HS_OK && value_at(g, g->b) == 10 && factor == 100, "with the arguments of the recording");
    g->backend->device->record_destroy(&recording);
}

/* A stream that joins must be waited for; one that does not take part may not be. */
static void forks(void)
{
    cudaStream_t one, two;
    cudaEvent_t there, back, outside;
    cudaGraph_t graph = NULL;
    void *memory;
    bool ok = cudaStreamCreateWithFlags(&one, 0) == cudaSuccess && cudaStreamCreateWithFlags(&two, 0) == cudaSuccess &&
              cudaEventCreateWithFlags(&there, 0) == cudaSuccess && cudaEventCreateWithFlags(&back, 0) == cudaSuccess &&
              cudaEventCreateWithFlags(&outside, 0) == cudaSuccess && cudaMalloc(&memory, 64) == cudaSuccess;
    for (int way = 0; ok && way < 3; way++) {
        (void)cudaEventRecord(outside, two);
        (void)cudaStreamBeginCapture(one, cudaStreamCaptureModeThreadLocal);
        (void)cudaEventRecord(there, one);
        (void)cudaStreamWaitEvent(two, there, 0);
        (void)cudaMemsetAsync(memory, 0, 64, two);
        (void)cudaEventRecord(back, two);
        if (way == 1)
            (void)cudaMemsetAsync(memory, 1, 64, two); /* behind what is waited for */
        const cudaError_t wait = cudaStreamWaitEvent(one, way == 2 ? outside : back, 0);
        const cudaError_t end = cudaStreamEndCapture(one, &graph);
        (void)cudaGetLastError(); /* what was refused here is not for the next launch to report */
        ok = way == 0 ? wait == cudaSuccess && end == cudaSuccess && graph
                      : end != cudaSuccess && !graph && (way == 1) == (end == cudaErrorStreamCaptureUnjoined);
        if (graph)
            (void)cudaGraphDestroy(graph);
        graph = NULL;
    }
    tap_ok(ok, "streams that fork join again");
    (void)cudaEventDestroy(there);
    (void)cudaEventDestroy(back);
    (void)cudaEventDestroy(outside);
    (void)cudaStreamDestroy(one);
    (void)cudaStreamDestroy(two);
    (void)cudaFree(memory);
}

static void recordings(void)
{
    const hs_device_options options = {.ordinal = -1, .local_size = 1, .precision = "fp32"};
    gpu g = {0};
    if (hs_backend_find("cuda", &g.backend) != HS_OK || g.backend->device->open(g.backend, &options, &g.device) != HS_OK ||
        g.backend->device->stream_create(g.device, &g.s) != HS_OK || g.backend->memory->alloc(g.device, 64, (void **)&g.a) != HS_OK ||
        g.backend->memory->alloc(g.device, 64, (void **)&g.b) != HS_OK) {
        tap_ok(false, "a device");
        return;
    }
    tap_ok(g.backend->element->scale(g.s, 1, 1, g.a) == HS_OK, "a kernel that will be recorded has run before");
    repeats(&g);
    tap_ok(refused(&g, waits), "waiting is refused");
    tap_ok(refused(&g, uploads), "an upload is refused: it would be repeated with other contents");
    tap_ok(refused(&g, downloads), "a download is refused");
    tap_ok(refused(&g, allocates), "an allocation is refused");
    g.backend->memory->free(g.device, g.a);
    g.backend->memory->free(g.device, g.b);
    g.backend->device->stream_destroy(&g.s);
    hs_device_close(&g.device);
    forks();
}

int main(int argc, char **argv)
{
    char scratch[256];
    ranks_begin(&argc, &argv, scratch);
    recordings();
    setenv("HS_EMULATE_DEVICES", "2", 1);
#ifdef HAVE_NCCL
    all_nets(tap_comm, scratch);
#else
    if (tap_comm->size == 1)
        all_nets(tap_comm, scratch);
#endif
    not_finite(tap_comm, scratch, "net=C4k3 R F4", "lr=1e6", false);
    not_finite(tap_comm, scratch, "net=C4k3 C4k3 F4", "lr=0.4", true); /* numbers that grow from step to step */
    stops(tap_comm, scratch);
    evaluates(tap_comm, scratch, "net=C4k3 BN R FD D0.5 F4", tap_comm->size > 1 ? "comm=nccl" : "comm=auto", "eval.limit=0");
    evaluates(tap_comm, scratch, "net=C4k3 R FD D0.5 F4", "reproducible=yes", "eval.limit=41");
    return ranks_end(scratch);
}
