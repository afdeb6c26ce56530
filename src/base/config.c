/* config.c - the table of keys, finding a key by its name, defaults. */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "config_private.h"
#include "hs_base.h"

#define HS_KEY(type, field, name, initial, minimum, maximum, unit, help) \
    {HS_KEY_##type, HS_SECTION, name, initial, minimum, maximum, unit, help, offsetof(hs_config, field)},
static const hs_key table[] = {
#include "hs_keys.def"
};
#undef HS_KEY

enum { KEYS = sizeof table / sizeof *table };
_Static_assert(KEYS <= sizeof((hs_config *)0)->origin / sizeof *((hs_config *)0)->origin, "hs_config.origin has room for every key");

const hs_key *hs_keys(int *count)
{
    *count = KEYS;
    return table;
}

bool config_is_family(const hs_key *key)
{
    size_t n = strlen(key->name);
    return n > 2 && strcmp(key->name + n - 2, ".*") == 0;
}

void config_stem(const hs_key *key, char stem[HS_NAME_MAX])
{
    int n = (int)strlen(key->name) - (config_is_family(key) ? 2 : 0);
    snprintf(stem, HS_NAME_MAX, "%.*s", n, key->name);
}

/* ---- finding a key ------------------------------------------------------------------------------------------------------- */

/* Other spellings of a key that mean exactly it. */
static const struct {
    const char *alias, *name;
} aliases[] = {{"conv.param", "param"}, {"conv.boundary", "boundary"}, {"conv.embed", "embed"}};
enum { ALIASES = sizeof aliases / sizeof *aliases };

/* Words of other programs for ours: never accepted, only answered, because their meaning or unit may differ. */
static const struct {
    const char *word, *name;
} synonyms[] = {
    {"learning_rate", "lr"},    {"learning-rate", "lr"},  {"learningrate", "lr"}, {"rate", "lr"},          {"batch_size", "batch"},
    {"batch-size", "batch"},    {"batchsize", "batch"},   {"bs", "batch"},        {"network", "net"},      {"model", "net"},
    {"arch", "net"},            {"dataset", "data"},      {"output", "run"},      {"out", "run"},          {"dir", "run"},
    {"output_dir", "run"},      {"weight_decay", "l2"},   {"weight-decay", "l2"}, {"wd", "l2"},            {"steps", "max-steps"},
    {"iterations", "max-steps"}, {"hours", "max-hours"},  {"time", "max-hours"},  {"scheduler", "lr.schedule"}, {"gamma", "lr.factor"},
    {"lr_scheduler", "lr.schedule"}, {"arm", "param"},    {"parametrisation", "param"}, {"parametrization", "param"}, {"padding", "boundary"},
    {"backend", "device"},      {"gpu", "device"},        {"dtype", "precision"}, {"num_threads", "threads"}, {"workers", "threads"},
    {"nesterov", "optimizer"},  {"adam", "optimizer"},    {"sgd", "optimizer"},   {"eps", "epsilon"},      {"grad_clip", "clip"},
    {"normalize", "data.normalise"}, {"l1", "l1.spectral"}, {"resume", "run"},    {"verbose", "progress"}, {"deterministic", "reproducible"},
    {"checkpoint", "checkpoint.every"}, {"history", "history.every"}, {"val_split", "data.validation"},
};
enum { SYNONYMS = sizeof synonyms / sizeof *synonyms };

/* A key one of whose parts is WORD: "warmup" -> lr.warmup. */
static const char *by_part(const char *word)
{
    size_t n = strlen(word);
    for (int i = 0; i < KEYS; i++) {
        const char *dot = strrchr(table[i].name, '.');
        if (dot && strcmp(dot + 1, word) == 0)
            return table[i].name;
        if (n > 2 && strncmp(table[i].name, word, n) == 0 && strchr(".-", table[i].name[n]) && !config_is_family(&table[i]))
            return table[i].name;
    }
    return NULL;
}

/* What the writer of WORD may have meant, or NULL. */
static const char *suggestion(const char *word)
{
    const char *names[KEYS + ALIASES];
    int count = 0;
    for (int i = 0; i < SYNONYMS; i++)
        if (strcmp(synonyms[i].word, word) == 0)
            return synonyms[i].name;
    const char *part = by_part(word);
    if (part)
        return part;
    for (int i = 0; i < KEYS; i++)
        if (!config_is_family(&table[i]))
            names[count++] = table[i].name;
    for (int i = 0; i < ALIASES; i++)
        names[count++] = aliases[i].alias;
    return hs_nearest(word, names, count);
}

/* Layers are called by kind and number: letters, then digits. */
static bool is_layer(const char *word)
{
    size_t letters = strspn(word, "abcdefghijklmnopqrstuvwxyz"), digits = strspn(word + letters, "0123456789");
    return letters && digits && word[letters] != '0' && word[letters + digits] == '\0' && letters + digits < HS_NAME_MAX;
}

/* The family that WORD belongs to by its first part, the longest if there are several; *LAYER is the rest of WORD. */
static int find_family(const char *word, const char **layer)
{
    int best = -1;
    size_t best_length = 0;
    for (int i = 0; i < KEYS; i++) {
        size_t n = strlen(table[i].name) - 1; /* up to and with the dot */
        if (config_is_family(&table[i]) && n > best_length && strncmp(word, table[i].name, n) == 0) {
            best = i;
            best_length = n;
        }
    }
    *layer = word + best_length;
    return best;
}

static hs_status unknown(const char *where, const char *word, int family, const char *layer)
{
    const char *near = suggestion(word);
    if (near)
        return hs_fail(HS_EUSAGE, "%s: unknown key '%s'; did you mean '%s'?", where, word, near);
    if (family >= 0)
        return hs_fail(HS_EUSAGE, "%s: unknown key '%s': '%s' is no layer; layers are named by kind and number, e.g. %.*sconv2", where, word, layer,
                       (int)(layer - word), word);
    return hs_fail(HS_EUSAGE, "%s: unknown key '%s'; `halfspec help keys` lists them all", where, word);
}

hs_status config_find(const char *where, const char *word, config_name *name)
{
    const char *layer = NULL;
    *name = (config_name){.index = -1};
    for (int i = 0; i < ALIASES; i++)
        if (strcmp(word, aliases[i].alias) == 0)
            word = aliases[i].name;
    for (int i = 0; i < KEYS; i++)
        if (strcmp(word, table[i].name) == 0 && !config_is_family(&table[i]))
            name->index = i;
    if (name->index >= 0)
        return HS_OK;
    int family = find_family(word, &layer);
    if (family < 0 || !is_layer(layer))
        return unknown(where, word, family, layer);
    name->index = family;
    snprintf(name->layer, sizeof name->layer, "%s", layer);
    return HS_OK;
}

/* ---- defaults ------------------------------------------------------------------------------------------------------------- */

void hs_config_init(hs_config *config)
{
    *config = (hs_config){0};
    for (int i = 0; i < KEYS; i++) {
        if (config_is_family(&table[i]))
            continue;
        config_name name = {.index = i};
        hs_status st = config_set(config, &name, "default", table[i].initial);
        assert(st == HS_OK && "a default of hs_keys.def is out of its own range");
        (void)st;
    }
}
