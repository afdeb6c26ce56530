/* t_train_signals - what signals ask for is agreed by all ranks, whichever of them was told: USR1 saves and goes on, TERM and USR2 save and stop
 * with HS_STOPPED (exit code 75), and the run goes on as if nothing had been.
 * ranks: 1 2 3 */
#include "train_ranks.h"

#include <sys/time.h>

#include <signal.h>
#include <sys/stat.h>


static const char *const words[] = {"max-steps=20", "optimizer=momentum", "lr=0.01", NULL};

/* Signals that the last rank gets after a step. */
typedef struct plan {
    int64_t step[2];
    int signal[2];
} plan;

static void on_step(void *context, int64_t step, double loss)
{
    const plan *p = context;
    (void)loss;
    for (int i = 0; i < 2; i++)
        if (step == p->step[i] && tap_comm->rank == tap_comm->size - 1)
            raise(p->signal[i]);
}

static bool has_checkpoint(const char *run, int step)
{
    char path[512];
    snprintf(path, sizeof path, "%s/ckpt/step-%08d.h5", run, step);
    return tap_comm->rank != 0 || hs_file_exists(path);
}

static void stop_and_go_on(const char *scratch, const char *whole, int number, const char *name)
{
    char run[400];
    hs_train_result result = {0};
    plan p = {{4, 9}, {SIGUSR1, number}};
    snprintf(run, sizeof run, "%s/%s", scratch, name);
    hs_status st = fixture_train_with(tap_comm, run, words, on_step, &p, &result);
    tap_ok(st == HS_STOPPED, "%s: stopped", name);
    tap_ok(hs_status_exit_code(st) == 75, "%s: code 75", name);
    tap_ok(result.steps == 10, "%s: at the next step border on all ranks (step %lld)", name, (long long)result.steps);
    tap_ok(has_checkpoint(run, 5), "%s: USR1 before made a checkpoint and training went on", name);
    tap_ok(has_checkpoint(run, 10), "%s: with a checkpoint", name);
    tap_ok(fixture_train(tap_comm, run, words, NULL) == HS_OK, "%s: goes on", name);
    tap_ok(fixture_same_params(tap_comm, whole, run, words, 0), "%s: as if nothing had been, bit for bit", name);
}

static void time_limit(const char *scratch)
{
    char run[400];
    const char *limited[] = {"max-steps=100000", "max-hours=5e-5", NULL}; /* 0.18 s */
    hs_train_result result = {0};
    snprintf(run, sizeof run, "%s/limit", scratch);
    hs_status st = fixture_train_with(tap_comm, run, limited, NULL, NULL, &result);
    tap_ok(st == HS_STOPPED && result.steps > 0 && result.steps < 100000, "max-hours stops all ranks (step %lld)", (long long)result.steps);
    tap_ok(has_checkpoint(run, (int)result.steps), "max-hours: with a checkpoint");
}

static void on_alarm(int number)
{
    (void)number;
    raise(SIGUSR1);
    raise(SIGUSR2);
}

/* While data are opened and the plan is made, which can take minutes: remembered, not fatal. */
static void before_the_first_step(const char *scratch)
{
    char run[400];
    const char *large[] = {"data=synthetic:20000,16,16,1,4", "net=C2k3 R GA F4", "max-steps=8", NULL};
    const struct itimerval soon = {.it_value.tv_usec = 20000};
    hs_train_result result = {0};
    snprintf(run, sizeof run, "%s/early", scratch);
    signal(SIGALRM, on_alarm);
    if (tap_comm->rank == 0)
        setitimer(ITIMER_REAL, &soon, NULL);
    hs_status st = fixture_train_with(tap_comm, run, large, NULL, NULL, &result);
    tap_ok(st == HS_STOPPED && result.steps == 1, "signals while data are opened: stopped after one step (%s, step %lld)", hs_status_name(st),
           (long long)result.steps);
    tap_ok(has_checkpoint(run, 1), "with a checkpoint");
}

int main(int argc, char **argv)
{
    char scratch[256], whole[400];
    struct sigaction before, after;
    ranks_begin(&argc, &argv, scratch);
    sigaction(SIGTERM, NULL, &before);
    snprintf(whole, sizeof whole, "%s/whole", scratch);
    tap_ok(fixture_train(tap_comm, whole, words, NULL) == HS_OK, "an undisturbed run");
    stop_and_go_on(scratch, whole, SIGTERM, "TERM");
    stop_and_go_on(scratch, whole, SIGUSR2, "USR2");
    stop_and_go_on(scratch, whole, SIGINT, "INT");
    time_limit(scratch);
    before_the_first_step(scratch);
    sigaction(SIGTERM, NULL, &after);
    tap_ok(before.sa_handler == after.sa_handler, "old handlers are back");
    return ranks_end(scratch);
}
