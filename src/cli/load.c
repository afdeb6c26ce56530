/* load.c - the configuration of a command: defaults, file, command line. */
#include "config.h"

#include <string.h>

#include "cli.h"

enum { FILE_LIMIT = 1 << 20 }; /* bytes; a configuration has a few kilobytes */

/* What rank 0 found, for the others to find too. */
typedef struct sent {
    int64_t status;
    uint64_t bytes;
    char why[4096];
} sent;

static hs_status read_text(const char *conf, char **text, size_t *bytes)
{
    HS_TRY(hs_file_read(conf, FILE_LIMIT, text, bytes));
    if (!memchr(*text, '\0', *bytes))
        return HS_OK;
    hs_free(*text);
    *text = NULL;
    return hs_fail(HS_EINPUT, "cannot read %s: it is not a text file; a configuration has `key = value` lines", conf);
}

/* COLLECTIVE. A failure of rank 0 becomes the same failure on every rank: then it is printed once and without a rank. */
static hs_status share_text(hs_comm *comm, const char *conf, char **text)
{
    sent s = {0};
    size_t bytes = 0;
    if (comm->rank == 0) {
        s.status = read_text(conf, text, &bytes);
        s.bytes = bytes;
        if (s.status != HS_OK)
            snprintf(s.why, sizeof s.why, "%s", hs_fail_text());
    }
    HS_TRY(hs_broadcast(comm, &s, sizeof s, 0));
    if (s.status != HS_OK)
        return hs_fail((hs_status)s.status, "%s", s.why);
    hs_status st = comm->rank == 0 ? HS_OK : hs_calloc((size_t)s.bytes + 1, 1, "configuration", text);
    st = hs_agree(comm, st);
    if (st == HS_OK)
        st = hs_broadcast(comm, *text, (size_t)s.bytes, 0);
    return st;
}

hs_status cli_config_load(hs_comm *comm, const char *conf, char *const *words, int count, hs_config *config)
{
    char *text = NULL;
    hs_status st = HS_OK;
    hs_config_init(config);
    if (conf)
        st = share_text(comm, conf, &text);
    if (st == HS_OK && conf)
        st = hs_config_parse(config, conf, text);
    hs_free(text);
    for (int i = 0; i < count && st == HS_OK; i++)
        st = hs_config_assign(config, words[i]);
    return st == HS_OK ? hs_config_check(config) : st;
}
