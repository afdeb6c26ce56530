/* evaluate.c - loss and hits over the held-out set, shared contiguously by the ranks. */
#include "train.h"

int64_t hs_world_held(const hs_world *w, int64_t *first, int64_t *count)
{
    int64_t total = w->held->count, limit = w->config->eval_limit;
    if (limit > 0 && limit < total)
        total = limit;
    hs_batch_share(total, w->comm->rank, w->comm->size, first, count);
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

static hs_status my_part(hs_world *w, hs_eval_see see, void *context, double sums[3])
{
    int64_t first = 0, count = 0;
    int64_t total = hs_world_held(w, &first, &count), end = first + count;
    while (first < end) {
        int n = end - first < w->capacity ? (int)(end - first) : w->capacity;
        int64_t next = first + n;
        hs_loss_sums part;
        if (next < end)
            hs_batcher_hint(w->held_feed, 0, next, end - next < w->capacity ? (int)(end - next) : w->capacity);
        HS_TRY(one_batch(w, first, n, total, see, context, &part));
        sums[0] += part.loss;
        sums[1] += part.hits1;
        sums[2] += part.hits5;
        first = next;
        hs_watchdog_beat(w->dog);
    }
    return HS_OK;
}

hs_status hs_world_evaluate(hs_world *w, hs_eval_see see, void *context, hs_eval_sums *out)
{
    double sums[3] = {0};
    int64_t first, count;
    HS_TRY(hs_agree(w->comm, my_part(w, see, context, sums)));
    HS_TRY(hs_allreduce(w->comm, sums, 3, HS_COMM_F64, HS_SUM));
    *out = (hs_eval_sums){.loss = sums[0], .hits1 = sums[1], .hits5 = sums[2], .count = hs_world_held(w, &first, &count)};
    return HS_OK;
}
