/* cmd_info.c - halfspec info: what a file of ours is and holds. */
#include "config.h"

#include <limits.h>
#include <sys/stat.h>

#include "cli.h"

static bool is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* run.h5 and the newest checkpoint, as far as they are there. */
static hs_status describe_run(const char *dir)
{
    char run[PATH_MAX], ckpt[PATH_MAX] = "", *warnings = NULL;
    if (snprintf(run, sizeof run, "%s/run.h5", dir) >= (int)sizeof run)
        return hs_fail(HS_EINPUT, "%s: the path is too long", dir);
    bool has_run = hs_file_exists(run);
    HS_TRY(hs_checkpoint_find(dir, ckpt, sizeof ckpt, &warnings));
    if (warnings && *warnings)
        fputs(warnings, stderr);
    hs_free(warnings);
    if (!has_run && !*ckpt)
        return hs_fail(HS_EINPUT, "%s holds neither run.h5 nor a sound checkpoint; is it a RUN directory?", dir);
    if (has_run)
        HS_TRY(hs_store_info(run, stdout));
    if (has_run && *ckpt)
        puts("");
    return *ckpt ? hs_store_info(ckpt, stdout) : HS_OK;
}

static hs_status run(const cli *c, const cli_words *words)
{
    (void)c;
    if (words->assigns || words->plains == 0)
        return cli_usage(&cli_info, "info takes files of ours or RUN directories, and no key=value");
    HS_TRY(hs_store_start());
    for (int i = 0; i < words->plains; i++) {
        if (i)
            puts("");
        HS_TRY(is_directory(words->plain[i]) ? describe_run(words->plain[i]) : hs_store_info(words->plain[i], stdout));
    }
    return HS_OK;
}

const cli_command cli_info = {
    .name = "info",
    .arguments = "FILE|RUN ...",
    .summary = "what a file holds: run.h5 or a checkpoint, or both of a RUN directory",
    .text = "Files are read through a whitelist: nothing in them can make the program open other files or load code.\n",
    .run = run,
};
