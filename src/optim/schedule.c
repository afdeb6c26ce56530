/* schedule.c - learning rates as a pure function of the step, and what reduce-on-plateau remembers. */
#include "hs_optim.h"

#include <math.h>

/* Steps taken before this one, in whole epochs. */
static int64_t epoch_of(const hs_schedule *schedule, int64_t step)
{
    return schedule->epoch_steps > 0 ? step / schedule->epoch_steps : 0;
}

static double step_rate(const hs_schedule *schedule, int64_t step)
{
    double rate = schedule->base;
    for (int i = 0; i < schedule->milestones; i++)
        if ((double)step >= schedule->milestone[i] * (double)schedule->epoch_steps)
            rate *= schedule->factor;
    return rate;
}

/* Half a cosine from the end of the warm-up to the end of the run (Loshchilov and Hutter 2017, without restarts). */
static double cosine_rate(const hs_schedule *schedule, int64_t step)
{
    int64_t length = schedule->total - schedule->warmup, at = step - schedule->warmup;
    double progress = at <= 0 ? 0.0 : at >= length ? 1.0 : (double)at / (double)length;
    return schedule->minimum + (schedule->base - schedule->minimum) * 0.5 * (1.0 + cos(3.14159265358979323846 * progress));
}

double hs_schedule_rate(const hs_schedule *schedule, const hs_plateau *plateau, int64_t step)
{
    double rate = schedule->base;
    switch (schedule->kind) {
    case HS_RATE_CONSTANT:
        break;
    case HS_RATE_STEP:
        rate = step_rate(schedule, step);
        break;
    case HS_RATE_EXPONENTIAL:
        rate *= pow(schedule->factor, (double)epoch_of(schedule, step));
        break;
    case HS_RATE_COSINE:
        rate = cosine_rate(schedule, step);
        break;
    case HS_RATE_PLATEAU:
        rate = fmax(rate * (plateau ? plateau->scale : 1.0), fmin(schedule->minimum, rate));
        break;
    }
    return step < schedule->warmup ? rate * (double)(step + 1) / (double)schedule->warmup : rate;
}

void hs_plateau_start(hs_plateau *plateau)
{
    *plateau = (hs_plateau){.best = INFINITY, .bad = 0, .scale = 1.0};
}

/* A loss that is not a number is no improvement. */
void hs_plateau_see(const hs_schedule *schedule, hs_plateau *plateau, double loss)
{
    if (loss < plateau->best) {
        plateau->best = loss;
        plateau->bad = 0;
        return;
    }
    if (++plateau->bad >= schedule->patience) {
        plateau->scale *= schedule->factor;
        plateau->bad = 0;
    }
}
