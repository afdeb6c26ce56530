/* version.c - which library is running. The build writes the commit into hs_commit.h whenever it changes. */
#include "config.h"

#include "halfspec.h"
#include "hs_commit.h"

const char *hs_version(void)
{
    return PACKAGE_VERSION;
}

const char *hs_commit(void)
{
    return HS_COMMIT;
}
