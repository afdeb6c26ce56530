/* ckpt_layout.c - one list of the state's fields, and the order of numbers in slabs and in files. */
#include <string.h>

#include "parts.h"

/* ---- state ----------------------------------------------------------------------------------------------------------------- */

/* Both directions go through this one list, so that a field cannot be forgotten on one side. COUNT 0: a scalar. */
static const struct state_field {
    const char *name;
    hs_h5_type type;
    int count;
    size_t offset;
} state_field[] = {
    {"step", HS_H5_I64, 0, offsetof(hs_state, step)},
    {"epoch", HS_H5_I64, 0, offsetof(hs_state, epoch)},
    {"position", HS_H5_I64, 0, offsetof(hs_state, position)},
    {"seed", HS_H5_U64, 0, offsetof(hs_state, seed)},
    {"best_error", HS_H5_F64, 0, offsetof(hs_state, best_error)},
    {"best_step", HS_H5_I64, 0, offsetof(hs_state, best_step)},
    {"elapsed", HS_H5_F64, 0, offsetof(hs_state, elapsed)},
    {"plateau_best", HS_H5_F64, 0, offsetof(hs_state, plateau_best)},
    {"plateau_scale", HS_H5_F64, 0, offsetof(hs_state, plateau_scale)},
    {"plateau_bad", HS_H5_I64, 0, offsetof(hs_state, plateau_bad)},
    {"adam_t", HS_H5_I64, 0, offsetof(hs_state, adam_t)},
    {"window", HS_H5_F64, 64, offsetof(hs_state, window)},
    {"window_count", HS_H5_I64, 0, offsetof(hs_state, window_count)},
};
enum { STATE_FIELDS = sizeof state_field / sizeof state_field[0] };

hs_status hs_state_write(hid_t group, const hs_state *state)
{
    for (int i = 0; i < STATE_FIELDS; i++) {
        const struct state_field *f = &state_field[i];
        HS_TRY(hs_h5_set(group, f->name, f->type, f->count, (const char *)state + f->offset));
    }
    return HS_OK;
}

hs_status hs_state_read(hid_t group, hs_state *state)
{
    hs_state found = {0};
    for (int i = 0; i < STATE_FIELDS; i++) {
        const struct state_field *f = &state_field[i];
        HS_TRY(hs_h5_get(group, f->name, f->type, f->count, (char *)&found + f->offset));
    }
    *state = found;
    return HS_OK;
}

/* ---- order ----------------------------------------------------------------------------------------------------------------- */

bool hs_layout_is_spectral(hs_arm arm)
{
    return arm != HS_ARM_SPATIAL && arm != HS_ARM_ROTATION;
}

int hs_layout_dims(const hs_param *param, hsize_t dim[HS_H5_RANK])
{
    if (param->role == HS_ROLE_FILTER) {
        dim[0] = (hsize_t)param->out;
        dim[1] = (hsize_t)param->in;
        dim[2] = (hsize_t)param->coords;
        return 3;
    }
    if (param->role == HS_ROLE_DENSE) {
        dim[0] = (hsize_t)param->out;
        dim[1] = (hsize_t)param->in;
        return 2;
    }
    dim[0] = param->count;
    return 1;
}

/* What is [coord][in][out] in the slab is [out][in][coord] in the file; a dense weight is the case of one coordinate.
 * SLAB_TO_FILE tells the direction. Inlined with a SIZE that the compiler knows, memcpy is one load or store. */
static inline void transpose(size_t out, size_t in, size_t coords, size_t size, char *slab, char *file, bool slab_to_file)
{
    for (size_t o = 0; o < out; o++)
        for (size_t i = 0; i < in; i++)
            for (size_t t = 0; t < coords; t++) {
                char *s = slab + ((t * in + i) * out + o) * size, *f = file + ((o * in + i) * coords + t) * size;
                if (slab_to_file)
                    memcpy(f, s, size);
                else
                    memcpy(s, f, size);
            }
}

/* A vector is the same in both orders. */
static void reorder(const hs_param *param, size_t size, char *slab, char *file, bool slab_to_file)
{
    size_t out = (size_t)param->out, in = (size_t)param->in, coords = param->role == HS_ROLE_FILTER ? (size_t)param->coords : 1;
    if (param->role != HS_ROLE_FILTER && param->role != HS_ROLE_DENSE)
        memcpy(slab_to_file ? file : slab, slab_to_file ? slab : file, param->count * size);
    else if (size == sizeof(float))
        transpose(out, in, coords, sizeof(float), slab, file, slab_to_file);
    else
        transpose(out, in, coords, sizeof(double), slab, file, slab_to_file);
}

void hs_layout_to_file(const hs_param *param, size_t size, const void *slab, void *file)
{
    reorder(param, size, (char *)(uintptr_t)slab, file, true);
}

void hs_layout_from_file(const hs_param *param, size_t size, const void *file, void *slab)
{
    reorder(param, size, slab, (char *)(uintptr_t)file, false);
}
