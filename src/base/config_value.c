/* config_value.c - the value of one key: text to field, with type and range, and back. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_private.h"
#include "hs_base.h"

/* ---- text to field -------------------------------------------------------------------------------------------------------- */

/* What a message needs to say whose value is wrong. */
typedef struct subject {
    const char *where, *name, *text;
    const hs_key *key;
} subject;

static hs_status out_of_range(const subject *s)
{
    char low[32], high[32];
    hs_number_print(s->key->minimum, low, sizeof low);
    hs_number_print(s->key->maximum, high, sizeof high);
    return hs_fail(HS_EUSAGE, "%s: %s = %s is out of range: %s to %s%s%s", s->where, s->name, s->text, low, high, *s->key->unit ? " " : "",
                   s->key->unit);
}

static hs_status set_string(const subject *s, char *field)
{
    if (strlen(s->text) >= HS_TEXT_MAX)
        return hs_fail(HS_EUSAGE, "%s: %s: the text has %zu characters, at most %d fit", s->where, s->name, strlen(s->text), HS_TEXT_MAX - 1);
    strcpy(field, s->text);
    return HS_OK;
}

static hs_status set_choice(const subject *s, int *field)
{
    const char *names[16], *near;
    char list[256], *rest = list, *word;
    int count = 0;
    snprintf(list, sizeof list, "%s", s->key->unit);
    while (count < 16 && (word = strtok_r(rest, "|", &rest))) {
        if (strcmp(word, s->text) == 0) {
            *field = count;
            return HS_OK;
        }
        names[count++] = word;
    }
    near = hs_nearest(s->text, names, count);
    return hs_fail(HS_EUSAGE, "%s: %s = %s: no such choice%s%s%s (%s)", s->where, s->name, s->text, near ? "; did you mean '" : "",
                   near ? near : "", near ? "'?" : "", s->key->unit);
}

/* 1 ok, 0 no whole number, -1 too large for 64 bits. */
static int whole_number(const char *text, int64_t *value)
{
    const char *digits = text + (*text == '+' || *text == '-');
    if (!*digits || digits[strspn(digits, "0123456789")])
        return 0;
    errno = 0;
    long long v = strtoll(text, NULL, 10);
    *value = v;
    return errno == ERANGE ? -1 : 1;
}

static hs_status set_int(const subject *s, int64_t *field)
{
    int64_t value = 0;
    int is = whole_number(s->text, &value);
    if (is == 0)
        return hs_fail(HS_EUSAGE, "%s: %s = %s: not a whole number; write digits only, e.g. %s = %s", s->where, s->name, s->text, s->name,
                       s->key->initial);
    if (is < 0 || (double)value < s->key->minimum || (double)value > s->key->maximum)
        return out_of_range(s);
    *field = value;
    return HS_OK;
}

static hs_status set_interval(const subject *s, int64_t *field)
{
    int64_t value = 0;
    if (strcmp(s->text, "epoch") == 0) {
        *field = HS_EPOCH;
        return HS_OK;
    }
    int is = whole_number(s->text, &value);
    if (is == 0)
        return hs_fail(HS_EUSAGE, "%s: %s = %s: not an interval; write a number of steps, 0 for never, or the word epoch", s->where, s->name,
                       s->text);
    if (is < 0 || (double)value < s->key->minimum || (double)value > s->key->maximum)
        return out_of_range(s);
    *field = value;
    return HS_OK;
}

static hs_status set_real(const subject *s, double *field)
{
    double value = 0;
    if (!hs_number_parse(s->text, &value))
        return hs_fail(HS_EUSAGE, "%s: %s = %s: not a number; write it like 0.001 or 1e-3", s->where, s->name, s->text);
    if (!(value >= s->key->minimum && value <= s->key->maximum))
        return out_of_range(s);
    *field = value;
    return HS_OK;
}

static hs_status set_bool(const subject *s, bool *field)
{
    static const char *const yes[] = {"yes", "true", "on", "1"}, *const no[] = {"no", "false", "off", "0"};
    for (int i = 0; i < 4; i++)
        if (strcmp(s->text, yes[i]) == 0 || strcmp(s->text, no[i]) == 0) {
            *field = strcmp(s->text, yes[i]) == 0;
            return HS_OK;
        }
    return hs_fail(HS_EUSAGE, "%s: %s = %s: write yes or no", s->where, s->name, s->text);
}

static hs_status set_field(const subject *s, void *field)
{
    if (s->key->type != HS_KEY_STRING && !*s->text)
        return hs_fail(HS_EUSAGE, "%s: %s has no value; write for example %s = %s", s->where, s->name, s->name,
                       *s->key->initial ? s->key->initial : "1e-3");
    switch (s->key->type) {
    case HS_KEY_STRING: return set_string(s, field);
    case HS_KEY_CHOICE: return set_choice(s, field);
    case HS_KEY_INT: return set_int(s, field);
    case HS_KEY_INTERVAL: return set_interval(s, field);
    case HS_KEY_REAL: return set_real(s, field);
    case HS_KEY_BOOL: return set_bool(s, field);
    }
    return hs_fail(HS_EINTERNAL, "%s: key of an unknown type", s->name);
}

/* The end of a long path says more than its beginning. */
static void note_origin(char origin[64], const char *where)
{
    size_t n = strlen(where);
    if (n < 64)
        strcpy(origin, where);
    else
        snprintf(origin, 64, "...%s", where + n - 60);
}

/* ---- values of one layer ---------------------------------------------------------------------------------------------------- */

static int family_index(const char *stem)
{
    int count;
    const hs_key *key = hs_keys(&count);
    char own[HS_NAME_MAX];
    for (int i = 0; i < count; i++) {
        config_stem(&key[i], own);
        if (config_is_family(&key[i]) && strcmp(own, stem) == 0)
            return i;
    }
    return -1;
}

static int compare_layer(const hs_config_layer *row, int index, const char *layer)
{
    int own = family_index(row->key);
    return own != index ? own - index : strcmp(row->layer, layer);
}

/* The row for (key, layer), made if it is new: rows are ordered, so that equal settings give equal tables whatever their order. */
static hs_status layer_row(hs_config *config, const config_name *name, const subject *s, hs_config_layer **row)
{
    int at = 0, capacity = (int)(sizeof config->layer / sizeof *config->layer);
    while (at < config->layers && compare_layer(&config->layer[at], name->index, name->layer) < 0)
        at++;
    *row = &config->layer[at];
    if (at < config->layers && compare_layer(*row, name->index, name->layer) == 0)
        return HS_OK;
    if (config->layers == capacity)
        return hs_fail(HS_EUSAGE, "%s: %s: more than %d values for single layers; set the common value for all layers instead", s->where, s->name,
                       capacity);
    memmove(*row + 1, *row, (size_t)(config->layers - at) * sizeof **row);
    config->layers++;
    **row = (hs_config_layer){0};
    config_stem(s->key, (*row)->key);
    snprintf((*row)->layer, sizeof (*row)->layer, "%s", name->layer);
    return HS_OK;
}

hs_status config_set(hs_config *config, const config_name *name, const char *where, const char *text)
{
    int count;
    const hs_key *key = &hs_keys(&count)[name->index];
    char shown[2 * HS_NAME_MAX + 2], stem[HS_NAME_MAX];
    config_stem(key, stem);
    snprintf(shown, sizeof shown, "%s%s%s", stem, *name->layer ? "." : "", name->layer);
    subject s = {where, shown, text, key};
    if (!*name->layer) {
        HS_TRY(set_field(&s, (char *)config + key->offset));
    } else {
        hs_config_layer *row = NULL;
        double value = 0;
        HS_TRY(set_field(&s, &value)); /* first, so that a wrong value leaves no row */
        HS_TRY(layer_row(config, name, &s, &row));
        row->value = value;
        note_origin(row->origin, where);
    }
    note_origin(config->origin[name->index], where);
    return HS_OK;
}

/* ---- field to text ------------------------------------------------------------------------------------------------------------ */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static bool needs_quotes(const char *s)
{
    if (!*s || is_blank(*s) || is_blank(s[strlen(s) - 1]) || *s == '"' || *s == '\'')
        return true;
    for (; *s; s++)
        if (*s == '#' || (unsigned char)*s < 0x20)
            return true;
    return false;
}

static void quote(const char *s, char *text, size_t capacity)
{
    size_t used = 0;
    text[used++] = '"';
    for (; *s && used + 4 <= capacity; s++) {
        const char *hit = strchr("\"\"\\\\\nn\tt", *s);
        if (hit && *s != 'n' && *s != 't') {
            text[used++] = '\\';
            text[used++] = hit[1]; /* the letter behind each character of the list is its escape */
        } else {
            text[used++] = *s;
        }
    }
    text[used++] = '"';
    text[used] = '\0';
}

static void choice_word(const char *list, int index, char *text, size_t capacity)
{
    for (; index > 0; index--) {
        list = strchr(list, '|');
        if (!list)
            break;
        list++;
    }
    snprintf(text, capacity, "%.*s", list ? (int)strcspn(list, "|") : 0, list ? list : "");
}

void config_format(const hs_key *key, const void *field, bool quoted, char *text, size_t capacity)
{
    switch (key->type) {
    case HS_KEY_STRING:
        if (quoted && needs_quotes(field))
            quote(field, text, capacity);
        else
            snprintf(text, capacity, "%s", (const char *)field);
        break;
    case HS_KEY_CHOICE: choice_word(key->unit, *(const int *)field, text, capacity); break;
    case HS_KEY_INT: snprintf(text, capacity, "%" PRId64, *(const int64_t *)field); break;
    case HS_KEY_INTERVAL:
        if (*(const int64_t *)field == HS_EPOCH)
            snprintf(text, capacity, "epoch");
        else
            snprintf(text, capacity, "%" PRId64, *(const int64_t *)field);
        break;
    case HS_KEY_REAL: hs_number_print(*(const double *)field, text, capacity); break;
    case HS_KEY_BOOL: snprintf(text, capacity, "%s", *(const bool *)field ? "yes" : "no"); break;
    }
}

void hs_config_value(const hs_config *config, int i, char *text, size_t capacity)
{
    int count;
    const hs_key *key = hs_keys(&count);
    if (i < 0 || i >= count || config_is_family(&key[i]))
        snprintf(text, capacity, "%s", "");
    else
        config_format(&key[i], (const char *)config + key[i].offset, true, text, capacity);
}
