/* verify.c - the planned network against the reference on a sample or two: every row's output, the gradients that it makes, in the run that is timed.
 *
 * The device's pass goes first and every edge is kept. Then the reference's network, in double and all in space, runs on the same parameters; behind
 * each row what it wrote is compared with the device's and REPLACED by it. So each row is judged on equal input: errors do not add up from layer
 * to layer, and a maximum or a rectifier cannot tip over because of the last bit of a row before. Rows are matched by name: what the planner inserted
 * (transforms) the reference does not have, and what a backend fused into one row it has as several. */
#include <math.h>
#include <string.h>

#include "bench.h"

/* What the device wrote in one row, brought to space. FIRST .. LAST: rows of the reference that do the same; none if FIRST > LAST. */
typedef struct seen {
    double *y, *dx; /* [n][h][w][c]; NULL: nothing */
    int first, last;
} seen;

typedef struct comparison {
    hs_bench *b;
    int n;
    hs_device *device; /* the reference's */
    hs_stream *stream;
    hs_net *net;
    seen *row; /* [b->rows] */
    double *gradient, *parameters, *statistics; /* the device's slabs */
    float *x;
    int32_t labels[2];
} comparison;

/* ---- edges in space -------------------------------------------------------------------------------------------------------------------- */

static size_t edge_count(const comparison *c, hs_shape s, hs_domain domain)
{
    return (size_t)c->n * (domain == HS_SPACE ? hs_shape_count(s) : 2 * (size_t)hs_bins_count(s.h, s.w) * (size_t)s.c);
}

/* The reference's own transform, of host memory, in double. */
static hs_status change_domain(const comparison *c, hs_shape s, bool to_space, const double *from, double *to)
{
    const hs_transform_ops *ops = c->device->backend->transform;
    hs_transform *plan = NULL;
    void *scratch = NULL;
    HS_TRY(ops->plan(c->device, c->n, s.h, s.w, s.c, &plan));
    hs_status st = hs_calloc(ops->scratch_bytes(plan) + 1, 1, "scratch of a transform", &scratch);
    if (st == HS_OK)
        st = to_space ? ops->inverse(c->stream, plan, c->n, from, to, scratch) : ops->forward(c->stream, plan, c->n, from, to, scratch);
    hs_free(scratch);
    ops->destroy(&plan);
    return st;
}

/* A copy in space of an edge that DEVICE holds in DOMAIN. */
static hs_status fetch_edge(const comparison *c, hs_device *device, hs_stream *stream, hs_shape s, hs_domain domain, const void *data, double **out)
{
    double *raw = NULL, *space = NULL;
    size_t count = edge_count(c, s, domain);
    HS_TRY(hs_calloc(count, sizeof *raw, "an edge to compare", &raw));
    hs_status st = hs_bench_download(device, stream, data, count, raw);
    if (st == HS_OK && domain == HS_SPECTRUM)
        st = hs_calloc(edge_count(c, s, HS_SPACE), sizeof *space, "an edge to compare", &space);
    if (st == HS_OK && domain == HS_SPECTRUM)
        st = change_domain(c, s, true, raw, space);
    if (st == HS_OK) {
        *out = space ? space : raw;
        if (space)
            hs_free(raw);
        return HS_OK;
    }
    hs_free(raw);
    hs_free(space);
    return st;
}

/* ---- the two passes ---------------------------------------------------------------------------------------------------------------------- */

static hs_status keep_row(void *context, int row, bool backward, void *data)
{
    comparison *c = context;
    const hs_world *w = &c->b->trainer.world;
    const hs_layer_row *r = &c->b->layer[row].row;
    if (!data || (backward ? r->sealed_from : r->sealed))
        return HS_OK;
    return fetch_edge(c, w->device, w->stream, backward ? r->in : r->out, backward ? r->from : r->domain, data,
                      backward ? &c->row[row].dx : &c->row[row].y);
}

static void note_error(double *error, double found)
{
    if (isnan(*error) || found > *error || isnan(found))
        *error = isnan(found) ? INFINITY : found;
}

/* A rectifier's zeros that went through a spectrum come back as rounding errors of either sign: where the reference has none of it, they are 0 again. */
static void restore_zeros(const double *own, double *theirs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        theirs[i] = own[i] == 0 ? 0 : theirs[i];
}

/* Row ROW of the reference is done: compare with the rows of the device that end here (backward: begin here), and go on with theirs. */
static hs_status judge_row(void *context, int row, bool backward, void *data)
{
    comparison *c = context;
    hs_layer_row r;
    double *own = NULL, *theirs = NULL;
    if (!data)
        return HS_OK;
    hs_net_row(c->net, row, &r);
    hs_shape shape = backward ? r.in : r.out;
    hs_domain domain = backward ? r.from : r.domain;
    HS_TRY(fetch_edge(c, c->device, c->stream, shape, domain, data, &own));
    for (int i = 0; i < c->b->rows; i++) {
        const seen *s = &c->row[i];
        double *x = backward ? s->dx : s->y;
        if (!x || (backward ? s->first : s->last) != row)
            continue;
        note_error(backward ? &c->b->layer[i].error_backward : &c->b->layer[i].error_forward, hs_bench_rms(x, own, edge_count(c, shape, HS_SPACE)));
        theirs = x;
        if (!backward && c->b->layer[i].row.domain == HS_SPECTRUM)
            restore_zeros(own, theirs, edge_count(c, shape, HS_SPACE));
    }
    hs_free(own);
    if (!theirs)
        return HS_OK;
    if (domain == HS_SPECTRUM)
        return change_domain(c, shape, false, theirs, data);
    memcpy(data, theirs, edge_count(c, shape, HS_SPACE) * sizeof *theirs);
    return HS_OK;
}

static hs_status run_pass(comparison *c, hs_net *net, hs_stream *stream, hs_status (*mark)(void *, int, bool, void *))
{
    hs_net_hooks hooks = {.context = c, .mark = mark};
    hs_pass pass = {.n = c->n, .global = c->n, .seed = (uint64_t)c->b->config->seed, .training = true, .hooks = &hooks};
    hs_loss_sums sums;
    HS_TRY(hs_net_forward(net, stream, &pass, c->x));
    HS_TRY(hs_net_loss(net, stream, &pass, c->labels, &sums));
    return hs_net_backward(net, stream, &pass);
}

/* ---- matching --------------------------------------------------------------------------------------------------------------------------- */

static bool is_transform(const hs_layer_row *row)
{
    return strcmp(row->notation, "-") == 0;
}

/* Transforms are numbered as each planner inserted them: their names say nothing. */
static int find_row(const hs_net *net, const hs_layer_row *wanted)
{
    for (int i = 0; i < hs_net_rows(net) && !is_transform(wanted); i++) {
        hs_layer_row r;
        hs_net_row(net, i, &r);
        if (strcmp(r.name, wanted->name) == 0)
            return i;
    }
    return -1;
}

/* "R SP6": a row that took in the rectifier before it begins with that. */
static int taken_in(const hs_layer_row *row)
{
    return strncmp(row->notation, "R ", 2) == 0;
}

/* A row reaches up to the next one that the reference knows. A transform does nothing: it ends where the row before it ends and begins where the
 * next one begins. */
static void match_rows(comparison *c)
{
    int next = hs_net_rows(c->net);
    for (int i = c->b->rows; i-- > 0;) {
        int found = find_row(c->net, &c->b->layer[i].row);
        c->row[i].first = found >= 0 ? found - taken_in(&c->b->layer[i].row) : next;
        c->row[i].last = next - 1;
        next = c->row[i].first;
    }
}

/* ---- life --------------------------------------------------------------------------------------------------------------------------------- */

static hs_status copy_slab(comparison *c, const void *from, size_t count, double *kept, void *to)
{
    const hs_world *w = &c->b->trainer.world;
    HS_TRY(hs_bench_download(w->device, w->stream, from, count, kept));
    return to ? c->device->backend->memory->upload(c->stream, to, kept, count * sizeof *kept) : HS_OK;
}

static hs_status make_net(comparison *c)
{
    const hs_net *net = c->b->trainer.world.net;
    hs_net_options options;
    hs_plan_options plan = {.capacity = c->n, .training = true, .mode = "estimate"};
    hs_config_net_options(c->b->config, &options);
    HS_TRY(hs_net_create(hs_net_notation(net), &options, hs_net_input(net), hs_net_classes(net), &c->net));
    return hs_net_plan(c->net, c->device, c->stream, &plan);
}

static hs_status open_comparison(comparison *c)
{
    hs_net *net = c->b->trainer.world.net;
    size_t params = hs_net_params_count(net), statistics = hs_net_statistics_count(net), inputs = (size_t)c->n * hs_shape_count(hs_net_input(net));
    HS_TRY(hs_bench_reference(c->b->options->log, &c->device, &c->stream));
    HS_TRY(make_net(c));
    HS_TRY(hs_calloc((size_t)c->b->rows, sizeof *c->row, "rows to compare", &c->row));
    HS_TRY(hs_calloc(params + 1, sizeof(double), "gradients to compare", &c->gradient));
    HS_TRY(hs_calloc(params + 1, sizeof(double), "parameters to compare", &c->parameters));
    HS_TRY(hs_calloc(statistics + 1, sizeof(double), "statistics to compare", &c->statistics));
    HS_TRY(hs_calloc(inputs, sizeof(float), "a sample to compare", &c->x));
    hs_bench_random(4, c->x, inputs);
    c->labels[1] = (int32_t)(hs_net_classes(net) - 1);
    HS_TRY(copy_slab(c, hs_net_slab(net), params, c->parameters, hs_net_slab(c->net)));
    return copy_slab(c, hs_net_statistics_slab(net), statistics, c->statistics, hs_net_statistics_slab(c->net));
}

static void close_comparison(comparison *c)
{
    for (int i = 0; c->row && i < c->b->rows; i++) {
        hs_free(c->row[i].y);
        hs_free(c->row[i].dx);
    }
    hs_free(c->row);
    hs_free(c->gradient);
    hs_free(c->parameters);
    hs_free(c->statistics);
    hs_free(c->x);
    hs_net_destroy(&c->net);
    hs_bench_reference_close(&c->device, &c->stream);
}

/* Gradients of each row's parameters, which lie together, and of all. */
static void judge_gradients(comparison *c)
{
    int count = 0;
    const hs_param *param = hs_net_params(c->net, &count);
    const double *reference = hs_net_gradients(c->net); /* the reference's memory is the host's */
    for (int i = 0; i < c->b->rows; i++)
        for (int p = 0; p < count; p++)
            if (strcmp(param[p].layer, c->b->layer[i].row.name) == 0)
                note_error(&c->b->layer[i].error_backward, hs_bench_rms(c->gradient + param[p].offset, reference + param[p].offset, param[p].count));
    c->b->error_gradient = hs_bench_rms(c->gradient, reference, hs_net_params_count(c->net));
}

static hs_status compare(comparison *c)
{
    const hs_world *w = &c->b->trainer.world;
    HS_TRY(open_comparison(c));
    match_rows(c);
    HS_TRY(run_pass(c, w->net, w->stream, keep_row));
    HS_TRY(copy_slab(c, hs_net_gradients(w->net), hs_net_params_count(w->net), c->gradient, NULL));
    HS_TRY(run_pass(c, c->net, c->stream, judge_row));
    judge_gradients(c);
    return HS_OK;
}

hs_status hs_bench_verify(hs_bench *b)
{
    enum { MOST_GFLOP = 40 }; /* the reference does about one or two a second */
    double gflop = 0;
    for (int i = 0; i < b->rows; i++)
        gflop += b->layer[i].row.gflop;
    comparison c = {.b = b, .n = gflop < 1 && b->trainer.world.capacity > 1 ? 2 : 1};
    hs_status st = HS_OK;
    if (gflop > MOST_GFLOP) {
        hs_report_say(&b->report, "\nlayers and step are not compared with the reference: one sample would be %.0f GFLOP for its plain loops", gflop);
        return HS_OK;
    }
    if (b->comm->rank == 0) {
        st = compare(&c);
        close_comparison(&c);
    }
    return hs_agree(b->comm, st);
}
