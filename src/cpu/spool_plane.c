/* spool_plane.c - planes pooled in one pass, from a map or a spectrum to a map or a spectrum, through the rectifiers of both ends.
 *
 * A thread takes one image and one panel of its channels. Rows come from memory, or from the columns of a spectrum, through a line in L1 where they
 * are rectified; each is pooled along x into MID [rows][width of the other end], in L2, whose columns are then pooled along y and leave through
 * the other rectifier: to memory as they are, or as rows of the transform that follows. Backward is the same from the other end, with masks.
 *
 * Bounds of 32 x 32 -> 27 x 27 between maps: 4 (1024 + 729) = 7 KB a plane from and to memory, 0.5 us at 15 GB/s; 59 lines of 635 operations, 37,000,
 * 0.4 us at 90 GF/s, half of what multiply-adds reach. Measured with both rectifiers, 128 channels, one thread: 1.15 us each way; stores through
 * the cache would make it 1.5, prefetching the next row changes nothing. */
#include "spool.h"

#include <stdatomic.h>

#include "dft_plane.h"

/* What every plane of a pass is told. */
typedef struct batch {
    const hs_spool *p;
    const hs_cpu_resize *x, *y;
    hs_cpu_end from, to;
    hs_cpu_spectrum from_s, to_s; /* unless they are maps */
    float *scratch;
} batch;

/* ---- a thread's memory: what the transforms need, MID, a line, and what the axes need ----------------------------------------------------- */

static size_t transform_floats(const hs_spool *p)
{
    const size_t a = hs_cpu_plane_floats(p->big), b = hs_cpu_plane_floats(p->small);
    return a > b ? a : b;
}

static size_t mid_floats(const hs_spool *p) /* whichever way: no side is longer */
{
    return (size_t)p->d.h * (size_t)p->d.w * HS_CPU_PANEL;
}

static size_t line_floats(const hs_spool *p)
{
    return (size_t)p->d.h * HS_CPU_PANEL;
}

size_t hs_cpu_plane_pass_floats(const hs_spool *p)
{
    return transform_floats(p) + mid_floats(p) + line_floats(p) + hs_cpu_resize_floats(p->x) + hs_cpu_resize_floats(p->y);
}

/* ---- one plane ------------------------------------------------------------------------------------------------------------------------------ */

/* COUNT pixels of the result, pixel FIRST of the image and every STEP, from X to Y: scaled and through the gate. */
static void leave(const batch *b, const hs_cpu_plane *to, int count, int first, int step, const float *x, ptrdiff_t ldx, float *y, ptrdiff_t ldy,
                  bool stream)
{
    const ptrdiff_t words = to->d->cp / HS_CPU_PAD;
    const ptrdiff_t at = ((ptrdiff_t)to->image * to->d->y.len * to->d->x.len + first) * words + to->first / HS_CPU_PAD;
    const hs_cpu_gate gate = b->to.gate;
    b->p->kernels->gate(&(hs_cpu_rows){.rows = count, .width = to->width, .x = x, .ldx = ldx, .y = y, .ldy = ldy,
                                       .scale = b->x->scale * b->y->scale, .write = gate.write ? gate.write + at : NULL,
                                       .read = gate.read ? gate.read + at : NULL, .words = step * words, .stream = stream});
}

static void resize(const hs_cpu_resize *r, int width, const float *x, ptrdiff_t ldx, const float *next, ptrdiff_t ld_next, float *y, ptrdiff_t ldy,
                   float *scratch)
{
    if (r->from != r->to)
        hs_cpu_resize_line(r, width, x, ldx, next, ld_next, y, ldy, scratch);
    else if (x != y)
        hs_cpu_copy_rows(r->to, width, x, ldx, y, ldy);
}

/* Rows of the source, pooled along x, into MID. */
static void come_in(const batch *b, const hs_cpu_plane *from, float *mid, float *work)
{
    const int w = from->width;
    hs_cpu_resize_begin(b->x, w, work);
    if (b->from.domain == HS_SPECTRUM)
        hs_cpu_plane_columns_inverse(from);
    for (int row = 0; row < b->y->from; row++) {
        const float *line = from->line, *next = line;
        ptrdiff_t ld = w, ld_next = w;
        if (b->from.domain == HS_SPACE) {
            line = hs_cpu_plane_load(from, b->from.gate, row, b->from.at, &ld);
            next = hs_cpu_plane_row(from, b->from.at, row + 1), ld_next = b->p->d.c;
        } else {
            hs_cpu_plane_row_inverse(from, row, NULL, from->line, w, false);
            hs_cpu_plane_gate(from, b->from.gate, row);
        }
        resize(b->x, w, line, ld, next, ld_next, mid + (size_t)row * b->x->to * w, w, work);
    }
}

/* Columns of MID, pooled along y, to the map. */
static void go_to_map(const batch *b, const hs_cpu_plane *to, const float *mid, float *line, float *work)
{
    const int w = to->width, c = b->p->d.c, cols = b->x->to, rows = b->y->to;
    float *out = b->to.at + (size_t)to->image * rows * cols * c + to->first;
    const bool whole = to->used == w, stream = whole && c % HS_CPU_PAD == 0 && (uintptr_t)b->to.at % 64 == 0;
    for (int col = 0; col < cols; col++, out += c) {
        const ptrdiff_t ld = (ptrdiff_t)cols * c;
        resize(b->y, w, mid + col * w, cols * w, mid + col * w, cols * w, line, w, work);
        leave(b, to, rows, col, cols, line, w, whole ? out : line, whole ? ld : w, stream);
        if (!whole)
            hs_cpu_copy_rows(rows, to->used, line, w, out, ld);
    }
    atomic_thread_fence(memory_order_seq_cst); /* stores past the cache are not ordered by themselves */
}

/* Columns of MID, pooled along y in their place; then its rows, transformed. */
static void go_to_spectrum(const batch *b, const hs_cpu_plane *to, float *mid, float *work)
{
    const int w = to->width, cols = b->x->to, rows = b->y->to;
    for (int col = 0; col < cols; col++)
        resize(b->y, w, mid + col * w, cols * w, mid + col * w, cols * w, mid + col * w, cols * w, work);
    for (int row = 0; row < rows; row++) {
        leave(b, to, cols, row * cols, 1, mid + (size_t)row * cols * w, w, to->line, w, false);
        hs_cpu_plane_row_forward(to, row, to->line, w, NULL, 0);
    }
    hs_cpu_plane_columns_forward(to);
}

static void pool_plane(const void *context, int task, int thread)
{
    const batch *b = context;
    float *planes = b->scratch + hs_cpu_plane_pass_floats(b->p) * (size_t)thread, *mid = planes + transform_floats(b->p);
    float *line = mid + mid_floats(b->p), *work_x = line + line_floats(b->p), *work_y = work_x + hs_cpu_resize_floats(b->x);
    const hs_cpu_plane from = hs_cpu_plane_of(b->from.dft, task, b->from_s, planes), to = hs_cpu_plane_of(b->to.dft, task, b->to_s, planes);
    come_in(b, &from, mid, work_x);
    hs_cpu_resize_begin(b->y, to.width, work_y);
    if (b->to.domain == HS_SPACE)
        go_to_map(b, &to, mid, line, work_y);
    else
        go_to_spectrum(b, &to, mid, work_y);
}

/* A spectrum from outside, [bin][n][re c | im c]. */
static hs_cpu_spectrum spectrum_of(const hs_cpu_end *end, int n, int c)
{
    if (end->domain == HS_SPACE)
        return (hs_cpu_spectrum){0};
    return (hs_cpu_spectrum){end->at, 2 * (ptrdiff_t)n * c, 2 * (ptrdiff_t)c, c};
}

void hs_cpu_plane_pass(const hs_spool *p, bool back, int n, hs_cpu_end from, hs_cpu_end to, float *scratch)
{
    const batch b = {.p = p, .x = &p->x[back], .y = &p->y[back], .from = from, .to = to, .from_s = spectrum_of(&from, n, p->d.c),
                     .to_s = spectrum_of(&to, n, p->d.c), .scratch = scratch};
    hs_cpu_each(p->threads, hs_cpu_planes(p->big, n), pool_plane, &b);
}
