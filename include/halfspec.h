/* halfspec.h - the library in one include.
 *
 * Worked example: train from a file on all ranks of an MPI job and print the test error.
 *
 *     #include <halfspec/halfspec.h>
 *     int main(int argc, char **argv)
 *     {
 *         hs_config config;
 *         hs_comm *comm = NULL;
 *         hs_train_result result;
 *         hs_log log = {stdout, stderr, HS_LOG_INFO, ""};
 *         hs_train_options options = {.argv = "example", .log = &log};
 *
 *         hs_status st = hs_comm_start(&argc, &argv);
 *         if (st == HS_OK) st = hs_comm_world(&comm);
 *         hs_config_init(&config);
 *         if (st == HS_OK) st = hs_config_parse(&config, "inline", "data = fashion-mnist\nepochs = 1\nrun = example-run\n");
 *         if (st == HS_OK) st = hs_train(&config, comm, &options, &result);
 *         if (st == HS_OK && comm->rank == 0) printf("test error %.4f\n", result.error_top1);
 *         if (st != HS_OK && st != HS_EREMOTE) fprintf(stderr, "%s\n", hs_fail_text());
 *         hs_comm_destroy(&comm);
 *         hs_comm_finish();
 *         return hs_status_exit_code(st);
 *     }
 *
 * Rooms below it, each with its header: status, log, base, config | spectrum | backend | net | optim, data, comm, store | train | bench. */
#ifndef HALFSPEC_H
#define HALFSPEC_H

#include "hs_backend.h"
#include "hs_base.h"
#include "hs_bench.h"
#include "hs_comm.h"
#include "hs_config.h"
#include "hs_data.h"
#include "hs_log.h"
#include "hs_net.h"
#include "hs_optim.h"
#include "hs_rng.h"
#include "hs_spectrum.h"
#include "hs_status.h"
#include "hs_store.h"
#include "hs_train.h"
#include "hs_types.h"

/* Version of the library that is running, and the commit it was built from ("unknown" outside a checkout). */
const char *hs_version(void);
const char *hs_commit(void);

#endif
