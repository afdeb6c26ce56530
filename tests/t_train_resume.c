/* t_train_resume - a run that was stopped goes on as if it had not been: bit-equal parameters at the same number of ranks, within rounding
 * when the number changes (2 -> 3 -> 1).
 * ranks: 1 2 3 */
#include "train_ranks.h"

static const char *with(const char *scratch, const char *name, char run[400])
{
    snprintf(run, 400, "%s/%s", scratch, name);
    return run;
}

/* All steps at once, and in three parts. Epochs are 3 steps, so cuts lie inside epochs. SPECIAL [4]: what is special about this run. */
static void same_ranks(const char *scratch, const char *what, const char *const *cut, const char *const *special)
{
    char whole[400], parts[400], name[64];
    const char *words[8] = {special[0], special[1], special[2], special[3], "eval-every=5", cut[2], NULL};
    snprintf(name, sizeof name, "whole-%s", what);
    hs_status st = fixture_train(tap_comm, with(scratch, name, whole), words, NULL);
    snprintf(name, sizeof name, "parts-%s", what);
    with(scratch, name, parts);
    for (int i = 0; i < 3 && st == HS_OK; i++) {
        words[5] = cut[i];
        st = fixture_train(tap_comm, parts, words, NULL);
    }
    tap_ok(st == HS_OK, "%s: whole and in three parts", what);
    tap_ok(fixture_same_params(tap_comm, whole, parts, special, 0), "%s: parameters are bit-equal", what);
}

/* 2 -> 3 -> 1 ranks against one rank all the way. */
static void other_ranks(const char *scratch)
{
    char whole[400], parts[400];
    const char *words[] = {"optimizer=momentum", "lr=0.01", "max-steps=21", NULL};
    hs_comm *two = NULL, *one = NULL;
    hs_status st = hs_comm_split(tap_comm, tap_comm->rank < 2, &two);
    if (st == HS_OK)
        st = hs_comm_split(tap_comm, tap_comm->rank == 0, &one);
    with(scratch, "whole-changing", whole);
    with(scratch, "parts-changing", parts);
    if (st == HS_OK && tap_comm->rank == 0)
        st = fixture_train(one, whole, words, NULL);
    tap_ok(st == HS_OK, "one rank all the way");
    words[2] = "max-steps=7";
    if (st == HS_OK && tap_comm->rank < 2)
        st = fixture_train(two, parts, words, NULL);
    tap_ok(st == HS_OK, "two ranks begin");
    words[2] = "max-steps=14";
    tap_ok(fixture_train(tap_comm, parts, words, NULL) == HS_OK, "three ranks go on");
    words[2] = "max-steps=21";
    if (tap_comm->rank == 0)
        st = fixture_train(one, parts, words, NULL);
    tap_ok(st == HS_OK, "one rank ends");
    tap_ok(fixture_same_params(tap_comm, whole, parts, words, 1e-10), "2 -> 3 -> 1 ranks: parameters within 1e-10 of one rank's");
    hs_comm_destroy(&two);
    hs_comm_destroy(&one);
}

/* The log ends where the checkpoint is: rows of the lost steps are written once. */
static void log_is_cut(const char *scratch)
{
    char run[400], path[512], line[2048];
    const char *words[] = {"optimizer=sgd", "log-every=1", "max-steps=6", NULL};
    hs_status st = fixture_train(tap_comm, with(scratch, "cut", run), words, NULL);
    snprintf(path, sizeof path, "%s/log.jsonl", run);
    if (tap_comm->rank == 0) { /* as after a crash: steps that no checkpoint knows, and half a line */
        FILE *f = fopen(path, "a");
        st = f && fputs("{\"step\":7,\"kind\":\"train\",\"loss\":1}\n{\"step\":8,\"kind\":\"tr", f) >= 0 && fclose(f) == 0 ? st : HS_EIO;
    }
    words[2] = "max-steps=9";
    tap_ok(st == HS_OK && fixture_train(tap_comm, run, words, NULL) == HS_OK, "a run with a torn log goes on");
    int rows = 0, in_order = 1;
    FILE *f = tap_comm->rank == 0 ? fopen(path, "r") : NULL;
    while (f && fgets(line, sizeof line, f)) {
        long step = 0;
        if (strstr(line, "\"kind\":\"train\"") && sscanf(line, "{\"step\":%ld,", &step) == 1)
            in_order &= step == ++rows;
    }
    if (f)
        fclose(f);
    tap_ok(tap_comm->rank != 0 || (rows == 9 && in_order), "the log holds steps 1 to 9 once each (%d rows)", rows);
}

int main(int argc, char **argv)
{
    char scratch[256];
    ranks_begin(&argc, &argv, scratch);
    static const char *const anywhere[] = {"max-steps=7", "max-steps=13", "max-steps=20"};
    /* A run also evaluates at its end, and plateau counts evaluations: here the cuts lie where the whole run evaluates as well. */
    static const char *const at_evaluations[] = {"max-steps=15", "max-steps=30", "max-steps=40"};
    same_ranks(scratch, "adam", anywhere, (const char *const[]){"optimizer=adam", "lr=2e-3", "device=ref", "lr.warmup=4", NULL});
    same_ranks(scratch, "momentum", anywhere, (const char *const[]){"optimizer=momentum", "lr=0.01", "device=cpu", "lr.warmup=4", NULL});
    same_ranks(scratch, "plateau", at_evaluations, (const char *const[]){"optimizer=sgd", "lr=0.5", "lr.schedule=plateau", "lr.patience=2", NULL});
    same_ranks(scratch, "statistics", anywhere,
               (const char *const[]){"net=C4k3 BN R SP5 D0.3 F4", "augment.shift=1", "device=ref", "optimizer=adamw", NULL});
    if (tap_comm->size == 3)
        other_ranks(scratch);
    log_is_cut(scratch);
    return ranks_end(scratch);
}
