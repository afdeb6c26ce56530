/* t_train_reproducible - reproducible = yes: the same bits on 1, 2 and 4 ranks, in float too; refused where it cannot hold.
 * ranks: 1 2 3 4 */
#include "train_ranks.h"

static void same_bits(const char *scratch, const char *what, const char *const *special)
{
    hs_comm *self = NULL;
    char alone[400], together[400];
    trace a = {0}, b = {0};
    hs_status st = HS_OK;
    const char *words[8] = {special[0], special[1], special[2], "reproducible=yes", "max-steps=25", "batch=27", NULL};
    snprintf(alone, sizeof alone, "%s/alone-%s", scratch, what);
    snprintf(together, sizeof together, "%s/together-%s", scratch, what);
    if (tap_comm->rank == 0) {
        st = hs_comm_self(&self);
        if (st == HS_OK)
            st = fixture_train(self, alone, words, &a);
        hs_comm_destroy(&self);
    }
    tap_ok(st == HS_OK, "%s: one rank trains", what);
    tap_ok(fixture_train(tap_comm, together, words, &b) == HS_OK, "%s: all ranks train", what);
    tap_ok(fixture_same_params(tap_comm, alone, together, words, 0), "%s: parameters are bit-equal", what);
    tap_ok(tap_comm->rank != 0 || memcmp(a.loss, b.loss, 25 * sizeof a.loss[0]) == 0, "%s: losses are bit-equal", what);
}

static void refused(const char *scratch, const char *what, const char *const *words, hs_status want)
{
    char run[400];
    hs_train_result result;
    snprintf(run, sizeof run, "%s/refused", scratch);
    tap_ok(fixture_train_with(tap_comm, run, words, NULL, NULL, &result) == want, "%s is refused", what);
}

int main(int argc, char **argv)
{
    char scratch[256];
    ranks_begin(&argc, &argv, scratch);
    if (tap_comm->size == 3) {
        refused(scratch, "a number of ranks that does not divide 8", (const char *const[]){"reproducible=yes", NULL}, HS_EUSAGE);
    } else {
        same_bits(scratch, "float", (const char *const[]){"device=cpu", "optimizer=adam", "lr=1e-2"});
        same_bits(scratch, "double", (const char *const[]){"device=ref", "optimizer=momentum", "net=C4k3 R SP5 D0.2 F4"});
        refused(scratch, "batch normalisation", (const char *const[]){"reproducible=yes", "net=C4k3 BN F4", NULL}, HS_EUNSUPPORTED);
    }
    return ranks_end(scratch);
}
