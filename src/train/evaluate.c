/* evaluate.c - loss and hits over the held-out set, shared contiguously by the ranks. Sums of each batch are kept and added up in one order when all
 * are there, so that it does not matter whether batches come from the host one by one, or are made on the device, which then waits for nobody. */
#include "train.h"

/* Parts that are summed one by one: fixed ones where sums must not depend on the number of ranks, else one per rank. */
static int parts_of(const hs_world *w)
{
    return w->config->reproducible ? HS_SHARDS : w->comm->size;
}

static int64_t total_of(const hs_world *w)
{
    int64_t total = w->held->count, limit = w->config->eval_limit;
    return limit > 0 && limit < total ? limit : total;
}

int64_t hs_world_held(const hs_world *w, int rank, int64_t *first, int64_t *count)
{
    int64_t total = total_of(w), part, parts, last, length;
    hs_batch_share(parts_of(w), rank, w->comm->size, &part, &parts);
    *first = *count = 0;
    if (parts == 0)
        return total;
    hs_batch_share(total, (int)part, parts_of(w), first, &length);
    hs_batch_share(total, (int)(part + parts - 1), parts_of(w), &last, &length);
    *count = last + length - *first;
    return total;
}

/* ---- this rank's batches in order ----------------------------------------------------------------------------------------------- */

/* Samples [first, first + n), which part P takes, end at END. */
typedef struct place {
    int batch; /* from 0 */
    int64_t part, first, end;
    int n;
} place;

/* The first batch of PART or a later one of this rank; false: there is none. */
static bool begin_part(const hs_world *w, int64_t part, place *p)
{
    int64_t mine, parts, count;
    hs_batch_share(parts_of(w), w->comm->rank, w->comm->size, &mine, &parts);
    for (p->part = part > mine ? part : mine; p->part < mine + parts; p->part++) {
        hs_batch_share(total_of(w), (int)p->part, parts_of(w), &p->first, &count);
        p->end = p->first + count;
        p->n = count < w->capacity ? (int)count : w->capacity;
        if (count > 0)
            return true;
    }
    return false;
}

static bool next_batch(const hs_world *w, place *p)
{
    p->batch++;
    p->first += p->n;
    if (p->first >= p->end)
        return begin_part(w, p->part + 1, p);
    p->n = p->end - p->first < w->capacity ? (int)(p->end - p->first) : w->capacity;
    return true;
}

static bool first_batch(const hs_world *w, place *p)
{
    *p = (place){.batch = 0};
    return begin_part(w, 0, p);
}

static hs_pass pass_of(const hs_world *w, const place *p)
{
    return (hs_pass){.n = p->n, .first = p->first, .global = total_of(w), .seed = (uint64_t)w->config->seed, .rank = w->comm->rank};
}

/* ---- from the host ---------------------------------------------------------------------------------------------------------------- */

static hs_status host_batch(hs_world *w, const place *p, hs_eval_see see, void *context)
{
    const float *x = NULL;
    const int32_t *labels = NULL;
    const hs_pass pass = pass_of(w, p);
    const int64_t next = p->first + p->n;
    double *row = w->look.sums[p->batch];
    hs_loss_sums sums;
    if (next < p->end)
        hs_batcher_hint(w->held_feed, 0, next, p->end - next < w->capacity ? (int)(p->end - next) : w->capacity);
    HS_TRY(hs_batcher_get(w->held_feed, 0, p->first, p->n, &x, &labels));
    HS_TRY(hs_net_forward(w->net, w->stream, &pass, x));
    HS_TRY(hs_net_loss(w->net, w->stream, &pass, labels, &sums));
    row[0] = sums.loss;
    row[1] = sums.hits1;
    row[2] = sums.hits5;
    return see ? see(context, p->first, p->n, x, labels) : HS_OK;
}

/* ---- on the device -------------------------------------------------------------------------------------------------------------- */

static hs_status device_batch(hs_world *w, const place *p)
{
    const hs_backend *backend = w->device->backend;
    const hs_pass pass = pass_of(w, p);
    HS_TRY(backend->data->gather(w->stream, w->look.feed, 0, p->first - w->look.first, p->n, hs_net_input_memory(w->net),
                                 hs_net_labels_memory(w->net)));
    HS_TRY(hs_net_forward(w->net, w->stream, &pass, NULL));
    HS_TRY(hs_net_loss(w->net, w->stream, &pass, NULL, NULL));
    return backend->memory->copy(w->stream, w->look.on_device + 3 * p->batch, hs_net_totals(w->net), 3 * sizeof(double));
}

/* This rank's samples from FIRST on. */
static hs_feed_desc describe(const hs_world *w, int64_t *first)
{
    hs_feed_desc desc = {.shape = w->held->shape, .bytes = w->held->bytes, .capacity = w->capacity, .seed = (uint64_t)w->config->seed,
                         .scaling = w->scaling.count ? &w->scaling : NULL, .resident = true};
    hs_world_held(w, w->comm->rank, first, &desc.count);
    return desc;
}

static int batches_of(const hs_world *w)
{
    place p;
    int batches = 0;
    for (bool more = first_batch(w, &p); more; more = next_batch(w, &p))
        batches++;
    return batches;
}

size_t hs_look_bytes(const hs_world *w)
{
    int64_t first;
    const hs_data_ops *ops = w->device->backend->data;
    const hs_feed_desc desc = describe(w, &first);
    return ops && desc.count > 0 ? ops->bytes(&desc) + (size_t)batches_of(w) * sizeof *w->look.sums : 0;
}

hs_status hs_look_make(hs_world *w)
{
    w->look.batches = batches_of(w);
    return hs_calloc((size_t)w->look.batches + 1, sizeof *w->look.sums, "sums of an evaluation", &w->look.sums);
}

hs_status hs_look_settle(hs_world *w)
{
    const hs_data_ops *ops = w->device->backend->data;
    const hs_feed_desc desc = describe(w, &w->look.first);
    const size_t sums = (size_t)w->look.batches * sizeof *w->look.sums, bytes = hs_look_bytes(w);
    void *memory;
    if (bytes == 0)
        return HS_OK;
    const double mib = 1048576.0, room = w->config->resident * (double)ops->room(w->device);
    if ((double)bytes > room) {
        if (w->comm->rank == 0)
            hs_info(w->log, "held-out set on the host: %.1f MiB would be more than data.resident leaves for it on the device, %.1f MiB",
                    (double)bytes / mib, room / mib);
        return HS_OK;
    }
    HS_TRY(w->device->backend->memory->alloc(w->device, sums, &memory));
    w->look.on_device = memory;
    HS_TRY(ops->plan(w->device, &desc, &w->look.feed));
    if (w->comm->rank == 0)
        hs_info(w->log, "held-out set on the device: %.1f MiB", (double)bytes / mib);
    return hs_intake_load(w, w->held, w->look.first, desc.count, w->look.feed);
}

void hs_look_close(hs_world *w)
{
    if (w->look.feed)
        w->device->backend->data->destroy(&w->look.feed);
    if (w->look.on_device)
        w->device->backend->memory->free(w->device, w->look.on_device);
    hs_free(w->look.sums);
    w->look = (hs_look){0};
}

/* ---- all ------------------------------------------------------------------------------------------------------------------------ */

/* Who wants to SEE batches wants them on the host. TABLE [HS_SHARDS][3]: fixed parts keep a row each, so that the sum over ranks adds zeros and the
 * order of parts stays; else row 0 has it all. */
static hs_status my_batches(hs_world *w, hs_eval_see see, void *context, double (*table)[3])
{
    place p;
    const hs_look *look = &w->look;
    const bool device = look->feed && !see;
    for (bool more = first_batch(w, &p); more; more = next_batch(w, &p)) {
        HS_TRY(device ? device_batch(w, &p) : host_batch(w, &p, see, context));
        hs_watchdog_beat(w->dog);
    }
    if (device)
        HS_TRY(w->device->backend->memory->download(w->stream, look->sums, look->on_device, (size_t)look->batches * sizeof *look->sums));
    for (bool more = first_batch(w, &p); more; more = next_batch(w, &p))
        for (int i = 0; i < 3; i++)
            table[w->config->reproducible ? p.part : 0][i] += look->sums[p.batch][i];
    return HS_OK;
}

hs_status hs_world_evaluate(hs_world *w, hs_eval_see see, void *context, hs_eval_sums *out)
{
    double table[HS_SHARDS][3] = {{0}}, sums[3] = {0};
    HS_TRY(hs_agree(w->comm, my_batches(w, see, context, table)));
    HS_TRY(hs_allreduce(w->comm, table, 3 * HS_SHARDS, HS_COMM_F64, HS_SUM));
    for (int p = 0; p < HS_SHARDS; p++)
        for (int i = 0; i < 3; i++)
            sums[i] += table[p][i];
    *out = (hs_eval_sums){.loss = sums[0], .hits1 = sums[1], .hits5 = sums[2], .count = total_of(w)};
    return HS_OK;
}
