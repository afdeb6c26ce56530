/* output.c - RUN/log.jsonl: one object a line, null for what is not a number, every line flushed. Rank 0 only. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train.h"

static void run_path(const hs_trainer *t, const char *name, char *path, size_t capacity)
{
    snprintf(path, capacity, "%s/%s", t->world.config->run, name);
}

hs_status hs_output_open(hs_trainer *t)
{
    char path[HS_TEXT_MAX + 16];
    if (t->world.comm->rank != 0)
        return HS_OK;
    run_path(t, "log.jsonl", path, sizeof path);
    t->output.json = fopen(path, "a");
    if (!t->output.json)
        return hs_fail(HS_EIO, "cannot write %s: %s", path, strerror(errno));
    setvbuf(t->output.json, t->output.buffer, _IOFBF, sizeof t->output.buffer);
    hs_progress_open(t);
    return HS_OK;
}

void hs_output_close(hs_trainer *t)
{
    if (t->output.json)
        fclose(t->output.json); /* every line was flushed and checked */
    t->output.json = NULL;
}

static void number(FILE *to, const char *name, double value)
{
    if (isfinite(value))
        fprintf(to, ",\"%s\":%.9g", name, value);
    else
        fprintf(to, ",\"%s\":null", name);
}

static hs_status end_line(hs_trainer *t)
{
    fputs("}\n", t->output.json);
    if (fflush(t->output.json) != 0 || ferror(t->output.json))
        return hs_fail(HS_EIO, "cannot write %s/log.jsonl: %s", t->world.config->run, strerror(errno));
    return HS_OK;
}

static void write_cutoffs(hs_trainer *t, FILE *to)
{
    int cutoffs[32], count = hs_net_cutoffs(t->world.net, cutoffs, 32);
    if (count <= 0)
        return;
    fputs(",\"cutoffs\":[", to);
    for (int i = 0; i < count && i < 32; i++)
        fprintf(to, "%s%d", i ? "," : "", cutoffs[i]);
    fputs("]", to);
}

static double epoch_of(const hs_trainer *t)
{
    return (double)t->state.step / (double)t->epoch_steps;
}

/* Images per second of pure stepping since the last row: evaluations and files are in the time table, not here. */
static double rate_since_last(hs_trainer *t)
{
    hs_output *o = &t->output;
    double seconds = t->times.steps - o->rate_seconds;
    double rate = seconds > 0 ? (double)(t->times.samples - o->rate_samples) / seconds : NAN;
    o->rate_seconds = t->times.steps;
    o->rate_samples = t->times.samples;
    return rate;
}

static hs_status write_train(hs_trainer *t, const hs_train_row *row)
{
    FILE *to = t->output.json;
    fprintf(to, "{\"step\":%lld,\"kind\":\"train\"", (long long)row->step);
    number(to, "epoch", row->epoch);
    number(to, "loss", row->loss);
    number(to, "loss_data", row->loss_data);
    number(to, "penalty_l1", row->penalty_l1);
    number(to, "penalty_l2", row->penalty_l2);
    number(to, "accuracy", row->accuracy);
    number(to, "lr", row->lr);
    number(to, "grad_norm", row->grad_norm);
    number(to, "update_norm", row->update_norm);
    number(to, "param_norm", row->param_norm);
    number(to, "samples_per_second", row->samples_per_second);
    number(to, "elapsed", row->elapsed);
    write_cutoffs(t, to);
    return end_line(t);
}

hs_status hs_output_train(hs_trainer *t, const hs_step *s)
{
    if (t->world.comm->rank != 0)
        return HS_OK;
    const hs_optim_report *r = &s->report;
    hs_train_row row = {.step = t->state.step,
                        .epoch = epoch_of(t),
                        .loss = s->loss + r->penalty_l1 + r->penalty_l2,
                        .loss_data = s->loss,
                        .penalty_l1 = r->penalty_l1,
                        .penalty_l2 = r->penalty_l2,
                        .accuracy = s->accuracy,
                        .lr = r->lr,
                        .grad_norm = r->grad_norm,
                        .update_norm = r->update_norm,
                        .param_norm = r->param_norm,
                        .samples_per_second = rate_since_last(t),
                        .elapsed = hs_trainer_elapsed(t)};
    hs_progress_row(t, s, row.samples_per_second);
    HS_TRY(write_train(t, &row));
    return hs_run_train(t->history.run, &row);
}

hs_status hs_output_eval(hs_trainer *t, const hs_eval_row *row)
{
    if (t->world.comm->rank != 0)
        return HS_OK;
    FILE *to = t->output.json;
    fprintf(to, "{\"step\":%lld,\"kind\":\"eval\"", (long long)row->step);
    number(to, "epoch", epoch_of(t));
    number(to, "loss", row->loss);
    number(to, "error_top1", row->error_top1);
    number(to, "error_top5", row->error_top5);
    number(to, "elapsed", row->elapsed);
    HS_TRY(end_line(t));
    hs_progress_eval(t, row);
    return hs_run_eval(t->history.run, row);
}

/* A line is kept if it is whole and its step is not newer. Lines begin with {"step":N. */
static bool keeps(const char *line, const char *end, int64_t step)
{
    static const char head[] = "{\"step\":";
    size_t length = sizeof head - 1;
    if ((size_t)(end - line) < length || memcmp(line, head, length) != 0 || end[-1] != '}')
        return false;
    return strtoll(line + length, NULL, 10) <= step;
}

hs_status hs_output_cut(const char *path, int64_t step)
{
    static const size_t LIMIT = (size_t)1 << 36; /* a line a step over years */
    char *text = NULL;
    size_t bytes = 0, kept = 0;
    if (!hs_file_exists(path))
        return HS_OK;
    HS_TRY(hs_file_read(path, LIMIT, &text, &bytes));
    for (char *line = text; line < text + bytes;) {
        char *end = memchr(line, '\n', (size_t)(text + bytes - line));
        if (!end)
            break; /* torn by a crash */
        if (end > line && keeps(line, end, step)) {
            memmove(text + kept, line, (size_t)(end + 1 - line));
            kept += (size_t)(end + 1 - line);
        }
        line = end + 1;
    }
    hs_status st = kept < bytes ? hs_file_replace(path, text, kept) : HS_OK;
    hs_free(text);
    return st;
}
