/* train.h - what the files of this room share; src/bench, which times steps as they are, includes it too, nobody else.
 *
 *   hs_world     data, device and network: what training and evaluation have in common      setup.c
 *   hs_trainer   a world plus optimizer, buckets, state and everything that is written       trainer.c, train.c, step.c
 *
 * COLLECTIVE is said of a function as in hs_comm.h; each of those ends with the same verdict on all ranks. */
#ifndef HS_TRAIN_PRIVATE_H
#define HS_TRAIN_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "hs_backend.h"
#include "hs_base.h"
#include "hs_comm.h"
#include "hs_config.h"
#include "hs_data.h"
#include "hs_net.h"
#include "hs_optim.h"
#include "hs_store.h"
#include "hs_train.h"

/* ---- options.c: from keys to what the rooms below want; pure -------------------------------------------------------- */

void hs_config_choice(const hs_config *config, const char *key, char *text, size_t capacity);
void hs_config_net_options(const hs_config *config, hs_net_options *options);
void hs_config_augment(const hs_config *config, hs_augment *augment, bool *any);
/* LAYER [64] is filled and referred to by *OPTIM; names are checked against the network's. */
hs_status hs_config_optim(const hs_config *config, const hs_net *net, int64_t epoch_steps, int64_t total_steps, hs_optim_layer *layer,
                          hs_optim_config *optim);
/* Is something that happens every INTERVAL due after STEP steps, of which the last one ended an epoch or did not? */
bool hs_interval_due(int64_t interval, int64_t step, bool epoch_end);

/* ---- watchdog.c ------------------------------------------------------------------------------------------------------ */

/* A thread that ends the job when nothing moves. BEAT is cheap and may be called anywhere; PHASE is a string constant. */
typedef struct hs_watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool running, leave; /* leave: under lock */
    double limit;        /* seconds; 0 = off */
    hs_comm *comm;
    const hs_log *log;
    _Atomic int64_t stamp_ms, step;
    _Atomic double factor;
    const char *_Atomic phase;
} hs_watchdog;
hs_status hs_watchdog_start(hs_watchdog *dog, double limit, hs_comm *comm, const hs_log *log);
void hs_watchdog_stop(hs_watchdog *dog);
/* From now on PHASE; its limit is FACTOR times the normal one. DOG may be NULL. */
void hs_watchdog_phase(hs_watchdog *dog, const char *phase, int64_t step, double factor);
void hs_watchdog_beat(hs_watchdog *dog);

struct hs_handlers;

/* ---- signals.c ------------------------------------------------------------------------------------------------------- */

typedef struct hs_signals {
    struct hs_handlers *old; /* from before, NULL: nothing is caught */
} hs_signals;
hs_status hs_signals_catch(hs_signals *s);
void hs_signals_restore(hs_signals *s);
bool hs_signals_take_save(void); /* USR1 since the last call? */
bool hs_signals_stop(void);      /* USR2, TERM or INT so far? */

enum { HS_SHARDS = 8 }; /* reproducible = yes: fixed parts of a batch, and of an evaluation */

/* ---- setup.c: the world ----------------------------------------------------------------------------------------------- */

/* What an evaluation keeps from batch to batch, and, where the backend knows how, this rank's samples on the device. */
typedef struct hs_look {
    int batches;          /* of this rank */
    double (*sums)[3];    /* [batches]: loss, hits, hits among the first five */
    hs_feed *feed;        /* samples from FIRST on; NULL: they come from the host */
    int64_t first;
    double *on_device;    /* with FEED: SUMS in device memory */
} hs_look;

typedef struct hs_world {
    const hs_config *config;
    hs_comm *comm;
    hs_comm *device_comm;   /* what comm is once the device is open, where gradients are summed on the device; ours */
    const hs_log *log;
    hs_watchdog *dog;       /* may be NULL */
    const char *learnt_from; /* evaluation on other data: what was trained on and gives the normalisation; NULL: config->data */
    hs_dataset *train;      /* what is learnt from */
    hs_dataset *held;       /* what is evaluated on: test set, or what was held out */
    hs_scaling scaling;
    hs_device *device;
    hs_stream *stream;
    hs_net *net;
    int capacity;           /* most samples in one call on this rank */
    hs_batcher *feed;       /* batches for training; NULL in an evaluation */
    hs_batcher *held_feed;
    hs_look look;
} hs_world;

/* COLLECTIVE. Opens data and network (no device), then plans it on a device. A partly made world is closed by hs_world_close. */
hs_status hs_world_open(hs_world *w, const hs_config *config, hs_comm *comm, const hs_log *log);
hs_status hs_world_plan(hs_world *w, bool training);
hs_status hs_world_plan_net(hs_world *w, bool training); /* planning.c: what is behind the device, in the mode of the key plan */
hs_status hs_world_feeds(hs_world *w, bool training);
void hs_world_close(hs_world *w);
bool hs_comm_sees_device(const hs_comm *comm); /* device pointers may be summed as they are */

/* A slab of device memory as the host sees it: itself where the host can read it, else a copy that pull and push keep. */
typedef struct hs_mirror {
    void *device, *host;
    size_t count, bytes; /* numbers, bytes */
    bool own;
} hs_mirror;
hs_status hs_mirror_make(const hs_world *w, void *device, size_t count, hs_mirror *m);
void hs_mirror_free(hs_mirror *m);
hs_status hs_mirror_pull(const hs_world *w, hs_mirror *m);
hs_status hs_mirror_push(const hs_world *w, hs_mirror *m);
/* COLLECTIVE. Rank 0's host numbers to all ranks' devices. */
hs_status hs_mirror_share(const hs_world *w, hs_mirror *m);

/* ---- evaluate.c ------------------------------------------------------------------------------------------------------- */

typedef struct hs_eval_sums {
    double loss, hits1, hits5;
    int64_t count;
} hs_eval_sums;
/* Called for each batch on the rank that computed it, right after its forward pass; FIRST counts samples of the set. */
typedef hs_status (*hs_eval_see)(void *context, int64_t first, int n, const float *x, const int32_t *labels);
/* COLLECTIVE. Sums over the held-out set (its first eval.limit samples), shared contiguously by the ranks. SEE may be NULL. With reproducible = yes
 * the sums have equal bits for every number of ranks. */
hs_status hs_world_evaluate(hs_world *w, hs_eval_see see, void *context, hs_eval_sums *sums);
/* Behind hs_world_plan, once: room for the sums of all batches. */
hs_status hs_look_make(hs_world *w);
/* Behind hs_intake_make, which has first choice: this rank's samples go to the device if they fit into data.resident of what is free there. */
hs_status hs_look_settle(hs_world *w);
void hs_look_close(hs_world *w);
/* Samples an evaluation takes, and RANK's contiguous part of them. */
int64_t hs_world_held(const hs_world *w, int rank, int64_t *first, int64_t *count);

/* ---- provenance.c ----------------------------------------------------------------------------------------------------- */

typedef struct hs_origin {
    hs_provenance public; /* points into what follows */
    char *config_text, *config_json, *hosts_text;
    const char **hosts;
    char precision[16], device[256], build[128], libraries[512];
} hs_origin;
/* COLLECTIVE (host names are gathered); filled on rank 0 only. */
hs_status hs_origin_make(hs_origin *origin, const hs_world *w, const hs_train_options *options);
void hs_origin_free(hs_origin *origin);

/* ---- the trainer ------------------------------------------------------------------------------------------------------ */

/* Seconds by what they were spent on, since this start. */
typedef struct hs_times {
    double data, forward, backward, communication, optimizer, evaluation, output, recorded;
    double steps; /* wall time inside steps */
    int64_t samples;
} hs_times;

typedef struct hs_output {
    FILE *json;       /* RUN/log.jsonl, rank 0 */
    char buffer[8192];
    bool bar, plain, colour, bar_open;
    int columns;
    double drawn;     /* when the bar was drawn last */
    double rate_seconds; /* step seconds and samples at the last row */
    int64_t rate_samples;
} hs_output;

typedef struct hs_history {
    hs_run *run;          /* run.h5, rank 0 */
    hs_run_layer *layer;  /* [layers] */
    int layers;
    int *filter;          /* [layers] parameter index of the layer's filters, -1: none */
    char (*name)[HS_NAME_MAX], (*notation)[64]; /* [layers] */
    void *before;         /* parameters before the step, for `update`; backend's real */
    double *coords, *spectrum, *taps, *gradient, *update, *momentum, *plane; /* scratch of the largest filter bank */
} hs_history;

/* How samples reach the device; all zero: each batch from the host. */
typedef struct hs_intake {
    hs_feed *feed;
    bool resident;          /* the whole set is there */
    int64_t epoch, first;   /* streamed: what was sent ahead, */
    int staged;             /* -1: nothing */
} hs_intake;

/* Predicted bytes of host memory of rank 0 at its largest moment. */
typedef struct hs_footprint {
    double program, data, slabs, batches, ranks, history, files, total;
} hs_footprint;

/* Times of layers in a few steps, rank 0. */
enum { HS_LAYER_PASSES = 4 };
typedef struct hs_layer_clock {
    bool runs; /* on all ranks; not in a benchmark */
    double (*seconds)[2][HS_LAYER_PASSES]; /* [rows of hs_net_row] forward and backward */
    int rows, passes;
    double last;
} hs_layer_clock;

/* Recorded steps, by size of the global batch: full ones, the last of an epoch, and one to spare. */
enum { HS_REPLAYS = 3 };
typedef struct hs_replay_size {
    int64_t global, seen; /* 0: free; steps so far */
    hs_recording *recording;
} hs_replay_size;
typedef struct hs_replay {
    bool planned;  /* on all ranks alike: recorded steps were possible when training began */
    bool on;       /* still */
    bool launched; /* the coming step is on its way: the one before has launched it */
    hs_replay_size size[HS_REPLAYS];
    double *results; /* device memory: what the host asks for when a step is done */
} hs_replay;

typedef struct hs_trainer {
    hs_world world;
    hs_replay replay;
    bool asked_stop, asked_save; /* while a step was on its way already */
    hs_intake intake;
    const hs_train_options *options;
    hs_optim_layer optim_layer[64];
    hs_optim_config optim_config;
    hs_optim *optim;
    hs_buckets *buckets;
    hs_mirror parameters, statistics, gradients, moment[4];
    int moments;
    double *sum_stage; /* host doubles for batch normalisation's sums where the device's memory cannot be seen */
    size_t sum_stage_count;
    struct hs_shards *shards; /* reproducible = yes */
    int64_t epoch_steps, total_steps;
    int64_t start_step;       /* where this start began */
    bool resumed;
    hs_state state;
    hs_plateau plateau;
    double started;           /* hs_now at the start */
    double elapsed_before;    /* seconds of earlier starts */
    double resident_start, resident_data; /* resident bytes when this began, and with the data sets open */
    double error_now;         /* error of an evaluation after exactly state.step steps, else NaN */
    hs_eval_sums evaluated;   /* the last evaluation */
    hs_times times;
    hs_origin origin;
    hs_output output;
    hs_history history;
    hs_layer_clock layer_clock;
    hs_watchdog dog;
    hs_signals signals;
    hs_claim *claim;          /* RUN/lock, rank 0 */
    bool made_run;            /* RUN was not there before: rank 0 */
} hs_trainer;

/* trainer.c. COLLECTIVE. Optimizer, buckets, mirrors; nothing is written yet. */
hs_status hs_trainer_open(hs_trainer *t, const hs_config *config, hs_comm *comm, const hs_train_options *options);
hs_status hs_trainer_plan(hs_trainer *t); /* device, plan, optimizer, buckets */
void hs_trainer_close(hs_trainer *t);
double hs_trainer_elapsed(const hs_trainer *t);

/* What one step was. */
typedef struct hs_step {
    hs_batch_place place;
    int64_t first;        /* this rank's part of the global batch */
    int n;
    hs_pass pass;
    double lr, loss, accuracy; /* of the global batch, without penalties */
    bool stop, save;           /* asked for, agreed by all ranks; they wait for the next step where AHEAD is set */
    bool wants_report, wants_update;
    bool ahead;  /* the caller's, equal on all ranks: nothing happens between this step and the next, which may be launched before this one is done */
    bool finite; /* the gradient of a replayed step */
    hs_optim_report report;
} hs_step;
/* step.c. COLLECTIVE. One optimizer step; allocates nothing. HS_ENONFINITE is diagnosed by the caller. */
hs_status hs_step_run(hs_trainer *t, hs_step *step);
void hs_step_place(const hs_trainer *t, int64_t number, hs_step *step); /* which samples step NUMBER takes, and its pass without hooks */

/* intake.c. Behind hs_world_feeds; not collective. */
hs_status hs_intake_make(hs_trainer *t);
size_t hs_intake_bytes(const hs_trainer *t); /* of device memory that the whole training set would take; 0: it is not for the device */
size_t hs_look_bytes(const hs_world *w);     /* that of this rank's held-out samples and sums */
/* Samples [FIRST, FIRST + COUNT) of SET to FEED, as its [0, COUNT). */
hs_status hs_intake_load(const hs_world *w, hs_dataset *set, int64_t first, int64_t count, hs_feed *feed);
void hs_intake_close(hs_trainer *t);
/* N samples from FIRST of EPOCH's order, for a pass: X and LABELS in host memory, or NULL where they lie on the device already. */
hs_status hs_intake_get(hs_trainer *t, int64_t epoch, int64_t first, int n, const float **x, const int32_t **labels);
void hs_intake_ahead(hs_trainer *t, int64_t step); /* while the device is busy: begin to fetch this rank's part of STEP */

/* replay.c. Behind hs_intake_make. */
hs_status hs_replay_make(hs_trainer *t);
void hs_replay_close(hs_trainer *t);
bool hs_replay_due(hs_trainer *t, const hs_step *step); /* once a step */
/* COLLECTIVE as hs_step_run is. STEP->pass is filled and its samples are on the device. *DONE false: it cannot be recorded, and nothing was done. */
hs_status hs_replay_run(hs_trainer *t, hs_step *step, hs_loss_sums *sums, bool *done);
/* COLLECTIVE. The same for a step that the one before has launched. */
hs_status hs_replay_end(hs_trainer *t, hs_step *step, hs_loss_sums *sums);

/* shards.c: reproducible = yes. */
hs_status hs_shards_make(hs_trainer *t);
void hs_shards_free(hs_trainer *t);
/* Gradients of the whole batch and, on rank 0, its sums. *DATA: whether this rank could read its samples. */
hs_status hs_shards_step(hs_trainer *t, hs_step *step, hs_status *data, hs_loss_sums *sums);

/* enter.c. COLLECTIVE. Do all ranks see the same samples? */
hs_status hs_world_compare_data(hs_world *w);
/* enter.c. COLLECTIVE. Refuses a RUN of another configuration, and one that another job is using; then RUN is ours until the trainer is closed. */
hs_status hs_enter(hs_trainer *t);
void hs_leave(hs_trainer *t); /* behind the last write into RUN */
/* enter.c, rank 0. Refuses to go on from the checkpoint PATH with another configuration or other data than it has learnt by. */
hs_status hs_checkpoint_fits(const hs_world *w, const char *path);
/* resume.c. COLLECTIVE. Loads the newest checkpoint if there is one; makes RUN ready. */
hs_status hs_resume(hs_trainer *t);
/* save.c. COLLECTIVE. Compares ranks, then writes a checkpoint. */
hs_status hs_save(hs_trainer *t);
void hs_checkpoint_describe(const hs_world *w, hs_checkpoint *ckpt); /* tables, names and the spectrum callback; no slabs */
/* warm.c. COLLECTIVE. Initial parameters from another checkpoint. */
hs_status hs_warm_start(hs_trainer *t);
/* diagnose.c. */
hs_status hs_ranks_compare(hs_trainer *t);                            /* COLLECTIVE; HS_EDESYNC names the ranks */
hs_status hs_nonfinite_explain(hs_trainer *t, const hs_step *step);   /* records and returns HS_ENONFINITE */

/* output.c, progress.c, tables.c: rank 0 prints and writes, the others return at once. */
hs_status hs_output_open(hs_trainer *t);
void hs_output_close(hs_trainer *t);
hs_status hs_output_train(hs_trainer *t, const hs_step *step);
hs_status hs_output_eval(hs_trainer *t, const hs_eval_row *row);
hs_status hs_output_cut(const char *path, int64_t step); /* drop lines of log.jsonl newer than STEP */
void hs_progress_open(hs_trainer *t);
void hs_progress_tick(hs_trainer *t, const hs_step *step);
void hs_progress_row(hs_trainer *t, const hs_step *step, double rate);
void hs_progress_eval(hs_trainer *t, const hs_eval_row *row);
void hs_progress_clear(hs_trainer *t);
void hs_table_plan(hs_trainer *t, bool full);
void hs_table_times(hs_trainer *t);

/* footprint.c: rank 0, behind hs_trainer_plan and hs_history_describe. */
void hs_footprint_make(const hs_trainer *t, hs_footprint *footprint);

/* layer_clock.c: rank 0. */
hs_status hs_layer_clock_make(hs_trainer *t);
void hs_layer_clock_free(hs_trainer *t);
bool hs_layer_clock_due(const hs_trainer *t);      /* is the coming step timed? Such a step is not to be replayed from a recording, by no rank */
bool hs_layer_clock_complete(const hs_trainer *t); /* was the last of them the step just done? */
void hs_layer_clock_start(hs_trainer *t, bool backward);                       /* before the first layer of either direction */
hs_status hs_layer_clock_mark(void *context, int row, bool backward, void *data); /* the network's hook */
/* /plan of run.h5, as far as it is known; ENDED: with the peak of memory. What an earlier start measured stays until this one has. */
hs_status hs_plan_record(hs_trainer *t, bool ended);

/* history.c: rank 0. */
hs_status hs_history_describe(hs_trainer *t); /* which layers there are */
hs_status hs_history_open(hs_trainer *t);
void hs_history_close(hs_trainer *t);
hs_status hs_history_before(hs_trainer *t);  /* keep the parameters before a step whose update will be shown */
hs_status hs_history_take(hs_trainer *t, bool with_step); /* with_step: gradient and update of the step just done are there */
double hs_history_bytes(const hs_trainer *t); /* expected size on disk of the whole run's history */

#endif
