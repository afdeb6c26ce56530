/* optim.h - optim.c and penalty.c share one table. */
#ifndef HS_CPU_OPTIM_H
#define HS_CPU_OPTIM_H

#include "cpu.h"

hs_cpu_step hs_cpu_step_of(const hs_update *u);
hs_status hs_cpu_adam_modulus(hs_stream *s, const hs_update *u, const hs_groups *groups, size_t q, void *p, const void *g, void *m, void *v);
hs_status hs_cpu_penalty_gradient(hs_stream *s, hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda, const void *p, void *g,
                                  double *value);
hs_status hs_cpu_penalty_prox(hs_stream *s, hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda, void *p, double *value);

#endif
