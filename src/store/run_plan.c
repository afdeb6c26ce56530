/* run_plan.c - /plan of run.h5: what every layer was expected to take and what it took. Runs of older programs have none.
 *
 * Columns are data sets over `index`. Texts among them are for people: variable length is never read back by us, so that what `info` prints of them
 * stands in the attribute `steps` too, a line "name|engine|shape" for each step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run_parts.h"

enum { TEXTS = 4, NUMBERS = 9, STEPS_TEXT = 60000 }; /* an attribute has at most 64 KiB */

/* ---- writing -------------------------------------------------------------------------------------------------------------------- */

static hs_status write_texts(hid_t group, const hs_run_step *step, int steps)
{
    static const char *const name[TEXTS] = {"name", "notation", "domain", "engine"};
    const char **text = NULL;
    hs_status st = HS_OK;
    HS_TRY(hs_calloc((size_t)steps, sizeof *text, "plan", &text));
    for (int f = 0; f < TEXTS && st == HS_OK; f++) {
        hs_h5_spec spec = {.name = name[f], .type = HS_H5_TEXT, .rank = 1, .dim = {(hsize_t)steps}, .scale = {"index"}};
        for (int i = 0; i < steps; i++)
            text[i] = (const char *const[TEXTS]){step[i].name, step[i].notation, step[i].domain, step[i].engine}[f];
        st = hs_h5_make(group, &spec, HS_H5_SAME, text);
    }
    hs_free(text);
    return st;
}

static hs_status write_numbers(hid_t group, const hs_run_step *step, int steps)
{
    static const struct {
        const char *name, *units, *long_name;
        hs_h5_type type;
    } field[NUMBERS] = {{"height", "1", "rows of the output", HS_H5_I32},
                        {"width", "1", "columns of the output", HS_H5_I32},
                        {"channels", "1", "channels of the output", HS_H5_I32},
                        {"activation_bytes", "B", "output of a full batch (B)", HS_H5_I64},
                        {"mflop", "1", "MFLOP of one sample, forward and backward", HS_H5_F64},
                        {"predicted", "s", "forward and backward by the cost model (s)", HS_H5_F64},
                        {"measured", "s", "forward and backward by the planner's clock (s)", HS_H5_F64},
                        {"forward", "s", "forward in training (s)", HS_H5_F64},
                        {"backward", "s", "backward in training (s)", HS_H5_F64}};
    double *values = NULL;
    hs_status st = HS_OK;
    HS_TRY(hs_calloc((size_t)steps, sizeof *values, "plan", &values));
    for (int f = 0; f < NUMBERS && st == HS_OK; f++) {
        hs_h5_spec spec = {.name = field[f].name, .type = field[f].type, .rank = 1, .dim = {(hsize_t)steps}, .scale = {"index"},
                           .units = field[f].units, .long_name = field[f].long_name};
        for (int i = 0; i < steps; i++)
            values[i] = (const double[NUMBERS]){step[i].height, step[i].width, step[i].channels, (double)step[i].activation_bytes, step[i].mflop,
                                                step[i].predicted, step[i].measured, step[i].forward, step[i].backward}[f];
        st = hs_h5_make(group, &spec, HS_H5_F64, values);
    }
    hs_free(values);
    return st;
}

static hs_status write_lines(hid_t group, const hs_run_step *step, int steps)
{
    hs_text lines = {0};
    char *text = NULL;
    for (int i = 0; i < steps && lines.used < STEPS_TEXT; i++)
        hs_text_add(&lines, "%s|%s|%dx%dx%d\n", step[i].name, step[i].engine, step[i].height, step[i].width, step[i].channels);
    HS_TRY(hs_text_take(&lines, &text));
    hs_status st = hs_h5_set_word(group, "steps", text);
    hs_free(text);
    return st;
}

static hs_status write_facts(hid_t group, const hs_run_plan_facts *facts)
{
    HS_TRY(hs_h5_set_i64(group, "capacity", facts->capacity));
    HS_TRY(hs_h5_set_i64(group, "threads", facts->threads));
    HS_TRY(hs_h5_set_f64(group, "planned_bytes", facts->planned_bytes));
    return hs_h5_set_f64(group, "peak_bytes", facts->peak_bytes);
}

hs_status hs_plan_make(hid_t file, const hs_run_step *step, int steps, const hs_run_plan_facts *facts)
{
    hid_t group = -1;
    hs_status st = HS_OK;
    if (hs_h5_is_hard(file, "plan"))
        H5_TRY(file, H5Ldelete(file, "plan", H5P_DEFAULT));
    HS_TRY(hs_h5_make_group(file, "plan", &group));
    HS_TRY_GOTO(st, write_facts(group, facts), done);
    if (steps > 0) {
        HS_TRY_GOTO(st, hs_h5_make_axis(group, "index", (hsize_t)steps, NULL), done);
        HS_TRY_GOTO(st, write_texts(group, step, steps), done);
        HS_TRY_GOTO(st, write_numbers(group, step, steps), done);
        st = write_lines(group, step, steps);
    }
done:
    hs_h5_drop(group);
    return st;
}

/* ---- printing ------------------------------------------------------------------------------------------------------------------- */

enum { PREDICTED, MEASURED, FORWARD, BACKWARD, TIMES, COUNT_MOST = 1 << 16 };

/* Milliseconds, or a dash for what is not known. */
static void print_ms(FILE *out, double seconds, int width)
{
    if (isfinite(seconds))
        fprintf(out, " %*.3f", width, 1e3 * seconds);
    else
        fprintf(out, " %*s", width, "-");
}

static void print_line(FILE *out, const char *name, const char *engine, const char *shape, const double *time)
{
    fprintf(out, "  %-12.24s %-14.24s %-14.24s", name, engine, shape);
    print_ms(out, time[PREDICTED], 11);
    print_ms(out, time[MEASURED], 11);
    print_ms(out, time[FORWARD], 11);
    print_ms(out, time[BACKWARD], 11);
    print_ms(out, time[FORWARD] + time[BACKWARD], 11);
    fputc('\n', out);
}

/* LINES "name|engine|shape", TIME [TIMES][count]. */
static void print_lines(FILE *out, char *lines, int count, const double *time)
{
    double total[TIMES] = {0};
    fprintf(out, "  %-12s %-14s %-14s %11s %11s %11s %11s %11s\n", "ms", "engine", "output", "predicted", "measured", "forward", "backward", "together");
    for (int i = 0; i < count && *lines; i++) {
        double own[TIMES];
        char *end = strchr(lines, '\n'), *engine = strchr(lines, '|'), *shape = engine ? strchr(engine + 1, '|') : NULL;
        if (!end || !shape || shape > end)
            break;
        *end = *engine = *shape = '\0';
        for (int k = 0; k < TIMES; k++) {
            own[k] = time[(size_t)k * (size_t)count + (size_t)i];
            total[k] += k == MEASURED && !isfinite(own[k]) ? 0 : own[k]; /* residual sums have no clock of the planner */
        }
        print_line(out, lines, engine + 1, shape + 1, own);
        lines = end + 1;
    }
    total[MEASURED] = total[MEASURED] > 0 ? total[MEASURED] : NAN;
    print_line(out, "total", "", "", total);
}

static hs_status read_times(hid_t group, int *count, double **out)
{
    static const char *const name[TIMES] = {"predicted", "measured", "forward", "backward"};
    hid_t data = -1;
    hs_h5_shape shape;
    double *time = NULL;
    hs_status st = HS_OK;
    HS_TRY(hs_h5_open_data(group, name[0], (size_t)1 << 24, &data, &shape));
    hs_h5_drop(data);
    if (shape.rank != 1 || shape.count < 1 || shape.count > COUNT_MOST)
        return hs_fail(HS_EINPUT, "/plan: it has no steps, or too many");
    HS_TRY(hs_calloc(TIMES * shape.count, sizeof *time, "plan", &time));
    for (int k = 0; k < TIMES && st == HS_OK; k++)
        st = hs_h5_read(group, name[k], HS_H5_F64, 1, shape.dim, time + (size_t)k * shape.count);
    if (st != HS_OK) {
        hs_free(time);
        return st;
    }
    *count = (int)shape.count;
    *out = time;
    return HS_OK;
}

static void print_facts(FILE *out, hid_t group)
{
    int64_t capacity = 0, threads = 0;
    double planned = 0, peak = 0;
    if (hs_h5_get(group, "capacity", HS_H5_I64, 0, &capacity) != HS_OK || hs_h5_get(group, "threads", HS_H5_I64, 0, &threads) != HS_OK ||
        hs_h5_get(group, "planned_bytes", HS_H5_F64, 0, &planned) != HS_OK || hs_h5_get(group, "peak_bytes", HS_H5_F64, 0, &peak) != HS_OK) {
        hs_fail_clear();
        return;
    }
    fprintf(out, "%-12s %lld samples a pass and %lld threads on rank 0\n", "plan", (long long)capacity, (long long)threads);
    if (planned > 0)
        fprintf(out, "%-12s %.1f MiB planned", "memory", planned / 1048576);
    if (planned > 0 && peak > 0)
        fprintf(out, ", %.1f MiB at the peak (%+.1f %%)", peak / 1048576, 100 * (peak - planned) / planned);
    if (planned > 0)
        fputc('\n', out);
}

static void clean(char *text)
{
    for (char *c = text; *c; c++)
        if (((unsigned char)*c < 32 && *c != '\n') || *c == 127)
            *c = ' ';
}

hs_status hs_plan_print(FILE *out, hid_t file)
{
    hid_t group = -1;
    char *lines = NULL;
    double *time = NULL;
    int count = 0;
    hs_status st = HS_OK;
    if (!hs_h5_is_hard(file, "plan"))
        return HS_OK;
    HS_TRY(hs_h5_open_group(file, "plan", &group));
    print_facts(out, group);
    if (hs_h5_has(group, "steps")) {
        HS_TRY_GOTO(st, read_times(group, &count, &time), done);
        HS_TRY_GOTO(st, hs_h5_get_word(group, "steps", 2 * STEPS_TEXT, &lines), done);
        clean(lines);
        print_lines(out, lines, count, time);
    }
done:
    hs_free(lines);
    hs_free(time);
    hs_h5_drop(group);
    return st;
}
