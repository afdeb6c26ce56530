/* notation.c - the cursor over a network text and the messages that point at what is wrong. */
#include "notation.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hs_base.h"

/* Characters of the text shown in a message: fits a terminal of 100 columns with room for the margin and dots. */
enum { SHOWN = 92, BEFORE = 48 };

hs_status hs_reader_fail(const hs_reader *r, size_t at, size_t length, const char *format, ...)
{
    char reason[768], shown[SHOWN + 1], carets[SHOWN + 1];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);

    size_t total = strlen(r->text);
    at = at > total ? total : at;
    size_t from = total > SHOWN && at > BEFORE ? at - BEFORE : 0;
    size_t count = total - from > SHOWN ? SHOWN : total - from;
    for (size_t i = 0; i < count; i++) /* a tab or line break would move the caret */
        shown[i] = isprint((unsigned char)r->text[from + i]) ? r->text[from + i] : ' ';
    shown[count] = '\0';
    size_t width = length < 1 ? 1 : length;
    if (at - from + width > SHOWN)
        width = SHOWN > at - from ? SHOWN - (at - from) : 1;
    for (size_t i = 0; i < width; i++)
        carets[i] = '^';
    carets[width] = '\0';
    const char *left = from > 0 ? "..." : "", *right = from + count < total ? "..." : "";
    return hs_fail(HS_EUSAGE, "network: %s\n  %s%s%s\n  %*s%s", reason, left, shown, right, (int)(at - from + strlen(left)), "", carets);
}

void hs_reader_space(hs_reader *r)
{
    while (isspace((unsigned char)r->text[r->at]))
        r->at++;
}

char hs_reader_peek(const hs_reader *r)
{
    return r->text[r->at];
}

bool hs_reader_take(hs_reader *r, char c)
{
    if (r->text[r->at] != c)
        return false;
    r->at++;
    return true;
}

/* Something is missing at the cursor: point at the layer so far, and at what stands in its way. */
static hs_status missing(const hs_reader *r, const char *what, const char *form)
{
    bool between = r->text[r->at] == '\0' || isspace((unsigned char)r->text[r->at]);
    return hs_reader_fail(r, r->token, r->at - r->token + !between, "%s is missing; write for example %s", what, form);
}

hs_status hs_reader_int(hs_reader *r, const char *what, const char *form, int low, int high, int *value)
{
    size_t start = r->at, end = start;
    long number = 0;
    for (; isdigit((unsigned char)r->text[end]); end++)
        number = number > 100000000 ? number : number * 10 + (r->text[end] - '0');
    if (end == start)
        return missing(r, what, form);
    if (number < low || number > high)
        return hs_reader_fail(r, start, end - start, "%s must be %d .. %d; write for example %s", what, low, high, form);
    r->at = end;
    *value = (int)number;
    return HS_OK;
}

/* Digits with at most one point: strtod would also take "1e5", "inf" and hexadecimal. */
static bool plain_real(const char *s, size_t *length, double *value)
{
    size_t i = 0, digits = 0;
    for (; isdigit((unsigned char)s[i]); i++)
        digits++;
    if (s[i] == '.')
        for (i++; isdigit((unsigned char)s[i]); i++)
            digits++;
    char copy[40];
    if (digits == 0 || i >= sizeof copy)
        return false;
    memcpy(copy, s, i);
    copy[i] = '\0';
    *length = i;
    *value = strtod(copy, NULL);
    return true;
}

hs_status hs_reader_real(hs_reader *r, const char *what, const char *form, double *value)
{
    size_t length = 0;
    if (!plain_real(r->text + r->at, &length, value))
        return missing(r, what, form);
    r->at += length;
    return HS_OK;
}

bool hs_word_is(const hs_word *word, const char *name)
{
    return strlen(name) == word->length && strncmp(word->s, name, word->length) == 0;
}

/* WORD as a string of its own, cut to fit. */
static void copy_word(const hs_word *word, char *out, size_t capacity)
{
    size_t n = word->length < capacity - 1 ? word->length : capacity - 1;
    memcpy(out, word->s, n);
    out[n] = '\0';
}

static hs_status not_in_list(const hs_reader *r, const hs_word *word, const char *what, const char *const *names, int count)
{
    char text[40], list[256] = "";
    copy_word(word, text, sizeof text);
    for (int i = 0; i < count; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = hs_nearest(text, names, count);
    return hs_reader_fail(r, word->at, word->length, "unknown %s '%s'%s%s%s (one of %s)", what, text, near ? "; did you mean '" : "", near ? near : "",
                          near ? "'?" : "", list);
}

hs_status hs_word_unknown_key(const hs_reader *r, const hs_word *key, const char *const *names, int count)
{
    return not_in_list(r, key, "option", names, count);
}

hs_status hs_word_choice(const hs_reader *r, const hs_word *value, const char *const *names, int count, int *choice)
{
    for (int i = 0; i < count; i++) {
        if (hs_word_is(value, names[i])) {
            *choice = i;
            return HS_OK;
        }
    }
    return not_in_list(r, value, "value", names, count);
}

hs_status hs_word_bool(const hs_reader *r, const hs_word *value, bool *yes)
{
    static const char *const names[] = {"no", "yes"};
    int choice = 0;
    HS_TRY(hs_word_choice(r, value, names, 2, &choice));
    *yes = choice == 1;
    return HS_OK;
}

hs_status hs_word_int(const hs_reader *r, const char *name, const hs_word *value, int low, int high, int *number)
{
    double x = 0;
    size_t length = 0;
    if (!plain_real(value->s, &length, &x) || length != value->length || x != (double)(long)x || x < low || x > high)
        return hs_reader_fail(r, value->at, value->length, "%s must be a whole number, %d .. %d", name, low, high);
    *number = (int)x;
    return HS_OK;
}

hs_status hs_word_real(const hs_reader *r, const char *name, const hs_word *value, double low, double high, double *number)
{
    double x = 0;
    size_t length = 0;
    if (!plain_real(value->s, &length, &x) || length != value->length || x < low || x > high)
        return hs_reader_fail(r, value->at, value->length, "%s must be a number, %g .. %g", name, low, high);
    *number = x;
    return HS_OK;
}
