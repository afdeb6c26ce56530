/* check.c - `halfspec check FILE`: walks a file link by link and collects findings; one broken object does not hide the next. */
#include "config.h"

#include "check.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 6, PATH_BYTES = 600 };

void hs_finding(hs_check *check, const char *where, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(check->out, "%s: ", where[0] ? where : "/");
    vfprintf(check->out, format, args);
    fputc('\n', check->out);
    va_end(args);
    check->findings++;
}

void hs_finding_recorded(hs_check *check, const char *where)
{
    char text[1024];
    snprintf(text, sizeof text, "%s", hs_fail_text());
    hs_finding(check, where, "%s", text);
    hs_fail_clear();
}

/* ---- the walk -------------------------------------------------------------------------------------------------------------- */

static void walk(hs_check *check, hid_t group, const char *where, int depth);

static void see_soft(hs_check *check, hid_t group, const char *name, const char *where)
{
    if (strncmp(where, "/plots/", 7) != 0)
        hs_finding(check, where, "a soft link outside /plots");
    else if (H5Oexists_by_name(group, name, H5P_DEFAULT) <= 0)
        hs_finding(check, where, "a soft link to nothing");
}

static void see_object(hs_check *check, hid_t group, const char *name, const char *where, int depth)
{
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    H5I_type_t type = object < 0 ? H5I_BADID : H5Iget_type(object);
    if (type == H5I_GROUP)
        walk(check, object, where, depth + 1);
    else if (type == H5I_DATASET)
        hs_check_data(check, group, name, where);
    else
        hs_finding(check, where, object < 0 ? "cannot be opened: damaged" : "neither group nor data set");
    if (object >= 0)
        H5Oclose(object);
}

static void see_link(hs_check *check, hid_t group, const char *name, const char *where, int depth)
{
    H5L_info_t link;
    if (H5Lget_info(group, name, &link, H5P_DEFAULT) < 0)
        hs_finding(check, where, "a link that cannot be read: damaged");
    else if (link.type == H5L_TYPE_HARD)
        see_object(check, group, name, where, depth);
    else if (link.type == H5L_TYPE_SOFT)
        see_soft(check, group, name, where);
    else
        hs_finding(check, where, "a link into another file");
}

static bool is_nxdata(hid_t group)
{
    char *text = NULL;
    bool yes = hs_h5_has(group, "NX_class") && hs_h5_get_text(group, "NX_class", 64, &text) == HS_OK && strcmp(text, "NXdata") == 0;
    hs_free(text);
    hs_fail_clear();
    return yes;
}

static void walk(hs_check *check, hid_t group, const char *where, int depth)
{
    H5G_info_t info;
    if (depth > DEPTH) {
        hs_finding(check, where, "groups nested deeper than our files are");
        return;
    }
    if (H5Gget_info(group, &info) < 0) {
        hs_finding(check, where, "a group that cannot be read: damaged");
        return;
    }
    for (hsize_t i = 0; i < info.nlinks; i++) {
        char name[200], path[PATH_BYTES];
        ssize_t length = H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
        if (length < 0 || length >= (ssize_t)sizeof name) {
            hs_finding(check, where, "a link whose name cannot be read: damaged");
            return;
        }
        snprintf(path, sizeof path, "%s/%s", where, name);
        see_link(check, group, name, path, depth);
    }
    if (is_nxdata(group))
        hs_check_nxdata(check, group, where);
}

/* ---- a file ---------------------------------------------------------------------------------------------------------------- */

static hs_status open_checked(const char *path, hid_t *file)
{
    const char *slash = strrchr(path, '/');
    if (hs_checkpoint_step_of(slash ? slash + 1 : path) >= 0)
        return hs_checkpoint_open(path, file); /* against MANIFEST, too */
    return hs_h5_open(path, false, file);
}

/* NO_SET: why PATH is no data set. */
static hs_status check_file(hs_check *check, const char *path, const char *no_set)
{
    char kind[64];
    hs_status st;
    hid_t root = -1;
    HS_TRY(open_checked(path, &check->file));
    HS_TRY_GOTO(st, hs_h5_signature_or(check->file, kind, no_set), done);
    H5_TRY_GOTO(st, check->file, root = H5Gopen2(check->file, "/", H5P_DEFAULT), done);
    walk(check, root, "", 0);
    if (strcmp(kind, HS_FORMAT_RUN) == 0)
        hs_check_run(check);
    else if (strcmp(kind, HS_FORMAT_CHECKPOINT) == 0)
        hs_check_checkpoint(check);
    if (check->findings == 0)
        fprintf(check->out, "%s: a sound %s file\n", path, kind);
done:
    hs_h5_drop(root);
    hs_h5_drop(check->file);
    return st;
}

hs_status hs_store_check(const char *path, FILE *out, int *findings)
{
    hs_check check = {.out = out, .file = -1};
    hs_h5_lock();
    hs_status st;
    char no_set[800];
    if (!hs_set_check(path, out, &st)) {
        snprintf(no_set, sizeof no_set, "%s", hs_fail_text());
        st = check_file(&check, path, no_set);
    }
    hs_h5_unlock();
    if (st == HS_EINPUT)
        hs_finding_recorded(&check, path);
    else
        HS_TRY(st);
    if (findings)
        *findings = check.findings;
    return check.findings ? hs_fail(HS_EINPUT, "%s: %d finding%s", path, check.findings, check.findings == 1 ? "" : "s") : HS_OK;
}
