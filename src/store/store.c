/* store.c - once per process, and which HDF5 this is. */
#include <stdio.h>

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
