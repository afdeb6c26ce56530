/* eval.c - `halfspec eval`: a network rebuilt from what its checkpoint recorded, run over the test set on all ranks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "train.h"

enum { CONFUSION_MOST = 10000 }; /* classes: 800 MB, and nobody reads a larger table */

typedef struct evaluation {
    hs_world world;
    const hs_eval_options *options;
    hs_config *config;
    char learnt_from[HS_TEXT_MAX]; /* data of the training that the checkpoint is from */
    char path[HS_TEXT_MAX + 64];
    char learnt_digest[65];        /* of those data then; rank 0, "" if not recorded */
    hs_mirror parameters, statistics;
    int classes;
    int64_t *confusion;  /* [classes][classes]; NULL: too many */
    int64_t first, room; /* this rank's samples; most of any rank, by which gathers are padded */
    void *logits;        /* [capacity][classes] of the backend's real */
    int32_t *label;      /* [room] */
    float *kept, *input; /* [room][classes], [room][h][w][c] for the predictions file */
} evaluation;

/* ---- what the checkpoint says ------------------------------------------------------------------------------------------------------ */

static hs_status find_file(const char *path, char *found, size_t capacity)
{
    struct stat info;
    char *warnings = NULL;
    if (stat(path, &info) != 0)
        return hs_fail(HS_EINPUT, "%s: no such checkpoint or run directory", path);
    if (!S_ISDIR(info.st_mode)) {
        snprintf(found, capacity, "%s", path);
        return HS_OK;
    }
    hs_status st = hs_checkpoint_find(path, found, capacity, &warnings);
    hs_free(warnings);
    if (st == HS_OK && !found[0])
        st = hs_fail(HS_EINPUT, "%s holds no checkpoint", path);
    return st;
}

static hs_status recorded_text(evaluation *e, const char *path, char **text)
{
    hs_checkpoint_head head = {0};
    HS_TRY(find_file(path, e->path, sizeof e->path));
    HS_TRY(hs_checkpoint_peek(e->path, &head));
    *text = head.config_text;
    head.config_text = NULL;
    snprintf(e->learnt_digest, sizeof e->learnt_digest, "%s", head.dataset_digest);
    hs_checkpoint_head_free(&head);
    return HS_OK;
}

static hs_status share_text(hs_comm *comm, char **text)
{
    uint64_t bytes = comm->rank == 0 ? strlen(*text) + 1 : 0;
    HS_TRY(hs_broadcast(comm, &bytes, sizeof bytes, 0));
    HS_TRY(hs_agree(comm, comm->rank == 0 ? HS_OK : hs_calloc(bytes, 1, "recorded configuration", text)));
    return hs_broadcast(comm, *text, bytes, 0);
}

static hs_status apply(evaluation *e, const char *text, char *const *words, int count)
{
    HS_TRY(hs_calloc(1, sizeof *e->config, "configuration", &e->config));
    hs_config_init(e->config);
    HS_TRY(hs_config_parse(e->config, "the checkpoint's configuration", text));
    memcpy(e->learnt_from, e->config->data, sizeof e->learnt_from);
    e->world.learnt_from = e->learnt_from;
    for (int i = 0; i < count; i++)
        HS_TRY(hs_config_assign(e->config, words[i]));
    return hs_config_check(e->config);
}

static hs_status configure(evaluation *e, const char *path, char *const *words, int count, hs_comm *comm)
{
    char *text = NULL;
    hs_status st = hs_agree(comm, comm->rank == 0 ? recorded_text(e, path, &text) : HS_OK);
    if (st == HS_OK)
        st = share_text(comm, &text);
    if (st == HS_OK)
        st = hs_agree(comm, apply(e, text, words, count));
    hs_free(text);
    return st;
}

static hs_status load(evaluation *e)
{
    hs_checkpoint ckpt;
    if (e->learnt_digest[0] && strcmp(e->learnt_digest, e->world.train->digest) != 0)
        hs_warn(e->world.log, "%s has learnt from other training data than %s holds now (SHA-256 %.16s.., now %.16s..): normalisation may differ", e->path,
                e->learnt_from, e->learnt_digest, e->world.train->digest);
    hs_checkpoint_describe(&e->world, &ckpt);
    ckpt.parameters = (hs_slab){"", e->parameters.host, e->parameters.count};
    ckpt.statistics_slab = (hs_slab){"", e->statistics.host, e->statistics.count};
    return hs_checkpoint_read(e->path, &ckpt);
}

static hs_status make_mirrors(evaluation *e)
{
    hs_world *w = &e->world;
    HS_TRY(hs_mirror_make(w, hs_net_slab(w->net), hs_net_params_count(w->net), &e->parameters));
    return hs_mirror_make(w, hs_net_statistics_slab(w->net), hs_net_statistics_count(w->net), &e->statistics);
}

static hs_status open_net(evaluation *e)
{
    hs_world *w = &e->world;
    HS_TRY(hs_world_plan(w, false));
    HS_TRY(hs_agree(w->comm, make_mirrors(e)));
    HS_TRY(hs_agree(w->comm, w->comm->rank == 0 ? load(e) : HS_OK));
    HS_TRY(hs_mirror_share(w, &e->parameters));
    HS_TRY(hs_mirror_share(w, &e->statistics));
    return hs_world_feeds(w, false);
}

/* ---- what is collected ---------------------------------------------------------------------------------------------------------------- */

static hs_status make_collectors(evaluation *e)
{
    const hs_world *w = &e->world;
    size_t classes = (size_t)hs_net_classes(w->net), room = 1;
    int64_t first, count;
    for (int r = 0; r < w->comm->size; r++) {
        hs_world_held(w, r, &first, &count);
        room = (size_t)count > room ? (size_t)count : room;
    }
    hs_world_held(w, w->comm->rank, &e->first, &count);
    e->classes = (int)classes;
    e->room = (int64_t)room;
    if (classes <= CONFUSION_MOST)
        HS_TRY(hs_calloc(classes * classes, sizeof(int64_t), "confusion matrix", &e->confusion));
    HS_TRY(hs_calloc((size_t)w->capacity * classes, (size_t)w->device->backend->real, "logits", &e->logits));
    if (!e->options->predictions)
        return HS_OK;
    HS_TRY(hs_calloc(room, sizeof(int32_t), "predictions", &e->label));
    HS_TRY(hs_calloc(room * classes, sizeof(float), "predictions", &e->kept));
    return e->options->inputs ? hs_calloc(room * hs_shape_count(w->held->shape), sizeof(float), "inputs", &e->input) : HS_OK;
}

static int best_class(const float *logits, int classes)
{
    int best = 0;
    for (int c = 1; c < classes; c++)
        if (logits[c] > logits[best])
            best = c;
    return best;
}

/* Logits as floats, whatever the backend's real: the file's format, and enough to compare. */
static hs_status see_batch(void *context, int64_t first, int n, const float *x, const int32_t *labels)
{
    evaluation *e = context;
    const hs_world *w = &e->world;
    const hs_backend *backend = w->device->backend;
    size_t numbers = (size_t)n * (size_t)e->classes, at = (size_t)(first - e->first), size = hs_shape_count(w->held->shape);
    float *row = e->logits;
    HS_TRY(backend->memory->download(w->stream, e->logits, hs_net_logits(w->net), numbers * (size_t)backend->real));
    if (backend->real == HS_F64)
        for (size_t i = 0; i < numbers; i++)
            row[i] = (float)((const double *)e->logits)[i]; /* in place: the float lies at or before its double */
    for (int i = 0; e->confusion && i < n; i++)
        e->confusion[labels[i] * e->classes + best_class(row + (size_t)i * (size_t)e->classes, e->classes)]++;
    if (!e->kept)
        return HS_OK;
    memcpy(e->kept + at * (size_t)e->classes, row, numbers * sizeof(float));
    memcpy(e->label + at, labels, (size_t)n * sizeof(int32_t));
    if (e->input)
        memcpy(e->input + at * size, x, (size_t)n * size * sizeof(float));
    return HS_OK;
}

/* ---- predictions file --------------------------------------------------------------------------------------------------------------------- */

/* MINE [room] items of BYTES of every rank -> ALL on rank 0, without the padding. ALL has room for size * room items. */
static hs_status gather_items(const evaluation *e, const void *mine, size_t bytes, char *all)
{
    hs_comm *comm = e->world.comm;
    size_t block = (size_t)e->room * bytes;
    HS_TRY(comm->ops->gather(comm, mine, block, all, 0));
    int64_t first, count;
    for (int r = 0; comm->rank == 0 && r < comm->size; r++) {
        hs_world_held(&e->world, r, &first, &count);
        memmove(all + (size_t)first * bytes, all + (size_t)r * block, (size_t)count * bytes);
    }
    return HS_OK;
}

typedef struct gathered {
    int64_t *index;
    char *label, *logits, *input;
} gathered;

static hs_status make_room(const evaluation *e, gathered *g, int64_t total)
{
    size_t room = (size_t)e->room * (size_t)e->world.comm->size;
    HS_TRY(hs_calloc((size_t)total, sizeof(int64_t), "predictions", &g->index));
    HS_TRY(hs_calloc(room, sizeof(int32_t), "predictions", &g->label));
    HS_TRY(hs_calloc(room, (size_t)e->classes * sizeof(float), "predictions", &g->logits));
    for (int64_t i = 0; i < total; i++)
        g->index[i] = i;
    return e->input ? hs_calloc(room, hs_shape_count(e->world.held->shape) * sizeof(float), "inputs", &g->input) : HS_OK;
}

static hs_status gather_and_write(evaluation *e)
{
    const hs_world *w = &e->world;
    hs_comm *comm = w->comm;
    gathered g = {0};
    int64_t first, count, total = hs_world_held(w, 0, &first, &count);
    size_t size = hs_shape_count(w->held->shape);
    hs_status st = hs_agree(comm, comm->rank == 0 ? make_room(e, &g, total) : HS_OK);
    if (st == HS_OK)
        st = gather_items(e, e->label, sizeof(int32_t), g.label);
    if (st == HS_OK)
        st = gather_items(e, e->kept, (size_t)e->classes * sizeof(float), g.logits);
    if (st == HS_OK && e->input)
        st = gather_items(e, e->input, size * sizeof(float), g.input);
    if (st == HS_OK && comm->rank == 0)
        st = hs_store_predictions(e->options->predictions, total, e->classes, w->held->shape, g.index, (const int32_t *)g.label,
                                  (const float *)g.logits, (const float *)g.input);
    hs_free(g.index);
    hs_free(g.label);
    hs_free(g.logits);
    hs_free(g.input);
    return hs_agree(comm, st);
}

/* ---- the command ----------------------------------------------------------------------------------------------------------------------------- */

static void evaluation_close(evaluation *e)
{
    hs_mirror_free(&e->parameters);
    hs_mirror_free(&e->statistics);
    hs_world_close(&e->world);
    hs_free(e->confusion);
    hs_free(e->logits);
    hs_free(e->label);
    hs_free(e->kept);
    hs_free(e->input);
    hs_free(e->config);
    hs_free(e);
}

static hs_status run(evaluation *e, hs_eval_result *result)
{
    hs_comm *comm = e->world.comm;
    hs_eval_sums sums;
    HS_TRY(hs_agree(comm, make_collectors(e)));
    HS_TRY(hs_world_evaluate(&e->world, see_batch, e, &sums));
    if (e->confusion)
        HS_TRY(hs_allreduce(comm, e->confusion, (size_t)e->classes * (size_t)e->classes, HS_COMM_I64, HS_SUM));
    if (e->options->predictions)
        HS_TRY(gather_and_write(e));
    double count = (double)sums.count;
    *result = (hs_eval_result){.count = sums.count,
                               .loss = sums.loss / count,
                               .error_top1 = 1 - sums.hits1 / count,
                               .error_top5 = 1 - sums.hits5 / count,
                               .confusion = e->confusion,
                               .classes = e->classes};
    e->confusion = NULL;
    return HS_OK;
}

hs_status hs_evaluate(const char *path, char *const *words, int count, hs_comm *comm, const hs_eval_options *options, hs_eval_result *result)
{
    evaluation *e = NULL;
    HS_TRY(hs_agree(comm, hs_store_start()));
    HS_TRY(hs_agree(comm, hs_calloc(1, sizeof *e, "evaluation", &e)));
    e->options = options;
    hs_status st = configure(e, path, words, count, comm);
    if (st == HS_OK)
        st = hs_world_open(&e->world, e->config, comm, options->log);
    if (st == HS_OK)
        st = open_net(e);
    if (st == HS_OK)
        st = run(e, result);
    evaluation_close(e);
    return st;
}
