/* cmd_train.c - halfspec train: the configuration, then the library's training loop. */
#include "config.h"

#include <signal.h>

#include "cli.h"
#include "versions.h"

enum { DRY_RUN };

static void say_result(const cli *c, const hs_config *config, hs_status st, const hs_train_result *r)
{
    if (c->comm->rank != 0)
        return;
    if (r->steps == 0 && st == HS_STOPPED)
        hs_info(c->log, "stopped before the first step, as another job is using %s", config->run);
    else if (r->steps == 0)
        hs_info(c->log, "done: no steps; everything is in %s", config->run);
    else if (st == HS_STOPPED)
        hs_info(c->log, "stopped early after %lld steps with a checkpoint in %s: the same command goes on from there", (long long)r->steps,
                config->run);
    else
        hs_info(c->log, "done: %lld steps, test error %.4f (%.2f %% right), best %.4f; everything is in %s", (long long)r->steps, r->error_top1,
                100 * (1 - r->error_top1), r->best_error, config->run);
}

static hs_status run(const cli *c, const cli_words *words)
{
    hs_config config;
    hs_train_result result = {0};
    char libraries[1024];
    hs_train_options options = {.argv = c->line, .libraries = libraries, .dry_run = words->option[DRY_RUN] != NULL, .log = c->log};
    if (words->plains != 1)
        return cli_usage(&cli_train, words->plains ? "train takes one configuration file" : "train needs a configuration file");
    HS_TRY(cli_config_load(c->comm, words->plain[0], words->assign, words->assigns, &config));
    library_versions_text(libraries, sizeof libraries);
    hs_status st = hs_train(&config, c->comm, &options, &result);
    signal(SIGPIPE, SIG_IGN); /* what is left to say may have no reader: no reason to end without a code */
    if ((st == HS_OK || st == HS_STOPPED) && !options.dry_run)
        say_result(c, &config, st, &result);
    return st;
}

const cli_command cli_train = {
    .name = "train",
    .arguments = "CONF [key=value ...] [--dry-run]",
    .summary = "train the network that CONF describes; goes on from the last checkpoint by itself",
    .text =
        "CONF holds `key = value` lines; key=value words of the command line win over it. `halfspec help keys` lists the keys, `halfspec config CONF`\n"
        "shows what they come to. Everything a run writes is in the directory of the key run: config, log.jsonl, run.h5, ckpt/. If there is a\n"
        "checkpoint in it, training goes on from there; a directory of another configuration is refused with the difference.\n"
        "\n"
        "Several ranks:  mpirun -n 4 halfspec train CONF      (the global batch stays the same; results do not depend on the number of ranks\n"
        "                                                      beyond rounding)\n"
        "\n"
        "Signals: USR1 saves a checkpoint and goes on; USR2, TERM and INT save one at the next step and stop with exit code 75: the same command\n"
        "continues. So do HUP, when a terminal closes, and PIPE, when nobody reads the output any more, unless they are ignored (nohup). To stop ranks under mpirun send it USR2: of TERM it makes a quick end, two seconds later and with its own exit code.\n",
    .option = {[DRY_RUN] = {"--dry-run", NULL, "show the plan (layers, shapes, domains, algorithms, bytes, times, steps) and write nothing into RUN"}},
    .collective = true,
    .run = run,
};
