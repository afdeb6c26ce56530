/* ops_transform.c - cases of hs_transform_ops. */
#include "hs_spectrum.h"
#include "op_cases.h"

typedef struct plane {
    int capacity, n, h, w, c;
    bool inverse;
} plane;

static hs_status run_transform(op_run *run, const void *parameters)
{
    const plane *p = parameters;
    const hs_transform_ops *ops = op_backend(run)->transform;
    const size_t space = (size_t)p->n * p->h * p->w * p->c, spectrum = (size_t)hs_bins_count(p->h, p->w) * p->n * 2 * p->c;
    hs_transform *plan = NULL;
    HS_TRY(ops->plan(op_device(run), p->capacity, p->h, p->w, p->c, &plan));
    void *scratch = op_scratch(run, ops->scratch_bytes(plan));
    hs_status st;
    op_limit(run, 3e-6, "orthonormal, some log2(hw) roundings a number, or sums of h and w terms, cut off");
    if (p->inverse) {
        void *from = op_in_spectrum(run, "spectrum", p->n, p->h, p->w, p->c);
        st = ops->inverse(op_stream(run), plan, p->n, from, op_out(run, "space", OP_REAL, space), scratch);
    } else {
        void *from = op_in(run, "space", space, 1);
        st = ops->forward(op_stream(run), plan, p->n, from, op_out(run, "spectrum", OP_REAL, spectrum), scratch);
    }
    ops->destroy(&plan);
    return st;
}

static void add_transform(op_suite *suite, plane p)
{
    p.inverse = false;
    op_case(suite, run_transform, &p, "transform forward n=%d/%d %dx%dx%d", p.n, p.capacity, p.h, p.w, p.c);
    p.inverse = true;
    op_case(suite, run_transform, &p, "transform inverse n=%d/%d %dx%dx%d", p.n, p.capacity, p.h, p.w, p.c);
}

void ops_transform(op_suite *suite)
{
    op_topic(suite, "transform");
    const int sides[] = {1, 2, 3, 4, 5, 6, 7, 8, 13, 16, 27, 28, 32, 33};
    const int count = sizeof sides / sizeof *sides;
    for (int i = 0; i < count; i++)
        add_transform(suite, (plane){3, i == 3 ? 0 : 3, sides[i], sides[i], 2 + i % 3, false});
    add_transform(suite, (plane){2, 2, 64, 48, 3, false});
    add_transform(suite, (plane){2, 1, 1, 64, 5, false});
    add_transform(suite, (plane){2, 1, 53, 1, 5, false}); /* a prime */
    for (int i = 0; i < 16; i++) {
        int capacity = op_random(suite, 1, 5);
        add_transform(suite, (plane){capacity, op_random(suite, 0, capacity), op_random(suite, 1, 33), op_random(suite, 1, 33),
                                     op_random(suite, 1, 40), false});
    }
}
