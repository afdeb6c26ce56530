/* backend.c - the table of tables. */
#include "real.h"

const hs_backend REF_BACKEND = {
    .name = REF_BACKEND_NAME,
    .real = REF_REAL,
    .device = &REF(device_ops),
    .memory = &REF(memory_ops),
    .gemm = &REF(gemm_ops),
    .transform = &REF(transform_ops),
    .conv = &REF(conv_ops),
    .pool = &REF(pool_ops),
    .element = &REF(element_ops),
    .norm = &REF(norm_ops),
    .loss = &REF(loss_ops),
    .optim = &REF(optim_ops),
};
