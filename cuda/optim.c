/* optim.c - the entries for updates, penalties and norms. */
#include "hs_cuda.h"

static hs_status sgd(hs_stream *s, const hs_update *u, size_t count, void *p, const void *g, void *m)
{
    return hs_cuda_check(hs_cuda_sgd(hs_cuda_raw(s), *u, count, p, g, m), "sgd");
}

static hs_status adam(hs_stream *s, const hs_update *u, size_t count, void *p, const void *g, void *m, void *v)
{
    return hs_cuda_check(hs_cuda_adam(hs_cuda_raw(s), *u, count, p, g, m, v), "adam");
}

static hs_status adam_modulus(hs_stream *s, const hs_update *u, const hs_groups *groups, size_t q, void *p, const void *g,
                              void *m, void *v)
{
    return hs_cuda_check(hs_cuda_adam_modulus(hs_cuda_raw(s), *u, groups->coords, groups->partner, q, p, g, m, v),
                         "adam_modulus");
}

static hs_status penalty_gradient(hs_stream *s, hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda,
                                  const void *p, void *g, double *value)
{
    return hs_cuda_check(hs_cuda_penalty(hs_cuda_raw(s), hs_cuda_partial(s), kind, false, groups->coords, groups->partner,
                                         groups->weight, q, lambda, NULL, (float *)(uintptr_t)p, g, value),
                         "penalty_gradient"); /* this form does not write p */
}

static hs_status penalty_prox(hs_stream *s, hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda, void *p,
                              double *value)
{
    return hs_cuda_check(hs_cuda_penalty(hs_cuda_raw(s), hs_cuda_partial(s), kind, true, groups->coords, groups->partner,
                                         groups->weight, q, lambda, NULL, p, NULL, value),
                         "penalty_prox");
}

static hs_status sum_squares(hs_stream *s, size_t count, const void *x, double *value)
{
    return hs_cuda_check(hs_cuda_distance(hs_cuda_raw(s), hs_cuda_partial(s), count, x, NULL, value), "sum_squares");
}

static hs_status distance_squares(hs_stream *s, size_t count, const void *x, const void *y, double *value)
{
    return hs_cuda_check(hs_cuda_distance(hs_cuda_raw(s), hs_cuda_partial(s), count, x, y, value), "distance_squares");
}

static hs_status axpy(hs_stream *s, size_t count, double alpha, const void *x, void *y)
{
    return hs_cuda_check(hs_cuda_axpy(hs_cuda_raw(s), count, alpha, x, y), "axpy");
}

/* ---- with numbers in device memory -------------------------------------------------------------------------------------- */

static hs_status penalised_squares(hs_stream *s, const hs_piece *piece, int pieces, const void *p, void *g, double *value)
{
    return hs_cuda_check(hs_cuda_penalised_squares(hs_cuda_raw(s), hs_cuda_partial(s), piece, pieces, p, g, value),
                         "penalised_squares");
}

static hs_status judge(hs_stream *s, double clip, const double *squares, hs_update_now *now)
{
    return hs_cuda_check(hs_cuda_judge(hs_cuda_raw(s), clip, squares, now), "judge");
}

static hs_status update_pieces(hs_stream *s, const hs_update *u, const hs_update_now *now, const hs_piece *piece, int pieces, void *p,
                               const void *g, void *m, void *v)
{
    return hs_cuda_check(hs_cuda_update_pieces(hs_cuda_raw(s), *u, now, piece, pieces, p, g, m, v), "update_pieces");
}

static hs_status update_modulus(hs_stream *s, const hs_update *u, const hs_update_now *now, double rate, const hs_groups *groups,
                                size_t q, void *p, const void *g, void *m, void *v)
{
    return hs_cuda_check(
        hs_cuda_update_modulus(hs_cuda_raw(s), *u, now, rate, groups->coords, groups->partner, q, p, g, m, v), "update_modulus");
}

static hs_status prox_now(hs_stream *s, const hs_update_now *now, hs_penalty_kind kind, const hs_groups *groups, size_t q,
                          double lambda, void *p, double *value)
{
    return hs_cuda_check(hs_cuda_penalty(hs_cuda_raw(s), hs_cuda_partial(s), kind, true, groups->coords, groups->partner,
                                         groups->weight, q, lambda, now, p, NULL, value),
                         "prox_now");
}

const hs_optim_ops hs_cuda_optim_ops = {
    .sgd = sgd,
    .adam = adam,
    .adam_modulus = adam_modulus,
    .penalty_gradient = penalty_gradient,
    .penalty_prox = penalty_prox,
    .sum_squares = sum_squares,
    .distance_squares = distance_squares,
    .axpy = axpy,
    .penalised_squares = penalised_squares,
    .judge = judge,
    .update_pieces = update_pieces,
    .update_modulus = update_modulus,
    .prox_now = prox_now,
};
