/* hs_config.h - configuration: one table of keys (hs_keys.def), files of `key = value` lines, and where each value came from.
 * Later wins: defaults < file < key=value on the command line. */
#ifndef HS_CONFIG_H
#define HS_CONFIG_H

#include <stdio.h>

#include "hs_status.h"
#include "hs_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hs_key_type { HS_KEY_STRING, HS_KEY_CHOICE, HS_KEY_INT, HS_KEY_REAL, HS_KEY_BOOL, HS_KEY_INTERVAL } hs_key_type;

typedef struct hs_key {
    hs_key_type type;
    const char *section, *name, *initial;
    double minimum, maximum; /* of INT and REAL */
    const char *unit;        /* unit, or the choices */
    const char *help;
    size_t offset; /* of the field in hs_config */
} hs_key;
const hs_key *hs_keys(int *count); /* in table order */

enum { HS_TEXT_MAX = 4096, HS_EPOCH = -1 };

/* `lr.conv2 = 1e-4` and its like. */
typedef struct hs_config_layer {
    char key[HS_NAME_MAX]; /* "lr" */
    char layer[HS_NAME_MAX];
    double value;
    char origin[64];
} hs_config_layer;

typedef struct hs_config {
#define HS_FIELD_STRING(f) char f[HS_TEXT_MAX];
#define HS_FIELD_CHOICE(f) int f;
#define HS_FIELD_INT(f) int64_t f;
#define HS_FIELD_INTERVAL(f) int64_t f; /* steps; 0 never, HS_EPOCH at the end of every epoch */
#define HS_FIELD_REAL(f) double f;
#define HS_FIELD_BOOL(f) bool f;
#define HS_KEY(type, field, name, initial, minimum, maximum, unit, help) HS_FIELD_##type(field)
#include "hs_keys.def"
#undef HS_KEY
    hs_config_layer layer[64]; /* ordered by key (as in the table), then by name */
    int layers;
    char origin[128][64]; /* per key in table order: "default", "fashion.conf:3", "command line" */
} hs_config;

void hs_config_init(hs_config *config);
/* TEXT is the content of a file named NAME (for messages). Lines `key = value`, # starts a comment (at a line's start or after white space).
 * Errors are HS_EUSAGE: file:line, the key, the reason, the nearest known key. */
hs_status hs_config_parse(hs_config *config, const char *name, const char *text);
/* One `key=value` word of the command line. */
hs_status hs_config_assign(hs_config *config, const char *word);
/* Checks that involve several keys. */
hs_status hs_config_check(const hs_config *config);

/* The value of key I as text that parses back to the same value. */
void hs_config_value(const hs_config *config, int i, char *text, size_t capacity);
/* The resolved configuration: every key, one a line, parses back; with origins as comments if asked. *TEXT is freed with hs_free. */
hs_status hs_config_print(const hs_config *config, bool origins, char **text);
hs_status hs_config_json(const hs_config *config, char **text);
/* Keys that differ between two configurations and matter for what is computed (run, output, machine and length of training do not):
 * lines "key: old -> new". *TEXT is "" if there are none; hs_free. */
hs_status hs_config_difference(const hs_config *old, const hs_config *now, char **text);

#ifdef __cplusplus
}
#endif
#endif
