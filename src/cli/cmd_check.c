/* cmd_check.c - halfspec check: validate files, all of a RUN directory if one is named. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

/* Files that were looked at and files with errors, over the whole command. */
typedef struct tally {
    int files, bad;
} tally;

/* The store prints a line for each finding, or one that the file is sound. A file that breaks the rules is counted, and the next one is looked at;
 * anything else ends the command. */
static hs_status check_file(const char *path, tally *t)
{
    int findings = 0;
    hs_status st = hs_store_check(path, stdout, &findings);
    t->files++;
    if (st != HS_EINPUT)
        return st;
    if (findings)
        printf("%s: not valid, %d finding%s\n", path, findings, findings > 1 ? "s" : "");
    else
        printf("%s: not valid: %s\n", path, hs_fail_text());
    t->bad++;
    return HS_OK;
}

static int is_ours(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return entry->d_name[0] != '.' && n > 3 && strcmp(entry->d_name + n - 3, ".h5") == 0;
}

/* Every .h5 file of DIR, in order of names; a missing DIR is an empty one. */
static hs_status check_all_of(const char *dir, tally *t)
{
    struct dirent **entry = NULL;
    int count = scandir(dir, &entry, is_ours, alphasort);
    hs_status st = HS_OK;
    if (count < 0)
        return errno == ENOENT ? HS_OK : hs_fail(HS_EIO, "cannot read directory %s: %s; check its permissions", dir, strerror(errno));
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        if (st == HS_OK && snprintf(path, sizeof path, "%s/%s", dir, entry[i]->d_name) < (int)sizeof path)
            st = check_file(path, t);
        free(entry[i]);
    }
    free(entry);
    return st;
}

static hs_status check_path(const char *path, tally *t)
{
    struct stat info;
    char ckpt[PATH_MAX];
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return check_file(path, t);
    int before = t->files;
    HS_TRY(check_all_of(path, t));
    if (snprintf(ckpt, sizeof ckpt, "%s/ckpt", path) < (int)sizeof ckpt)
        HS_TRY(check_all_of(ckpt, t));
    return t->files > before ? HS_OK : hs_fail(HS_EINPUT, "%s: there is no .h5 file in it nor in its ckpt/; is it a RUN directory?", path);
}

static hs_status run(const cli *c, const cli_words *words)
{
    tally t = {0};
    (void)c;
    if (words->assigns || words->plains == 0)
        return cli_usage(&cli_check, "check takes files of ours or RUN directories, and no key=value");
    HS_TRY(hs_store_start());
    for (int i = 0; i < words->plains; i++)
        HS_TRY(check_path(words->plain[i], &t));
    return t.bad ? hs_fail(HS_EINPUT, "%d of %d file%s not valid; the lines above say why", t.bad, t.files, t.files > 1 ? "s are" : " is") : HS_OK;
}

const cli_command cli_check = {
    .name = "check",
    .arguments = "FILE|RUN ...",
    .summary = "validate files: structure, types, checksums, axes, and the Hermitian rule of filters",
    .text = "Prints a line for each finding and one for each file. Exit code 65 if a file is not valid.\n",
    .run = run,
};
