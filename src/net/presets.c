/* presets.c - the named networks of Rippel, Snoek and Adams 2015 and of the first implementation, written out in the notation. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hs_base.h"
#include "hs_net.h"
#include "notation.h"

enum { TEXT_CAPACITY = 4096 };

typedef struct settings {
    int m, k;
    double gamma;
} settings;

typedef struct output {
    char text[TEXT_CAPACITY];
    size_t used;
} output;

static void put(output *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(output *o, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(o->text + o->used, sizeof o->text - o->used, format, args);
    va_end(args);
    o->used += n > 0 && (size_t)n < sizeof o->text - o->used ? (size_t)n : 0;
}

/* Section 5.1 of the paper: map sizes 27 22 18 15 12 10 from 32 with gamma = 0.85. */
static void paper_sp(const settings *s, int classes, output *o)
{
    int filters = 0;
    for (int m = 1; m <= s->m; m++) {
        filters = 96 + 32 * m < 288 ? 96 + 32 * m : 288;
        put(o, "C%dk%d R SP*%.10g R ", filters, s->k, s->gamma);
    }
    put(o, "C%dk1 R C%dk1 GA", filters, classes);
}

static void deep_body(const settings *s, output *o)
{
    put(o, "C96k%d R C96k%d R M3s2 C192k%d R C192k%d R C192k%d R M3s2 ", s->k, s->k, s->k, s->k, s->k);
}

static void deep(const settings *s, int classes, output *o)
{
    deep_body(s, o);
    put(o, "F1024 R F512 R F%d", classes);
}

/* The other reading of the paper's table: two 1x1 convolutions and global average instead of dense layers. */
static void deep_conv(const settings *s, int classes, output *o)
{
    deep_body(s, o);
    put(o, "C192k1 R C%dk1 GA", classes);
}

static void generic(const settings *s, int classes, output *o)
{
    put(o, "C96k%d R M3s2 C192k%d R M3s2 F1024 R F512 R F%d", s->k, s->k, classes);
}

static void seed_mnist(const settings *s, int classes, output *o)
{
    (void)s;
    put(o, "C15k10 R M2s2 C1k6 R M2s2 F1024 R F%d", classes);
}

static const struct preset {
    const char *name, *keys; /* letters of the settings it has: M, k, g(amma) */
    settings initial;
    void (*write)(const settings *s, int classes, output *o);
} presets[] = {
    {"paper-sp", "Mkg", {6, 3, 0.85}, paper_sp},
    {"deep", "k", {0, 5, 0}, deep},
    {"deep-conv", "k", {0, 3, 0}, deep_conv},
    {"generic", "k", {0, 3, 0}, generic},
    {"seed-mnist", "", {0, 0, 0}, seed_mnist},
};
enum { PRESETS = sizeof presets / sizeof presets[0] };

static hs_status find(const hs_reader *r, const hs_word *word, const struct preset **preset)
{
    const char *names[PRESETS];
    char text[40];
    for (int i = 0; i < PRESETS; i++) {
        names[i] = presets[i].name;
        if (hs_word_is(word, presets[i].name)) {
            *preset = &presets[i];
            return HS_OK;
        }
    }
    snprintf(text, sizeof text, "%.*s", (int)word->length, word->s);
    const char *near = hs_nearest(text, names, PRESETS);
    return hs_reader_fail(r, word->at, word->length,
                          "no such preset%s%s%s (presets: paper-sp, deep, deep-conv, generic, seed-mnist; layers begin with a capital, such as C16k5)",
                          near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* One `key=value` behind the preset's name. */
static hs_status setting(hs_reader *r, const struct preset *preset, settings *s)
{
    static const char *const names[] = {"M", "k", "gamma"};
    hs_word key = {r->text + r->at, r->at, strcspn(r->text + r->at, "= \t\n")};
    r->at += key.length;
    int which = -1;
    for (int i = 0; i < 3; i++)
        if (hs_word_is(&key, names[i]) && strchr(preset->keys, names[i][0]))
            which = i;
    if (which < 0 && preset->keys[0] == '\0')
        return hs_reader_fail(r, key.at, key.length, "%s has no settings", preset->name);
    if (which < 0)
        return hs_reader_fail(r, key.at, key.length, "%s has no such setting; it has %s", preset->name,
                              strchr(preset->keys, 'M') ? "M, k and gamma" : "k");
    if (!hs_reader_take(r, '='))
        return hs_reader_fail(r, key.at, key.length, "a value is missing; write %s=...", names[which]);
    hs_word value = {r->text + r->at, r->at, strcspn(r->text + r->at, " \t\n")};
    r->at += value.length;
    if (which == 2)
        return hs_word_real(r, "gamma", &value, 0.01, 1.0, &s->gamma);
    return which == 0 ? hs_word_int(r, "M", &value, 1, 64, &s->m) : hs_word_int(r, "k", &value, 1, 255, &s->k);
}

static hs_status copy_out(const char *text, char **notation)
{
    char *copy = NULL;
    HS_TRY(hs_calloc(strlen(text) + 1, 1, "network notation", &copy));
    memcpy(copy, text, strlen(text) + 1);
    *notation = copy;
    return HS_OK;
}

hs_status hs_net_expand(const char *text, int classes, char **notation)
{
    hs_reader r = {text, 0, 0};
    hs_reader_space(&r);
    if (!islower((unsigned char)hs_reader_peek(&r)))
        return copy_out(text, notation);
    hs_word word = {text + r.at, r.at, strcspn(text + r.at, " \t\n")};
    const struct preset *preset = NULL;
    HS_TRY(find(&r, &word, &preset));
    settings s = preset->initial;
    r.at += word.length;
    for (hs_reader_space(&r); hs_reader_peek(&r); hs_reader_space(&r))
        HS_TRY(setting(&r, preset, &s));
    output o = {.used = 0};
    preset->write(&s, classes, &o);
    return copy_out(o.text, notation);
}
