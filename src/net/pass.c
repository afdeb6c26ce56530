/* pass.c - hs_net_plan, and the steps: forward, loss, backward. Nothing on the step path allocates. */
#include "net.h"

hs_status hs_net_plan(hs_net *net, hs_device *device, hs_stream *stream, const hs_plan_options *options)
{
    if (net->step)
        return hs_fail(HS_EINTERNAL, "a network is planned once; create another one");
    if (options->capacity < 1)
        return hs_fail(HS_EINTERNAL, "a plan needs room for at least one sample");
    net->device = device;
    net->backend = device->backend;
    net->plan = *options;
    HS_TRY(hs_plan_choose(net, stream));
    for (int i = 1; i < net->steps; i++)
        if (net->step[i]->kind->plan)
            HS_TRY(net->step[i]->kind->plan(net, net->step[i]));
    HS_TRY(hs_want_table(net, sizeof(uint32_t), &net->step_key));
    HS_TRY(hs_memory_layout(net));
    for (int i = 1; i < net->steps; i++)
        if (net->step[i]->kind->fill)
            HS_TRY(net->step[i]->kind->fill(net, net->step[i], stream));
    net->planned = true;
    return HS_OK;
}

static hs_node *last_step(const hs_net *net)
{
    return net->step[net->steps - 1];
}

static hs_status check(const hs_net *net, const hs_pass *pass)
{
    if (!net->planned)
        return hs_fail(HS_EINTERNAL, "a pass before hs_net_plan");
    if (pass->n < 0 || pass->n > net->plan.capacity)
        return hs_fail(HS_EINTERNAL, "%d samples in a plan for %d", pass->n, net->plan.capacity);
    if (pass->training && !net->plan.training)
        return hs_fail(HS_EINTERNAL, "a training pass in a plan for evaluation");
    return HS_OK;
}

/* Row I - 1 is done: DATA is what it wrote. */
static hs_status mark(const hs_pass *pass, int i, bool backward, void *data)
{
    const hs_net_hooks *hooks = pass->hooks;
    return hooks && hooks->mark ? hooks->mark(hooks->context, i - 1, backward, data) : HS_OK;
}

hs_status hs_net_prepare(hs_net *net, hs_stream *s, const hs_pass *pass)
{
    const uint32_t key = (uint32_t)pass->step;
    HS_TRY(check(net, pass));
    if (net->keyed && pass->training)
        HS_TRY(net->backend->memory->upload(s, net->step_key, &key, sizeof key));
    for (int i = 1; i < net->steps && pass->training; i++)
        if (net->step[i]->kind->prepare)
            HS_TRY(net->step[i]->kind->prepare(net, net->step[i], s, pass));
    return HS_OK;
}

hs_status hs_net_forward(hs_net *net, hs_stream *s, const hs_pass *pass, const float *x)
{
    HS_TRY(check(net, pass));
    if (!pass->prepared)
        HS_TRY(hs_net_prepare(net, s, pass));
    if (x && pass->n > 0)
        HS_TRY(net->backend->memory->from_float(s, (size_t)pass->n * hs_shape_count(net->in), x, net->step[0]->y));
    for (int i = 1; i < net->steps; i++) {
        HS_TRY(net->step[i]->kind->forward(net, net->step[i], s, pass));
        HS_TRY(mark(pass, i, false, net->step[i]->y));
    }
    return HS_OK;
}

void *hs_net_input_memory(hs_net *net)
{
    return net->step[0]->y;
}

int32_t *hs_net_labels_memory(hs_net *net)
{
    return net->labels;
}

const void *hs_net_logits(const hs_net *net)
{
    return last_step(net)->y;
}

hs_status hs_net_loss(hs_net *net, hs_stream *s, const hs_pass *pass, const int32_t *labels, hs_loss_sums *sums)
{
    hs_node *last = last_step(net);
    HS_TRY(check(net, pass));
    if (labels && pass->n > 0)
        HS_TRY(net->backend->memory->upload(s, net->labels, labels, (size_t)pass->n * sizeof *labels));
    HS_TRY(net->backend->loss->softmax(s, pass->n, net->classes, last->y, net->labels, 1.0 / (double)pass->global, pass->training ? last->dy : NULL,
                                       net->totals));
    return sums ? hs_net_sums(net, s, sums) : HS_OK;
}

const double *hs_net_totals(const hs_net *net)
{
    return net->totals;
}

hs_status hs_net_sums(hs_net *net, hs_stream *s, hs_loss_sums *sums)
{
    double totals[3];
    HS_TRY(net->backend->memory->download(s, totals, net->totals, sizeof totals));
    *sums = (hs_loss_sums){totals[0], totals[1], totals[2]};
    return HS_OK;
}

/* Gradients that were written to a temporary join those of the edge's other readers. */
static hs_status add_up(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    for (int k = 0; k < node->inputs; k++) {
        const hs_node *edge = node->input[k];
        if (node->adds[k])
            HS_TRY(net->backend->element->add(s, (size_t)pass->n * edge->count, edge->dy, node->dx[k], edge->dy));
    }
    return HS_OK;
}

/* The gradients of a layer lie together in the slab. */
static hs_status announce(const hs_net *net, const hs_node *node, const hs_pass *pass)
{
    if (node->params == 0 || !pass->hooks || !pass->hooks->ready)
        return HS_OK;
    const hs_param *first = &net->param[node->param], *last = first + node->params - 1;
    return pass->hooks->ready(pass->hooks->context, first->offset, last->offset + last->count - first->offset);
}

hs_status hs_net_backward(hs_net *net, hs_stream *s, const hs_pass *pass)
{
    HS_TRY(check(net, pass));
    if (!pass->training)
        return hs_fail(HS_EINTERNAL, "backward of a pass that was not for training");
    for (int i = net->steps - 1; i > 0; i--) {
        hs_node *node = net->step[i];
        if (!node->wanted)
            continue;
        HS_TRY(node->kind->backward(net, node, s, pass));
        HS_TRY(add_up(net, node, s, pass));
        HS_TRY(mark(pass, i, true, node->adds[0] ? node->input[0]->dy : node->dx[0]));
        HS_TRY(announce(net, node, pass));
    }
    return HS_OK;
}

hs_status hs_net_input_gradient(hs_net *net, hs_stream *s, int n, double *dx)
{
    const hs_node *input = net->step[0];
    size_t count = (size_t)n * input->count;
    if (!input->dy)
        return hs_fail(HS_EINTERNAL, "the input's gradient was not asked for before hs_net_plan");
    HS_TRY(net->backend->memory->download(s, dx, input->dy, count * net->backend->real));
    if (net->backend->real == HS_F32) /* floats fill the first half: widen them from the end */
        for (size_t i = count; i-- > 0;)
            dx[i] = (double)((const float *)(const void *)dx)[i];
    return HS_OK;
}
