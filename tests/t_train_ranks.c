/* t_train_ranks - the number of ranks does not change what is learnt: 1, 2, 3 and 4 ranks give the loss trace of one rank, also where the batch
 * does not divide and where there are more ranks than samples in a batch.
 * ranks: 1 2 3 4 */
#include "train_ranks.h"

enum { STEPS = 50 };

/* Rank 0 trains alone and tells its trace; then all train together. */
static void compare(const char *scratch, const char *what, const char *const *words, double limit)
{
    hs_comm *self = NULL;
    trace alone = {0}, together = {0};
    char run[400];
    hs_status st = HS_OK;
    if (tap_comm->rank == 0) {
        snprintf(run, sizeof run, "%s/alone-%s", scratch, what);
        st = hs_comm_self(&self);
        if (st == HS_OK)
            st = fixture_train(self, run, words, &alone);
        hs_comm_destroy(&self);
    }
    tap_ok(st == HS_OK, "%s: one rank trains", what);
    hs_broadcast(tap_comm, &alone, sizeof alone, 0);
    snprintf(run, sizeof run, "%s/together-%s", scratch, what);
    tap_ok(fixture_train(tap_comm, run, words, &together) == HS_OK, "%s: all ranks train", what);
    double worst = fixture_distance(&alone, &together, STEPS);
    tap_ok(worst <= limit, "%s: %d losses agree within %g (worst %.2g)", what, STEPS, limit, worst);
    tap_ok(fabs(alone.loss[0] - alone.loss[STEPS - 1]) > 1e-3, "%s: the loss moves", what);
}

int main(int argc, char **argv)
{
    char scratch[256];
    ranks_begin(&argc, &argv, scratch);
    compare(scratch, "plain", (const char *const[]){"max-steps=50", "optimizer=adam", "lr=1e-3", NULL}, 1e-5);
    compare(scratch, "uneven", (const char *const[]){"max-steps=50", "batch=23", "optimizer=momentum", "lr=0.01", "l2=1e-3", NULL}, 1e-5);
    compare(scratch, "sparse", (const char *const[]){"max-steps=50", "batch=3", "optimizer=sgd", "lr=0.01", "l1.spectral=1e-3", NULL}, 1e-5);
    compare(scratch, "batch norm",
            (const char *const[]){"max-steps=50", "batch=3", "net=C4k3 BN R SP5 D0.2 F4", "optimizer=momentum", "lr=0.01", "augment.shift=1",
                                  NULL},
            1e-5);
    compare(scratch, "cpu", (const char *const[]){"max-steps=50", "batch=23", "device=cpu", "optimizer=momentum", "lr=0.01", NULL}, 1e-5);
    return ranks_end(scratch);
}
