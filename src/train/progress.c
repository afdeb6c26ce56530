/* progress.c - what people see while it runs: a bar in a terminal that has a width, else one key=value line per log interval. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "train.h"

enum { AUTO, BAR, PLAIN, NONE }; /* as in hs_keys.def */

static FILE *target(const hs_trainer *t)
{
    const hs_log *log = t->world.log;
    return log && log->level >= HS_LOG_INFO ? log->out : NULL;
}

/* Under mpirun standard output can be a pseudo-terminal without a width: a bar there would be noise. */
static int terminal_columns(FILE *to)
{
    struct winsize size;
    if (!to || !isatty(fileno(to)) || ioctl(fileno(to), TIOCGWINSZ, &size) != 0)
        return 0;
    return size.ws_col;
}

void hs_progress_open(hs_trainer *t)
{
    hs_output *o = &t->output;
    int wish = t->world.config->progress;
    FILE *to = target(t);
    int columns = terminal_columns(to);
    o->bar = to && (wish == BAR || (wish == AUTO && columns > 0));
    o->plain = to && !o->bar && wish != NONE;
    o->columns = columns > 20 ? columns : 80;
    const char *no_colour = getenv("NO_COLOR");
    o->colour = o->bar && columns > 0 && !(no_colour && *no_colour);
}

static void duration(double seconds, char *text, size_t capacity)
{
    if (!(seconds >= 0 && seconds < 1e9))
        snprintf(text, capacity, "?");
    else if (seconds < 60)
        snprintf(text, capacity, "%.0fs", seconds);
    else if (seconds < 3600)
        snprintf(text, capacity, "%dm%02ds", (int)(seconds / 60), (int)seconds % 60);
    else
        snprintf(text, capacity, "%dh%02dm", (int)(seconds / 3600), (int)(seconds / 60) % 60);
}

static double seconds_left(const hs_trainer *t)
{
    int64_t done = t->state.step - t->start_step;
    double spent = hs_now() - t->started;
    return done > 0 ? spent / (double)done * (double)(t->total_steps - t->state.step) : NAN;
}

static void draw_bar(hs_trainer *t, const char *facts)
{
    enum { CELLS_MOST = 200 };
    hs_output *o = &t->output;
    char cells[CELLS_MOST + 1];
    int room = o->columns - (int)strlen(facts) - 4;
    int width = room > 40 ? 40 : room;
    double share = t->total_steps > 0 ? (double)t->state.step / (double)t->total_steps : 1;
    FILE *to = target(t);
    if (width >= 5) {
        int full = (int)(share * width);
        for (int i = 0; i < width; i++)
            cells[i] = i < full ? '=' : i == full ? '>' : '.';
        cells[width] = '\0';
        fprintf(to, "\r[%s%s%s] %s", o->colour ? "\033[32m" : "", cells, o->colour ? "\033[0m" : "", facts);
    } else {
        fprintf(to, "\r%.*s", o->columns - 1, facts);
    }
    fputs("\033[K", to);
    fflush(to);
    o->bar_open = true;
}

void hs_progress_clear(hs_trainer *t)
{
    if (!t->output.bar_open)
        return;
    fputs("\n", target(t));
    fflush(target(t));
    t->output.bar_open = false;
}

/* Between rows too, but not more often than an eye can see. */
void hs_progress_tick(hs_trainer *t, const hs_step *s)
{
    char facts[256], left[32];
    double now = hs_now(), rate = t->times.steps > 0 ? (double)t->times.samples / t->times.steps : 0;
    if (!t->output.bar || (now - t->output.drawn < 0.2 && t->state.step < t->total_steps))
        return;
    t->output.drawn = now;
    duration(seconds_left(t), left, sizeof left);
    snprintf(facts, sizeof facts, "%lld/%lld epoch %.2f loss %.4f acc %.3f %.0f img/s eta %s", (long long)t->state.step,
             (long long)t->total_steps, (double)t->state.step / (double)t->epoch_steps, s->loss, s->accuracy, rate, left);
    draw_bar(t, facts);
}

void hs_progress_row(hs_trainer *t, const hs_step *s, double rate)
{
    char left[32];
    if (!t->output.plain)
        return;
    duration(seconds_left(t), left, sizeof left);
    double epoch = (double)t->state.step / (double)t->epoch_steps;
    hs_info(t->world.log, "step=%lld epoch=%.2f loss=%.5f accuracy=%.4f lr=%.4g grad_norm=%.4g img/s=%.0f eta=%s", (long long)t->state.step,
            epoch, s->loss + s->report.penalty_l1 + s->report.penalty_l2, s->accuracy, s->report.lr, s->report.grad_norm, rate, left);
}

void hs_progress_eval(hs_trainer *t, const hs_eval_row *row)
{
    if (!t->output.bar && !t->output.plain)
        return;
    hs_progress_clear(t);
    hs_info(t->world.log, "step=%lld epoch=%.2f eval_loss=%.5f error_top1=%.4f error_top5=%.4f", (long long)row->step,
            (double)t->state.step / (double)t->epoch_steps, row->loss, row->error_top1, row->error_top5);
}
