/* spool.h - the two ways of spectral pooling: small maps in one pass (spool.c), others through libraries (spool_general.c). */
#ifndef HS_CUDA_SPOOL_H
#define HS_CUDA_SPOOL_H

#include "hs_cuda.h"

/* Without rectifiers; the entries of hs_pool_ops otherwise. */
typedef struct hs_cuda_general hs_cuda_general;
double hs_cuda_general_cost(const hs_device *device, const hs_spool_desc *desc);
hs_status hs_cuda_general_plan(hs_device *device, const hs_spool_desc *desc, hs_cuda_general **out);
void hs_cuda_general_destroy(hs_cuda_general **plan);
size_t hs_cuda_general_scratch(const hs_cuda_general *plan);
hs_status hs_cuda_general_fwd(hs_stream *s, hs_cuda_general *plan, int n, const void *x, void *y, void *scratch);
hs_status hs_cuda_general_bwd(hs_stream *s, hs_cuda_general *plan, int n, const void *dy, void *dx, void *scratch);
hs_status hs_cuda_general_lowpass(hs_stream *s, hs_cuda_general *plan, int n, const void *x, const int32_t *keep, void *y,
                                  void *scratch);

#endif
