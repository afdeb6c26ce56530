/* net_trajectory.c - helper of t_net_torch.py: trains a network on ref with plain SGD and prints everything another program needs to do the
 * same: samples, labels, initial parameters (filters as taps), and the loss before each step.
 *
 * usage: net_trajectory NOTATION H W C CLASSES N STEPS RATE
 * Output: records "name count" and then COUNT numbers, one record a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hs_base.h"
#include "hs_net.h"
#include "hs_rng.h"

typedef struct run {
    hs_device *device;
    hs_stream *stream;
    hs_net *net;
    float *x;
    int32_t *labels;
    hs_shape in;
    int classes, n, steps;
    double rate;
} run;

static void print(const char *layer, const char *name, const double *x, size_t count)
{
    printf("%s.%s %zu", layer, name, count);
    for (size_t i = 0; i < count; i++)
        printf(" %.17g", x[i]);
    printf("\n");
}

static hs_status open_run(run *r, const char *notation)
{
    hs_device_options d = {.threads = 1, .ordinal = -1, .local_size = 1, .precision = "double"};
    hs_net_options options;
    hs_net_options_default(&options);
    options.init_bias = 0.05;
    const hs_backend *ref = NULL;
    HS_TRY(hs_backend_find("ref", &ref));
    HS_TRY(ref->device->open(ref, &d, &r->device));
    HS_TRY(ref->device->stream_create(r->device, &r->stream));
    HS_TRY(hs_net_create(notation, &options, r->in, r->classes, &r->net));
    hs_plan_options p = {.capacity = r->n, .training = true, .mode = "estimate"};
    HS_TRY(hs_net_plan(r->net, r->device, r->stream, &p));
    HS_TRY(hs_net_init(r->net, r->stream));
    HS_TRY(hs_calloc((size_t)r->n * hs_shape_count(r->in), sizeof *r->x, "samples", &r->x));
    return hs_calloc((size_t)r->n, sizeof *r->labels, "labels", &r->labels);
}

static hs_status print_samples(run *r)
{
    size_t count = (size_t)r->n * hs_shape_count(r->in);
    double *wide = NULL;
    HS_TRY(hs_calloc(count + (size_t)r->n, sizeof *wide, "samples", &wide));
    for (size_t i = 0; i < count; i++)
        wide[i] = r->x[i] = (float)hs_normal(hs_random(1, HS_DRAW_TEST, 1, 0, i));
    print("data", "x", wide, count);
    for (int i = 0; i < r->n; i++)
        wide[i] = r->labels[i] = (int32_t)(hs_random(1, HS_DRAW_TEST, 2, 0, (uint64_t)i).w[0] % (uint32_t)r->classes);
    print("data", "labels", wide, (size_t)r->n);
    hs_free(wide);
    return HS_OK;
}

/* Number of taps of a filter: k x k of them, or with embed = band as many as its map has cells. */
static size_t taps_of(const run *r, const hs_param *p)
{
    hs_shape map = r->in;
    hs_layer_row row;
    for (int i = 0; i < hs_net_rows(r->net); i++) {
        hs_net_row(r->net, i, &row);
        if (strcmp(row.name, p->layer) == 0)
            break;
        map = row.out;
    }
    size_t cells = p->embed == HS_EMBED_BAND ? (size_t)map.h * (size_t)map.w : (size_t)p->kh * (size_t)p->kw;
    return cells * (size_t)p->in * (size_t)p->out;
}

static hs_status print_filter(const run *r, const hs_param *p, const double *coords)
{
    size_t count = taps_of(r, p);
    double *taps = NULL;
    HS_TRY(hs_calloc(count, sizeof *taps, "taps", &taps));
    hs_status st = hs_net_filter_to_taps(r->net, p, coords, taps);
    if (st == HS_OK)
        print(p->layer, p->name, taps, count);
    hs_free(taps);
    return st;
}

/* Offsets of spectral thresholds begin equal; a little more in each channel tells channels apart. */
static hs_status print_params(run *r)
{
    int count = 0;
    const hs_param *p = hs_net_params(r->net, &count);
    double *slab = hs_net_slab(r->net);
    for (int i = 0; i < count; i++) {
        double *own = slab + p[i].offset;
        for (size_t j = 0; j < p[i].count && p[i].role == HS_ROLE_THRESHOLD; j++)
            own[j] += 0.05 * (double)(j + 1);
        if (p[i].role == HS_ROLE_FILTER)
            HS_TRY(print_filter(r, &p[i], own));
        else
            print(p[i].layer, p[i].name, own, p[i].count);
    }
    return HS_OK;
}

static hs_status train(run *r)
{
    double *p = hs_net_slab(r->net), *losses = NULL;
    const double *g = hs_net_gradients(r->net);
    HS_TRY(hs_calloc((size_t)r->steps, sizeof *losses, "losses", &losses));
    for (int step = 0; step < r->steps; step++) {
        hs_pass pass = {.n = r->n, .global = r->n, .seed = 1, .step = step, .training = true};
        hs_loss_sums sums;
        HS_TRY(hs_net_forward(r->net, r->stream, &pass, r->x));
        HS_TRY(hs_net_loss(r->net, r->stream, &pass, r->labels, &sums));
        HS_TRY(hs_net_backward(r->net, r->stream, &pass));
        losses[step] = sums.loss / r->n;
        for (size_t i = 0; i < hs_net_params_count(r->net); i++)
            p[i] -= r->rate * g[i];
    }
    print("data", "losses", losses, (size_t)r->steps);
    hs_free(losses);
    return HS_OK;
}

static hs_status work(run *r, const char *notation)
{
    HS_TRY(open_run(r, notation));
    HS_TRY(print_samples(r));
    HS_TRY(print_params(r));
    return train(r);
}

int main(int argc, char **argv)
{
    if (argc != 9) {
        fprintf(stderr, "usage: net_trajectory NOTATION H W C CLASSES N STEPS RATE\n");
        return 2;
    }
    run r = {.in = {atoi(argv[2]), atoi(argv[3]), atoi(argv[4])}, .classes = atoi(argv[5]), .n = atoi(argv[6]), .steps = atoi(argv[7])};
    r.rate = strtod(argv[8], NULL);
    hs_status st = work(&r, argv[1]);
    if (st != HS_OK)
        fprintf(stderr, "%s\n", hs_fail_text());
    hs_net_destroy(&r.net);
    if (r.device) {
        r.device->backend->device->stream_destroy(&r.stream);
        r.device->backend->device->close(&r.device);
    }
    hs_free(r.x);
    hs_free(r.labels);
    return hs_status_exit_code(st);
}
