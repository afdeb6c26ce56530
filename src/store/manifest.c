/* manifest.c - RUN/ckpt/MANIFEST: which checkpoints there are, and the digests they must have.
 *
 * Text, one line a checkpoint, newest last:   step-00001200.h5 bytes=48211 sha256=<64 hex> error=0.0812 best
 * after a first line "halfspec-manifest 1". error=nan before the first evaluation; the word best stands on at most one line. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

static const char first_line[] = "halfspec-manifest 1\n";

void hs_checkpoint_name(const char *folder, int64_t step, char *path, size_t capacity)
{
    snprintf(path, capacity, "%s/step-%08" PRId64 ".h5", folder, step);
}

int64_t hs_checkpoint_step_of(const char *name)
{
    long long step;
    int used = 0;
    char again[64];
    if (sscanf(name, "step-%18lld.h5%n", &step, &used) != 1 || used == 0 || name[used] != '\0' || step < 0)
        return -1;
    snprintf(again, sizeof again, "step-%08lld.h5", step);
    return strcmp(again, name) == 0 ? step : -1;
}

/* ---- reading and writing --------------------------------------------------------------------------------------------------- */

static bool parse_row(char *line, hs_manifest_row *row)
{
    char name[64], error[32], tail[8] = "";
    memset(row, 0, sizeof *row);
    int found = sscanf(line, "%63s bytes=%zu sha256=%64[0-9a-f] error=%31s %7s", name, &row->bytes, row->sha256, error, tail);
    if (found < 4 || strlen(row->sha256) != 64)
        return false;
    row->step = hs_checkpoint_step_of(name);
    row->error = strtod(error, NULL);
    row->best = strcmp(tail, "best") == 0;
    return row->step >= 0 && (found == 4 || row->best);
}

/* All lines or none: a MANIFEST with a damaged line is not trusted. */
static bool parse(char *text, hs_manifest *manifest)
{
    if (strncmp(text, first_line, sizeof first_line - 1) != 0)
        return false;
    char *save = NULL;
    for (char *line = strtok_r(text + sizeof first_line - 1, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        hs_manifest_row row;
        if (!parse_row(line, &row) || manifest->rows == HS_MANIFEST_ROWS ||
            (manifest->rows > 0 && row.step <= manifest->row[manifest->rows - 1].step))
            return false;
        manifest->row[manifest->rows++] = row;
    }
    return true;
}

hs_status hs_manifest_read(const char *folder, hs_manifest **manifest)
{
    char path[4200], *text = NULL;
    size_t bytes;
    hs_manifest *m = NULL;
    HS_TRY(hs_calloc(1, sizeof *m, "manifest", &m));
    snprintf(path, sizeof path, "%s/MANIFEST", folder);
    if (hs_file_exists(path) && hs_file_read(path, (size_t)1 << 20, &text, &bytes) == HS_OK) {
        m->present = strlen(text) == bytes && parse(text, m);
        if (!m->present)
            m->rows = 0;
        hs_free(text);
    }
    hs_fail_clear(); /* an unreadable MANIFEST is a case we handle, not a failure to report */
    *manifest = m;
    return HS_OK;
}

hs_status hs_manifest_save(const char *folder, const hs_manifest *manifest)
{
    char path[4200], *text = NULL;
    size_t capacity = sizeof first_line + (size_t)manifest->rows * 192, used;
    HS_TRY(hs_calloc(capacity, 1, "manifest", &text));
    used = (size_t)snprintf(text, capacity, "%s", first_line);
    for (int i = 0; i < manifest->rows; i++) {
        const hs_manifest_row *r = &manifest->row[i];
        used += (size_t)snprintf(text + used, capacity - used, "step-%08" PRId64 ".h5 bytes=%zu sha256=%s error=%.17g%s\n",
                                 r->step, r->bytes, r->sha256, r->error, r->best ? " best" : "");
    }
    snprintf(path, sizeof path, "%s/MANIFEST", folder);
    hs_status st = hs_file_replace(path, text, used);
    hs_free(text);
    return st;
}

/* ---- which to keep --------------------------------------------------------------------------------------------------------- */

void hs_manifest_add(hs_manifest *manifest, const hs_manifest_row *row)
{
    while (manifest->rows > 0 && manifest->row[manifest->rows - 1].step >= row->step)
        manifest->rows--;
    if (manifest->rows == HS_MANIFEST_ROWS) /* keep the newest */
        memmove(&manifest->row[0], &manifest->row[1], (size_t)(--manifest->rows) * sizeof manifest->row[0]);
    if (row->best)
        for (int i = 0; i < manifest->rows; i++)
            manifest->row[i].best = false;
    manifest->row[manifest->rows++] = *row;
    manifest->present = true;
}

void hs_manifest_thin(hs_manifest *manifest, int keep)
{
    int kept = 0, first = manifest->rows - (keep < 1 ? 1 : keep);
    for (int i = 0; i < manifest->rows; i++)
        if (i >= first || manifest->row[i].best)
            manifest->row[kept++] = manifest->row[i];
    manifest->rows = kept;
}

const hs_manifest_row *hs_manifest_row_of(const hs_manifest *manifest, int64_t step)
{
    for (int i = 0; i < manifest->rows; i++)
        if (manifest->row[i].step == step)
            return &manifest->row[i];
    return NULL;
}

/* ---- the folder ------------------------------------------------------------------------------------------------------------ */

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

hs_status hs_manifest_files(const char *folder, int64_t **steps, int *count)
{
    int64_t *list = NULL;
    int n = 0;
    DIR *dir = opendir(folder);
    if (!dir && errno != ENOENT)
        return hs_fail(HS_EIO, "%s: cannot list the directory: %s", folder, strerror(errno));
    hs_status st = hs_calloc(HS_MANIFEST_ROWS, sizeof *list, "checkpoint list", &list);
    if (st == HS_OK && dir)
        for (struct dirent *e = readdir(dir); e && n < HS_MANIFEST_ROWS; e = readdir(dir))
            if (hs_checkpoint_step_of(e->d_name) >= 0)
                list[n++] = hs_checkpoint_step_of(e->d_name);
    if (dir)
        closedir(dir);
    HS_TRY(st);
    qsort(list, (size_t)n, sizeof *list, ascending);
    *steps = list;
    *count = n;
    return HS_OK;
}

static hs_status digest_row(const char *folder, int64_t step, hs_manifest_row *row)
{
    char path[4200], *data = NULL;
    hs_sha256 sha;
    hs_checkpoint_name(folder, step, path, sizeof path);
    memset(row, 0, sizeof *row);
    HS_TRY(hs_file_read(path, SIZE_MAX / 2, &data, &row->bytes));
    hs_sha256_init(&sha);
    hs_sha256_add(&sha, data, row->bytes);
    hs_sha256_hex(&sha, row->sha256);
    row->step = step;
    row->error = NAN;
    /* Only what opens is adopted: a digest would make a torn file look sound. */
    hid_t file = -1;
    hs_h5_lock();
    hs_status st = hs_h5_open_image(path, data, row->bytes, false, &file);
    if (st == HS_OK)
        st = hs_h5_expect(file, HS_FORMAT_CHECKPOINT);
    hs_h5_drop(file);
    hs_h5_unlock();
    hs_free(data);
    return st;
}

hs_status hs_manifest_rebuild(const char *folder, hs_manifest *manifest)
{
    int64_t *steps = NULL;
    int count = 0;
    HS_TRY(hs_manifest_files(folder, &steps, &count));
    manifest->rows = 0;
    for (int i = 0; i < count; i++)
        if (digest_row(folder, steps[i], &manifest->row[manifest->rows]) == HS_OK)
            manifest->rows++;
    hs_free(steps);
    hs_fail_clear();
    return HS_OK;
}
