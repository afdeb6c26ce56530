/* t_train_eval - evaluating a checkpoint: the numbers that training saw, on any number of ranks, a confusion matrix that adds up; and warm
 * starts: what was learnt in one arm has the same loss in another.
 * ranks: 1 3 */
#include "train_ranks.h"

static hs_status evaluate(const char *run, const char *predictions, hs_eval_result *result)
{
    hs_log log = {.err = stderr, .level = HS_LOG_NONE};
    hs_eval_options options = {.predictions = predictions, .inputs = predictions != NULL, .log = &log};
    return hs_evaluate(run, NULL, 0, tap_comm, &options, result);
}

static void checkpoint(const char *scratch, const char *what, const char *const *special)
{
    char run[400], file[420];
    hs_train_result trained = {0};
    hs_eval_result seen = {0};
    int64_t sum = 0, right = 0;
    const char *words[8] = {special[0], special[1], special[2], "max-steps=30", NULL};
    snprintf(run, sizeof run, "%s/%s", scratch, what);
    snprintf(file, sizeof file, "%s/%s.h5", scratch, what);
    hs_status st = fixture_train_with(tap_comm, run, words, NULL, NULL, &trained);
    tap_ok(st == HS_OK, "%s: trained", what);
    st = evaluate(run, file, &seen);
    if (st != HS_OK)
        fprintf(stderr, "# %s\n", hs_fail_text());
    tap_ok(st == HS_OK, "%s: evaluated", what);
    tap_ok(fabs(seen.loss - trained.loss) <= 1e-6 * trained.loss, "%s: loss %.9g is training's %.9g", what, seen.loss, trained.loss);
    tap_ok(seen.error_top1 == trained.error_top1 && seen.error_top5 == trained.error_top5, "%s: the errors are training's", what);
    for (int i = 0; i < seen.classes; i++)
        for (int j = 0; j < seen.classes; j++) {
            sum += seen.confusion[i * seen.classes + j];
            right += i == j ? seen.confusion[i * seen.classes + j] : 0;
        }
    tap_ok(sum == seen.count && fabs((double)right / (double)sum - (1 - seen.error_top1)) < 1e-12, "%s: the confusion matrix adds up", what);
    tap_ok(tap_comm->rank != 0 || hs_file_exists(file), "%s: predictions are written", what);
    hs_free(seen.confusion);
}

/* Other data than was trained on: counted, and normalised by what was trained on. */
static void other_data(const char *scratch)
{
    char run[400];
    hs_eval_result seen = {0};
    hs_log log = {.err = stderr, .level = HS_LOG_NONE};
    hs_eval_options options = {.log = &log};
    char *words[] = {(char[]){"data=synthetic:500,8,8,2,4"}, (char[]){"eval.limit=0"}};
    snprintf(run, sizeof run, "%s/ref", scratch);
    hs_status st = hs_evaluate(run, words, 2, tap_comm, &options, &seen);
    tap_ok(st == HS_OK && seen.count == 100 && isfinite(seen.loss), "other data: %lld samples", (long long)seen.count);
    hs_free(seen.confusion);
    words[0] = (char[]){"data=synthetic:500,9,9,2,4"};
    st = hs_evaluate(run, words, 2, tap_comm, &options, &seen);
    tap_ok(st == HS_EINPUT, "data of another shape are refused");
}

/* Loss of the first evaluation of a run that takes no step. */
static double loss_before_training(const char *scratch, const char *what, const char *const *words)
{
    char run[400];
    hs_train_result result = {.loss = NAN};
    snprintf(run, sizeof run, "%s/%s", scratch, what);
    hs_status st = fixture_train_with(tap_comm, run, words, NULL, NULL, &result);
    if (st != HS_OK && st != HS_EREMOTE)
        fprintf(stderr, "# %s: %s\n", what, hs_fail_text());
    return st == HS_OK ? result.loss : NAN;
}

static void warm_start(const char *scratch)
{
    char run[400], from[600];
    hs_train_result trained = {0};
    static const char *const arms[] = {"spectral", "half-raw", "full-complex", "rotation", "spectral3d", "spatial"};
    const char *words[] = {"param=spatial", "net=C4k3 BN R SP5 C6k4 R F4", "max-steps=30", NULL};
    snprintf(run, sizeof run, "%s/spatial", scratch);
    hs_status st = fixture_train_with(tap_comm, run, words, NULL, NULL, &trained);
    tap_ok(st == HS_OK, "a spatial network is trained");
    snprintf(from, sizeof from, "warm-start=%s/ckpt/step-00000030.h5", run);
    for (size_t i = 0; i < sizeof arms / sizeof arms[0]; i++) {
        char param[64], name[64];
        snprintf(param, sizeof param, "param=%s", arms[i]);
        snprintf(name, sizeof name, "warm-%s", arms[i]);
        double loss = loss_before_training(scratch, name, (const char *const[]){param, words[1], from, "epochs=0", NULL});
        tap_ok(fabs(loss - trained.loss) <= 1e-10 * trained.loss, "continued as %s: loss %.12g is %.12g", arms[i], loss, trained.loss);
    }
    strcat(from, ":conv2");
    double one = loss_before_training(scratch, "warm-one", (const char *const[]){"param=spectral", words[1], from, "epochs=0", NULL});
    tap_ok(isfinite(one) && fabs(one - trained.loss) > 1e-3, "one layer alone is another network (%.6g)", one);
}

int main(int argc, char **argv)
{
    char scratch[256];
    ranks_begin(&argc, &argv, scratch);
    checkpoint(scratch, "ref", (const char *const[]){"device=ref", "net=C4k3 BN R SP5 D0.3 F4", "optimizer=adam"});
    checkpoint(scratch, "cpu", (const char *const[]){"device=cpu", "param=half-raw", "data.validation=0.25"});
    other_data(scratch);
    warm_start(scratch);
    return ranks_end(scratch);
}
