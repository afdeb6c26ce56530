/* plan.c - which domain every edge lives in and which engine every layer uses: a shortest path over the list of layers with two states per edge.
 * A layer offers ways (domain in, domain out, engine) with estimated seconds; a transform costs what the backend says; two transforms that
 * would cancel never arise, because an edge has one domain. An edge with two readers (a residual block) is offered in space. */
#include <stdio.h>
#include <string.h>

#include "net.h"

static const char *const domain_names[] = {"space", "spectrum"}, *const engine_names[] = {"-", "direct", "fft"};

/* The best way to have the output of a layer in one domain. */
typedef struct best {
    bool possible;
    double cost;
    hs_domain before; /* domain of the previous edge */
    hs_choice choice;
} best;

/* What the search knows of a layer and of the edge behind it. */
typedef struct stage {
    hs_choice list[HS_CHOICES];
    int count;
    double change[2]; /* seconds of a transform of the edge from this domain to the other */
    best to[2];       /* by domain of the edge */
} stage;

size_t hs_plan_count(hs_shape shape, hs_domain domain)
{
    return domain == HS_SPACE ? hs_shape_count(shape) : (size_t)hs_bins_count(shape.h, shape.w) * 2 * (size_t)shape.c;
}

/* 10 GB/s, a core's share of memory: for what backends give no cost of. */
static double cost_of_bytes(double bytes)
{
    return bytes * 1e-10;
}

/* Input and output moved once forward and once backward. */
static double cost_of_maps(const hs_net *net, const hs_node *node)
{
    double numbers = (double)(hs_shape_count(node->in) + hs_shape_count(node->out)) * net->plan.capacity;
    return cost_of_bytes((net->plan.training ? 2 : 1) * numbers * net->backend->real);
}

/* Which gradients are needed: those upstream of which there is a parameter, or the input's own if asked for. */
static void mark_needs(const hs_net *net, hs_node *const *list, int count)
{
    for (int i = 0; i < count; i++)
        list[i]->consumers = 0;
    for (int i = 0; i < count; i++) {
        hs_node *node = list[i];
        node->wanted = net->plan.training && (node->params > 0 || (node->inputs == 0 && net->want_dx));
        for (int k = 0; k < node->inputs; k++) {
            node->need_dx[k] = node->input[k]->wanted;
            node->wanted = node->wanted || node->need_dx[k];
            node->input[k]->consumers++;
        }
    }
}

/* ---- decisions as text ------------------------------------------------------------------------------------------------------ */

void hs_decision_text(const hs_node *node, const hs_choice *c, char *text, size_t capacity)
{
    char way[16] = "";
    if (c->way)
        snprintf(way, sizeof way, ".%d", c->way);
    snprintf(text, capacity, "%s=%s%s%s%s%s:%s>%s;", node->name, node->relu_in ? "relu+" : "", engine_names[c->engine], way,
             node->relu_out ? "+relu" : "", node->pool ? "+max" : "", domain_names[c->in], domain_names[c->out]);
}

/* Items begin at the start or behind a ';'. */
bool hs_decision_forced(const char *forced, const hs_node *node, const hs_choice *c)
{
    char item[HS_DECISION_MAX];
    hs_decision_text(node, c, item, sizeof item);
    for (const char *p = strstr(forced, item); p; p = strstr(p + 1, item))
        if (p == forced || p[-1] == ';')
            return true;
    return false;
}

const char *hs_net_decisions(const hs_net *net)
{
    return net->decisions ? net->decisions : "";
}

hs_status hs_net_force_decisions(hs_net *net, const char *decisions)
{
    char *copy = NULL;
    HS_TRY(hs_calloc(strlen(decisions) + 1, 1, "planner's decisions", &copy));
    memcpy(copy, decisions, strlen(decisions) + 1);
    hs_free(net->forced);
    net->forced = copy;
    return HS_OK;
}

/* ---- what there is to choose from ----------------------------------------------------------------------------------------------- */

/* The ways of NODE, after what another rank decided. */
static hs_status list_choices(const hs_net *net, const hs_node *node, stage *own)
{
    if (!node->kind->choices) {
        double seconds = node->kind->cost ? node->kind->cost(net, node) : cost_of_maps(net, node);
        own->list[0] = (hs_choice){.in = HS_SPACE, .out = HS_SPACE, .engine = HS_ENGINE_AUTO, .cost = seconds, .estimate = seconds};
        own->count = 1;
        return HS_OK;
    }
    int offered = node->kind->choices(net, node, own->list), kept = 0;
    if (offered == 0)
        return hs_fail(HS_EUNSUPPORTED, "layer %s (%s): backend %s cannot do this; try another engine, boundary = zero, or device = ref", node->name,
                       node->notation, net->backend->name);
    for (int i = 0; i < offered; i++)
        if (!net->forced || hs_decision_forced(net->forced, node, &own->list[i]))
            own->list[kept++] = own->list[i];
    for (int i = 0; i < kept; i++)
        own->list[i].estimate = own->list[i].cost;
    own->count = kept;
    return kept ? HS_OK : hs_fail(HS_EDESYNC, "layer %s: rank 0 planned something that this rank's backend %s does not offer; use one kind of device",
                                  node->name, net->backend->name);
}

/* What was measured before, here or in another run, is not measured again. */
hs_status hs_plan_measure(const hs_net *net, hs_stream *s, const hs_node *node, hs_choice *choice)
{
    char what[HS_WISDOM_KEY];
    hs_wisdom_of_choice(net, node, choice, what, sizeof what);
    if (hs_wisdom_knows(net->plan.wisdom, what, &choice->cost))
        return HS_OK;
    HS_TRY(hs_measure_choice(net, node, s, choice));
    return hs_wisdom_learn(net->plan.wisdom, what, choice->cost);
}

/* Times in place of estimates. */
static hs_status measure_choices(const hs_net *net, hs_stream *s, const hs_node *node, stage *own)
{
    for (int c = 0; c < own->count && node->inputs == 1; c++)
        HS_TRY(hs_plan_measure(net, s, node, &own->list[c]));
    return HS_OK;
}

/* A transform is spectral pooling to the same size from one domain to the other; backends that do not offer that are charged as moving a map
 * eight times (two axes, read and write, there and back). */
static double transform_cost(const hs_net *net, hs_shape shape, hs_domain from)
{
    const hs_pool_ops *ops = net->backend->pool;
    hs_spool_desc desc = {.capacity = net->plan.capacity, .h = shape.h, .w = shape.w, .c = shape.c, .oh = shape.h, .ow = shape.w,
                          .norm = HS_POOL_UNITARY, .in = from, .out = from == HS_SPACE ? HS_SPECTRUM : HS_SPACE};
    if (ops->spectral_supports(net->device, &desc))
        return ops->spectral_cost(net->device, &desc);
    return cost_of_bytes(8.0 * (double)hs_shape_count(shape) * net->plan.capacity * net->backend->real);
}

static hs_status measure_transform(const hs_net *net, hs_stream *s, hs_shape shape, double *seconds)
{
    char what[HS_WISDOM_KEY];
    hs_wisdom_of_transform(net, shape, what, sizeof what);
    if (hs_wisdom_knows(net->plan.wisdom, what, seconds))
        return HS_OK;
    HS_TRY(hs_measure_transform(net, shape, s, seconds));
    return hs_wisdom_learn(net->plan.wisdom, what, *seconds);
}

bool hs_plan_measures(const hs_net *net)
{
    return net->plan.mode && strcmp(net->plan.mode, "estimate") != 0 && !net->forced;
}

static hs_status survey(const hs_net *net, hs_stream *s, stage *stages)
{
    for (int i = 0; i < net->layers; i++) {
        for (int d = 0; d < 2; d++)
            stages[i].change[d] = transform_cost(net, net->layer[i]->out, (hs_domain)d);
        if (hs_plan_measures(net)) {
            HS_TRY(measure_transform(net, s, net->layer[i]->out, &stages[i].change[HS_SPACE]));
            stages[i].change[HS_SPECTRUM] = stages[i].change[HS_SPACE];
        }
        if (i > 0)
            HS_TRY(list_choices(net, net->layer[i], &stages[i]));
        if (i > 0 && hs_plan_measures(net))
            HS_TRY(measure_choices(net, s, net->layer[i], &stages[i]));
    }
    return HS_OK;
}

/* ---- the shortest path ---------------------------------------------------------------------------------------------------------- */

static void relax(best *to, const best *from, hs_domain before, const hs_choice *choice, double cost)
{
    if (from->possible && (!to->possible || from->cost + cost < to->cost))
        *to = (best){true, from->cost + cost, before, *choice};
}

/* stages[i].to[d] becomes the best way to have edge i in domain d. */
static void find_path(const hs_net *net, stage *stages)
{
    stages[0].to[HS_SPACE].possible = true;
    for (int i = 1; i < net->layers; i++) {
        stage *own = &stages[i];
        for (int c = 0; c < own->count; c++) {
            const hs_choice *choice = &own->list[c];
            hs_domain edge = net->layer[i]->consumers > 1 ? HS_SPACE : choice->out;
            double after = edge == choice->out ? 0 : own->change[choice->out];
            for (int d = 0; d < 2; d++) {
                double before = (hs_domain)d == choice->in ? 0 : stages[i - 1].change[d];
                relax(&own->to[edge], &stages[i - 1].to[d], (hs_domain)d, choice, before + choice->cost + after);
            }
        }
    }
}

/* Walk back from the cheaper end and write each layer's choice into its node. */
static void take_path(const hs_net *net, const stage *stages)
{
    int last = net->layers - 1;
    const best *space = &stages[last].to[HS_SPACE], *spectrum = &stages[last].to[HS_SPECTRUM];
    bool from_spectrum = spectrum->possible && (!space->possible || spectrum->cost + stages[last].change[HS_SPECTRUM] < space->cost);
    hs_domain d = from_spectrum ? HS_SPECTRUM : HS_SPACE;
    for (int i = last; i > 0; i--) {
        const best *b = &stages[i].to[d];
        hs_node *node = net->layer[i];
        node->from = b->choice.in;
        node->to = b->choice.out;
        node->engine = b->choice.engine;
        node->way = b->choice.way;
        node->predicted = b->choice.estimate;
        node->measured = hs_plan_measures(net) && node->inputs == 1 ? b->choice.cost : 0;
        d = b->before;
    }
}

/* ---- the list of steps -------------------------------------------------------------------------------------------------------------- */

static void append_step(hs_net *net, hs_node *node)
{
    node->step = net->steps;
    net->step[net->steps++] = node;
}

/* A transform of the edge behind BEFORE; *number counts per direction for names. */
static hs_status insert_transform(hs_net *net, hs_node *before, int number[2], hs_node **made)
{
    hs_node *t = NULL;
    HS_TRY(hs_node_create(&hs_layer_transform, &t));
    t->from = before->to;
    t->to = before->to == HS_SPACE ? HS_SPECTRUM : HS_SPACE;
    t->in = t->out = before->out;
    t->inputs = 1;
    t->input[0] = before;
    t->index = before->index;
    snprintf(t->name, sizeof t->name, "%sfft%d", t->to == HS_SPACE ? "i" : "", ++number[t->to]);
    snprintf(t->notation, sizeof t->notation, "-");
    t->predicted = transform_cost(net, t->in, t->from);
    if (hs_plan_measures(net)) {
        char what[HS_WISDOM_KEY];
        hs_wisdom_of_transform(net, t->in, what, sizeof what);
        hs_wisdom_knows(net->plan.wisdom, what, &t->measured);
    }
    append_step(net, t);
    *made = t;
    return HS_OK;
}

/* An edge with several readers that its layer leaves in the spectrum: one transform for those that read it in space. */
static hs_status bring_to_space(hs_net *net, hs_node *node, int number[2])
{
    hs_node *t = NULL;
    HS_TRY(insert_transform(net, node, number, &t));
    for (int i = 1; i < net->layers; i++)
        for (int k = 0; k < net->layer[i]->inputs; k++)
            if (net->layer[i]->input[k] == node && net->layer[i]->from == HS_SPACE)
                net->layer[i]->input[k] = t;
    return HS_OK;
}

static hs_status build_steps(hs_net *net)
{
    int number[2] = {0, 0};
    HS_TRY(hs_calloc(2 * (size_t)net->layers + 1, sizeof *net->step, "plan", &net->step));
    append_step(net, net->layer[0]);
    for (int i = 1; i < net->layers; i++) {
        hs_node *node = net->layer[i];
        if (node->input[0]->to != node->from)
            HS_TRY(insert_transform(net, node->input[0], number, &node->input[0]));
        append_step(net, node);
        if (node->consumers > 1 && node->to == HS_SPECTRUM)
            HS_TRY(bring_to_space(net, node, number));
    }
    hs_node *last = net->layer[net->layers - 1];
    return last->to == HS_SPACE ? HS_OK : insert_transform(net, last, number, &last);
}

static hs_status write_decisions(hs_net *net)
{
    size_t room = (size_t)net->layers * HS_DECISION_MAX + 1, used = 0;
    HS_TRY(hs_calloc(room, 1, "planner's decisions", &net->decisions));
    for (int i = 1; i < net->layers; i++) {
        const hs_node *node = net->layer[i];
        if (!node->kind->choices)
            continue;
        hs_choice c = {.in = node->from, .out = node->to, .engine = node->engine, .way = node->way};
        hs_decision_text(node, &c, net->decisions + used, room - used);
        used += strlen(net->decisions + used);
    }
    return HS_OK;
}

bool hs_plan_seals(const hs_net *net, bool sealed, hs_domain domain)
{
    return sealed && net->backend->conv->seals && net->backend->conv->seals(net->device, domain);
}

/* Nobody but two layers that know how to keep it looks at what lies between them. Transforms do not know, so whether one comes between is seen
 * when the steps are built; the search supposes that none does, as it is then that ways are worth comparing. */
static void seal_edges(const hs_net *net, hs_node *const *node, int count)
{
    for (int i = 0; i < count && !net->is_probe; i++)
        node[i]->sealed_in = node[i]->sealed_out = false;
    for (int i = 0; i < count && !net->is_probe; i++) {
        hs_node *before = node[i]->inputs == 1 ? node[i]->input[0] : NULL;
        if (before && before->consumers == 1 && before->kind->seals && node[i]->kind->seals)
            before->sealed_out = node[i]->sealed_in = true;
    }
}

/* What every step needs to know before its layer plans. */
static void prepare_steps(hs_net *net)
{
    for (int i = 0; i < net->steps; i++) {
        hs_node *node = net->step[i];
        node->sealed_in = hs_plan_seals(net, node->sealed_in, node->from);
        node->sealed_out = hs_plan_seals(net, node->sealed_out, node->to);
        node->count = hs_plan_count(node->out, node->to);
        node->reads_x = node->kind->reads_x;
        node->reads_y = node->kind->reads_y;
    }
}

static hs_status choose(hs_net *net, hs_stream *stream)
{
    stage *stages = NULL;
    mark_needs(net, net->layer, net->layers);
    HS_TRY(hs_plan_fuse(net, stream));
    seal_edges(net, net->layer, net->layers);
    HS_TRY(hs_calloc((size_t)net->layers, sizeof *stages, "plan", &stages));
    hs_status st = survey(net, stream, stages);
    if (st == HS_OK) {
        find_path(net, stages);
        take_path(net, stages);
    }
    hs_free(stages);
    HS_TRY(st);
    HS_TRY(build_steps(net));
    mark_needs(net, net->step, net->steps);
    seal_edges(net, net->step, net->steps);
    prepare_steps(net);
    return write_decisions(net);
}

hs_status hs_plan_choose(hs_net *net, hs_stream *stream)
{
    hs_wisdom *given = net->plan.wisdom, *own = NULL;
    if (hs_plan_measures(net) && !given)
        HS_TRY(hs_wisdom_open("", "", net->device->log, &own));
    net->plan.wisdom = given ? given : own;
    hs_status st = choose(net, stream);
    net->plan.wisdom = NULL; /* borrowed for this call */
    hs_wisdom_close(&own);
    return st;
}
