/* store.c - once per process, which HDF5 this is, and what killed processes leave behind. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "parts.h"

hs_status hs_store_start(void)
{
    hs_h5_quiet();
    H5_TRY(-1, H5open());
    H5_TRY(-1, H5PLset_loading_state(0)); /* no filter out of a file may load code */
    return HS_OK;
}

void hs_store_version(char *built, size_t built_bytes, char *running, size_t running_bytes)
{
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(built, built_bytes, "%d.%d.%d", H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE);
    snprintf(running, running_bytes, "%u.%u.%u", major, minor, release);
}

/* Is NAME ".halfspec-PID-N.tmp" (src/base/file.c) of a process that is gone? */
static bool is_stale(const char *name)
{
    long pid;
    int number, used = 0;
    if (sscanf(name, ".halfspec-%ld-%d.tmp%n", &pid, &number, &used) != 2 || used == 0 || name[used] != '\0' || pid <= 0)
        return false;
    return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

void hs_sweep_temporaries(const char *folder)
{
    DIR *dir = opendir(folder);
    char path[4400];
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
        if (is_stale(e->d_name)) {
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
            unlink(path);
        }
    if (dir)
        closedir(dir);
}
