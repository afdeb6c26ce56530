/* cmd_help.c - halfspec help: commands, topics, and the keys as the table of hs_keys.def has them. Its options print that table for other programs:
 * shell completion and the man page. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { KEYS, COMMANDS, CHOICES, MAN };

/* ---- the program and its commands -------------------------------------------------------------------------------------------- */

void cli_help_program(FILE *to)
{
    fputs("halfspec trains convolutional networks whose filters live in the frequency domain, on any number of MPI ranks.\n\nusage:\n", to);
    for (const cli_command *const *c = cli_commands(); *c; c++)
        fprintf(to, "  halfspec %s%s%s\n", (*c)->name, *(*c)->arguments ? " " : "", (*c)->arguments);
    fputs("\ncommands:\n", to);
    for (const cli_command *const *c = cli_commands(); *c; c++)
        fprintf(to, "  %-10s %s\n", (*c)->name, (*c)->summary);
    fputs("\ntopics: halfspec help keys | KEY | net | data | files | codes\n\n"
          "first steps:\n"
          "  halfspec train jobs/fashion.conf --dry-run        the plan, nothing written\n"
          "  mpirun -n 2 halfspec train jobs/fashion.conf      train on two ranks\n"
          "  halfspec eval run                                 test error of the newest checkpoint\n",
          to);
}

void cli_help_command(const cli_command *command, FILE *to)
{
    fprintf(to, "usage: halfspec %s %s\n\n%s\n", command->name, command->arguments, command->summary);
    if (*command->text)
        fprintf(to, "\n%s", command->text);
    if (command->option[0].name)
        fputs("\n", to);
    for (const cli_option *o = command->option; o->name; o++) {
        char form[64];
        snprintf(form, sizeof form, "%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        fprintf(to, "  %-24s %s\n", form, o->help);
    }
}

/* ---- keys ------------------------------------------------------------------------------------------------------------------------ */

static bool is_family(const hs_key *key)
{
    return key->name[strlen(key->name) - 1] == '*';
}

/* "0 to 1", or only where it begins if the end is just some large number. */
static void describe_range(const hs_key *key, const char *kind, char *text, size_t capacity)
{
    char low[32], high[32] = "";
    hs_number_print(key->minimum, low, sizeof low);
    if (key->maximum < 1e9)
        hs_number_print(key->maximum, high, sizeof high);
    snprintf(text, capacity, "%s%s%s%s%s%s%s", kind, *high ? " " : " from ", low, *high ? " to " : "", high, *key->unit ? ", " : "", key->unit);
}

/* What may stand behind the equals sign: choices, a range with its unit, or text. */
static void describe_values(const hs_key *key, char *text, size_t capacity)
{
    switch (key->type) {
    case HS_KEY_STRING: snprintf(text, capacity, "text%s%s", *key->unit ? ": " : "", key->unit); break;
    case HS_KEY_CHOICE: snprintf(text, capacity, "%s", key->unit); break;
    case HS_KEY_BOOL: snprintf(text, capacity, "yes|no"); break;
    case HS_KEY_INTERVAL: snprintf(text, capacity, "steps, 0 = never, or epoch"); break;
    case HS_KEY_INT: describe_range(key, "whole number", text, capacity); break;
    case HS_KEY_REAL: describe_range(key, "number", text, capacity); break;
    }
}

static void print_keys(FILE *to)
{
    int count;
    const hs_key *key = hs_keys(&count);
    const char *section = "";
    char values[256], form[160];
    fputs("A configuration has `key = value` lines and # comments; on the command line it is key=value. Later wins. Shown with their defaults:\n", to);
    for (int i = 0; i < count; i++) {
        if (strcmp(section, key[i].section) != 0)
            fprintf(to, "\n%s\n", key[i].section);
        section = key[i].section;
        describe_values(&key[i], values, sizeof values);
        snprintf(form, sizeof form, "%s%s%s", key[i].name, is_family(&key[i]) ? "" : " = ", key[i].initial);
        fprintf(to, "  %-30s %s\n  %-30s   %s\n", form, key[i].help, "", values);
    }
    fputs("\nparam, boundary and embed may also be written conv.param, conv.boundary and conv.embed.\n", to);
}

static const hs_key *find_key(const char *name)
{
    int count;
    const hs_key *key = hs_keys(&count);
    for (int i = 0; i < count; i++)
        if (strcmp(key[i].name, name) == 0)
            return &key[i];
    return NULL;
}

static void print_key(const hs_key *key, FILE *to)
{
    char values[256];
    describe_values(key, values, sizeof values);
    fprintf(to, "%s: %s\n", key->name, key->help);
    fprintf(to, "  values   %s\n", values);
    fprintf(to, "  default  %s\n", is_family(key) ? "the value for all layers" : *key->initial ? key->initial : "(empty)");
    fprintf(to, "  section  %s\n", key->section);
}

/* ---- for other programs ----------------------------------------------------------------------------------------------------------- */

static void list_keys(FILE *to)
{
    int count;
    const hs_key *key = hs_keys(&count);
    for (int i = 0; i < count; i++)
        if (!is_family(&key[i]))
            fprintf(to, "%s\n", key[i].name);
}

static hs_status list_choices(const char *name, FILE *to)
{
    const hs_key *key = find_key(name);
    if (!key)
        return hs_fail(HS_EUSAGE, "unknown key '%s'", name);
    const char *list = key->type == HS_KEY_CHOICE ? key->unit : key->type == HS_KEY_BOOL ? "yes|no" : key->type == HS_KEY_INTERVAL ? "0|epoch" : "";
    for (; *list; list++)
        fputc(*list == '|' ? '\n' : *list, to);
    fputc('\n', to);
    return HS_OK;
}

/* Text of a man page: roff takes '.' and ''' at a line's start, '\' and '-' anywhere for its own. */
static void roff(const char *s, FILE *to)
{
    for (; *s; s++)
        if (*s == '\\')
            fputs("\\e", to);
        else if (*s == '-')
            fputs("\\-", to);
        else
            fputc(*s, to);
}

static void print_man_keys(FILE *to)
{
    int count;
    const hs_key *key = hs_keys(&count);
    const char *section = "";
    char values[256];
    for (int i = 0; i < count; i++) {
        if (strcmp(section, key[i].section) != 0) {
            fputs(".SS ", to);
            roff(key[i].section, to);
            fputs("\n", to);
        }
        section = key[i].section;
        fputs(".TP\n.B ", to);
        roff(key[i].name, to);
        if (*key[i].initial) {
            fputs(" \\fR= ", to);
            roff(key[i].initial, to);
        }
        fputs("\n", to);
        describe_values(&key[i], values, sizeof values);
        roff(key[i].help, to);
        fputs("\n.RI ( ", to); /* so that no value can begin a line with a dot */
        fputs("\"", to);
        roff(values, to);
        fputs("\" )\n", to);
    }
}

/* ---- the command ----------------------------------------------------------------------------------------------------------------- */

static const struct topic {
    const char *name, *text;
} topics[] = {{"net", cli_text_net}, {"data", cli_text_data}, {"files", cli_text_files}, {"codes", cli_text_codes}};
enum { TOPICS = sizeof topics / sizeof *topics };

static hs_status unknown_topic(const char *word)
{
    const char *names[160];
    int count = 0, keys;
    const hs_key *key = hs_keys(&keys);
    names[count++] = "keys";
    for (int i = 0; i < TOPICS; i++)
        names[count++] = topics[i].name;
    for (const cli_command *const *c = cli_commands(); *c; c++)
        names[count++] = (*c)->name;
    for (int i = 0; i < keys && count < 160; i++)
        names[count++] = key[i].name;
    const char *near = hs_nearest(word, names, count);
    return hs_fail(HS_EUSAGE, "no help on '%s'%s%s%s `halfspec help` lists commands and topics", word, near ? "; did you mean '" : ";",
                   near ? near : "", near ? "'?" : "");
}

static hs_status help_on(const char *word, FILE *to)
{
    for (const cli_command *const *c = cli_commands(); *c; c++)
        if (strcmp((*c)->name, word) == 0) {
            cli_help_command(*c, to);
            return HS_OK;
        }
    for (int i = 0; i < TOPICS; i++)
        if (strcmp(topics[i].name, word) == 0) {
            fputs(topics[i].text, to);
            return HS_OK;
        }
    if (strcmp(word, "keys") == 0) {
        print_keys(to);
        return HS_OK;
    }
    if (!find_key(word))
        return unknown_topic(word);
    print_key(find_key(word), to);
    return HS_OK;
}

static hs_status run(const cli *c, const cli_words *words)
{
    (void)c;
    if (words->assigns)
        return cli_usage(&cli_help, "help takes names, no key=value");
    if (words->option[CHOICES])
        return list_choices(words->option[CHOICES], stdout);
    if (words->option[KEYS])
        list_keys(stdout);
    else if (words->option[MAN])
        print_man_keys(stdout);
    else if (words->option[COMMANDS])
        for (const cli_command *const *k = cli_commands(); *k; k++)
            puts((*k)->name);
    else if (words->plains == 0)
        cli_help_program(stdout);
    for (int i = 0; i < words->plains; i++)
        HS_TRY(help_on(words->plain[i], stdout));
    return HS_OK;
}

const cli_command cli_help = {
    .name = "help",
    .arguments = "[COMMAND | KEY | keys | net | data | files | codes]",
    .summary = "help on the program, a command, a key or a topic (also --help)",
    .text = "The options are for other programs.\n",
    .option = {[KEYS] = {"--keys", NULL, "names of all keys, one a line"},
               [COMMANDS] = {"--commands", NULL, "names of all commands, one a line"},
               [CHOICES] = {"--choices", "KEY", "what KEY can be, one a line, if that is a short list"},
               [MAN] = {"--man", NULL, "the keys in the language of man pages"}},
    .run = run,
};
