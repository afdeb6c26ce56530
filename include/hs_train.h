/* hs_train.h - training and evaluation over all ranks of a communicator. The only room where net, optim, data, comm and store meet. */
#ifndef HS_TRAIN_H
#define HS_TRAIN_H

#include "hs_comm.h"
#include "hs_config.h"
#include "hs_log.h"
#include "hs_status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hs_train_options {
    const char *argv;      /* the command line, for provenance */
    const char *libraries; /* built against and running with, one text for provenance; NULL: what the device says of itself */
    bool dry_run;       /* plan, print, write nothing */
    const hs_log *log;
    /* Test aid: called on every rank after every step with the global mean loss. May be NULL. */
    void (*on_step)(void *context, int64_t step, double loss);
    void *context;
} hs_train_options;

typedef struct hs_train_result {
    int64_t steps;
    double loss, error_top1, error_top5, best_error, seconds, samples_per_second;
} hs_train_result;

/* Train as CONFIG says, resuming config->run by itself. COLLECTIVE over COMM, CONFIG equal on all ranks. HS_OK when all epochs are done, HS_STOPPED
 * when a signal or max-hours ended it with a checkpoint. RESULT is written on both. */
hs_status hs_train(const hs_config *config, hs_comm *comm, const hs_train_options *options, hs_train_result *result);

typedef struct hs_eval_options {
    const char *predictions; /* file to write, or NULL */
    bool inputs;
    const hs_log *log;
} hs_eval_options;
typedef struct hs_eval_result {
    int64_t count;
    double loss, error_top1, error_top5;
    int64_t *confusion; /* [classes][classes], true class first; hs_free; NULL if there are more than 10000 */
    int classes;
} hs_eval_result;
/* Evaluate checkpoint PATH (or the newest one of a RUN directory); WORDS are key=value words that override what the checkpoint recorded. COLLECTIVE. */
hs_status hs_evaluate(const char *path, char *const *words, int count, hs_comm *comm, const hs_eval_options *options, hs_eval_result *result);

#ifdef __cplusplus
}
#endif
#endif
