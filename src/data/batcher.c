/* batcher.c - fills batches: order of the epoch, read, augment, scale. Two buffers: the caller holds one, the prefetch thread (if
 * there is one) fills the other. A buffer is a pure function of (epoch, first, count), so it does not matter who filled it. */
#define _POSIX_C_SOURCE 200809L

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "data_impl.h"
#include "hs_rng.h"

typedef struct batch {
    int64_t epoch, first;
    int count; /* -1: holds nothing */
    float *x;
    int32_t *labels;
    int64_t *indices;
    float *scratch; /* one sample */
    hs_status status;
    char text[1024]; /* why, for the thread that asks: hs_fail's record belongs to the thread that failed */
} batch;

struct hs_batcher {
    hs_dataset *set;
    hs_batcher_options options;
    hs_augment augment;
    batch slot[2];
    int held; /* slot that the caller reads */
    /* Prefetch. WANTED is set by hint, cleared when the other slot is filled. */
    bool threaded, wanted, quit;
    int64_t next_epoch, next_first;
    int next_count;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work, done;
};

int64_t hs_batcher_index(const hs_batcher *b, int64_t epoch, int64_t position)
{
    return b->options.shuffle ? (int64_t)hs_permute(b->options.seed, (uint32_t)epoch, (uint64_t)b->set->count, (uint64_t)position)
                              : position;
}

/* X [groups * rows] in place. */
static void scale(const hs_scaling *s, float *x, size_t total)
{
    for (size_t at = 0; at < total; at += s->count)
        for (size_t g = 0; g < s->count; g++)
            x[at + g] = (x[at + g] - s->mean[g]) * s->inverse[g];
}

static hs_status fill(const hs_batcher *b, batch *to)
{
    size_t size = hs_shape_count(b->set->shape);
    const hs_scaling *scaling = b->options.scaling;
    for (int i = 0; i < to->count; i++)
        to->indices[i] = hs_batcher_index(b, to->epoch, to->first + i);
    HS_TRY(hs_dataset_read(b->set, to->indices, to->count, to->x, to->labels));
    if (b->options.augment)
        for (int i = 0; i < to->count; i++)
            hs_augment_apply(&b->augment, b->set->shape, b->options.seed, to->epoch, to->indices[i],
                             b->set->bytes ? 255.0f : INFINITY, to->x + (size_t)i * size, to->scratch);
    if (scaling && scaling->count)
        scale(scaling, to->x, (size_t)to->count * size);
    return HS_OK;
}

static void fill_slot(const hs_batcher *b, batch *to, int64_t epoch, int64_t first, int count)
{
    to->epoch = epoch;
    to->first = first;
    to->count = count;
    to->status = fill(b, to);
    if (to->status != HS_OK)
        snprintf(to->text, sizeof to->text, "%.1023s", hs_fail_text());
}

/* ---- the thread ------------------------------------------------------------------------------------------------ */

static void *prefetch(void *argument)
{
    hs_batcher *b = argument;
    pthread_mutex_lock(&b->mutex);
    while (!b->quit) {
        if (!b->wanted) {
            pthread_cond_wait(&b->work, &b->mutex);
            continue;
        }
        batch *to = &b->slot[!b->held]; /* HELD does not change while WANTED is set */
        pthread_mutex_unlock(&b->mutex);
        fill_slot(b, to, b->next_epoch, b->next_first, b->next_count);
        pthread_mutex_lock(&b->mutex);
        b->wanted = false;
        pthread_cond_signal(&b->done);
    }
    pthread_mutex_unlock(&b->mutex);
    return NULL;
}

static void wait_idle(hs_batcher *b)
{
    if (!b->threaded)
        return;
    pthread_mutex_lock(&b->mutex);
    while (b->wanted)
        pthread_cond_wait(&b->done, &b->mutex);
    pthread_mutex_unlock(&b->mutex);
}

/* Signals are for the main thread: it decides at a step's border. */
static hs_status start_thread(hs_batcher *b)
{
    sigset_t all, before;
    if (pthread_mutex_init(&b->mutex, NULL) != 0)
        return hs_fail(HS_EINTERNAL, "no mutex for the prefetch thread; set data.prefetch = no");
    pthread_cond_init(&b->work, NULL); /* cannot fail without attributes */
    pthread_cond_init(&b->done, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&b->thread, NULL, prefetch, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        pthread_mutex_destroy(&b->mutex);
        return hs_fail(HS_EINTERNAL, "the prefetch thread cannot be started: %s; set data.prefetch = no", strerror(failed));
    }
    b->threaded = true;
    return HS_OK;
}

static void stop_thread(hs_batcher *b)
{
    if (!b->threaded)
        return;
    pthread_mutex_lock(&b->mutex);
    b->quit = true;
    pthread_cond_signal(&b->work);
    pthread_mutex_unlock(&b->mutex);
    pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->work);
    pthread_cond_destroy(&b->done);
    pthread_mutex_destroy(&b->mutex);
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static hs_status reserve(hs_batcher *b)
{
    size_t size = hs_shape_count(b->set->shape), capacity = (size_t)(b->options.capacity > 0 ? b->options.capacity : 1);
    for (int i = 0; i < 2; i++) {
        batch *s = &b->slot[i];
        s->count = -1;
        HS_TRY(hs_calloc(capacity * size, sizeof(float), "a batch", &s->x));
        HS_TRY(hs_calloc(capacity, sizeof(int32_t), "a batch's labels", &s->labels));
        HS_TRY(hs_calloc(capacity, sizeof(int64_t), "a batch's samples", &s->indices));
        HS_TRY(hs_calloc(size, sizeof(float), "one sample", &s->scratch));
    }
    return HS_OK;
}

hs_status hs_batcher_create(hs_dataset *set, const hs_batcher_options *options, hs_batcher **batcher)
{
    hs_batcher *b = NULL;
    hs_status st;
    if (options->augment)
        HS_TRY(hs_augment_check(options->augment, set->shape));
    HS_TRY(hs_calloc(1, sizeof *b, "batcher", &b));
    b->set = set;
    b->options = *options;
    if (options->augment)
        b->augment = *options->augment;
    HS_TRY_GOTO(st, reserve(b), undo);
    if (options->prefetch)
        HS_TRY_GOTO(st, start_thread(b), undo);
    *batcher = b;
    return HS_OK;
undo:
    hs_batcher_destroy(&b);
    return st;
}

void hs_batcher_destroy(hs_batcher **batcher)
{
    if (!batcher || !*batcher)
        return;
    hs_batcher *b = *batcher;
    stop_thread(b);
    for (int i = 0; i < 2; i++) {
        hs_free(b->slot[i].x);
        hs_free(b->slot[i].labels);
        hs_free(b->slot[i].indices);
        hs_free(b->slot[i].scratch);
    }
    hs_free(b);
    *batcher = NULL;
}

/* ---- the step path --------------------------------------------------------------------------------------------- */

static bool legal(const hs_batcher *b, int64_t epoch, int64_t first, int count)
{
    return epoch >= 0 && epoch <= UINT32_MAX && first >= 0 && count >= 0 && count <= b->options.capacity &&
           first <= b->set->count - count;
}

hs_status hs_batcher_get(hs_batcher *b, int64_t epoch, int64_t first, int count, const float **x, const int32_t **labels)
{
    if (!legal(b, epoch, first, count))
        return hs_fail(HS_EINTERNAL, "batch of %d from %lld of epoch %lld: the batcher holds %d of %lld samples", count,
                       (long long)first, (long long)epoch, b->options.capacity, (long long)b->set->count);
    wait_idle(b);
    b->held = !b->held;
    batch *s = &b->slot[b->held];
    if (s->count != count || s->epoch != epoch || s->first != first)
        fill_slot(b, s, epoch, first, count);
    if (s->status != HS_OK) {
        s->count = -1; /* asked again, it is tried again */
        return hs_fail(s->status, "%s", s->text);
    }
    *x = s->x;
    *labels = s->labels;
    return HS_OK;
}

void hs_batcher_hint(hs_batcher *b, int64_t epoch, int64_t first, int count)
{
    if (!b->threaded || !legal(b, epoch, first, count))
        return;
    wait_idle(b);
    pthread_mutex_lock(&b->mutex);
    b->next_epoch = epoch;
    b->next_first = first;
    b->next_count = count;
    b->wanted = true;
    pthread_cond_signal(&b->work);
    pthread_mutex_unlock(&b->mutex);
}
