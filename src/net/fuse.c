/* fuse.c - rectifiers and max pools join a neighbour that can do their work on its way, before the planner searches: a layer of their own reads and
 * writes the map twice.
 *
 * R goes into the spectral pooling that alone reads it, since between two spectra that is one pass, or else into the convolution, pooling or dense
 * layer that it alone reads. Its node leaves net->layer, so that the planner, the memory plan and the steps never see it; the layer that took it says so in its
 * notation, "C96k3 R", in the decisions sent to other ranks, and by that in the key of its measured costs. Names and indices of all others stay.
 *
 * M goes into the convolution with a rectifier that it alone reads: "C96k3 R M3s2". A backend may have fewer ways to do all three in one than to
 * convolve alone (no FFT, no library), so it joins only where that is the shortest: where the whole takes less time, by measurement, than the
 * convolution with its rectifier in its best way between maps in space and the pool. Where nothing is measured the whole must be estimated to be
 * cheaper than the convolution alone, whatever the pool costs: backends tell no price of it. Other ranks follow what rank 0 decided. */
#include <stdio.h>
#include <string.h>

#include "net.h"

/* How many ways there are whose side towards the rectifier is in space, as the rectifier is. */
static int ways(const hs_net *net, const hs_node *node, bool before)
{
    hs_choice list[HS_CHOICES];
    int count = 0;
    if (!node->kind->choices)
        return node->kind->covers(net, node);
    for (int i = node->kind->choices(net, node, list) - 1; i >= 0; i--)
        count += (before ? list[i].in : list[i].out) == HS_SPACE;
    return count;
}

/* Joins a rectifier to NODE if no way of carrying NODE out is lost by that. */
static bool joins(const hs_net *net, hs_node *node, bool before)
{
    bool *flag = before ? &node->relu_in : &node->relu_out;
    if (*flag || !(before ? node->kind->takes_relu_in : node->kind->takes_relu_out))
        return false;
    const int apart = ways(net, node, before);
    *flag = true;
    *flag = ways(net, node, before) == apart && apart > 0;
    return *flag;
}

static void note(hs_node *node, const hs_node *joined, bool before)
{
    char text[2 * HS_NOTE_MAX + 2];
    snprintf(text, sizeof text, "%s %s", before ? joined->notation : node->notation, before ? node->notation : joined->notation);
    if (strlen(text) < sizeof node->notation)
        memcpy(node->notation, text, strlen(text) + 1);
}

/* The nodes that read JOINED read what it read. */
static void bypass(hs_net *net, hs_node *joined)
{
    hs_node *from = joined->input[0];
    from->consumers += joined->consumers - 1;
    for (int i = 1; i < net->layers; i++)
        for (int k = 0; k < net->layer[i]->inputs; k++)
            if (net->layer[i]->input[k] == joined)
                net->layer[i]->input[k] = from;
}

static hs_node *only_reader(const hs_net *net, const hs_node *node)
{
    for (int i = 1; i < net->layers && node->consumers == 1; i++)
        if (net->layer[i]->input[0] == node || (net->layer[i]->inputs == 2 && net->layer[i]->input[1] == node))
            return net->layer[i];
    return NULL;
}

static bool fuse_relu(hs_net *net, hs_node *relu)
{
    hs_node *reader = only_reader(net, relu), *from = relu->input[0];
    const bool before = reader && joins(net, reader, true);
    if (!before && !(from->consumers == 1 && joins(net, from, false)))
        return false;
    note(before ? reader : from, relu, before);
    bypass(net, relu);
    return true;
}

/* ---- max pools ------------------------------------------------------------------------------------------------------------------- */

/* Seconds of the cheapest way between maps in space, below 0 if there is none; only of those that another rank decided for, if one did. */
static hs_status cheapest(const hs_net *net, hs_stream *s, const hs_node *node, const char *forced, double *seconds)
{
    hs_choice list[HS_CHOICES];
    *seconds = -1;
    for (int i = node->kind->choices(net, node, list) - 1; i >= 0; i--) {
        if (list[i].in != HS_SPACE || list[i].out != HS_SPACE || (forced && !hs_decision_forced(forced, node, &list[i])))
            continue;
        if (hs_plan_measures(net))
            HS_TRY(hs_plan_measure(net, s, node, &list[i]));
        *seconds = *seconds < 0 || list[i].cost < *seconds ? list[i].cost : *seconds;
    }
    return HS_OK;
}

/* The same of the convolution and the pool apart, with the map between them as it would then be stored. */
static hs_status seconds_apart(hs_net *net, hs_stream *s, hs_node *conv, hs_node *max, double *seconds)
{
    hs_choice pool = {.in = HS_SPACE, .out = HS_SPACE, .engine = HS_ENGINE_AUTO};
    conv->sealed_out = max->sealed_in = true;
    HS_TRY(cheapest(net, s, conv, NULL, seconds));
    if (hs_plan_measures(net))
        HS_TRY(hs_plan_measure(net, s, max, &pool));
    conv->sealed_out = max->sealed_in = false;
    *seconds += pool.cost;
    return HS_OK;
}

static hs_status fuse_max(hs_net *net, hs_stream *s, hs_node *max, bool *joined)
{
    hs_node *from = max->input[0];
    const hs_node alone = *from;
    double together = -1, apart = -1;
    if (!from->kind->takes_max_out || !from->relu_out || from->pool || from->consumers != 1)
        return HS_OK;
    hs_window_sides(max, &from->pool, &from->pool_stride);
    from->out = max->out;
    note(from, max, false);
    const hs_node whole = *from;
    hs_status st = cheapest(net, s, from, net->forced, &together);
    *from = alone;
    if (st == HS_OK && together >= 0 && !net->forced)
        st = seconds_apart(net, s, from, max, &apart);
    if (st != HS_OK || together < 0 || (apart >= 0 && together >= apart))
        return st;
    *from = whole;
    bypass(net, max);
    *joined = true;
    return HS_OK;
}

static hs_status fuse_one(hs_net *net, hs_stream *s, hs_node *node, bool *joined)
{
    *joined = node->kind == &hs_layer_relu && fuse_relu(net, node);
    return node->kind == &hs_layer_max ? fuse_max(net, s, node, joined) : HS_OK;
}

hs_status hs_plan_fuse(hs_net *net, hs_stream *s)
{
    int kept = 1;
    hs_status st = HS_OK;
    if (net->keep_apart)
        return HS_OK;
    HS_TRY(hs_calloc((size_t)net->layers, sizeof *net->fused, "planner", &net->fused));
    for (int i = 1; i < net->layers && st == HS_OK; i++) {
        bool joined = false;
        st = fuse_one(net, s, net->layer[i], &joined);
        if (!joined)
            continue;
        net->fused[net->fuseds++] = net->layer[i];
        net->layer[i] = net->layer[0]; /* which reads nothing, until the list closes up */
    }
    for (int i = 1; i < net->layers; i++)
        if (net->layer[i] != net->layer[0])
            net->layer[kept++] = net->layer[i];
    net->layers = kept;
    return st;
}
