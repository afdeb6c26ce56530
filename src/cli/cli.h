/* cli.h - the program around the library: commands as const tables, their words, and the one place where a failure is printed. */
#ifndef HS_CLI_H
#define HS_CLI_H

#include <stdio.h>

#include "halfspec.h"

/* ---- commands ---------------------------------------------------------------------------------------------------------------- */

typedef struct cli_option {
    const char *name;  /* "--predictions" */
    const char *value; /* "FILE", or NULL for a switch */
    const char *help;
} cli_option;

enum { CLI_OPTIONS = 6 };

/* What a command line holds behind the command's name. The arrays are cli_words_free's, the strings argv's. */
typedef struct cli_words {
    const char *option[CLI_OPTIONS]; /* in the order of the command's table: NULL not given, "" a switch, else its value */
    char **plain;                    /* files and names */
    int plains;
    char **assign; /* key=value */
    int assigns;
} cli_words;

typedef struct cli {
    hs_comm *comm; /* all ranks, or this process alone if the command is not COLLECTIVE */
    const hs_log *log;
    const char *line; /* the whole command line, for provenance */
} cli;

/* One subcommand. Adding one: a file cmd_NAME.c and a line in commands.c. */
typedef struct cli_command {
    const char *name, *arguments; /* "train", "CONF [key=value ...] [--dry-run]" */
    const char *summary;          /* one line for the list of commands */
    const char *text;             /* the rest of its help */
    cli_option option[CLI_OPTIONS + 1];
    bool collective; /* runs on all ranks; otherwise MPI is not started, and of several processes the first alone speaks */
    hs_status (*run)(const cli *c, const cli_words *words);
} cli_command;

extern const cli_command cli_train, cli_eval, cli_bench, cli_info, cli_check, cli_pack, cli_config, cli_help, cli_version;
const cli_command *const *cli_commands(void); /* NULL ends the list */
/* The command called WORD (or asked for by an option such as --version). */
hs_status cli_command_find(const char *word, const cli_command **command);

/* Sort the words behind the command's name. An unknown option is HS_EUSAGE with the nearest known one. */
hs_status cli_words_split(const cli_command *command, char **word, int count, cli_words *out);
void cli_words_free(cli_words *words);
/* HS_EUSAGE: WHAT is wrong, then the command's usage. */
hs_status cli_usage(const cli_command *command, const char *what);

/* ---- help -------------------------------------------------------------------------------------------------------------------- */

void cli_help_program(FILE *to);
void cli_help_command(const cli_command *command, FILE *to);
extern const char cli_text_net[], cli_text_data[], cli_text_codes[], cli_text_files[];

/* ---- configuration ----------------------------------------------------------------------------------------------------------- */

/* Defaults, then file CONF (NULL: none), then WORDS, then the checks over several keys. COLLECTIVE over COMM: rank 0 reads the file and sends its
 * text, so that all ranks parse the same; a failure is the same on all of them. */
hs_status cli_config_load(hs_comm *comm, const char *conf, char *const *words, int count, hs_config *config);

/* ---- the end ------------------------------------------------------------------------------------------------------------------- */

/* Print why the command failed, once, and return the exit code that all ranks share. COLLECTIVE over MEETING, a communicator that the command did not
 * use. A rank that failed while the others are caught elsewhere does not wait for them for long: it prints and ends the job. */
int cli_conclude(hs_comm *meeting, hs_status mine);

#endif
