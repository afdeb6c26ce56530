/* bench.c - the benchmark from top to bottom: plan as training would, measure the machine, compare with the reference, time the parts. */
#include "bench.h"

#include <math.h>
#include <string.h>

#include "halfspec.h"

/* In the order in which they run. */
static const struct part {
    const char *name;
    unsigned bit;
    hs_status (*run)(hs_bench *b);
} parts[] = {
    {"transforms", HS_BENCH_TRANSFORMS, hs_bench_transforms},
    {"products", HS_BENCH_PRODUCTS, hs_bench_products},
    {"layers", HS_BENCH_LAYERS, hs_bench_layers},
    {"step", HS_BENCH_STEP, hs_bench_step},
    {"allreduce", HS_BENCH_ALLREDUCE, hs_bench_allreduce},
};
enum { PARTS = sizeof parts / sizeof parts[0] };

hs_status hs_bench_part(const char *word, unsigned *wanted)
{
    const char *names[PARTS];
    for (int i = 0; i < PARTS; i++) {
        names[i] = parts[i].name;
        if (strcmp(word, parts[i].name) == 0) {
            *wanted |= parts[i].bit;
            return HS_OK;
        }
    }
    const char *near = hs_nearest(word, names, PARTS);
    return hs_fail(HS_EUSAGE, "bench: no part '%s'%s%s%s there are transforms, products, layers, step and allreduce", word,
                   near ? "; did you mean '" : ";", near ? near : "", near ? "'?" : "");
}

static bool is_default(const hs_config *config, const char *key)
{
    int count;
    const hs_key *keys = hs_keys(&count);
    for (int i = 0; i < count; i++)
        if (strcmp(keys[i].name, key) == 0)
            return strcmp(config->origin[i], "default") == 0;
    return false;
}

hs_status hs_bench_defaults(hs_config *config)
{
    char data[64];
    if (is_default(config, "net"))
        HS_TRY(hs_config_assign(config, "net=deep k=3"));
    if (is_default(config, "batch"))
        HS_TRY(hs_config_assign(config, "batch=64"));
    if (is_default(config, "lr")) /* random labels are not to be learned, nor is the loss to run away */
        HS_TRY(hs_config_assign(config, "lr=1e-4"));
    snprintf(data, sizeof data, "data=synthetic:%lld,32,32,3,10", (long long)config->batch);
    return is_default(config, "data") ? hs_config_assign(config, data) : HS_OK;
}

/* ---- what is measured ------------------------------------------------------------------------------------------------------------------ */

static void print_facts(hs_bench *b)
{
    const hs_world *w = &b->trainer.world;
    char text[HS_TEXT_MAX];
    snprintf(text, sizeof text, "halfspec %s (%s)", hs_version(), hs_commit());
    hs_report_fact(&b->report, "program", text);
    w->device->backend->device->describe(w->device, text, sizeof text);
    hs_report_fact(&b->report, "device", text);
    snprintf(text, sizeof text, "%d (%s)", w->comm->size, w->comm->ops->name);
    hs_report_fact(&b->report, "ranks", text);
    hs_report_fact(&b->report, "network", hs_net_notation(w->net));
    snprintf(text, sizeof text, "%lld, %d on this rank", (long long)w->config->batch, w->capacity);
    hs_report_fact(&b->report, "batch", text);
}

/* A result far from the reference is worth no time. Rounding gives 1e-6 in fp32; a fault gives far more than these. */
static hs_status judge(const hs_bench *b)
{
    char precision[16];
    hs_config_choice(b->config, "precision", precision, sizeof precision);
    bool rounded = strcmp(precision, "tf32") == 0 || strcmp(precision, "bf16") == 0;
    double limit = rounded ? 5e-2 : 1e-3;
    if (b->report.worst <= limit)
        return HS_OK;
    return hs_fail(HS_EINTERNAL, "%s: differs from the reference by %.2g, more than %g; the times above are of a wrong result", b->report.worst_at,
                   b->report.worst, limit);
}

/* Seconds for each part that times; peaks and the comparison take a few more. */
static unsigned choose_parts(hs_bench *b)
{
    unsigned wanted = b->options->parts ? b->options->parts : b->options->model_scaling ? HS_BENCH_STEP : HS_BENCH_ALL;
    int count = 0;
    if (b->options->model_scaling)
        wanted |= HS_BENCH_STEP;
    for (int i = 0; i < PARTS; i++)
        count += (wanted & parts[i].bit) != 0;
    b->share = b->options->seconds / count;
    return wanted;
}

static hs_status run_parts(hs_bench *b)
{
    unsigned wanted = choose_parts(b);
    double patience = b->config->watchdog > 0 ? 1 + b->options->seconds / b->config->watchdog : 1; /* a part shows no life until it is done */
    hs_watchdog_phase(&b->trainer.dog, "benchmark", 0, patience);
    HS_TRY(hs_agree(b->comm, hs_bench_survey(b)));
    HS_TRY(hs_bench_peaks(b));
    if (!b->options->no_errors)
        HS_TRY(hs_bench_verify(b));
    for (int i = 0; i < PARTS; i++) {
        if (!(wanted & parts[i].bit))
            continue;
        hs_watchdog_phase(&b->trainer.dog, parts[i].name, 0, patience);
        HS_TRY(hs_barrier(b->comm));
        HS_TRY(parts[i].run(b));
    }
    return b->options->model_scaling ? hs_bench_scaling(b) : HS_OK;
}

static hs_status write_json(hs_bench *b)
{
    char *text = NULL;
    HS_TRY(hs_text_take(&b->report.json, &text));
    hs_status st = HS_OK;
    if (b->report.speaks && b->options->json)
        st = hs_file_replace(b->options->json, text, strlen(text));
    hs_free(text);
    return st;
}

static hs_status run(hs_bench *b)
{
    hs_trainer *t = &b->trainer;
    HS_TRY(hs_trainer_open(t, b->config, b->comm, &b->train_options));
    HS_TRY(hs_trainer_plan(t));
    HS_TRY(hs_world_feeds(&t->world, true));
    HS_TRY(hs_agree(b->comm, hs_intake_make(t)));
    HS_TRY(hs_agree(b->comm, hs_replay_make(t)));
    print_facts(b);
    HS_TRY(run_parts(b));
    HS_TRY(hs_agree(b->comm, write_json(b)));
    return hs_agree(b->comm, judge(b));
}

static void close_bench(hs_bench *b)
{
    hs_trainer_close(&b->trainer);
    hs_free(b->report.json.data);
    hs_free(b->layer);
    hs_free(b->x);
    hs_free(b->labels);
    hs_free(b);
}

hs_status hs_bench_run(const hs_config *config, hs_comm *comm, const hs_bench_options *options)
{
    hs_bench *b = NULL;
    hs_config *own = NULL;
    HS_TRY(hs_agree(comm, options->links ? hs_bench_check_links(options->links) : HS_OK));
    hs_status st = hs_calloc(1, sizeof *b, "benchmark", &b);
    if (st == HS_OK)
        st = hs_calloc(1, sizeof *own, "configuration", &own);
    st = hs_agree(comm, st);
    if (st == HS_OK) {
        *own = *config;
        own->prefetch = false; /* reading is timed apart, so it must not go on beside the step */
        *b = (hs_bench){.config = own, .comm = comm, .options = options, .train_options = {.argv = "bench", .log = options->log},
                        .report = {.log = options->log, .speaks = comm->rank == 0}, .error_gradient = NAN};
        st = run(b);
    }
    if (b)
        close_bench(b);
    hs_free(own);
    return st;
}
