/* backend.c - the table of tables. */
#include "comm_cuda.h"

const hs_backend hs_backend_cuda = {
    .name = "cuda",
    .real = HS_F32,
    .device = &hs_cuda_device_ops,
    .memory = &hs_cuda_memory_ops,
    .gemm = &hs_cuda_gemm_ops,
    .transform = &hs_cuda_transform_ops,
    .conv = &hs_cuda_conv_ops,
    .pool = &hs_cuda_pool_ops,
    .element = &hs_cuda_element_ops,
    .norm = &hs_cuda_norm_ops,
    .loss = &hs_cuda_loss_ops,
    .optim = &hs_cuda_optim_ops,
    .data = &hs_cuda_data_ops,
    .comm = hs_cuda_comm,
};
