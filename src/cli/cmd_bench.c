/* cmd_bench.c - halfspec bench: which parts, for how long, with which keys; the work is in src/bench. */
#include "config.h"

#include <string.h>

#include "cli.h"
#include "hs_bench.h"

enum { SECONDS, JSON, NO_ERRORS, MODEL_SCALING, LINKS };

/* A configuration has a dot or a slash in its name; parts have not. */
static bool is_file(const char *word)
{
    return strpbrk(word, "./") != NULL;
}

static hs_status read_words(const cli_words *words, const char **conf, hs_bench_options *options)
{
    for (int i = 0; i < words->plains; i++) {
        if (!is_file(words->plain[i]))
            HS_TRY(hs_bench_part(words->plain[i], &options->parts));
        else if (*conf)
            return cli_usage(&cli_bench, "bench takes at most one configuration file");
        else
            *conf = words->plain[i];
    }
    if (words->option[SECONDS] && (!hs_number_parse(words->option[SECONDS], &options->seconds) || options->seconds <= 0))
        return cli_usage(&cli_bench, "--seconds takes a number above 0");
    if (words->option[LINKS] && !words->option[MODEL_SCALING])
        return cli_usage(&cli_bench, "--links is for --model-scaling; give that too");
    return HS_OK;
}

static hs_status run(const cli *c, const cli_words *words)
{
    hs_config config;
    const char *conf = NULL;
    hs_bench_options options = {.seconds = 16,
                                .json = words->option[JSON],
                                .no_errors = words->option[NO_ERRORS] != NULL,
                                .model_scaling = words->option[MODEL_SCALING] != NULL,
                                .links = words->option[LINKS],
                                .log = c->log};
    HS_TRY(read_words(words, &conf, &options));
    HS_TRY(cli_config_load(c->comm, conf, words->assign, words->assigns, &config));
    HS_TRY(hs_bench_defaults(&config));
    return hs_bench_run(&config, c->comm, &options);
}

const cli_command cli_bench = {
    .name = "bench",
    .arguments = "[CONF] [PART ...] [key=value ...] [--seconds S] [--json FILE] [--no-errors] [--model-scaling [--links NAME=VALUE,...]]",
    .summary = "time and verify: transforms, products, layers, training step, all-reduce",
    .text =
        "Parts: transforms products layers step allreduce; without any, all of them. Keys are those of train; what is not said is net = deep k=3,\n"
        "batch = 64, lr = 1e-4 and made-up images of 32 x 32 x 3 in 10 classes. Nothing is written but FILE (and what plan = wisdom measured).\n"
        "\n"
        "The machine's peaks come first: multiply-adds in the vectors in use, for each number of threads, and reading and copying an array far larger\n"
        "than the caches; on other devices a product of large matrices and a copy. Then one line a measurement:\n"
        "  ms, +-%      median of the repeats after a warm-up, and half the range of their middle half\n"
        "  GFLOP/s      of the operations that the algorithm in use needs: a transform 2.5 N log2 N, a product of spectra 6 a complex multiply-add\n"
        "  GB/s         of the bytes that must move if nothing stays in a cache between two rows\n"
        "  % peak of    the least time that the peaks allow over the time taken, and which of them says so (flop, mem); of a step: the sum over its\n"
        "               layers. More than 100 % says that a cache served what was counted as memory\n"
        "  error        relative rms difference from the reference in double, on a sample or two, in the same run. If it is too large for rounding,\n"
        "               the command fails after all is printed (code 1)\n"
        "--seconds says for how long to time; planning, peaks and comparison come on top, a few seconds.\n"
        "\n"
        "With --model-scaling the table ends with a PREDICTION for 8 to 4096 ranks from the measured step and the figures of --links:\n"
        "  node=8 inside=25e-6 node-bus=480e9 start=6.6e-6 hop=8.5e-6 link=47e9 links=8      (seconds, bytes a second; for nodes of 8 GPUs)\n",
    .option = {[SECONDS] = {"--seconds", "S", "time to spend on measuring (16)"},
               [JSON] = {"--json", "FILE", "write every line as a JSON object too"},
               [NO_ERRORS] = {"--no-errors", NULL, "do not compare with the reference, which takes a few seconds"},
               [MODEL_SCALING] = {"--model-scaling", NULL, "predict many ranks from the step measured here"},
               [LINKS] = {"--links", "LIST", "figures of the prediction: name=value,..."}},
    .collective = true,
    .run = run,
};
