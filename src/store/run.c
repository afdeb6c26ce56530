/* run.c - run.h5: opened once, grown in memory, made visible whole at every flush. Resuming cuts what is newer than the
 * checkpoint.
 *
 * The file lives in HDF5's core driver. Tables and scalars use chunks of a fixed size, so that rewriting a chunk that is not yet
 * full takes its old place; packed arrays write one chunk per snapshot and never touch it again: the file does not grow by being
 * flushed. */
#include "config.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hs_base.h"
#include "hs_spectrum.h"
#include "run_parts.h"

/* ---- segments: one row per start ------------------------------------------------------------------------------------------- */

static hs_status make_segments(hid_t file)
{
    static const struct {
        const char *name;
        hs_h5_type type;
    } column[] = {
        {"segment", HS_H5_I32}, {"step", HS_H5_I64}, {"date", HS_H5_TEXT}, {"hosts", HS_H5_TEXT}, {"world_size", HS_H5_I32}};
    hid_t provenance = -1, group = -1;
    hs_status st;
    HS_TRY(hs_h5_open_group(file, "provenance", &provenance));
    HS_TRY_GOTO(st, hs_h5_make_group(provenance, "segments", &group), done);
    for (size_t i = 0; i < sizeof column / sizeof column[0] && st == HS_OK; i++) {
        hs_h5_spec spec = {.name = column[i].name,
                           .type = column[i].type,
                           .rank = 1,
                           .grows = true,
                           .chunk_rows = 16,
                           .is_scale = i == 0,
                           .scale = {i == 0 ? NULL : column[0].name}};
        st = hs_h5_make(group, &spec, HS_H5_SAME, NULL);
    }
done:
    hs_h5_drop(group);
    hs_h5_drop(provenance);
    return st;
}

/* Host names joined by commas, each once, cut with ".." if there are too many. */
static void join_hosts(const hs_provenance *p, char *text, size_t capacity)
{
    size_t used = 0;
    for (int i = 0; p->hosts && i < p->world_size; i++) {
        bool seen = false;
        for (int k = 0; k < i && !seen; k++)
            seen = strcmp(p->hosts[k], p->hosts[i]) == 0;
        if (seen)
            continue;
        size_t length = strlen(p->hosts[i]);
        if (used + length + 4 >= capacity) {
            snprintf(text + used, capacity - used, "..");
            return;
        }
        used += (size_t)snprintf(text + used, capacity - used, "%s%s", used ? "," : "", p->hosts[i]);
    }
}

static hs_status append_segment(hid_t file, const hs_run_options *o)
{
    hid_t provenance = -1, group = -1, data = -1;
    hs_h5_shape shape;
    hs_status st;
    char joined[256] = "";
    const char *date = o->provenance->date, *hosts = joined;
    int64_t step = o->resume_step < 0 ? 0 : o->resume_step;
    int32_t world = o->provenance->world_size;
    join_hosts(o->provenance, joined, sizeof joined);
    HS_TRY(hs_h5_open_group(file, "provenance", &provenance));
    HS_TRY_GOTO(st, hs_h5_open_group(provenance, "segments", &group), done);
    HS_TRY_GOTO(st, hs_h5_open_data(group, "segment", (size_t)1 << 24, &data, &shape), done);
    hs_h5_drop(data);
    int32_t number = (int32_t)shape.count;
    HS_TRY_GOTO(st, hs_h5_append(group, "segment", HS_H5_I32, 1, &number), done);
    HS_TRY_GOTO(st, hs_h5_append(group, "step", HS_H5_I64, 1, &step), done);
    HS_TRY_GOTO(st, hs_h5_append(group, "date", HS_H5_TEXT, 1, &date), done);
    HS_TRY_GOTO(st, hs_h5_append(group, "hosts", HS_H5_TEXT, 1, &hosts), done);
    st = hs_h5_append(group, "world_size", HS_H5_I32, 1, &world);
done:
    hs_h5_drop(group);
    hs_h5_drop(provenance);
    return st;
}

/* ---- a new file, or an old one cut back ------------------------------------------------------------------------------------ */

static hs_status make_histories(hid_t file, const hs_run_options *o)
{
    hid_t history = -1;
    int first = 0;
    HS_TRY(hs_history_first(o->history_filters, &first));
    HS_TRY(hs_h5_make_group(file, "history", &history));
    hs_status st = HS_OK;
    for (int i = 0; i < o->layers && st == HS_OK; i++)
        if (o->layer[i].filters)
            st = hs_history_make(history, &o->layer[i], first);
    hs_h5_drop(history);
    return st;
}

static hs_status make_file(const char *path, const hs_run_options *o, hid_t *file)
{
    hid_t id = -1;
    hs_status st;
    HS_TRY(hs_h5_create(path, HS_FORMAT_RUN, &id));
    HS_TRY_GOTO(st, hs_write_provenance(id, o->provenance), fail);
    HS_TRY_GOTO(st, make_segments(id), fail);
    HS_TRY_GOTO(st, hs_tables_make(id), fail);
    HS_TRY_GOTO(st, hs_layers_make(id, o->layer, o->layers), fail);
    HS_TRY_GOTO(st, make_histories(id, o), fail);
    HS_TRY_GOTO(st, hs_plots_make(id, o->layer, o->layers), fail);
    *file = id;
    return HS_OK;
fail:
    hs_h5_drop(id);
    return st;
}

static hs_status cut_file(hid_t file, const hs_run_options *o)
{
    hid_t history = -1;
    hs_status st = HS_OK;
    HS_TRY(hs_tables_cut(file, o->resume_step));
    HS_TRY(hs_h5_open_group(file, "history", &history));
    for (int i = 0; i < o->layers && st == HS_OK; i++)
        if (o->layer[i].filters)
            st = hs_history_cut(history, &o->layer[i], o->resume_step);
    hs_h5_drop(history);
    return st;
}

static hs_status resume_file(const char *path, const hs_run_options *o, hid_t *file)
{
    hid_t id = -1;
    hs_status st;
    HS_TRY(hs_h5_open(path, true, &id));
    HS_TRY_GOTO(st, hs_h5_expect(id, HS_FORMAT_RUN), fail);
    HS_TRY_GOTO(st, cut_file(id, o), fail);
    *file = id;
    return HS_OK;
fail:
    hs_h5_drop(id);
    return st;
}

/* ---- memory ---------------------------------------------------------------------------------------------------------------- */

static size_t most_of(size_t a, size_t b)
{
    return a > b ? a : b;
}

static hs_status allocate_scratch(const hs_run_options *o, hs_history_scratch *w)
{
    size_t numbers = 1, half = 1, mosaic = 1, plane = 1;
    for (int i = 0; i < o->layers; i++) {
        const hs_run_layer *l = &o->layer[i];
        if (!l->filters)
            continue;
        size_t pairs = (size_t)l->out_channels * (size_t)l->in_channels,
               row = 2 * (size_t)l->kernel_h * (size_t)(l->kernel_w / 2 + 1);
        hs_mosaic m = hs_mosaic_of(l);
        numbers = most_of(numbers, pairs * (size_t)l->kernel_h * (size_t)l->kernel_w);
        half = most_of(half, pairs * row);
        plane = most_of(plane, row);
        mosaic = most_of(mosaic, (size_t)m.height * (size_t)m.width);
    }
    HS_TRY(hs_calloc(numbers, sizeof(double), "moduli", &w->moduli));
    HS_TRY(hs_calloc(numbers, sizeof(double), "sorted moduli", &w->sorted));
    HS_TRY(hs_calloc(numbers, sizeof(double), "taps", &w->planes));
    HS_TRY(hs_calloc(half, sizeof(double), "half spectra", &w->half));
    HS_TRY(hs_calloc(plane, sizeof(double), "plane", &w->plane));
    HS_TRY(hs_calloc(plane, sizeof(double), "rings", &w->rings)); /* fewer rings than bins */
    HS_TRY(hs_calloc(plane, sizeof(double), "energy", &w->energy));
    return hs_calloc(mosaic, sizeof(double), "mosaic", &w->mosaic);
}

/* The caller's layer list with its texts, as the run may outlive them. */
static hs_status copy_layers(const hs_run_options *o, hs_run *run)
{
    size_t bytes = 1;
    for (int i = 0; i < o->layers; i++)
        bytes += strlen(o->layer[i].name) + 1;
    HS_TRY(hs_calloc((size_t)o->layers + 1, sizeof *run->layer, "layers", &run->layer));
    HS_TRY(hs_calloc(bytes, 1, "layer names", &run->text));
    char *at = run->text;
    for (int i = 0; i < o->layers; i++) {
        run->layer[i] = o->layer[i];
        run->layer[i].name = strcpy(at, o->layer[i].name);
        run->layer[i].notation = NULL;
        at += strlen(at) + 1;
    }
    run->layers = o->layers;
    return HS_OK;
}

static void destroy(hs_run *run)
{
    hs_history_scratch *w = &run->scratch;
    double *const buffer[] = {w->moduli, w->sorted, w->planes, w->half, w->plane, w->rings, w->energy, w->mosaic};
    for (size_t i = 0; i < sizeof buffer / sizeof buffer[0]; i++)
        hs_free(buffer[i]);
    hs_h5_lock();
    hs_h5_drop(run->file);
    hs_h5_unlock();
    hs_free(run->layer);
    hs_free(run->text);
    hs_free(run);
}

/* ---- public ---------------------------------------------------------------------------------------------------------------- */

static hs_status open_file(const hs_run_options *o, hs_run *run)
{
    bool resume = o->resume_step >= 0 && hs_file_exists(run->path);
    HS_TRY(resume ? resume_file(run->path, o, &run->file) : make_file(run->path, o, &run->file));
    run->dirty = true;
    return append_segment(run->file, o);
}

hs_status hs_run_open(const hs_run_options *options, hs_run **run)
{
    hs_run *r = NULL;
    hs_status st;
    HS_TRY(hs_calloc(1, sizeof *r, "run", &r));
    r->file = -1;
    snprintf(r->path, sizeof r->path, "%s/run.h5", options->dir);
    hs_dir_sweep(options->dir);
    HS_TRY_GOTO(st, copy_layers(options, r), fail);
    HS_TRY_GOTO(st, allocate_scratch(options, &r->scratch), fail);
    hs_h5_lock();
    st = open_file(options, r);
    hs_h5_unlock();
    if (st != HS_OK)
        goto fail;
    *run = r;
    return HS_OK;
fail:
    destroy(r);
    return st;
}

/* Buffered rows into the file in memory. */
static hs_status spill(hs_run *run)
{
    hs_h5_lock();
    hs_status st = hs_train_append(run->file, run->train, run->train_rows);
    if (st == HS_OK)
        st = hs_eval_append(run->file, run->eval, run->eval_rows);
    hs_h5_unlock();
    run->train_rows = run->eval_rows = 0;
    return st;
}

hs_status hs_run_train(hs_run *run, const hs_train_row *row)
{
    run->train[run->train_rows++] = *row;
    run->dirty = true;
    return run->train_rows == HS_RUN_TRAIN_ROWS ? spill(run) : HS_OK;
}

hs_status hs_run_eval(hs_run *run, const hs_eval_row *row)
{
    run->eval[run->eval_rows++] = *row;
    run->dirty = true;
    return run->eval_rows == HS_RUN_EVAL_ROWS ? spill(run) : HS_OK;
}

hs_status hs_run_snapshot(hs_run *run, const hs_snapshot *snapshot)
{
    hid_t history = -1;
    if (snapshot->layer < 0 || snapshot->layer >= run->layers || !run->layer[snapshot->layer].filters)
        return hs_fail(HS_EINTERNAL, "snapshot of layer %d, which has no history", snapshot->layer);
    hs_h5_lock();
    hs_status st = hs_h5_open_group(run->file, "history", &history);
    if (st == HS_OK)
        st = hs_history_append(history, &run->layer[snapshot->layer], snapshot, &run->scratch);
    hs_h5_drop(history);
    hs_h5_unlock();
    run->dirty = true;
    return st;
}

hs_status hs_run_plan(hs_run *run, const hs_run_step *step, int steps, const hs_run_plan_facts *facts)
{
    hs_h5_lock();
    hs_status st = hs_plan_make(run->file, step, steps, facts);
    hs_h5_unlock();
    run->dirty = true;
    return st;
}

static hs_status write_out(hs_run *run)
{
    char *image = NULL;
    size_t bytes = 0;
    HS_TRY(spill(run));
    hs_h5_lock();
    hs_status st = hs_h5_image(run->file, &image, &bytes);
    hs_h5_unlock();
    HS_TRY(st);
    st = hs_file_replace(run->path, image, bytes);
    hs_free(image);
    if (st == HS_OK)
        run->dirty = false;
    return st;
}

hs_status hs_run_flush(hs_run *run)
{
    return run->dirty ? write_out(run) : HS_OK;
}

hs_status hs_run_close(hs_run **run)
{
    hs_status st = *run ? hs_run_flush(*run) : HS_OK;
    hs_run_drop(run);
    return st;
}

void hs_run_drop(hs_run **run)
{
    if (*run)
        destroy(*run);
    *run = NULL;
}
