/* cmd_eval.c - halfspec eval: loss, errors and the confusion matrix of a checkpoint. */
#include "config.h"

#include <inttypes.h>

#include "cli.h"

enum { PREDICTIONS, INPUTS };
enum { WHOLE_MATRIX = 20, /* classes: a larger table fits no screen */ WORST_PAIRS = 20 };

static int64_t row_total(const hs_eval_result *r, int class)
{
    int64_t total = 0;
    for (int i = 0; i < r->classes; i++)
        total += r->confusion[class * r->classes + i];
    return total;
}

static int digits(int64_t n)
{
    int count = 1;
    for (; n >= 10; n /= 10)
        count++;
    return count;
}

static int column_width(const hs_eval_result *r)
{
    int64_t most = r->classes;
    for (int i = 0; i < r->classes * r->classes; i++)
        most = r->confusion[i] > most ? r->confusion[i] : most;
    return digits(most) + 2;
}

static void print_matrix(const hs_eval_result *r, FILE *to)
{
    int width = column_width(r);
    fprintf(to, "\nconfusion matrix: rows are true classes, columns predicted ones\n%6s", "");
    for (int i = 0; i < r->classes; i++)
        fprintf(to, "%*d", width, i);
    fprintf(to, "%9s\n", "error");
    for (int i = 0; i < r->classes; i++) {
        int64_t total = row_total(r, i);
        fprintf(to, "%6d", i);
        for (int j = 0; j < r->classes; j++)
            fprintf(to, "%*" PRId64, width, r->confusion[i * r->classes + j]);
        if (total)
            fprintf(to, "%9.4f\n", 1 - (double)r->confusion[i * r->classes + i] / (double)total);
        else
            fprintf(to, "%9s\n", "-");
    }
}

/* Of many classes only what is confused most: the largest cell off the diagonal, then the next in (count, place) order. */
static void print_worst(const hs_eval_result *r, FILE *to)
{
    int64_t last = INT64_MAX;
    int last_at = -1, cells = r->classes * r->classes;
    fprintf(to, "\nmost confused of %d classes (--predictions FILE has every sample)\n%8s %10s %8s\n", r->classes, "true", "predicted", "count");
    for (int shown = 0; shown < WORST_PAIRS; shown++) {
        int best = -1;
        for (int i = 0; i < cells; i++) {
            int64_t n = i / r->classes == i % r->classes ? 0 : r->confusion[i];
            bool left = n < last || (n == last && i > last_at);
            if (n > 0 && left && (best < 0 || n > r->confusion[best]))
                best = i;
        }
        if (best < 0)
            return;
        last = r->confusion[best];
        last_at = best;
        fprintf(to, "%8d %10d %8" PRId64 "\n", best / r->classes, best % r->classes, last);
    }
}

static void print_result(const char *path, const hs_eval_result *r, FILE *to)
{
    fprintf(to, "%-14s %s\n", "checkpoint", path);
    fprintf(to, "%-14s %" PRId64 "\n", "samples", r->count);
    fprintf(to, "%-14s %.6f\n", "loss", r->loss);
    fprintf(to, "%-14s %.4f  (%.2f %% right)\n", "top-1 error", r->error_top1, 100 * (1 - r->error_top1));
    fprintf(to, "%-14s %.4f\n", "top-5 error", r->error_top5);
    if (!r->confusion) {
        fprintf(to, "\nno confusion matrix of %d classes; --predictions FILE has every sample\n", r->classes);
        return;
    }
    if (r->classes <= WHOLE_MATRIX)
        print_matrix(r, to);
    else
        print_worst(r, to);
}

static hs_status run(const cli *c, const cli_words *words)
{
    hs_eval_result result = {0};
    hs_eval_options options = {.predictions = words->option[PREDICTIONS], .inputs = words->option[INPUTS] != NULL, .log = c->log};
    if (words->plains != 1)
        return cli_usage(&cli_eval, words->plains ? "eval takes one checkpoint or RUN directory" : "eval needs a checkpoint or a RUN directory");
    if (options.inputs && !options.predictions)
        return cli_usage(&cli_eval, "--inputs adds to the file of --predictions FILE; give that too");
    HS_TRY(hs_evaluate(words->plain[0], words->assign, words->assigns, c->comm, &options, &result));
    if (c->comm->rank == 0)
        print_result(words->plain[0], &result, stdout);
    hs_free(result.confusion);
    return HS_OK;
}

const cli_command cli_eval = {
    .name = "eval",
    .arguments = "CKPT|RUN [key=value ...] [--predictions FILE.h5 [--inputs]]",
    .summary = "loss, top-1 and top-5 error and confusion matrix of a checkpoint",
    .text = "CKPT is a file of RUN/ckpt; a RUN directory stands for its newest sound checkpoint. Network and data are the recorded ones;\n"
            "key=value words win over the record, e.g. data=idx:other/files or device=cpu. Runs on any number of ranks.\n",
    .option = {[PREDICTIONS] = {"--predictions", "FILE.h5", "write index, label and logits of every sample"},
               [INPUTS] = {"--inputs", NULL, "write the normalised inputs there too"}},
    .collective = true,
    .run = run,
};
