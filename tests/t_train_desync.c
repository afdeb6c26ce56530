/* t_train_desync - ranks whose parameters part are found and named; ranks that agree are left alone.
 * ranks: 2 3 4 */
#include "train_fixture.h"

#include "../src/train/train.h"
#include "hs_tap.h"

/* One bit of rank ODD's parameter number AT is turned and turned back. */
static void flip_one_bit(hs_trainer *t, int odd, size_t at, int bit)
{
    char named[32], *byte = (char *)t->parameters.host + at * (size_t)t->world.device->backend->real;
    snprintf(named, sizeof named, "of rank %d ", odd);
    if (tap_comm->rank == odd)
        *byte ^= (char)(1 << bit);
    hs_status st = hs_ranks_compare(t);
    tap_ok(st == HS_EDESYNC && hs_status_exit_code(st) == 77, "bit %d of number %zu on rank %d: code 77", bit, at, odd);
    /* Of two ranks nobody can say which is right. */
    tap_ok(tap_comm->size == 2 || strstr(hs_fail_text(), named) != NULL, "the message names it (%s)", hs_fail_text());
    if (tap_comm->rank == odd)
        *byte ^= (char)(1 << bit);
    tap_ok(hs_ranks_compare(t) == HS_OK, "and turned back: all is well");
}

int main(int argc, char **argv)
{
    static hs_config config;
    static hs_trainer trainer;
    hs_log log = {.err = stderr, .level = HS_LOG_WARN};
    hs_train_options options = {.log = &log};
    if (hs_comm_start(&argc, &argv) != HS_OK || hs_comm_world(&tap_comm) != HS_OK)
        return 99;
    hs_status st = fixture_config(&config, "unused", (const char *const[]){"net=C4k3 BN R SP5 F4", NULL});
    if (st == HS_OK)
        st = hs_trainer_open(&trainer, &config, tap_comm, &options);
    if (st == HS_OK)
        st = hs_trainer_plan(&trainer);
    if (tap_ok(st == HS_OK && hs_ranks_compare(&trainer) == HS_OK, "ranks begin alike")) {
        flip_one_bit(&trainer, tap_comm->size - 1, 0, 0);
        flip_one_bit(&trainer, 1, trainer.parameters.count - 1, 5);
    }
    hs_trainer_close(&trainer);
    int rc = tap_done();
    hs_comm_destroy(&tap_comm);
    hs_comm_finish();
    return rc;
}
