/* config_print.c - the whole configuration as text, as JSON, and what differs between two. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "config_private.h"
#include "hs_base.h"

/* ---- rows: every plain key, and behind each family the values of single layers --------------------------------------------- */

typedef struct row {
    const hs_key *key;
    char name[2 * HS_NAME_MAX + 2];
    const void *field;
    const char *origin;
} row;

/* Row number *AT of the walk; false at the end. KEY and LAYER are the walk's place: the plain keys in table order, each family giving its rows. */
static bool next_row(const hs_config *config, int *key, int *layer, row *out)
{
    int count;
    const hs_key *table = hs_keys(&count);
    for (; *key < count; (*key)++) {
        const hs_key *k = &table[*key];
        char stem[HS_NAME_MAX];
        config_stem(k, stem);
        if (!config_is_family(k)) {
            *out = (row){.key = k, .field = (const char *)config + k->offset, .origin = config->origin[*key]};
            snprintf(out->name, sizeof out->name, "%s", stem);
            (*key)++;
            return true;
        }
        if (*layer < config->layers && strcmp(config->layer[*layer].key, stem) == 0) { /* ordered as the table is */
            const hs_config_layer *l = &config->layer[(*layer)++];
            *out = (row){.key = k, .field = &l->value, .origin = l->origin};
            snprintf(out->name, sizeof out->name, "%s.%s", stem, l->layer);
            return true;
        }
    }
    return false;
}

hs_status hs_config_print(const hs_config *config, bool origins, char **text)
{
    hs_text out = {0};
    const char *section = "";
    char value[VALUE_MAX];
    row r;
    for (int key = 0, layer = 0; next_row(config, &key, &layer, &r);) {
        if (strcmp(section, r.key->section) != 0)
            hs_text_add(&out, "%s# %s\n", *section ? "\n" : "", r.key->section);
        section = r.key->section;
        config_format(r.key, r.field, true, value, sizeof value);
        if (origins)
            hs_text_add(&out, "%-20s = %-24s # %s\n", r.name, value, r.origin);
        else
            hs_text_add(&out, "%-20s = %s\n", r.name, value);
    }
    return hs_text_take(&out, text);
}

/* ---- JSON -------------------------------------------------------------------------------------------------------------------- */

static bool is_word(const row *r)
{
    return r->key->type == HS_KEY_STRING || r->key->type == HS_KEY_CHOICE ||
           (r->key->type == HS_KEY_INTERVAL && *(const int64_t *)r->field == HS_EPOCH);
}

hs_status hs_config_json(const hs_config *config, char **text)
{
    hs_text out = {0};
    char value[VALUE_MAX], quoted[6 * HS_TEXT_MAX + 3]; /* \u0001 is the longest form of one byte */
    const char *comma = "";
    row r;
    hs_text_add(&out, "{");
    for (int key = 0, layer = 0; next_row(config, &key, &layer, &r); comma = ", ") {
        config_format(r.key, r.field, false, value, sizeof value);
        quoted[0] = '\0';
        if (r.key->type == HS_KEY_BOOL)
            snprintf(value, sizeof value, "%s", *(const bool *)r.field ? "true" : "false");
        else if (is_word(&r))
            hs_json_quote(quoted, sizeof quoted, value);
        hs_text_add(&out, "%s\"%s\": %s", comma, r.name, *quoted ? quoted : value);
    }
    hs_text_add(&out, "}");
    return hs_text_take(&out, text);
}

/* ---- difference ---------------------------------------------------------------------------------------------------------------- */

/* May a run go on with another value of this key? Where it runs, what it shows and how long it trains do not change what is computed. */
static bool may_change(const hs_key *key)
{
    static const char *const names[] = {"run", "epochs", "max-steps", "max-hours", "data.verify", "data.prefetch", "data.resident"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(key->name, names[i]) == 0)
            return true;
    return strcmp(key->section, "machine") == 0 || strcmp(key->section, "output") == 0;
}

static bool find_row(const hs_config *config, const char *name, row *found)
{
    for (int key = 0, layer = 0; next_row(config, &key, &layer, found);)
        if (strcmp(found->name, name) == 0)
            return true;
    return false;
}

/* Rows of OLD that NOW has otherwise (or, if ONLY_MISSING, not at all); SIGN turns the arrow. */
static void compare(const hs_config *from, const hs_config *to, bool only_missing, hs_text *out)
{
    char a[VALUE_MAX], b[VALUE_MAX];
    row r, other;
    for (int key = 0, layer = 0; next_row(from, &key, &layer, &r);) {
        bool there = find_row(to, r.name, &other);
        if (may_change(r.key) || (only_missing && there))
            continue;
        config_format(r.key, r.field, true, a, sizeof a);
        if (there)
            config_format(other.key, other.field, true, b, sizeof b);
        else
            snprintf(b, sizeof b, "(not set)");
        if (strcmp(a, b) != 0)
            hs_text_add(out, "%s: %s -> %s\n", r.name, only_missing ? b : a, only_missing ? a : b);
    }
}

hs_status hs_config_difference(const hs_config *old, const hs_config *now, char **text)
{
    hs_text out = {0};
    compare(old, now, false, &out);
    compare(now, old, true, &out); /* values of single layers that are new */
    return hs_text_take(&out, text);
}
