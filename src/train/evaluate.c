/* evaluate.c - loss and hits over the held-out set, shared contiguously by the ranks. */
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

static hs_status one_batch(hs_world *w, int64_t first, int n, int64_t total, hs_eval_see see, void *context, hs_loss_sums *sums)
{
    const float *x = NULL;
    const int32_t *labels = NULL;
    HS_TRY(hs_batcher_get(w->held_feed, 0, first, n, &x, &labels));
    hs_pass pass = {.n = n, .first = first, .global = total, .seed = (uint64_t)w->config->seed, .rank = w->comm->rank};
    HS_TRY(hs_net_forward(w->net, w->stream, &pass, x));
    HS_TRY(hs_net_loss(w->net, w->stream, &pass, labels, sums));
    return see ? see(context, first, n, x, labels) : HS_OK;
}

/* One part: samples [first, end) -> SUMS [3], added to. */
static hs_status one_part(hs_world *w, int64_t first, int64_t end, hs_eval_see see, void *context, double sums[3])
{
    while (first < end) {
        int n = end - first < w->capacity ? (int)(end - first) : w->capacity;
        int64_t next = first + n;
        hs_loss_sums batch;
        if (next < end)
            hs_batcher_hint(w->held_feed, 0, next, end - next < w->capacity ? (int)(end - next) : w->capacity);
        HS_TRY(one_batch(w, first, n, total_of(w), see, context, &batch));
        sums[0] += batch.loss;
        sums[1] += batch.hits1;
        sums[2] += batch.hits5;
        first = next;
        hs_watchdog_beat(w->dog);
    }
    return HS_OK;
}

/* TABLE [HS_SHARDS][3]: fixed parts keep a row each, so that the sum over ranks adds zeros and the order of parts stays; else row 0 has it all. */
static hs_status my_parts(hs_world *w, hs_eval_see see, void *context, double (*table)[3])
{
    int64_t part, parts, first, count;
    hs_batch_share(parts_of(w), w->comm->rank, w->comm->size, &part, &parts);
    for (int64_t p = part; p < part + parts; p++) {
        hs_batch_share(total_of(w), (int)p, parts_of(w), &first, &count);
        HS_TRY(one_part(w, first, first + count, see, context, table[w->config->reproducible ? p : 0]));
    }
    return HS_OK;
}

hs_status hs_world_evaluate(hs_world *w, hs_eval_see see, void *context, hs_eval_sums *out)
{
    double table[HS_SHARDS][3] = {{0}}, sums[3] = {0};
    HS_TRY(hs_agree(w->comm, my_parts(w, see, context, table)));
    HS_TRY(hs_allreduce(w->comm, table, 3 * HS_SHARDS, HS_COMM_F64, HS_SUM));
    for (int p = 0; p < HS_SHARDS; p++)
        for (int i = 0; i < 3; i++)
            sums[i] += table[p][i];
    *out = (hs_eval_sums){.loss = sums[0], .hits1 = sums[1], .hits5 = sums[2], .count = total_of(w)};
    return HS_OK;
}
