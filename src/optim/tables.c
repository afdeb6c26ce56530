/* tables.c - matrices between an arm's coordinates and the frame of a penalty, and tables of bins, made on the host and kept on the device. */
#include "optim_internal.h"

#include "hs_base.h"
#include "hs_spectrum.h"

hs_status hs_optim_alloc(hs_optim *optim, size_t bytes, void **memory)
{
    if (optim->blocks == optim->block_capacity)
        return hs_fail(HS_EINTERNAL, "the optimizer planned for %d allocations only", optim->block_capacity);
    HS_TRY(optim->device->backend->memory->alloc(optim->device, bytes, memory));
    optim->block[optim->blocks++] = *memory;
    optim->bytes += bytes;
    return HS_OK;
}

/* COUNT doubles as the backend's real, in new device memory. */
static hs_status upload_reals(hs_optim *optim, hs_stream *s, const double *from, size_t count, void **to)
{
    const hs_backend *backend = optim->device->backend;
    HS_TRY(hs_optim_alloc(optim, count * (size_t)backend->real, to));
    if (backend->real == HS_F64)
        return backend->memory->upload(s, *to, from, count * sizeof *from);
    float *narrow = NULL;
    HS_TRY(hs_calloc(count, sizeof *narrow, "a penalty's matrix", &narrow));
    for (size_t i = 0; i < count; i++)
        narrow[i] = (float)from[i];
    hs_status st = backend->memory->upload(s, *to, narrow, count * sizeof *narrow);
    hs_free(narrow);
    return st;
}

/* ---- bins ----------------------------------------------------------------------------------------------------------------------- */

bool hs_param_has_bins(const hs_param *param)
{
    return param->role == HS_ROLE_FILTER && param->arm != HS_ARM_SPATIAL && param->arm != HS_ARM_ROTATION;
}

int hs_param_bin_rows(const hs_param *param)
{
    return param->arm == HS_ARM_SPECTRAL3D ? param->coords * param->in : param->coords;
}

static void plane_partners(int h, int w, int32_t *partner)
{
    int bins = hs_bins_count(h, w);
    for (int u = 0; u < bins; u++) {
        int ky, kx, first = hs_bin_coord(h, w, u);
        hs_bin_at(h, w, u, &ky, &kx);
        if (hs_bin_is_self(h, w, ky, kx)) {
            partner[first] = first;
        } else {
            partner[first] = first + 1;
            partner[first + 1] = first;
        }
    }
}

void hs_param_partners(const hs_param *param, int32_t *partner)
{
    if (param->arm == HS_ARM_SPECTRAL3D) {
        hs_coord3_partners(param->in, param->kh, param->kw, partner);
    } else if (param->arm == HS_ARM_FULL_COMPLEX) {
        for (int row = 0; row < param->coords; row++)
            partner[row] = row ^ 1;
    } else {
        plane_partners(param->kh, param->kw, partner);
    }
}

hs_status hs_groups_upload(hs_optim *optim, hs_stream *s, int count, const int32_t *partner, const double *weight, hs_groups *groups)
{
    const hs_memory_ops *memory = optim->device->backend->memory;
    void *device_partner, *device_weight;
    HS_TRY(hs_optim_alloc(optim, (size_t)count * sizeof *partner, &device_partner));
    HS_TRY(hs_optim_alloc(optim, (size_t)count * sizeof *weight, &device_weight));
    HS_TRY(memory->upload(s, device_partner, partner, (size_t)count * sizeof *partner));
    HS_TRY(memory->upload(s, device_weight, weight, (size_t)count * sizeof *weight));
    *groups = (hs_groups){.coords = count, .partner = device_partner, .weight = device_weight};
    return HS_OK;
}

/* ---- frames ----------------------------------------------------------------------------------------------------------------------- */

/* Matrices on the host while a frame is made. */
typedef struct frame_work {
    int taps, inner;       /* kh*kw, and channels that the arm mixes */
    int rows, cols;
    double *synthesis, *analysis; /* [rows][cols], [cols][rows] */
    double *spectrum;             /* [taps][taps] */
    double *to, *from;            /* [rows][cols], [cols][rows] in the frame */
} frame_work;

static void work_free(frame_work *work)
{
    hs_free(work->synthesis);
    hs_free(work->analysis);
    hs_free(work->spectrum);
    hs_free(work->to);
    hs_free(work->from);
}

/* The kh x kw taps of an arm, whatever its embedding: for embed = band those whose half spectrum is padded. */
static hs_status arm_matrices(const hs_optim_target *target, const hs_param *param, frame_work *work)
{
    if (param->arm != HS_ARM_ROTATION) {
        hs_arm_shape shape = {.arm = param->arm, .embed = HS_EMBED_SPACE, .kh = param->kh, .kw = param->kw, .in = param->in};
        return hs_arm_matrices(&shape, work->synthesis, work->analysis);
    }
    HS_TRY(target->rotation(target->context, param, work->synthesis));
    for (int r = 0; r < work->rows; r++)
        for (int c = 0; c < work->cols; c++)
            work->analysis[(size_t)c * work->rows + r] = work->synthesis[(size_t)r * work->cols + c];
    return HS_OK;
}

/* TO = (M x I) S and FROM = A (M^T x I), M the coordinate matrix along the taps [tap][inner]. */
static void into_spectrum(frame_work *w)
{
    int taps = w->taps, inner = w->inner;
    for (int u = 0; u < taps; u++)
        for (int t = 0; t < taps; t++) {
            double m = w->spectrum[(size_t)u * taps + t];
            for (int i = 0; i < inner; i++) {
                size_t frame_row = (size_t)u * inner + i, tap_row = (size_t)t * inner + i;
                for (int c = 0; c < w->cols; c++) {
                    w->to[frame_row * w->cols + c] += m * w->synthesis[tap_row * w->cols + c];
                    w->from[(size_t)c * w->rows + frame_row] += m * w->analysis[(size_t)c * w->rows + tap_row];
                }
            }
        }
}

static hs_status work_fill(const hs_optim_target *target, const hs_param *param, hs_penalty_domain domain, frame_work *work)
{
    size_t size = (size_t)work->rows * work->cols;
    HS_TRY(hs_calloc(size, sizeof(double), "a penalty's synthesis matrix", &work->synthesis));
    HS_TRY(hs_calloc(size, sizeof(double), "a penalty's analysis matrix", &work->analysis));
    HS_TRY(arm_matrices(target, param, work));
    if (domain == HS_PENALTY_IN_SPACE)
        return HS_OK;
    HS_TRY(hs_calloc((size_t)work->taps * work->taps, sizeof(double), "a penalty's spectrum matrix", &work->spectrum));
    HS_TRY(hs_calloc(size, sizeof(double), "a penalty's frame", &work->to));
    HS_TRY(hs_calloc(size, sizeof(double), "a penalty's frame", &work->from));
    hs_coord_matrix(param->kh, param->kw, work->spectrum);
    into_spectrum(work);
    return HS_OK;
}

hs_status hs_term_frame(hs_optim *optim, hs_stream *s, const hs_param *param, hs_penalty_domain domain, hs_term *term)
{
    term->to = term->from = NULL;
    if (param->role != HS_ROLE_FILTER || param->arm == (domain == HS_PENALTY_IN_SPACE ? HS_ARM_SPATIAL : HS_ARM_SPECTRAL))
        return HS_OK;
    int inner = param->arm == HS_ARM_SPECTRAL3D ? param->in : 1;
    frame_work work = {.taps = param->kh * param->kw, .inner = inner, .rows = param->kh * param->kw * inner, .cols = param->coords * inner};
    hs_status st;
    HS_TRY_GOTO(st, work_fill(&optim->target, param, domain, &work), done);
    size_t size = (size_t)work.rows * work.cols;
    HS_TRY_GOTO(st, upload_reals(optim, s, work.to ? work.to : work.synthesis, size, &term->to), done);
    HS_TRY_GOTO(st, upload_reals(optim, s, work.from ? work.from : work.analysis, size, &term->from), done);
    term->rows = work.rows;
    term->cols = work.cols;
    term->n = param->in / inner * param->out;
done:
    work_free(&work);
    return st;
}
