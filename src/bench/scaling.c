/* scaling.c - what many ranks would do, from one measured step: an alpha-beta model, a PREDICTION and never more than that.
 *
 * Weak scaling: every rank keeps the batch it has here. An all-reduce of S bytes over P ranks in nodes of g:
 *   T(S) = inside + S * (2 (g-1)/g) / node-bus                                          within a node
 *        + start + 2 log2(nodes) * hop + (S/g) / (link * links/g)                       between nodes, if there are several
 * The first line is a reduce-scatter and an all-gather on the node's bus; between nodes the g ranks of a node each sum their share S/g up and down a
 * binary tree, both ways at once, over the node's links. Backward hides it in B equal buckets: the first may leave when 1/B of backward is done, the
 * last only at its end, and one follows the other:
 *   exposed = max( T(S/B), B T(S/B) - (1 - 1/B) backward ),   step(P) = step + exposed.
 * Not in it: kernels of the library that compete with ours for the device, slow ranks, other traffic, reading data. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

typedef struct links {
    double node, inside, bus, start, hop, link, links;
} links;

/* Order of the struct. Defaults: a node of 8 GPUs with an in-network-reducing switch, one 400 Gb/s adapter a GPU. */
static const struct figure {
    const char *name;
    double value, minimum;
    const char *help;
} figures[] = {
    {"node", 8, 1, "ranks that share a node"},
    {"inside", 25e-6, 0, "s, latency of an all-reduce within a node"},
    {"node-bus", 480e9, 1, "bytes/s, bus bandwidth of a node's all-reduce"},
    {"start", 6.6e-6, 0, "s, to begin the part between nodes"},
    {"hop", 8.5e-6, 0, "s, of one hop of the tree between nodes"},
    {"link", 47e9, 1, "bytes/s, of one network link, each way"},
    {"links", 8, 1, "network links of a node"},
};
enum { FIGURES = sizeof figures / sizeof figures[0] };

/* One "name=value". */
static hs_status take_figure(const char *word, double *values)
{
    const char *names[FIGURES];
    size_t length = strcspn(word, "=");
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)(length < 31 ? length : 31), word);
    for (int i = 0; i < FIGURES; i++) {
        names[i] = figures[i].name;
        if (strcmp(name, figures[i].name) != 0)
            continue;
        if (word[length] != '=' || !hs_number_parse(word + length + 1, &values[i]) || values[i] < figures[i].minimum)
            return hs_fail(HS_EUSAGE, "--links %s: %s is a number of at least %g: %s", word, name, figures[i].minimum, figures[i].help);
        return HS_OK;
    }
    const char *near = hs_nearest(name, names, FIGURES);
    return hs_fail(HS_EUSAGE, "--links: no figure '%s'%s%s%s `halfspec help bench` lists them", name, near ? "; did you mean '" : ";", near ? near : "",
                   near ? "'?" : "");
}

static hs_status parse_links(const char *text, links *l)
{
    double v[FIGURES];
    char word[64];
    for (int i = 0; i < FIGURES; i++)
        v[i] = figures[i].value;
    for (const char *p = text ? text : ""; *p; p += *p == ',') {
        size_t length = strcspn(p, ",");
        if (length >= sizeof word)
            return hs_fail(HS_EUSAGE, "--links: '%.40s...' is too long for name=value", p);
        snprintf(word, sizeof word, "%.*s", (int)length, p);
        HS_TRY(take_figure(word, v));
        p += length;
    }
    *l = (links){.node = floor(v[0]), .inside = v[1], .bus = v[2], .start = v[3], .hop = v[4], .link = v[5], .links = v[6]};
    return HS_OK;
}

hs_status hs_bench_check_links(const char *text)
{
    links l;
    return parse_links(text, &l);
}

/* ---- the model ---------------------------------------------------------------------------------------------------------------------------- */

static double sum_seconds(const links *l, double ranks, double bytes)
{
    double g = ranks < l->node ? ranks : l->node, nodes = ceil(ranks / g);
    double t = g > 1 ? l->inside + bytes * 2 * (g - 1) / g / l->bus : 0;
    if (nodes > 1)
        t += l->start + 2 * log2(nodes) * l->hop + bytes / (l->link * l->links);
    return t;
}

static double exposed_seconds(const links *l, double ranks, double bytes, double buckets, double backward)
{
    double one = sum_seconds(l, ranks, bytes / buckets), rest = buckets * one - (1 - 1 / buckets) * backward;
    return rest > one ? rest : one;
}

static void print_head(hs_bench *b, const links *l, double local, double bytes, double buckets, double alone)
{
    hs_report *r = &b->report;
    hs_report_say(r, "\nPREDICTION, not a measurement: weak scaling by an alpha-beta model of the links");
    hs_report_say(r, "measured here   step of a rank without waiting %.3f ms, of it backward %.3f ms; %g images a rank", alone * 1e3, b->backward * 1e3, local);
    hs_report_say(r, "known           gradients %.3f MB in %g buckets (key comm.bucket)", bytes * 1e-6, buckets);
    hs_report_say(r, "assumed         node=%g inside=%g node-bus=%g start=%g hop=%g link=%g links=%g (option --links)", l->node, l->inside, l->bus, l->start,
                  l->hop, l->link, l->links);
    hs_report_say(r, "%8s %14s %14s %12s %12s %14s %12s", "ranks", "global batch", "sum alone ms", "exposed ms", "step ms", "img/s", "efficiency");
}

hs_status hs_bench_scaling(hs_bench *b)
{
    const hs_world *w = &b->trainer.world;
    links l;
    HS_TRY(parse_links(b->options->links, &l));
    double bytes = (double)hs_net_params_count(w->net) * (double)w->device->backend->real, local = (double)w->config->batch / w->comm->size;
    double buckets = ceil(bytes / (double)w->config->bucket), alone = b->step - (w->comm->size > 1 ? b->exposed : 0);
    buckets = buckets < 1 ? 1 : buckets > HS_COMM_BUCKETS ? HS_COMM_BUCKETS : buckets;
    print_head(b, &l, local, bytes, buckets, alone);
    for (int ranks = 8; ranks <= 4096; ranks *= 2) {
        double sum = buckets * sum_seconds(&l, ranks, bytes / buckets), exposed = exposed_seconds(&l, ranks, bytes, buckets, b->backward);
        double step = alone + exposed, rate = ranks * local / step;
        hs_report_say(&b->report, "%8d %14.0f %14.3f %12.3f %12.3f %14.0f %11.1f%%", ranks, ranks * local, sum * 1e3, exposed * 1e3, step * 1e3, rate,
                      100 * alone / step);
        hs_text_add(&b->report.json,
                    "{\"part\":\"prediction\",\"ranks\":%d,\"sum_seconds\":%.6g,\"exposed_seconds\":%.6g,\"step_seconds\":%.6g,\"img_per_s\":%.6g,"
                    "\"efficiency\":%.6g}\n",
                    ranks, sum, exposed, step, rate, alone / step);
    }
    return HS_OK;
}
