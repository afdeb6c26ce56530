/* intake.c - how this rank's samples reach the network: from the host's batcher, or, where the backend knows how, made on the device from a set
 * that lies there, or sent ahead batch by batch while the device is busy. The numbers have equal bits in all three. */
#include <string.h>

#include "train.h"

enum { CHUNK = 1024 }; /* samples at a time while a set is loaded */

static hs_feed_desc describe(const hs_world *w, const hs_augment *augment)
{
    return (hs_feed_desc){.count = w->train->count,
                          .shape = w->train->shape,
                          .bytes = w->train->bytes,
                          .capacity = w->capacity,
                          .shuffle = true,
                          .seed = (uint64_t)w->config->seed,
                          .augment = augment,
                          .scaling = w->scaling.count ? &w->scaling : NULL,
                          .resident = true};
}

typedef struct chunk {
    int64_t *indices;
    float *pixels;
    int32_t *labels;
} chunk;

static hs_status load_chunks(const hs_world *w, hs_dataset *set, int64_t first, int64_t count, hs_feed *feed, chunk *c)
{
    HS_TRY(hs_calloc(CHUNK, sizeof *c->indices, "samples on their way", &c->indices));
    HS_TRY(hs_calloc(CHUNK * hs_shape_count(set->shape), sizeof *c->pixels, "samples on their way", &c->pixels));
    HS_TRY(hs_calloc(CHUNK, sizeof *c->labels, "labels on their way", &c->labels));
    for (int64_t at = 0; at < count; at += CHUNK) {
        int n = count - at < CHUNK ? (int)(count - at) : CHUNK;
        for (int i = 0; i < n; i++)
            c->indices[i] = first + at + i;
        HS_TRY(hs_dataset_read(set, c->indices, n, c->pixels, c->labels));
        HS_TRY(w->device->backend->data->load(w->stream, feed, at, n, c->pixels, c->labels));
        hs_watchdog_beat(w->dog);
    }
    return HS_OK;
}

hs_status hs_intake_load(const hs_world *w, hs_dataset *set, int64_t first, int64_t count, hs_feed *feed)
{
    chunk c = {0};
    const hs_status st = load_chunks(w, set, first, count, feed, &c);
    hs_free(c.indices);
    hs_free(c.pixels);
    hs_free(c.labels);
    return st;
}

static void tell(const hs_trainer *t, size_t bytes, size_t room)
{
    const hs_world *w = &t->world;
    const double mib = 1048576.0;
    if (w->comm->rank != 0)
        return;
    if (t->intake.resident)
        hs_info(w->log, "training set on the device: %.1f MiB", (double)bytes / mib);
    else
        hs_info(w->log, "training set streamed: %.1f MiB would be more than data.resident = %g of the %.1f MiB that are free on the device",
                (double)bytes / mib, w->config->resident, (double)room / mib);
}

size_t hs_intake_bytes(const hs_trainer *t)
{
    const hs_data_ops *ops = t->world.device->backend->data;
    const hs_feed_desc desc = describe(&t->world, NULL);
    return ops && !t->shards ? ops->bytes(&desc) : 0;
}

hs_status hs_intake_make(hs_trainer *t)
{
    hs_world *w = &t->world;
    const hs_data_ops *ops = w->device->backend->data;
    hs_augment augment;
    bool any = false;
    t->intake.staged = -1;
    if (!ops || t->shards)
        return HS_OK;
    hs_config_augment(w->config, &augment, &any);
    hs_feed_desc desc = describe(w, any ? &augment : NULL);
    const size_t bytes = ops->bytes(&desc), room = ops->room(w->device);
    desc.resident = t->intake.resident = (double)bytes <= w->config->resident * (double)room;
    HS_TRY(ops->plan(w->device, &desc, &t->intake.feed));
    tell(t, bytes, room);
    return t->intake.resident ? hs_intake_load(w, w->train, 0, w->train->count, t->intake.feed) : HS_OK;
}

void hs_intake_close(hs_trainer *t)
{
    if (t->intake.feed)
        t->world.device->backend->data->destroy(&t->intake.feed);
}

/* From the host to the device's waiting room; what lies there is (epoch, first, n). */
static hs_status stage(hs_trainer *t, int64_t epoch, int64_t first, int n)
{
    hs_intake *in = &t->intake;
    const float *x = NULL;
    const int32_t *labels = NULL;
    in->staged = -1;
    HS_TRY(hs_batcher_get(t->world.feed, epoch, first, n, &x, &labels));
    HS_TRY(t->world.device->backend->data->stage(in->feed, n, x, labels));
    in->epoch = epoch;
    in->first = first;
    in->staged = n;
    return HS_OK;
}

hs_status hs_intake_get(hs_trainer *t, int64_t epoch, int64_t first, int n, const float **x, const int32_t **labels)
{
    hs_world *w = &t->world;
    hs_intake *in = &t->intake;
    *x = NULL;
    *labels = NULL;
    if (!in->feed)
        return hs_batcher_get(w->feed, epoch, first, n, x, labels);
    const hs_data_ops *ops = w->device->backend->data;
    void *to = hs_net_input_memory(w->net);
    int32_t *to_labels = hs_net_labels_memory(w->net);
    if (in->resident)
        return ops->gather(w->stream, in->feed, epoch, first, n, to, to_labels);
    if (in->staged != n || in->epoch != epoch || in->first != first)
        HS_TRY(stage(t, epoch, first, n));
    return ops->take(w->stream, in->feed, n, to, to_labels);
}

/* This rank's part of STEP; false: the run is over by then, or the part is empty. */
static bool part_of(const hs_trainer *t, int64_t step, int64_t *epoch, int64_t *first, int *n)
{
    hs_batch_place place;
    int64_t at, count;
    hs_batch_at(step, t->world.train->count, t->world.config->batch, &place);
    hs_batch_share(place.global, t->world.comm->rank, t->world.comm->size, &at, &count);
    *epoch = place.epoch;
    *first = place.position + at;
    *n = (int)count;
    return step < t->total_steps && count > 0;
}

void hs_intake_ahead(hs_trainer *t, int64_t step)
{
    int64_t epoch, first;
    int n;
    if (t->shards || t->intake.resident || !part_of(t, step, &epoch, &first, &n))
        return;
    if (!t->intake.feed) {
        hs_batcher_hint(t->world.feed, epoch, first, n);
        return;
    }
    (void)stage(t, epoch, first, n); /* what fails is tried again when it is wanted, and reported then */
    if (part_of(t, step + 1, &epoch, &first, &n))
        hs_batcher_hint(t->world.feed, epoch, first, n);
}
