/* memory.c - one allocation for everything: slabs, tables, an arena in which buffers that are not alive at the same time share their place,
 * and scratch.
 *
 * Time runs 0 .. steps-1 forward, `steps` is the loss, then backward down to the first layer: step i runs backward at 2*steps - i. What must
 * outlive the pass (logits, the input's gradient) ends at 2*steps + 1. */
#include <string.h>

#include "net.h"

enum { ALIGN = 256 };

int hs_time_forward(const hs_node *node)
{
    return node->step;
}

int hs_time_backward(const hs_net *net, const hs_node *node)
{
    return 2 * net->steps - node->step;
}

static int time_of_end(const hs_net *net)
{
    return 2 * net->steps + 1;
}

size_t hs_align(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* ---- requests ------------------------------------------------------------------------------------------------------------------ */

static hs_status want(hs_net *net, hs_region region, size_t bytes, int first, int last, void **slot)
{
    if (bytes == 0)
        return HS_OK;
    if (net->wants == net->want_room) {
        int room = net->want_room ? 2 * net->want_room : 64;
        hs_want *wider = NULL;
        HS_TRY(hs_calloc((size_t)room, sizeof *wider, "memory plan", &wider));
        if (net->wants)
            memcpy(wider, net->want, (size_t)net->wants * sizeof *wider);
        hs_free(net->want);
        net->want = wider;
        net->want_room = room;
    }
    if (net->keep_all)
        first = 0, last = time_of_end(net);
    net->want[net->wants++] = (hs_want){region, bytes, first, last, slot};
    return HS_OK;
}

hs_status hs_want_table(hs_net *net, size_t bytes, void **slot)
{
    return want(net, HS_REGION_TABLE, bytes, 0, 0, slot);
}

hs_status hs_want_saved(hs_net *net, const hs_node *node, size_t bytes, void **slot)
{
    int last = node->wanted ? hs_time_backward(net, node) : hs_time_forward(node);
    return want(net, HS_REGION_ARENA, bytes, hs_time_forward(node), last, slot);
}

hs_status hs_want_in_backward(hs_net *net, const hs_node *node, size_t bytes, void **slot)
{
    int time = hs_time_backward(net, node);
    return node->wanted ? want(net, HS_REGION_ARENA, bytes, time, time, slot) : HS_OK;
}

void hs_want_scratch(hs_net *net, size_t bytes)
{
    net->scratch_bytes = bytes > net->scratch_bytes ? bytes : net->scratch_bytes;
}

/* ---- activations and their gradients ----------------------------------------------------------------------------------------------- */

/* Sharing: forward may write over its input if nobody else reads that and no backward needs it; backward may write over dy if it is the only
 * one that writes dx. */
static void decide_sharing(const hs_net *net, hs_node *node)
{
    const hs_node *before = node->inputs ? node->input[0] : NULL;
    if (!before || !node->kind->in_place || before->consumers != 1 || net->keep_all)
        return;
    node->shares = node->from == node->to && !(before->wanted && before->reads_y) && !(node->wanted && node->reads_x);
    node->grad_shares = node->need_dx[0];
}

/* Last time that the output of NODE is looked at, by itself or its readers. */
static int last_use(const hs_net *net, const hs_node *node, int step)
{
    int last = step == net->steps - 1 ? time_of_end(net) : hs_time_forward(node);
    if (node->wanted && node->reads_y && hs_time_backward(net, node) > last)
        last = hs_time_backward(net, node);
    for (int i = step + 1; i < net->steps; i++) {
        const hs_node *reader = net->step[i];
        for (int k = 0; k < reader->inputs; k++) {
            if (reader->input[k] != node)
                continue;
            int time = reader->wanted && reader->reads_x ? hs_time_backward(net, reader) : hs_time_forward(reader);
            last = time > last ? time : last;
        }
    }
    return last;
}

/* Outputs: a chain of sharing nodes is one buffer that lives as long as any of them. LAST [steps]. */
static hs_status want_values(hs_net *net, int *last)
{
    for (int i = net->steps - 1; i >= 0; i--) {
        hs_node *node = net->step[i];
        int own = last_use(net, node, i);
        last[i] = own > last[i] ? own : last[i];
        if (node->shares) {
            int *below = &last[node->input[0]->step];
            *below = last[i] > *below ? last[i] : *below;
            continue;
        }
        HS_TRY(want(net, HS_REGION_ARENA, node->count * (size_t)net->plan.capacity * net->backend->real, i, last[i], &node->y));
    }
    return HS_OK;
}

/* When the gradient of NODE's output is first written: by its last reader, or by the loss. */
static int first_write(const hs_net *net, const hs_node *node, int step)
{
    if (step == net->steps - 1)
        return net->steps;
    for (int i = net->steps - 1; i > step; i--)
        for (int k = 0; k < net->step[i]->inputs; k++)
            if (net->step[i]->input[k] == node)
                return hs_time_backward(net, net->step[i]);
    return hs_time_backward(net, node);
}

static int last_grad_use(const hs_net *net, const hs_node *node)
{
    return node->inputs == 0 ? time_of_end(net) : hs_time_backward(net, node);
}

/* Gradients of outputs, from the end: a chain in which each dx lies over its dy is one buffer. */
static hs_status want_gradients(hs_net *net)
{
    for (int i = net->steps - 1; i >= 0; i--) {
        hs_node *node = net->step[i];
        bool over_next = i + 1 < net->steps && net->step[i + 1]->grad_shares && net->step[i + 1]->input[0] == node;
        if (!node->wanted || over_next)
            continue;
        const hs_node *lowest = node;
        while (lowest->grad_shares)
            lowest = lowest->input[0];
        size_t bytes = node->count * (size_t)net->plan.capacity * net->backend->real;
        HS_TRY(want(net, HS_REGION_ARENA, bytes, first_write(net, node, i), last_grad_use(net, lowest), &node->dy));
    }
    return HS_OK;
}

/* An edge with several readers: the last one writes its gradient, the others a temporary that is added. */
static hs_status want_temporaries(hs_net *net)
{
    for (int i = 1; i < net->steps; i++) {
        hs_node *node = net->step[i];
        for (int k = 0; k < node->inputs; k++) {
            const hs_node *edge = node->input[k];
            if (!node->need_dx[k])
                continue;
            node->adds[k] = first_write(net, edge, edge->step) != hs_time_backward(net, node);
            if (node->adds[k])
                HS_TRY(hs_want_in_backward(net, node, edge->count * (size_t)net->plan.capacity * net->backend->real, &node->dx[k]));
        }
    }
    return HS_OK;
}

/* ---- the allocation --------------------------------------------------------------------------------------------------------------------- */

/* Offsets of the arena's requests; the total in net->bytes.activations. */
static hs_status pack_arena(hs_net *net, size_t *offset)
{
    hs_lease *lease = NULL;
    int count = 0;
    HS_TRY(hs_calloc((size_t)net->wants + 1, sizeof *lease, "memory plan", &lease));
    for (int i = 0; i < net->wants; i++)
        if (net->want[i].region == HS_REGION_ARENA)
            lease[count++] = (hs_lease){.bytes = net->want[i].bytes, .first = net->want[i].first, .last = net->want[i].last};
    hs_status st = hs_lease_pack(lease, count, ALIGN, &net->bytes.activations);
    count = 0;
    for (int i = 0; i < net->wants && st == HS_OK; i++)
        if (net->want[i].region == HS_REGION_ARENA)
            offset[i] = lease[count++].offset;
    hs_free(lease);
    net->bytes.activations = hs_align(net->bytes.activations);
    return st;
}

static void place_tables(hs_net *net, size_t *offset)
{
    size_t used = 0;
    for (int i = 0; i < net->wants; i++) {
        if (net->want[i].region != HS_REGION_TABLE)
            continue;
        offset[i] = used;
        used += hs_align(net->want[i].bytes);
    }
    net->bytes.tables = used;
}

static hs_status allocate(hs_net *net)
{
    hs_net_bytes *b = &net->bytes;
    size_t real = net->backend->real;
    b->params = hs_align(net->params_count * real);
    b->gradients = net->plan.training ? b->params : 0;
    b->statistics = hs_align(net->statistics_count * real);
    b->scratch = hs_align(net->scratch_bytes);
    b->total = b->params + b->gradients + b->statistics + b->tables + b->activations + b->scratch;
    return net->backend->memory->alloc(net->device, b->total, &net->memory);
}

/* Addresses of everything, in the order slabs, tables, arena, scratch. */
static void resolve(hs_net *net, const size_t *offset)
{
    char *at = net->memory;
    net->slab = at;
    at += net->bytes.params;
    net->gradients = net->plan.training ? at : NULL;
    at += net->bytes.gradients;
    net->statistics_slab = at;
    at += net->bytes.statistics;
    char *tables = at, *arena = at + net->bytes.tables;
    net->scratch = arena + net->bytes.activations;
    for (int i = 0; i < net->wants; i++)
        *net->want[i].slot = (net->want[i].region == HS_REGION_TABLE ? tables : arena) + offset[i];
    for (int i = 1; i < net->steps; i++) {
        hs_node *node = net->step[i];
        for (int k = 0; k < node->inputs; k++)
            node->x[k] = node->input[k]->y;
        if (node->shares)
            node->y = node->x[0];
    }
    for (int i = net->steps - 1; i > 0; i--) {
        hs_node *node = net->step[i];
        if (node->grad_shares)
            node->input[0]->dy = node->dy;
        for (int k = 0; k < node->inputs; k++)
            if (node->need_dx[k] && !node->adds[k])
                node->dx[k] = node->input[k]->dy;
    }
}

hs_status hs_memory_layout(hs_net *net)
{
    int *last = NULL;
    size_t *offset = NULL;
    hs_status st = HS_OK;
    for (int i = 0; i < net->steps; i++)
        decide_sharing(net, net->step[i]);
    HS_TRY(want(net, HS_REGION_TABLE, (size_t)net->plan.capacity * sizeof(int32_t), 0, 0, &net->labels));
    HS_TRY(want(net, HS_REGION_TABLE, 3 * sizeof(double), 0, 0, &net->totals));
    HS_TRY(hs_calloc((size_t)net->steps, sizeof *last, "memory plan", &last));
    HS_TRY_GOTO(st, want_values(net, last), done);
    HS_TRY_GOTO(st, want_gradients(net), done);
    HS_TRY_GOTO(st, want_temporaries(net), done);
    HS_TRY_GOTO(st, hs_calloc((size_t)net->wants, sizeof *offset, "memory plan", &offset), done);
    HS_TRY_GOTO(st, pack_arena(net, offset), done);
    place_tables(net, offset);
    HS_TRY_GOTO(st, allocate(net), done);
    resolve(net, offset);
done:
    hs_free(last);
    hs_free(offset);
    return st;
}
