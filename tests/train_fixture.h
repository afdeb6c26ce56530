/* train_fixture.h - small training runs for the tests of src/train: a scratch directory that all ranks know, a configuration from words, the trace
 * of losses, and the parameters that a run left behind. */
#ifndef TRAIN_FIXTURE_H
#define TRAIN_FIXTURE_H

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "halfspec.h"

enum { TRACE_MAX = 512 };
typedef struct trace {
    double loss[TRACE_MAX];
    int64_t steps;
} trace;

static inline int fixture_drop(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static inline void fixture_remove(const char *path)
{
    nftw(path, fixture_drop, 16, FTW_DEPTH | FTW_PHYS);
}

/* COLLECTIVE. A fresh directory of rank 0, known to all. */
static inline void fixture_scratch(hs_comm *comm, char path[256])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(path, 256, "%s/t_train_XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (comm->rank == 0 && !mkdtemp(path)) {
        perror("mkdtemp");
        path[0] = '\0';
    }
    if (hs_broadcast(comm, path, 256, 0) != HS_OK || !path[0])
        exit(99);
}

static inline void fixture_on_step(void *context, int64_t step, double loss)
{
    trace *t = context;
    if (step >= 1 && step <= TRACE_MAX)
        t->loss[step - 1] = loss;
    t->steps = step;
}

/* Small and quick, with everything in it; WORDS ("key=value", NULL at the end) come on top. */
static inline hs_status fixture_config(hs_config *config, const char *run, const char *const *words)
{
    static const char *const base[] = {"data=synthetic:96,8,8,2,4", "net=C4k3 R SP5 C6k3 R F4", "batch=32",           "epochs=1000",
                                       "log-every=0",               "eval-every=0",             "checkpoint.every=0", "history.every=0",
                                       "threads=1",                 "device=ref",               "watchdog=60",        "eval.limit=40"};
    char word[512];
    hs_config_init(config);
    for (size_t i = 0; i < sizeof base / sizeof base[0]; i++)
        HS_TRY(hs_config_assign(config, base[i]));
    snprintf(word, sizeof word, "run=%s", run);
    HS_TRY(hs_config_assign(config, word));
    for (; *words; words++)
        HS_TRY(hs_config_assign(config, *words));
    return hs_config_check(config);
}

/* COLLECTIVE. Train; TRACE (may be NULL) receives the losses, ON_STEP another callback instead. */
static inline hs_status fixture_train_with(hs_comm *comm, const char *run, const char *const *words, void (*on_step)(void *, int64_t, double),
                                           void *context, hs_train_result *result)
{
    static hs_log log;
    log = (hs_log){.out = stdout, .err = stderr, .level = getenv("TRAIN_VERBOSE") && comm->rank == 0 ? HS_LOG_INFO : HS_LOG_NONE};
    hs_train_options options = {.argv = "test", .log = &log, .on_step = on_step, .context = context};
    hs_train_result own;
    hs_config *config = calloc(1, sizeof *config);
    if (!config)
        exit(99);
    hs_status st = hs_agree(comm, fixture_config(config, run, words));
    if (st == HS_OK)
        st = hs_train(config, comm, &options, result ? result : &own);
    free(config);
    return st;
}

static inline hs_status fixture_train(hs_comm *comm, const char *run, const char *const *words, trace *out)
{
    hs_status st = fixture_train_with(comm, run, words, out ? fixture_on_step : NULL, out, NULL);
    if (st != HS_OK && st != HS_STOPPED && st != HS_EREMOTE)
        fprintf(stderr, "# rank %d: %s: %s (%s)\n", comm->rank, hs_status_name(st), hs_fail_text(), hs_fail_place());
    return st;
}

/* Largest relative difference of the first COUNT losses. */
static inline double fixture_distance(const trace *a, const trace *b, int64_t count)
{
    double worst = a->steps >= count && b->steps >= count ? 0 : INFINITY;
    for (int64_t i = 0; i < count && isfinite(worst); i++) {
        double d = fabs(a->loss[i] - b->loss[i]) / fabs(a->loss[i]);
        worst = d > worst || isnan(d) ? (isnan(d) ? INFINITY : d) : worst;
    }
    return worst;
}

/* Parameters, in double and slab order, that the newest checkpoint of RUN holds; *COUNT of them, to be freed with hs_free. NULL: none. */
static inline double *fixture_params(const char *run, const char *const *words, size_t *count, hs_state *state)
{
    char path[512];
    hs_net_options options;
    hs_checkpoint_head head = {0};
    hs_checkpoint ckpt = {.real = HS_F64};
    hs_net *net = NULL;
    double *slab = NULL, *statistics = NULL;
    hs_config *config = calloc(1, sizeof *config);
    hs_status st = config ? hs_checkpoint_find(run, path, sizeof path, NULL) : HS_EINTERNAL;
    if (st == HS_OK)
        st = hs_checkpoint_peek(path, &head);
    if (st == HS_OK)
        st = fixture_config(config, run, words);
    hs_net_options_default(&options);
    if (st == HS_OK) {
        options.param = (hs_arm)config->param;
        options.boundary = (hs_boundary)config->boundary;
        options.embed = (hs_embed)config->embed;
        st = hs_net_create(head.notation, &options, head.in, head.classes, &net);
    }
    if (st == HS_OK) {
        *count = hs_net_params_count(net);
        st = hs_calloc(*count, sizeof *slab, "test", &slab);
    }
    if (st == HS_OK)
        st = hs_calloc(hs_net_statistics_count(net) + 1, sizeof *slab, "test", &statistics);
    if (st == HS_OK) {
        ckpt.param = hs_net_params(net, &ckpt.params);
        ckpt.statistic = hs_net_statistics(net, &ckpt.statistics);
        ckpt.notation = hs_net_notation(net);
        ckpt.parameters = (hs_slab){"", slab, *count};
        ckpt.statistics_slab = (hs_slab){"", statistics, hs_net_statistics_count(net)};
        st = hs_checkpoint_read(path, &ckpt);
    }
    if (st != HS_OK) {
        fprintf(stderr, "# parameters of %s: %s\n", run, hs_fail_text());
        hs_free(slab);
        slab = NULL;
    } else if (state) {
        *state = ckpt.state;
    }
    hs_free(statistics);
    hs_net_destroy(&net);
    hs_checkpoint_head_free(&head);
    free(config);
    return slab;
}

/* On rank 0: do two runs hold the same numbers, bit for bit (LIMIT = 0) or within LIMIT relative to the largest? Other ranks: true. */
static inline bool fixture_same_params(hs_comm *comm, const char *a, const char *b, const char *const *words, double limit)
{
    size_t n = 0, m = 0;
    if (comm->rank != 0)
        return true;
    double *x = fixture_params(a, words, &n, NULL), *y = fixture_params(b, words, &m, NULL);
    bool same = x && y && n == m;
    double most = 0, worst = 0;
    for (size_t i = 0; same && i < n; i++) {
        most = fmax(most, fabs(x[i]));
        worst = fmax(worst, fabs(x[i] - y[i]));
    }
    if (same && limit == 0)
        same = memcmp(x, y, n * sizeof *x) == 0;
    else if (same)
        same = worst <= limit * most;
    if (!same)
        fprintf(stderr, "# %s and %s: %zu and %zu numbers, largest difference %g of %g\n", a, b, n, m, worst, most);
    hs_free(x);
    hs_free(y);
    return same;
}

#endif
