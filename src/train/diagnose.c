/* diagnose.c - two ways for numbers to go wrong: ranks that no longer hold the same parameters, and numbers that are not finite. */
#include <math.h>
#include <string.h>

#include "train.h"

/* ---- do all ranks hold the same? ---------------------------------------------------------------------------------------------- */

static hs_status hash_slabs(hs_trainer *t, int64_t *hash)
{
    HS_TRY(hs_mirror_pull(&t->world, &t->parameters));
    HS_TRY(hs_mirror_pull(&t->world, &t->statistics));
    uint64_t h = hs_hash64(t->parameters.host, t->parameters.bytes, 0x68616c6673706563u);
    *hash = (int64_t)hs_hash64(t->statistics.host, t->statistics.bytes, h);
    return HS_OK;
}

/* Which value do most ranks have? Ties go to the lower rank. */
static int64_t majority(const int64_t *hash, int size)
{
    int best = 0, votes = 0;
    for (int i = 0; i < size; i++) {
        int same = 0;
        for (int j = 0; j < size; j++)
            same += hash[j] == hash[i];
        if (same > votes) {
            votes = same;
            best = i;
        }
    }
    return hash[best];
}

static void name_odd_ranks(const int64_t *hash, int size, char *text, size_t capacity)
{
    int64_t common = majority(hash, size);
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < size && used + 16 < capacity; i++)
        if (hash[i] != common)
            used += (size_t)snprintf(text + used, capacity - used, "%s%d", used ? ", " : "", i);
}

static hs_status tell_odd_ranks(hs_trainer *t, int64_t mine)
{
    hs_comm *comm = t->world.comm;
    char odd[256] = "";
    int64_t *all = NULL;
    HS_TRY(hs_agree(comm, comm->rank == 0 ? hs_calloc((size_t)comm->size, sizeof *all, "hashes of all ranks", &all) : HS_OK));
    hs_status st = comm->ops->gather(comm, &mine, sizeof mine, all, 0);
    if (st == HS_OK && comm->rank == 0)
        name_odd_ranks(all, comm->size, odd, sizeof odd);
    hs_free(all);
    HS_TRY(st);
    HS_TRY(hs_broadcast(comm, odd, sizeof odd, 0));
    return hs_fail(HS_EDESYNC, "after step %lld the parameters of rank %s differ from those of the other ranks (of %d); faulty memory or a faulty "
                   "device does this. The newest checkpoint is from before: start again, without that machine if it happens again",
                   (long long)t->state.step, odd, comm->size);
}

hs_status hs_ranks_compare(hs_trainer *t)
{
    hs_comm *comm = t->world.comm;
    int64_t mine = 0;
    if (comm->size == 1)
        return HS_OK;
    HS_TRY(hs_agree(comm, hash_slabs(t, &mine)));
    int64_t low = mine, high = mine;
    HS_TRY(hs_allreduce(comm, &low, 1, HS_COMM_I64, HS_MIN));
    HS_TRY(hs_allreduce(comm, &high, 1, HS_COMM_I64, HS_MAX));
    return low == high ? HS_OK : tell_odd_ranks(t, mine);
}

/* ---- what is not finite? -------------------------------------------------------------------------------------------------------- */

static size_t count_bad(const void *slab, hs_real real, size_t offset, size_t count)
{
    size_t bad = 0;
    for (size_t i = offset; i < offset + count; i++)
        bad += !isfinite(real == HS_F32 ? (double)((const float *)slab)[i] : ((const double *)slab)[i]);
    return bad;
}

/* First tensor in network order whose numbers in SLAB are not finite: "conv1/weight (12 of 400 numbers)". */
static bool find_bad(const hs_trainer *t, const void *slab, char *text, size_t capacity)
{
    int params = 0;
    hs_real real = t->world.device->backend->real;
    const hs_param *param = hs_net_params(t->world.net, &params);
    for (int i = 0; i < params; i++) {
        size_t bad = count_bad(slab, real, param[i].offset, param[i].count);
        if (bad == 0)
            continue;
        snprintf(text, capacity, "%s/%s (%zu of %zu numbers)", param[i].layer, param[i].name, bad, param[i].count);
        return true;
    }
    snprintf(text, capacity, "none");
    return false;
}

hs_status hs_nonfinite_explain(hs_trainer *t, const hs_step *s)
{
    char parameters[96], gradients[96], loss[32];
    double lr = hs_schedule_rate(&t->optim_config.schedule, &t->plateau, t->state.step);
    HS_TRY(hs_mirror_pull(&t->world, &t->parameters));
    HS_TRY(hs_mirror_pull(&t->world, &t->gradients));
    snprintf(loss, sizeof loss, isnan(s->loss) ? "nan" : "%g", s->loss);
    find_bad(t, t->parameters.host, parameters, sizeof parameters);
    find_bad(t, t->gradients.host, gradients, sizeof gradients);
    return hs_fail(HS_ENONFINITE,
                   "step %lld: loss %s, rate %g; parameters that are not finite: %s; gradients that are not finite: %s. No checkpoint was written "
                   "over an older one; try a lower lr, lr.warmup or clip = 1",
                   (long long)t->state.step + 1, loss, lr, parameters, gradients);
}
