/* commands.c - the list of commands, and how their words are sorted. */
#include "config.h"

#include <string.h>

#include "cli.h"

static const cli_command *const list[] = {&cli_train, &cli_eval, &cli_bench, &cli_info, &cli_check, &cli_pack, &cli_config, &cli_help, &cli_version, NULL};

const cli_command *const *cli_commands(void)
{
    return list;
}

static bool is_spelling(const char *word, const char *name)
{
    static const char *const other[][2] = {{"--help", "help"}, {"-h", "help"}, {"--version", "version"}, {"-V", "version"}};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (strcmp(word, other[i][0]) == 0 && strcmp(name, other[i][1]) == 0)
            return true;
    return strcmp(word, name) == 0;
}

hs_status cli_command_find(const char *word, const cli_command **command)
{
    const char *names[16];
    int count = 0;
    for (const cli_command *const *c = list; *c; c++) {
        if (is_spelling(word, (*c)->name)) {
            *command = *c;
            return HS_OK;
        }
        names[count++] = (*c)->name;
    }
    const char *near = hs_nearest(word, names, count);
    return hs_fail(HS_EUSAGE, "unknown command '%s'%s%s%s `halfspec help` lists them all", word, near ? "; did you mean '" : ";", near ? near : "",
                   near ? "'?" : "");
}

hs_status cli_usage(const cli_command *command, const char *what)
{
    return hs_fail(HS_EUSAGE, "%s\nusage: halfspec %s %s\n`halfspec help %s` says more", what, command->name, command->arguments, command->name);
}

/* ---- words ------------------------------------------------------------------------------------------------------------------- */

/* "lr=0.1" is an assignment; "./a=b.conf" and "runs/x=1" are files: no key has a slash or begins with a dot. */
static bool is_assignment(const char *word)
{
    const char *equals = strchr(word, '=');
    return equals && word[0] != '.' && !memchr(word, '/', (size_t)(equals - word));
}

static hs_status unknown_option(const cli_command *command, const char *word)
{
    const char *names[CLI_OPTIONS + 1] = {"--help"};
    int count = 1;
    for (const cli_option *o = command->option; o->name; o++)
        names[count++] = o->name;
    const char *near = hs_nearest(word, names, count);
    return hs_fail(HS_EUSAGE, "%s: unknown option '%s'%s%s%s\nusage: halfspec %s %s", command->name, word, near ? "; did you mean '" : "",
                   near ? near : "", near ? "'?" : "", command->name, command->arguments);
}

/* Word AT is an option: note it, and step over its value. Accepts --name VALUE and --name=VALUE. */
static hs_status take_option(const cli_command *command, char **word, int count, int *at, cli_words *out)
{
    size_t n = strcspn(word[*at], "=");
    for (int i = 0; i < CLI_OPTIONS && command->option[i].name; i++) {
        const cli_option *o = &command->option[i];
        if (strlen(o->name) != n || strncmp(word[*at], o->name, n) != 0)
            continue;
        if (!o->value && word[*at][n])
            return hs_fail(HS_EUSAGE, "%s: %s takes no value", command->name, o->name);
        if (o->value && !word[*at][n] && *at + 1 == count)
            return hs_fail(HS_EUSAGE, "%s: %s needs a value: %s %s", command->name, o->name, o->name, o->value);
        out->option[i] = !o->value ? "" : word[*at][n] ? word[*at] + n + 1 : word[++*at];
        return HS_OK;
    }
    return unknown_option(command, word[*at]);
}

hs_status cli_words_split(const cli_command *command, char **word, int count, cli_words *out)
{
    bool options = true;
    *out = (cli_words){0};
    HS_TRY(hs_calloc((size_t)count, sizeof *out->plain, "words", &out->plain));
    hs_status st = hs_calloc((size_t)count, sizeof *out->assign, "words", &out->assign);
    for (int i = 0; i < count && st == HS_OK; i++) {
        if (options && strcmp(word[i], "--") == 0)
            options = false;
        else if (options && word[i][0] == '-' && word[i][1])
            st = take_option(command, word, count, &i, out);
        else if (is_assignment(word[i]))
            out->assign[out->assigns++] = word[i];
        else
            out->plain[out->plains++] = word[i];
    }
    if (st != HS_OK)
        cli_words_free(out);
    return st;
}

void cli_words_free(cli_words *words)
{
    hs_free(words->plain);
    hs_free(words->assign);
    *words = (cli_words){0};
}
