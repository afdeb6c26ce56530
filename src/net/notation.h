/* notation.h - reading network texts: a cursor that knows where it stands, and errors that show it. */
#ifndef HS_NET_NOTATION_H
#define HS_NET_NOTATION_H

#include <stdbool.h>
#include <stddef.h>

#include "hs_status.h"

typedef struct hs_reader {
    const char *text; /* the whole notation */
    size_t at;        /* next character to read */
    size_t token;     /* where the layer being read began */
} hs_reader;

/* A piece of the text. */
typedef struct hs_word {
    const char *s;
    size_t at, length;
} hs_word;

/* Record HS_EUSAGE: the reason (FORMAT), then the text, then a caret under [at, at + length). Long texts are shown around the place. */
hs_status hs_reader_fail(const hs_reader *r, size_t at, size_t length, const char *format, ...) __attribute__((format(printf, 4, 5)));

void hs_reader_space(hs_reader *r);             /* skip white space */
char hs_reader_peek(const hs_reader *r);        /* '\0' at the end */
bool hs_reader_take(hs_reader *r, char c);      /* take C if it comes next */

/* A whole number in [low, high]; WHAT names it ("number of filters"), FORM shows the layer's notation ("C96k3"). */
hs_status hs_reader_int(hs_reader *r, const char *what, const char *form, int low, int high, int *value);
/* A decimal number such as 0.85. */
hs_status hs_reader_real(hs_reader *r, const char *what, const char *form, double *value);

/* Value of `key=value`, the key being NAME: one of NAMES (count of them), yes or no, a whole number, a number in [low, high]. */
hs_status hs_word_choice(const hs_reader *r, const hs_word *value, const char *const *names, int count, int *choice);
hs_status hs_word_bool(const hs_reader *r, const hs_word *value, bool *yes);
hs_status hs_word_int(const hs_reader *r, const char *name, const hs_word *value, int low, int high, int *number);
hs_status hs_word_real(const hs_reader *r, const char *name, const hs_word *value, double low, double high, double *number);
bool hs_word_is(const hs_word *word, const char *name);

/* The key of a brace is none of NAMES: HS_EUSAGE with the nearest of them. */
hs_status hs_word_unknown_key(const hs_reader *r, const hs_word *key, const char *const *names, int count);

#endif
