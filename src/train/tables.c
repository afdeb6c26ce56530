/* tables.c - two tables for people: the plan before the first step, and where the time went after the last. Rank 0. */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "halfspec.h"
#include "train.h"

static void bytes_text(double bytes, char *text, size_t capacity)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int i = 0;
    while (bytes >= 1024 && i < 4) {
        bytes /= 1024;
        i++;
    }
    snprintf(text, capacity, i ? "%.1f %s" : "%.0f %s", bytes, unit[i]);
}

/* "-": not known. */
static const char *ms_text(double seconds, char text[16])
{
    snprintf(text, 16, seconds > 0 ? "%.3f" : "-", 1e3 * seconds);
    return text;
}

static void layer_rows(const hs_trainer *t)
{
    const hs_net *net = t->world.net;
    const hs_log *log = t->world.log;
    double gflop = 0, predicted = 0, measured = 0;
    char ms[2][16];
    hs_info(log, "%-10s %-28s %-14s %-9s %-14s %12s %12s %10s %13s %12s", "layer", "notation", "output", "domain", "engine", "parameters",
            "activations", "MFLOP/img", "predicted ms", "measured ms");
    for (int i = 0; i < hs_net_rows(net); i++) {
        hs_layer_row row;
        char shape[48], bytes[32];
        hs_net_row(net, i, &row);
        snprintf(shape, sizeof shape, "%dx%dx%d", row.out.h, row.out.w, row.out.c);
        bytes_text((double)row.activation_bytes, bytes, sizeof bytes);
        hs_info(log, "%-10s %-28s %-14s %-9s %-14s %12zu %12s %10.2f %13s %12s", row.name, row.notation, shape,
                row.domain == HS_SPECTRUM ? "spectrum" : "space", row.engine, row.params, bytes, row.gflop * 1e3, ms_text(row.predicted, ms[0]),
                ms_text(row.measured, ms[1]));
        gflop += row.gflop;
        predicted += row.predicted;
        measured += row.measured;
    }
    hs_info(log, "%-10s %-28s %-14s %-9s %-14s %12zu %12s %10.2f %13s %12s", "total", "", "", "", "", hs_net_params_count(net), "", gflop * 1e3,
            ms_text(predicted, ms[0]), ms_text(measured, ms[1]));
}

static void memory_rows(const hs_trainer *t)
{
    const hs_log *log = t->world.log;
    hs_net_bytes b;
    char text[9][32];
    hs_net_memory(t->world.net, &b);
    double optim = (double)hs_optim_bytes(t->optim);
    double kinds[8] = {(double)b.params,  (double)b.gradients, optim, (double)b.statistics, (double)b.activations, (double)b.scratch,
                       (double)b.tables, (double)b.total + optim};
    for (int i = 0; i < 8; i++)
        bytes_text(kinds[i], text[i], sizeof text[i]);
    bytes_text(hs_history_bytes(t), text[8], sizeof text[8]);
    hs_info(log, "bytes per rank: parameters %s, gradients %s, optimizer %s, statistics %s, activations %s, scratch %s, tables %s; total %s",
            text[0], text[1], text[2], text[3], text[4], text[5], text[6], text[7]);
    hs_info(log, "filter history on disk, uncompressed: about %s", text[8]);
}

/* What the network has left, and what data would take of it; see intake.c for who gets it. */
static void device_row(const hs_trainer *t)
{
    const hs_world *w = &t->world;
    const hs_data_ops *ops = w->device->backend->data;
    char text[3][32];
    if (!ops)
        return;
    bytes_text((double)ops->room(w->device), text[0], sizeof text[0]);
    bytes_text((double)hs_intake_bytes(t), text[1], sizeof text[1]);
    bytes_text((double)hs_look_bytes(w), text[2], sizeof text[2]);
    hs_info(w->log, "device memory left for data: %s, of which %g may hold the training set, %s, and the same of the rest the held-out set, %s", text[0],
            w->config->resident, text[1], text[2]);
}

/* The process as the kernel will see it at its largest; on a GPU the network is not in it. */
static void footprint_rows(const hs_trainer *t)
{
    hs_footprint f;
    char text[8][32];
    hs_footprint_make(t, &f);
    const double part[8] = {f.program, f.data, f.slabs, f.batches, f.ranks, f.history, f.files, f.total};
    for (int i = 0; i < 8; i++)
        bytes_text(part[i], text[i], sizeof text[i]);
    hs_info(t->world.log, "memory of rank 0 at its peak: program and libraries %s, data sets %s, network and optimizer %s, batches %s, sums of ranks %s, "
            "history %s, files being written %s; total %s", text[0], text[1], text[2], text[3], text[4], text[5], text[6], text[7]);
}

/* Histories are kept in memory while they grow: said now, as it may take days until it shows. */
static void warn_of_memory(const hs_trainer *t)
{
    hs_footprint f;
    char grows[32], room[32], history[32];
    hs_footprint_make(t, &f);
    const double more = f.total - hs_resident_bytes(), left = hs_available_bytes();
    bytes_text(more, grows, sizeof grows);
    bytes_text(left, room, sizeof room);
    bytes_text(hs_history_bytes(t), history, sizeof history);
    if (left > 0 && more > left)
        hs_warn(t->world.log, "until its end this run may take %s more of memory, and %s are free here. The history of filters is %s of it: a larger "
                "history.every or history.filters = first:N takes less", grows, room, history);
}

static void steps_row(const hs_trainer *t)
{
    const hs_world *w = &t->world;
    hs_info(w->log, "%lld training and %lld held-out samples; batch %lld over %d rank%s (at most %d each); %lld steps an epoch, %lld in all",
            (long long)w->train->count, (long long)w->held->count, (long long)w->config->batch, w->comm->size, w->comm->size > 1 ? "s" : "",
            w->capacity, (long long)t->epoch_steps, (long long)t->total_steps);
}

void hs_table_plan(hs_trainer *t, bool full)
{
    const hs_world *w = &t->world;
    char device[256];
    if (w->comm->rank != 0)
        return;
    w->device->backend->device->describe(w->device, device, sizeof device);
    hs_info(w->log, "halfspec %s (%s): %s; ranks: %d, %s", hs_version(), hs_commit(), device, w->comm->size, w->comm->ops->name);
    hs_info(w->log, "network %s, %zu parameters; data %s; optimizer %s", hs_net_notation(w->net), hs_net_params_count(w->net), w->train->source,
            hs_optim_kind_name(t->optim_config.kind));
    if (full) {
        layer_rows(t);
        memory_rows(t);
        device_row(t);
        footprint_rows(t);
    }
    steps_row(t);
    warn_of_memory(t);
}

void hs_table_times(hs_trainer *t)
{
    const hs_world *w = &t->world;
    const hs_times *m = &t->times;
    if (w->comm->rank != 0 || m->samples == 0)
        return;
    const struct {
        const char *name;
        double seconds;
    } row[] = {{"data", m->data},           {"forward", m->forward},       {"backward", m->backward}, {"communication", m->communication},
               {"optimizer", m->optimizer}, {"evaluation", m->evaluation}, {"output", m->output},
               {"recorded steps", m->recorded}}; /* the last only where there are any */
    double total = hs_now() - t->started, named = 0;
    hs_info(w->log, "%-24s %10s %7s", "time", "s", "%");
    for (size_t i = 0; i < sizeof row / sizeof row[0] - (m->recorded == 0); i++) {
        hs_info(w->log, "%-24s %10.2f %7.1f", strcmp(row[i].name, "communication") == 0 ? "communication (exposed)" : row[i].name,
                row[i].seconds, 100 * row[i].seconds / total);
        named += row[i].seconds;
    }
    hs_info(w->log, "%-24s %10.2f %7.1f", "start and rest", total - named, 100 * (total - named) / total);
    hs_footprint f;
    char peak[32], planned[32];
    hs_footprint_make(t, &f);
    bytes_text(hs_resident_peak(), peak, sizeof peak);
    bytes_text(f.total, planned, sizeof planned);
    hs_info(w->log, "%-24s %18s   planned %s", "memory at the peak", peak, planned);
    hs_info(w->log, "%-24s %10.2f %7.1f   %.0f img/s in steps, %.0f img/s over all", "total", total, 100.0,
            m->steps > 0 ? (double)m->samples / m->steps : 0, (double)m->samples / total);
}
