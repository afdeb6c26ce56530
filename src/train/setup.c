/* setup.c - a world: data sets, normalisation, network, device and plan. All that training and evaluation have in common. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "train.h"

/* ---- data ---------------------------------------------------------------------------------------------------------------- */

static hs_status open_part(const hs_config *c, const char *data, hs_split part, hs_dataset **set)
{
    hs_dataset *whole = NULL;
    if (part == HS_SPLIT_TEST || c->validation <= 0)
        return hs_dataset_open(data, part, (uint64_t)c->seed, set);
    HS_TRY(hs_dataset_open(data, HS_SPLIT_TRAIN, (uint64_t)c->seed, &whole));
    return hs_dataset_split(whole, part, c->validation, (uint64_t)c->seed, set); /* whole is its own from here, in failure too */
}

static hs_status open_sets(hs_world *w)
{
    const hs_config *c = w->config;
    bool foreign = w->learnt_from && strcmp(w->learnt_from, c->data) != 0;
    HS_TRY(open_part(c, foreign ? w->learnt_from : c->data, HS_SPLIT_TRAIN, &w->train));
    HS_TRY(open_part(c, c->data, c->validation > 0 && !foreign ? HS_SPLIT_VALIDATION : HS_SPLIT_TEST, &w->held));
    const hs_dataset *a = w->train, *b = w->held;
    if (a->shape.h != b->shape.h || a->shape.w != b->shape.w || a->shape.c != b->shape.c || a->classes != b->classes)
        return hs_fail(HS_EINPUT, "%s: training samples are %d x %d x %d in %d classes, test samples %d x %d x %d in %d", c->data, a->shape.h,
                       a->shape.w, a->shape.c, a->classes, b->shape.h, b->shape.w, b->shape.c, b->classes);
    if (a->count < 1 || b->count < 1)
        return hs_fail(HS_EINPUT, "%s: %lld training and %lld test samples; both parts need at least one", c->data, (long long)a->count,
                       (long long)b->count);
    return HS_OK;
}

static const int64_t LONG_READ = 1 << 30; /* numbers: seconds, from a disk perhaps minutes */

/* Rank 0 measures the training set and tells the others: one pass over the files instead of one per rank, and equal numbers. */
static hs_status share_scaling(hs_world *w)
{
    hs_scaling *s = &w->scaling;
    hs_comm *comm = w->comm;
    hs_normalise kind = (hs_normalise)w->config->normalise;
    if (comm->rank == 0 && kind != HS_NORMALISE_NONE && w->train->typical == 0 && w->train->count > LONG_READ / (int64_t)hs_shape_count(w->train->shape))
        hs_info(w->log, "%s: reading all %lld training samples for their mean and deviation", w->config->data, (long long)w->train->count);
    HS_TRY(hs_agree(comm, comm->rank == 0 ? hs_scaling_measure(w->train, kind, s) : HS_OK));
    if (comm->size == 1)
        return HS_OK;
    uint64_t count = s->count;
    HS_TRY(hs_broadcast(comm, &count, sizeof count, 0));
    hs_status st = HS_OK;
    if (comm->rank != 0 && count > 0) {
        st = hs_calloc(count, sizeof(float), "normalisation", &s->mean);
        if (st == HS_OK)
            st = hs_calloc(count, sizeof(float), "normalisation", &s->inverse);
    }
    HS_TRY(hs_agree(comm, st));
    s->kind = kind;
    s->count = count;
    if (count == 0)
        return HS_OK;
    HS_TRY(hs_broadcast(comm, s->mean, count * sizeof(float), 0));
    return hs_broadcast(comm, s->inverse, count * sizeof(float), 0);
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* What is wrong with a network is often what is wrong with the data: shape and classes come from there. */
static hs_status say_data(const hs_world *w, hs_status st)
{
    char why[3000];
    const hs_shape s = w->train->shape;
    snprintf(why, sizeof why, "%s", hs_fail_text());
    return hs_fail(st, "%s\n  (%.500s has samples of %d x %d x %d in %d classes)", why, w->config->data, s.h, s.w, s.c, w->train->classes);
}

static hs_status create_net(hs_world *w)
{
    const hs_config *c = w->config;
    hs_net_options options;
    hs_config_net_options(c, &options);
    hs_status st = hs_net_create(c->net, &options, w->train->shape, w->train->classes, &w->net);
    if (st != HS_OK)
        return st == HS_EUSAGE ? say_data(w, st) : st;
    int64_t global = c->batch < w->train->count ? c->batch : w->train->count;
    int parts = c->reproducible ? HS_SHARDS : w->comm->size; /* fixed shards: plans must not depend on the number of ranks either */
    w->capacity = (int)most(1, (global + parts - 1) / parts);
    return HS_OK;
}

/* Kinds of communicators that sum a device's memory. */
static bool is_for_device(const char *kind)
{
    return strcmp(kind, "nccl") == 0 || strcmp(kind, "mpi-cuda") == 0 || strcmp(kind, "mpi-staged") == 0;
}

bool hs_comm_sees_device(const hs_comm *comm)
{
    return is_for_device(comm->ops->name);
}

/* The communicator was made by the caller; the key says what it must be. One rank needs none. */
static hs_status check_comm(const hs_world *w)
{
    char wanted[16];
    const char *have = w->comm->ops->name;
    hs_config_choice(w->config, "comm", wanted, sizeof wanted);
    const bool waits = is_for_device(wanted); /* for the device: see make_device_comm */
    if (strcmp(wanted, "auto") == 0 || strcmp(wanted, have) == 0 || waits || w->comm->size == 1)
        return HS_OK;
    if (strcmp(wanted, "self") == 0)
        return hs_fail(HS_EUSAGE, "comm = self is for one rank; these are %d", w->comm->size);
    return hs_fail(HS_EUNSUPPORTED, "comm = %s: this build sums gradients by %s; use comm = auto", wanted, have);
}

/* COLLECTIVE. Gradients on a device are summed there, or beside it, if its backend knows how. Reproducible sums take the host's fixed tree. */
static hs_status make_device_comm(hs_world *w)
{
    char wanted[16];
    hs_config_choice(w->config, "comm", wanted, sizeof wanted);
    const bool asked = is_for_device(wanted);
    const hs_backend *backend = w->device->backend;
    int64_t can = backend->comm != NULL; /* with device = auto, ranks may have got different ones */
    HS_TRY(hs_allreduce(w->comm, &can, 1, HS_COMM_I64, HS_MIN));
    if (asked && w->config->reproducible)
        return hs_fail(HS_EUSAGE, "comm = %s: reproducible sums are made by the host; use comm = auto", wanted);
    if (asked && !can)
        return hs_fail(HS_EUNSUPPORTED, "comm = %s is for device = cuda on all ranks (this one has %s); use comm = auto", wanted, backend->name);
    if (w->config->comm_wire == 1 && w->comm->size > 1 && (!can || w->config->reproducible))
        return hs_fail(HS_EUSAGE, "comm.wire = bf16 is for device = cuda with NCCL, and not for reproducible = yes");
    if (!can || w->config->reproducible || (!asked && (w->comm->size == 1 || strcmp(wanted, "auto") != 0)))
        return HS_OK;
    const hs_comm_wish wish = {.kind = wanted, .bf16 = w->config->comm_wire == 1, .timeout = w->config->comm_timeout};
    HS_TRY(backend->comm(w->device, w->stream, w->comm, &wish, &w->device_comm));
    w->comm = w->device_comm;
    return HS_OK;
}

hs_status hs_world_open(hs_world *w, const hs_config *config, hs_comm *comm, const hs_log *log)
{
    w->config = config;
    w->comm = comm;
    w->log = log;
    hs_watchdog_phase(w->dog, "opening data", 0, 4);
    HS_TRY(hs_agree(comm, check_comm(w)));
    HS_TRY(hs_agree(comm, open_sets(w)));
    HS_TRY(hs_world_compare_data(w));
    HS_TRY(hs_agree(comm, create_net(w)));
    return share_scaling(w);
}

/* ---- device and plan ------------------------------------------------------------------------------------------------------- */

/* Cores that this process may use, shared by the ranks of its host; OMP_NUM_THREADS caps them as users of OpenMP expect. */
static int threads_here(const hs_world *w)
{
    if (w->config->threads > 0)
        return (int)w->config->threads;
    cpu_set_t mine;
    int cores = sched_getaffinity(0, sizeof mine, &mine) == 0 ? CPU_COUNT(&mine) : 1;
    int threads = cores / (w->comm->local_size > 0 ? w->comm->local_size : 1);
    const char *omp = getenv("OMP_NUM_THREADS");
    int cap = omp ? atoi(omp) : 0;
    if (cap > 0 && cap < threads)
        threads = cap;
    return threads > 0 ? threads : 1;
}

static hs_status open_device(hs_world *w)
{
    char precision[16];
    hs_config_choice(w->config, "precision", precision, sizeof precision);
    hs_device_options options = {.threads = threads_here(w),
                                 .ordinal = -1,
                                 .local_rank = w->comm->local_rank,
                                 .local_size = w->comm->local_size,
                                 .precision = precision,
                                 .log = w->log};
    const char *name = w->config->device;
    if (strcmp(name, "auto") == 0 && strcmp(precision, "double") == 0)
        name = "ref"; /* the only backend in double */
    HS_TRY(hs_device_open(name, &options, &w->device));
    return w->device->backend->device->stream_create(w->device, &w->stream);
}

hs_status hs_world_plan(hs_world *w, bool training)
{
    hs_watchdog_phase(w->dog, "planning", 0, 4);
    HS_TRY(hs_agree(w->comm, open_device(w)));
    HS_TRY(make_device_comm(w));
    return hs_world_plan_net(w, training);
}

hs_status hs_world_feeds(hs_world *w, bool training)
{
    const hs_config *c = w->config;
    hs_augment augment;
    bool any = false;
    hs_config_augment(c, &augment, &any);
    hs_batcher_options learn = {.capacity = w->capacity,
                                .shuffle = true,
                                .prefetch = c->prefetch,
                                .seed = (uint64_t)c->seed,
                                .augment = any ? &augment : NULL,
                                .scaling = &w->scaling};
    hs_batcher_options look = {.capacity = w->capacity, .prefetch = c->prefetch, .seed = (uint64_t)c->seed, .scaling = &w->scaling};
    hs_status st = training ? hs_batcher_create(w->train, &learn, &w->feed) : HS_OK;
    if (st == HS_OK)
        st = hs_batcher_create(w->held, &look, &w->held_feed);
    if (st == HS_OK)
        st = hs_look_make(w);
    return hs_agree(w->comm, st);
}

void hs_world_close(hs_world *w)
{
    hs_look_close(w);
    hs_batcher_destroy(&w->held_feed);
    hs_batcher_destroy(&w->feed);
    hs_comm_destroy(&w->device_comm); /* to which the network's gradients may be known */
    hs_net_destroy(&w->net);
    if (w->stream)
        w->device->backend->device->stream_destroy(&w->stream);
    hs_device_close(&w->device);
    hs_scaling_free(&w->scaling);
    hs_dataset_close(&w->held);
    hs_dataset_close(&w->train);
}

/* ---- mirrors ----------------------------------------------------------------------------------------------------------------- */

hs_status hs_mirror_make(const hs_world *w, void *device, size_t count, hs_mirror *m)
{
    *m = (hs_mirror){.device = device, .host = device, .count = count, .bytes = count * (size_t)w->device->backend->real};
    if (w->device->backend->memory->host_visible)
        return HS_OK;
    m->host = NULL;
    HS_TRY(hs_calloc(count > 0 ? count : 1, (size_t)w->device->backend->real, "host copy of a slab", &m->host));
    m->own = true;
    return HS_OK;
}

void hs_mirror_free(hs_mirror *m)
{
    if (m->own)
        hs_free(m->host);
    *m = (hs_mirror){0};
}

hs_status hs_mirror_pull(const hs_world *w, hs_mirror *m)
{
    if (m->own && m->bytes > 0)
        return w->device->backend->memory->download(w->stream, m->host, m->device, m->bytes);
    return w->device->backend->device->stream_sync(w->stream);
}

hs_status hs_mirror_push(const hs_world *w, hs_mirror *m)
{
    if (m->own && m->bytes > 0)
        return w->device->backend->memory->upload(w->stream, m->device, m->host, m->bytes);
    return HS_OK;
}

hs_status hs_mirror_share(const hs_world *w, hs_mirror *m)
{
    enum { PIECE = 1 << 28 }; /* counts of MPI are int */
    for (size_t at = 0; at < m->bytes; at += PIECE) {
        size_t bytes = m->bytes - at < PIECE ? m->bytes - at : PIECE;
        HS_TRY(hs_broadcast(w->comm, (char *)m->host + at, bytes, 0));
    }
    return hs_mirror_push(w, m);
}
