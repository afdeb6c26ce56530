/* config_private.h - what the files of the configuration share among themselves. */
#ifndef HS_CONFIG_PRIVATE_H
#define HS_CONFIG_PRIVATE_H

#include "hs_config.h"

enum { VALUE_MAX = 2 * HS_TEXT_MAX + 4 }; /* a string whose every character needs a backslash, and its quotes */

/* A key as it stands in a file: its place in the table, and the layer it is for ("" for plain keys). */
typedef struct config_name {
    int index;
    char layer[HS_NAME_MAX];
} config_name;

/* WHERE is "fashion.conf:3" or "command line", the beginning of every message and the origin that is recorded. */
hs_status config_find(const char *where, const char *word, config_name *name);

/* Give key NAME the value TEXT (already without quotes). */
hs_status config_set(hs_config *config, const config_name *name, const char *where, const char *text);

/* Key I without the ".*" of a family, and whether it is one. */
bool config_is_family(const hs_key *key);
void config_stem(const hs_key *key, char stem[HS_NAME_MAX]);

/* TEXT of the value at FIELD (of KEY's type); strings get quotes only if QUOTED and where they need them. */
void config_format(const hs_key *key, const void *field, bool quoted, char *text, size_t capacity);

#endif
