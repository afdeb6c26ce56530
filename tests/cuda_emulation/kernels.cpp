/* kernels.cpp - every kernel of cuda/, compiled for the host. */
#include "../../cuda/conv_kernels.cu"
#include "../../cuda/kernels.cu"
