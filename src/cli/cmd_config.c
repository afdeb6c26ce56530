/* cmd_config.c - halfspec config: every key with its value and where it came from. */
#include "config.h"

#include "cli.h"

enum { JSON };

static hs_status run(const cli *c, const cli_words *words)
{
    hs_config config;
    char *text = NULL;
    if (words->plains > 1)
        return cli_usage(&cli_config, "config takes one configuration file at most");
    HS_TRY(cli_config_load(c->comm, words->plains ? words->plain[0] : NULL, words->assign, words->assigns, &config));
    if (words->option[JSON]) {
        HS_TRY(hs_config_json(&config, &text));
        puts(text);
    } else {
        HS_TRY(hs_config_print(&config, true, &text));
        fputs(text, stdout);
    }
    hs_free(text);
    return HS_OK;
}

const cli_command cli_config = {
    .name = "config",
    .arguments = "[CONF] [key=value ...] [--json]",
    .summary = "print every key with its value and where it came from",
    .text = "What is printed is itself a configuration: it can be saved and given to train. Without CONF: the defaults.\n",
    .option = {[JSON] = {"--json", NULL, "as one JSON object, without origins"}},
    .run = run,
};
