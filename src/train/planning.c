/* planning.c - the network's plan in the mode of the key `plan`. An estimate needs nobody: equal arguments give equal plans. Measured costs are
 * rank 0's alone: it reads them, measures what is missing, decides, keeps them, and tells the others what to do, because ranks that run different
 * algorithms get different roundings. The others plan their own capacity by these decisions and never look at the file. */
#include <string.h>

#include "halfspec.h"
#include "train.h"

/* "model name : AMD EPYC .." of the first processor; "" where the system does not tell. */
static void processor_name(char *text, size_t capacity)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    text[0] = '\0';
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
            snprintf(text, capacity, "%s", strchr(line, ':') + 2);
            text[strcspn(text, "\n")] = '\0';
            break;
        }
    if (f)
        fclose(f);
}

/* All that measured costs depend on and a layer does not tell: our version, processor, device with its libraries and threads, precision. */
static void machine_text(const hs_world *w, char *text, size_t capacity)
{
    char device[256], processor[128], precision[16];
    w->device->backend->device->describe(w->device, device, sizeof device);
    processor_name(processor, sizeof processor);
    hs_config_choice(w->config, "precision", precision, sizeof precision);
    snprintf(text, capacity, "halfspec %s; %s; %s; %s", hs_version(), processor, device, precision);
}

static hs_status open_wisdom(const hs_world *w, const char *mode, char *path, size_t capacity, hs_wisdom **wisdom)
{
    char machine[512];
    path[0] = '\0';
    machine_text(w, machine, sizeof machine);
    if (strcmp(mode, "wisdom") == 0) {
        snprintf(path, capacity, "%s", w->config->wisdom);
        if (!path[0])
            HS_TRY(hs_wisdom_default_path(path, capacity));
        if (!path[0])
            hs_warn(w->log, "plan = wisdom: neither XDG_CACHE_HOME nor HOME says where to keep measured costs; set the key wisdom to a file");
    }
    return hs_wisdom_open(path, machine, w->log, wisdom);
}

/* What rank 0 does, or a rank that is alone. */
static hs_status plan_by_clock(hs_world *w, const char *mode, hs_plan_options *options)
{
    char path[HS_TEXT_MAX];
    hs_wisdom *wisdom = NULL;
    HS_TRY(open_wisdom(w, mode, path, sizeof path, &wisdom));
    options->wisdom = wisdom;
    double start = hs_now();
    hs_status st = hs_net_plan(w->net, w->device, w->stream, options);
    if (st == HS_OK) {
        hs_wisdom_save(wisdom);
        hs_info(w->log, "planner: %d costs measured in %.2f s%s%s", hs_wisdom_measured(wisdom), hs_now() - start, path[0] ? ", wisdom in " : "", path);
    }
    hs_wisdom_close(&wisdom);
    return st;
}

/* COLLECTIVE. Rank 0's decisions to all; *TEXT is freed with hs_free. */
static hs_status share_decisions(const hs_world *w, char **text)
{
    hs_comm *comm = w->comm;
    uint64_t length = comm->rank == 0 ? strlen(hs_net_decisions(w->net)) : 0;
    HS_TRY(hs_broadcast(comm, &length, sizeof length, 0));
    HS_TRY(hs_agree(comm, hs_calloc(length + 1, 1, "decisions of the planner", text)));
    if (comm->rank == 0)
        memcpy(*text, hs_net_decisions(w->net), length);
    return hs_broadcast(comm, *text, length + 1, 0);
}

static hs_status follow(hs_world *w, const char *decisions, const hs_plan_options *options)
{
    HS_TRY(hs_net_force_decisions(w->net, decisions));
    return hs_net_plan(w->net, w->device, w->stream, options);
}

hs_status hs_world_plan_net(hs_world *w, bool training)
{
    char mode[16], *decisions = NULL;
    hs_config_choice(w->config, "plan", mode, sizeof mode);
    hs_plan_options options = {.capacity = w->capacity, .training = training, .mode = mode};
    if (strcmp(mode, "estimate") == 0)
        return hs_agree(w->comm, hs_net_plan(w->net, w->device, w->stream, &options));
    HS_TRY(hs_agree(w->comm, w->comm->rank == 0 ? plan_by_clock(w, mode, &options) : HS_OK));
    if (w->comm->size == 1)
        return HS_OK;
    hs_status st = share_decisions(w, &decisions);
    if (st == HS_OK)
        st = hs_agree(w->comm, w->comm->rank == 0 ? HS_OK : follow(w, decisions, &options));
    hs_free(decisions);
    return st;
}
