/* shards.c - reproducible = yes: the gradient of a step is the sum over 8 virtual shards of the global batch, added in one fixed binary tree.
 * A rank of 1, 2, 4 or 8 computes its 8 / ranks neighbouring shards and adds their subtree; hs_tree_sum adds the upper levels in the same
 * order. Every addition has the same operands for every number of ranks, so parameters have equal bits. Sums run on the host. */
#include <string.h>

#include "train.h"

enum { SHARDS = HS_SHARDS, LEVELS = 3 };

struct hs_shards {
    int first, count;     /* of this rank */
    void *level[LEVELS];  /* partial sums of 1, 2, 4 shards */
    void *scratch;        /* of hs_tree_sum */
};

hs_status hs_shards_make(hs_trainer *t)
{
    const hs_world *w = &t->world;
    size_t real = (size_t)w->device->backend->real;
    int64_t first, count;
    if (SHARDS % w->comm->size != 0)
        return hs_fail(HS_EUSAGE, "reproducible = yes sums %d fixed shards of a batch over 1, 2, 4 or 8 ranks; these are %d", SHARDS, w->comm->size);
    if (hs_net_has_batch_statistics(w->net))
        return hs_fail(HS_EUNSUPPORTED, "reproducible = yes computes shard by shard, and BN needs the whole batch at once; leave BN out or set "
                       "reproducible = no");
    HS_TRY(hs_calloc(1, sizeof *t->shards, "shards", &t->shards));
    hs_batch_share(SHARDS, w->comm->rank, w->comm->size, &first, &count);
    t->shards->first = (int)first;
    t->shards->count = (int)count;
    for (int i = 0; i < LEVELS; i++)
        HS_TRY(hs_calloc(t->gradients.count, real, "partial gradient sums", &t->shards->level[i]));
    return hs_calloc(t->gradients.count, real, "partial gradient sums", &t->shards->scratch);
}

void hs_shards_free(hs_trainer *t)
{
    if (!t->shards)
        return;
    for (int i = 0; i < LEVELS; i++)
        hs_free(t->shards->level[i]);
    hs_free(t->shards->scratch);
    hs_free(t->shards);
    t->shards = NULL;
}

static void add(hs_real real, size_t count, const void *a, void *b)
{
    for (size_t i = 0; i < count; i++)
        if (real == HS_F32)
            ((float *)b)[i] = ((const float *)a)[i] + ((float *)b)[i];
        else
            ((double *)b)[i] = ((const double *)a)[i] + ((double *)b)[i];
}

/* Shard I of this rank is in the gradient slab: add the finished subtrees it completes, as a binary counter carries. */
static hs_status carry(hs_trainer *t, int i)
{
    const hs_world *w = &t->world;
    hs_mirror *g = &t->gradients;
    HS_TRY(hs_mirror_pull(w, g));
    int level = 0;
    for (; (i >> level) & 1; level++)
        add(w->device->backend->real, g->count, t->shards->level[level], g->host);
    if (level < LEVELS && i + 1 < t->shards->count)
        memcpy(t->shards->level[level], g->host, g->bytes);
    return HS_OK;
}

static void hint_shard(hs_trainer *t, const hs_step *s, int shard)
{
    int64_t first, count;
    hs_batch_share(s->place.global, shard, SHARDS, &first, &count);
    if (count > 0)
        hs_batcher_hint(t->world.feed, s->place.epoch, s->place.position + first, (int)count);
}

/* One shard: samples -> gradient. SUMS [2] of the shard is written. A shard that cannot be read counts as empty; the status tells. */
static hs_status compute_shard(hs_trainer *t, hs_step *s, int shard, bool more, hs_status *data, double sums[2])
{
    hs_world *w = &t->world;
    const float *x = NULL;
    const int32_t *labels = NULL;
    hs_loss_sums part = {0};
    int64_t first, count;
    double begin = hs_now();
    hs_batch_share(s->place.global, shard, SHARDS, &first, &count);
    hs_status st = count > 0 ? hs_batcher_get(w->feed, s->place.epoch, s->place.position + first, (int)count, &x, &labels) : HS_OK;
    if (st != HS_OK) {
        *data = st;
        count = 0;
    }
    if (more)
        hint_shard(t, s, shard + 1);
    s->pass = (hs_pass){.n = (int)count, .first = first, .global = s->place.global, .seed = (uint64_t)w->config->seed, .step = t->state.step,
                        .epoch = s->place.epoch, .rank = w->comm->rank, .training = true};
    double fetched = hs_now();
    HS_TRY(hs_net_forward(w->net, w->stream, &s->pass, x));
    HS_TRY(hs_net_loss(w->net, w->stream, &s->pass, labels, &part));
    double passed = hs_now();
    HS_TRY(hs_net_backward(w->net, w->stream, &s->pass));
    t->times.data += fetched - begin;
    t->times.forward += passed - fetched;
    t->times.backward += hs_now() - passed;
    sums[0] = part.loss;
    sums[1] = part.hits1;
    return HS_OK;
}

static hs_status sum_over_ranks(hs_trainer *t, double sums[2])
{
    const hs_world *w = &t->world;
    hs_comm_type type = w->device->backend->real == HS_F32 ? HS_COMM_F32 : HS_COMM_F64;
    double scratch[2], begin = hs_now();
    HS_TRY(hs_tree_sum(w->comm, t->gradients.host, t->gradients.count, type, t->shards->scratch));
    HS_TRY(hs_tree_sum(w->comm, sums, 2, HS_COMM_F64, scratch));
    HS_TRY(hs_mirror_push(w, &t->gradients));
    t->times.communication += hs_now() - begin;
    return HS_OK;
}

hs_status hs_shards_step(hs_trainer *t, hs_step *s, hs_status *data, hs_loss_sums *out)
{
    double level[LEVELS][2], sums[2] = {0};
    *data = HS_OK;
    for (int i = 0; i < t->shards->count; i++) {
        hs_watchdog_phase(&t->dog, "shard", t->state.step, 1);
        HS_TRY(compute_shard(t, s, t->shards->first + i, i + 1 < t->shards->count, data, sums));
        HS_TRY(carry(t, i));
        int k = 0;
        for (; (i >> k) & 1; k++) {
            sums[0] += level[k][0];
            sums[1] += level[k][1];
        }
        if (k < LEVELS && i + 1 < t->shards->count)
            memcpy(level[k], sums, sizeof sums);
    }
    HS_TRY(sum_over_ranks(t, sums));
    if (t->world.comm->rank == 0) /* the scalars are summed once more over all ranks */
        *out = (hs_loss_sums){.loss = sums[0], .hits1 = sums[1]};
    return HS_OK;
}
