/* text.c - growing text, numbers that no locale touches, nearest words, JSON strings. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hs_base.h"

/* ---- growing text ------------------------------------------------------------------------------------------------------ */

static void grow(hs_text *text, size_t need)
{
    size_t capacity = text->capacity ? text->capacity : 1024;
    char *data = NULL;
    while (capacity < need)
        capacity *= 2;
    text->status = hs_calloc(capacity, 1, "text", &data);
    if (text->status != HS_OK)
        return;
    if (text->used)
        memcpy(data, text->data, text->used);
    hs_free(text->data);
    text->data = data;
    text->capacity = capacity;
}

void hs_text_add(hs_text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 && text->status == HS_OK)
        text->status = hs_fail(HS_EINTERNAL, "text could not be formatted");
    if (text->status == HS_OK && text->used + (size_t)n + 1 > text->capacity)
        grow(text, text->used + (size_t)n + 1);
    if (text->status != HS_OK)
        return;
    va_start(args, format);
    vsnprintf(text->data + text->used, text->capacity - text->used, format, args);
    va_end(args);
    text->used += (size_t)n;
}

hs_status hs_text_take(hs_text *text, char **out)
{
    hs_text_add(text, "%s", ""); /* so that an empty text is "" and not NULL */
    hs_status st = text->status;
    if (st == HS_OK)
        *out = text->data;
    else
        hs_free(text->data);
    *text = (hs_text){0};
    return st;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------------ */

/* [+-] digits [. digits] [e [+-] digits], at least one digit in front of the exponent: no hex, no inf, no nan, no white space. */
static bool is_number(const char *s)
{
    s += *s == '+' || *s == '-';
    size_t whole = strspn(s, "0123456789"), fraction = 0;
    s += whole;
    if (*s == '.') {
        fraction = strspn(s + 1, "0123456789");
        s += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s += s[1] == '+' || s[1] == '-' ? 2 : 1;
        size_t digits = strspn(s, "0123456789");
        return digits && s[digits] == '\0';
    }
    return *s == '\0';
}

bool hs_number_parse(const char *text, double *value)
{
    if (!is_number(text))
        return false;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c)
        return false;
    double x = strtod_l(text, NULL, c);
    freelocale(c);
    if (x - x != 0) /* overflowed */
        return false;
    *value = x;
    return true;
}

void hs_number_print(double value, char *text, size_t capacity)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t old = c ? uselocale(c) : (locale_t)0;
    for (int digits = 15; digits <= 17; digits++) { /* 17 always read back to the same double; 15 look like what people write */
        snprintf(text, capacity, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    if (c) {
        uselocale(old);
        freelocale(c);
    }
}

/* ---- near words ------------------------------------------------------------------------------------------------------------ */

enum { WORD_MAX = 63 };

static int least(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

int hs_edit_distance(const char *a, const char *b)
{
    int row[3][WORD_MAX + 1], la = (int)strnlen(a, WORD_MAX), lb = (int)strnlen(b, WORD_MAX);
    int *before = row[0], *last = row[1], *now = row[2]; /* rows i-2, i-1, i of the table of prefixes */
    for (int j = 0; j <= lb; j++)
        last[j] = before[j] = j;
    for (int i = 1; i <= la; i++) {
        now[0] = i;
        for (int j = 1; j <= lb; j++) {
            now[j] = least(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        int *recycled = before;
        before = last;
        last = now;
        now = recycled;
    }
    return last[lb];
}

const char *hs_nearest(const char *word, const char *const *names, int count)
{
    const char *best = NULL;
    int length = (int)strnlen(word, WORD_MAX);
    int best_distance = length < 3 ? 2 : length / 3 + 2; /* one wrong letter in a short word, a third of a long one */
    for (int i = 0; i < count; i++) {
        int distance = strcasecmp(word, names[i]) == 0 ? 0 : hs_edit_distance(word, names[i]);
        if (distance < best_distance && distance < (int)strlen(names[i])) {
            best_distance = distance;
            best = names[i];
        }
    }
    return best;
}

/* ---- JSON -------------------------------------------------------------------------------------------------------------------- */

/* Length of the valid UTF-8 character at S, 0 if there is none (overlong forms and surrogates included). */
static int utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    int n = s[0] >= 0xC2 && s[0] < 0xE0 ? 2 : s[0] >= 0xE0 && s[0] < 0xF0 ? 3 : s[0] >= 0xF0 && s[0] < 0xF5 ? 4 : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return n;
}

/* The JSON form of the character at *S, which moves on. */
static const char *escape(const unsigned char **s, char form[8])
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *hit = strchr(from, **s);
    int n = utf8_length(*s);
    if (hit)
        snprintf(form, 8, "\\%c", to[hit - from]);
    else if (**s < 0x20 || **s == 0x7F)
        snprintf(form, 8, "\\u%04x", (unsigned)**s);
    else if (n == 0)
        snprintf(form, 8, "\\ufffd"); /* not UTF-8: a path can be any bytes, JSON cannot */
    else
        snprintf(form, 8, "%.*s", n, (const char *)*s);
    *s += n ? n : 1;
    return form;
}

bool hs_json_quote(char *out, size_t capacity, const char *s)
{
    size_t used = strlen(out), start = used;
    char form[8];
    if (used + 3 > capacity)
        return false;
    out[used++] = '"';
    for (const unsigned char *p = (const unsigned char *)s; *p;) {
        const char *piece = escape(&p, form);
        size_t n = strlen(piece);
        if (used + n + 2 > capacity) { /* the closing quote and the zero must fit too */
            out[start] = '\0';
            return false;
        }
        memcpy(out + used, piece, n);
        used += n;
    }
    out[used++] = '"';
    out[used] = '\0';
    return true;
}
