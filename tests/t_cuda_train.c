/* t_cuda_train.c - whole training runs through the cuda backend, its kernels run by the emulation of tests/cuda_emulation,
 * against the loss trace of `ref`, in single precision against double. Host code that follows a device pointer dies. ranks: 1 2 3 */
#include "config.h"

#include "train_ranks.h"

enum { STEPS = 6 };

/* Losses of both devices agree within LIMIT, relative. */
static void compare(hs_comm *comm, const char *scratch, const char *name, double limit, const char *const *words)
{
    const char *device[] = {"device=ref", "device=cuda"};
    trace seen[2] = {{.steps = 0}, {.steps = 0}};
    char run[320];
    for (int i = 0; i < 2; i++) {
        const char *all[24] = {device[i], "max-steps=6"};
        int count = 2;
        for (int k = 0; words[k]; k++)
            if (i == 1 || strncmp(words[k], "comm=", 5) != 0) /* how device memory is summed is no question for ref */
                all[count++] = words[k];
        snprintf(run, sizeof run, "%s/%s-%d", scratch, name, i);
        hs_status st = fixture_train(comm, run, all, &seen[i]);
        if (st != HS_OK) {
            tap_ok(false, "%s: %s", name, device[i]);
            return;
        }
    }
    double distance = fixture_distance(&seen[0], &seen[1], STEPS);
    tap_ok(distance <= limit, "%s: largest relative difference of %d losses %.1e", name, STEPS, distance);
}

/* One GPU for all, and MPI that takes its memory. */
static void with_aware_mpi(hs_comm *comm, const char *scratch)
{
#ifdef HAVE_MPIX_QUERY_CUDA_SUPPORT
    static const char *const words[] = {"net=C4k3 BN R F4", "comm=mpi-cuda", "comm.bucket=1024", "check-ranks.every=1", NULL};
    setenv("HS_EMULATE_MPI", "aware", 1);
    if (comm->size > 1)
        compare(comm, scratch, "mpi-cuda", 1e-5, words);
    unsetenv("HS_EMULATE_MPI");
#else
    (void)comm, (void)scratch;
#endif
}

static void all_nets(hs_comm *comm, const char *scratch)
{
    compare(comm, scratch, "plain", 1e-5,
            (const char *const[]){"net=C4k3 R SP5 C6k3 R F4", "conv.engine=direct", "comm=mpi-staged", NULL});
    compare(comm, scratch, "fft", 1e-5,
            (const char *const[]){"net=C4k3 R C6k5 T F4", "conv.engine=fft", "optimizer=momentum", "clip=1", "comm.bucket=1024",
                                  NULL});
    compare(comm, scratch, "normalised", 1e-5,
            (const char *const[]){"net=C4k3 BN R [C4k3 D0.3 BN T] FD{draw=sample} SP4 F6 BN T D0.5 F4", "moment=modulus", NULL});
    compare(comm, scratch, "periodic", 1e-5,
            (const char *const[]){"net=C4k3 MR SP5 C6k3 ST F4", "boundary=periodic", "conv.engine=fft", "param=spatial", NULL});
    compare(
        comm, scratch, "penalised", 1e-5,
        (const char *const[]){"net=C4k3 R F4", "l2=1e-3", "l1.spectral=1e-3", "sobolev=1e-3", "optimizer=sgd", "lr=0.05", NULL});
    compare(comm, scratch, "host sums", 1e-5,
            (const char *const[]){"net=C4k3 BN R F4", comm->size > 1 ? "comm=mpi" : "comm=self", NULL});
    compare(comm, scratch, "streamed", 1e-5,
            (const char *const[]){"net=C4k3 R F4", "data.resident=0", "augment.shift=1", "augment.flip=yes", "batch=40", NULL});
    if (comm->size != 3) /* 8 shards */
        compare(comm, scratch, "reproducible", 1e-5, (const char *const[]){"net=C4k3 R F4", "reproducible=yes", NULL});
}

/* A GPU for each rank: sums go through NCCL, also when some ranks have no samples; replicas keep equal bits, which the trainer compares after every
 * step (check-ranks.every). When it fails, and when two ranks would share a GPU, all ranks end with a message. */
static void with_nccl(hs_comm *comm, const char *scratch)
{
    static const char *const words[] = {"net=C4k3 BN R C6k3 R F4", "comm=nccl", "comm.bucket=1024", "check-ranks.every=1", NULL};
    static const char *const few[] = {"net=C4k3 R F4", "comm=nccl", "graph=no", "batch=2", "check-ranks.every=1", NULL};
    static const char *const cuda[] = {"net=C4k3 R F4", "comm=nccl", "device=cuda", "max-steps=2", NULL};
    char run[320];
    setenv("HS_EMULATE_DEVICES", "3", 1);
    compare(comm, scratch, "nccl", 1e-5, words);
    compare(comm, scratch, "ranks without samples", 1e-5, few);
    setenv("HS_EMULATE", "nccl-fails", 1);
    snprintf(run, sizeof run, "%s/fails", scratch);
    hs_status st = fixture_train(comm, run, cuda, NULL);
    unsetenv("HS_EMULATE");
    tap_ok(st == HS_EIO && strstr(hs_fail_text(), "unhandled system error"), "a rank whose NCCL fails says so");
    setenv("HS_EMULATE_DEVICES", "1", 1);
    snprintf(run, sizeof run, "%s/shares", scratch);
    st = fixture_train(comm, run, cuda, NULL);
    if (comm->size > 1)
        tap_ok(st == HS_EUSAGE && strstr(hs_fail_text(), "ranks 0 and 1 share GPU"), "comm = nccl refuses a shared GPU");
    else
        tap_ok(st == HS_OK, "NCCL with one rank");
    unsetenv("HS_EMULATE_DEVICES");
}

/* One rank's device is missing, or too small for the plan: that rank says why before the first step, the others that they heard. */
static void bad_devices(hs_comm *comm, const char *scratch)
{
    static const char *const words[] = {"net=C64k3 R F4", "data=synthetic:96,32,32,3,4", "device=cuda", "max-steps=2", NULL};
    const int last = comm->size - 1;
    char run[320];
    snprintf(run, sizeof run, "%s/missing", scratch);
    if (comm->rank == last)
        setenv("HS_EMULATE", "no-device", 1);
    hs_status st = fixture_train(comm, run, words, NULL);
    unsetenv("HS_EMULATE");
    tap_ok(comm->rank == last ? st == HS_EUNSUPPORTED && strstr(hs_fail_text(), "no CUDA device is visible") : st == HS_EREMOTE,
           "a rank without a device");
    snprintf(run, sizeof run, "%s/small", scratch);
    if (comm->rank == last)
        setenv("HS_EMULATE_MEMORY", "41943040", 1); /* 40 MiB, of which cuBLAS takes 32 */
    st = fixture_train(comm, run, words, NULL);
    unsetenv("HS_EMULATE_MEMORY");
    tap_ok(comm->rank == last ? st == HS_EINTERNAL && strstr(hs_fail_text(), "MiB of device memory are needed") : st == HS_EREMOTE,
           "a device that is too small: the plan says how much was needed");
}

int main(int argc, char **argv)
{
    char scratch[256];
    ranks_begin(&argc, &argv, scratch);
    all_nets(tap_comm, scratch);
    with_aware_mpi(tap_comm, scratch);
    bad_devices(tap_comm, scratch);
#ifdef HAVE_NCCL
    with_nccl(tap_comm, scratch);
#endif
    return ranks_end(scratch);
}
