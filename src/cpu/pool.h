/* pool.h - windows (pool.c) and spectral pooling (spool.c) of the CPU backend share one table. */
#ifndef HS_CPU_POOL_H
#define HS_CPU_POOL_H

#include "cpu.h"

bool hs_cpu_spool_supports(const hs_device *device, const hs_spool_desc *desc);
double hs_cpu_spool_cost(const hs_device *device, const hs_spool_desc *desc);
hs_status hs_cpu_spool_plan(hs_device *device, const hs_spool_desc *desc, hs_spool **out);
void hs_cpu_spool_destroy(hs_spool **plan);
size_t hs_cpu_spool_saved_bytes(const hs_spool *plan);
size_t hs_cpu_spool_scratch_bytes(const hs_spool *plan);
hs_status hs_cpu_spool_fwd(hs_stream *s, hs_spool *plan, int n, const void *x, void *y, void *saved, void *scratch);
hs_status hs_cpu_spool_bwd(hs_stream *s, hs_spool *plan, int n, const void *dy, void *dx, const void *saved, void *scratch);
hs_status hs_cpu_lowpass(hs_stream *s, hs_spool *plan, int n, const void *x, const int32_t *keep, void *y, void *scratch);

#endif
