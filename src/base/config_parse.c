/* config_parse.c - files of `key = value` lines, and key=value words of the command line. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "config_private.h"
#include "hs_base.h"

/* A range of somebody else's text. */
typedef struct span {
    const char *begin, *end;
} span;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; /* isspace would ask the locale */
}

static span trim(span s)
{
    while (s.begin < s.end && is_blank(*s.begin))
        s.begin++;
    while (s.begin < s.end && is_blank(s.end[-1]))
        s.end--;
    return s;
}

static hs_status copy(const char *where, const char *what, span s, char *text, size_t capacity)
{
    size_t n = (size_t)(s.end - s.begin);
    if (n >= capacity)
        return hs_fail(HS_EUSAGE, "%s: the %s has %zu characters, at most %zu fit", where, what, n, capacity - 1);
    memcpy(text, s.begin, n);
    text[n] = '\0';
    return HS_OK;
}

/* Where a comment begins: at '#' at the start of S or after white space; else the end. */
static const char *comment(span s)
{
    for (const char *p = s.begin; p < s.end; p++)
        if (*p == '#' && (p == s.begin || is_blank(p[-1])))
            return p;
    return s.end;
}

/* In double quotes \" \\ \n \t stand for what they do in C; in single quotes nothing is special. S begins with the quote. */
static hs_status unquote(const char *where, span s, bool comments, char text[HS_TEXT_MAX])
{
    char mark = *s.begin;
    size_t used = 0;
    const char *p = s.begin + 1;
    for (; p < s.end && *p != mark; p++) {
        char c = *p;
        if (mark == '"' && c == '\\') {
            static const char from[] = "\"\\nt", to[] = "\"\\\n\t";
            const char *hit = p + 1 < s.end ? strchr(from, p[1]) : NULL;
            if (!hit || !*hit)
                return hs_fail(HS_EUSAGE, "%s: after a backslash in double quotes only \" \\ n t may stand; use single quotes for plain text", where);
            c = to[hit - from];
            p++;
        }
        if (used + 1 >= HS_TEXT_MAX)
            return hs_fail(HS_EUSAGE, "%s: the value is longer than %d characters", where, HS_TEXT_MAX - 1);
        text[used++] = c;
    }
    text[used] = '\0';
    if (p == s.end)
        return hs_fail(HS_EUSAGE, "%s: a %s is opened and not closed; add the closing one", where, mark == '"' ? "double quote" : "single quote");
    span rest = trim((span){p + 1, s.end});
    if (rest.begin < rest.end && !(comments && *rest.begin == '#'))
        return hs_fail(HS_EUSAGE, "%s: there is more text behind the closing quote: %.*s", where, (int)(rest.end - rest.begin), rest.begin);
    return HS_OK;
}

/* One `key = value`. COMMENTS: '#' may begin one. */
static hs_status assign(hs_config *config, const char *where, span line, bool comments)
{
    char key[2 * HS_NAME_MAX + 64], value[HS_TEXT_MAX];
    config_name name;
    const char *end = comments ? comment(line) : line.end;
    const char *equals = memchr(line.begin, '=', (size_t)(end - line.begin));
    if (!equals)
        return hs_fail(HS_EUSAGE, "%s: '%.*s' is not of the form %s", where, (int)(end - line.begin), line.begin,
                       comments ? "key = value" : "key=value");
    HS_TRY(copy(where, "key", trim((span){line.begin, equals}), key, sizeof key));
    span text = trim((span){equals + 1, line.end});
    if (text.begin < text.end && (*text.begin == '"' || *text.begin == '\'')) {
        HS_TRY(unquote(where, text, comments, value));
    } else {
        span plain = {equals + 1, comments ? comment((span){equals + 1, line.end}) : line.end};
        if (comments && plain.begin < line.end && *plain.begin == '#')
            plain.end = line.end; /* "key =#x": no white space in front, so it is no comment */
        HS_TRY(copy(where, "value", trim(plain), value, sizeof value));
    }
    HS_TRY(config_find(where, key, &name));
    return config_set(config, &name, where, value);
}

hs_status hs_config_parse(hs_config *config, const char *name, const char *text)
{
    if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) /* the byte order mark that some editors write */
        text += 3;
    for (int number = 1; *text; number++) {
        size_t length = strcspn(text, "\n");
        span line = trim((span){text, text + length});
        if (line.begin < line.end && *line.begin != '#') {
            char where[512];
            snprintf(where, sizeof where, "%s:%d", name, number);
            HS_TRY(assign(config, where, line, true));
        }
        text += length + (text[length] == '\n');
    }
    return HS_OK;
}

hs_status hs_config_assign(hs_config *config, const char *word)
{
    return assign(config, "command line", (span){word, word + strlen(word)}, false);
}
