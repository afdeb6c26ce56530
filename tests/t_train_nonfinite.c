/* t_train_nonfinite - a rate that explodes ends on all ranks alike with code 78, a diagnosis, and the last good checkpoint as it was.
 * ranks: 1 2 3 */
#include "train_ranks.h"

static bool contains(const char *part)
{
    bool found = strstr(hs_fail_text(), part) != NULL;
    if (!found)
        fprintf(stderr, "# no '%s' in: %s\n", part, hs_fail_text());
    return found;
}

static void explode(const char *scratch, const char *what, const char *rate, const char *device)
{
    char run[400];
    hs_train_result result;
    size_t count = 0;
    hs_state state = {0};
    /* The warm-up raises the rate with every step: the first steps are good, later ones are not. */
    const char *words[] = {"optimizer=sgd", rate, "lr.warmup=1000", "checkpoint.every=1", "max-steps=500", device, NULL};
    snprintf(run, sizeof run, "%s/%s", scratch, what);
    hs_status st = fixture_train_with(tap_comm, run, words, NULL, NULL, &result);
    tap_ok(st == HS_ENONFINITE && hs_status_exit_code(st) == 78, "%s: code 78 on every rank (%s)", what, hs_status_name(st));
    tap_ok(contains("step ") && contains("rate ") && contains("/weight ("), "%s: the message names step, rate and a tensor", what);
    double *kept = tap_comm->rank == 0 ? fixture_params(run, words, &count, &state) : NULL;
    bool finite = tap_comm->rank != 0 || (kept && state.step >= 2 && state.step < 500);
    for (size_t i = 0; kept && i < count; i++)
        finite = finite && isfinite(kept[i]);
    tap_ok(finite, "%s: the newest checkpoint, of step %d, is finite", what, (int)state.step);
    hs_free(kept);
}

int main(int argc, char **argv)
{
    char scratch[256];
    ranks_begin(&argc, &argv, scratch);
    explode(scratch, "float", "lr=1000", "device=cpu");
    return ranks_end(scratch);
}
