/* t_cuda_first.c - training with a first convolution that rectifies and pools on its way, on the emulated GPU: the loss trace of `ref`, and runs
 * that were begun joined and go on apart, or the other way round: files know nothing of it. ranks: 1 2 */
#include "train_ranks.h"

static const char *const net = "net=C8k3 R M3s2 C6k3 R M2 F4";

static hs_status train(const char *scratch, const char *name, const char *device, const char *steps, bool apart, char run[400], trace *seen)
{
    const char *words[] = {net, device, steps, "history.every=2", NULL};
    snprintf(run, 400, "%s/%s", scratch, name);
    if (apart)
        setenv("HALFSPEC_CUDA_CONV", "implicit", 1);
    const hs_status st = fixture_train(tap_comm, run, words, seen);
    unsetenv("HALFSPEC_CUDA_CONV");
    return st;
}

static void check_trace(const char *scratch)
{
    trace seen[3] = {{.steps = 0}, {.steps = 0}, {.steps = 0}};
    char run[400];
    hs_status st = train(scratch, "ref", "device=ref", "max-steps=6", false, run, &seen[0]);
    if (st == HS_OK)
        st = train(scratch, "joined", "device=cuda", "max-steps=6", false, run, &seen[1]);
    if (st == HS_OK)
        st = train(scratch, "apart", "device=cuda", "max-steps=6", true, run, &seen[2]);
    tap_ok(st == HS_OK, "trained on ref, joined, apart: %s", st == HS_OK ? "all" : hs_fail_text());
    for (int i = 1; i < 3; i++) {
        const double distance = fixture_distance(&seen[0], &seen[i], 6);
        tap_ok(distance <= 1e-5, "%s: largest relative difference of 6 losses %.1e", i == 1 ? "joined" : "apart", distance);
    }
}

/* Six steps in one way, and three in each. */
static void check_resume(const char *scratch)
{
    const char *const words[] = {net, "device=ref", NULL};
    char whole[400], parts[400];
    hs_status st = train(scratch, "whole", "device=cuda", "max-steps=6", false, whole, NULL);
    for (int apart = 0; apart < 2 && st == HS_OK; apart++) {
        st = train(scratch, apart ? "first-apart" : "first-joined", "device=cuda", "max-steps=3", apart, parts, NULL);
        if (st == HS_OK)
            st = train(scratch, apart ? "first-apart" : "first-joined", "device=cuda", "max-steps=6", !apart, parts, NULL);
        tap_ok(st == HS_OK && fixture_same_params(tap_comm, whole, parts, words, 1e-5), "begun %s: %s",
               apart ? "apart, ended joined" : "joined, ended apart", st == HS_OK ? "parameters within 1e-5" : hs_fail_text());
    }
}

int main(int argc, char **argv)
{
    char scratch[256];
    ranks_begin(&argc, &argv, scratch);
    check_trace(scratch);
    check_resume(scratch);
    return ranks_end(scratch);
}
