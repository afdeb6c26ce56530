/* predictions.c - what `halfspec eval --predictions` writes: logits beside labels, and the inputs they belong to if asked. */
#include <stdio.h>

#include "parts.h"

static hs_status write_columns(hid_t file, hsize_t n, hsize_t classes, const int64_t *index, const int32_t *label,
                               const float *logits)
{
    const hs_h5_spec index_spec = {.name = "index", .type = HS_H5_I64, .rank = 1, .dim = {n}, .is_scale = true, .units = "1",
                                   .long_name = "sample in the data set"};
    const hs_h5_spec label_spec = {.name = "label", .type = HS_H5_I32, .rank = 1, .dim = {n}, .scale = {"index"}, .units = "1"};
    const hs_h5_spec logits_spec = {
        .name = "logits", .type = HS_H5_F32, .rank = 2, .dim = {n, classes}, .scale = {"index", "class"}, .units = "1"};
    HS_TRY(hs_h5_make(file, &index_spec, HS_H5_SAME, index));
    HS_TRY(hs_h5_make_axis(file, "class", classes, NULL));
    HS_TRY(hs_h5_make(file, &label_spec, HS_H5_SAME, label));
    return hs_h5_make(file, &logits_spec, HS_H5_SAME, logits);
}

static hs_status write_inputs(hid_t file, hsize_t n, hs_shape shape, const float *inputs)
{
    const hs_h5_spec spec = {.name = "input",
                             .type = HS_H5_F32,
                             .rank = 4,
                             .dim = {n, (hsize_t)shape.h, (hsize_t)shape.w, (hsize_t)shape.c},
                             .scale = {"index", "y", "x", "channel"},
                             .units = "1",
                             .long_name = "normalised input"};
    HS_TRY(hs_h5_make_axis(file, "y", spec.dim[1], NULL));
    HS_TRY(hs_h5_make_axis(file, "x", spec.dim[2], NULL));
    HS_TRY(hs_h5_make_axis(file, "channel", spec.dim[3], NULL));
    return hs_h5_make(file, &spec, HS_H5_SAME, inputs);
}

static hs_status build(const char *path, int64_t count, int classes, hs_shape shape, const int64_t *index, const int32_t *label,
                       const float *logits, const float *inputs, char **image, size_t *bytes)
{
    hid_t file = -1;
    hs_status st;
    HS_TRY(hs_h5_create(path, HS_FORMAT_PREDICTIONS, &file));
    HS_TRY_GOTO(st, write_columns(file, (hsize_t)count, (hsize_t)classes, index, label, logits), done);
    if (inputs)
        HS_TRY_GOTO(st, write_inputs(file, (hsize_t)count, shape, inputs), done);
    st = hs_h5_image(file, image, bytes);
done:
    hs_h5_drop(file);
    return st;
}

hs_status hs_store_predictions(const char *path, int64_t count, int classes, hs_shape shape, const int64_t *index,
                               const int32_t *label, const float *logits, const float *inputs)
{
    char *image = NULL;
    size_t bytes = 0;
    hs_h5_lock();
    hs_status st = build(path, count, classes, shape, index, label, logits, inputs, &image, &bytes);
    hs_h5_unlock();
    HS_TRY(st);
    st = hs_file_replace(path, image, bytes);
    hs_free(image);
    return st;
}
