/* kernels.cpp - every kernel of cuda/, compiled for the host. */
#include "../../cuda/kernels.cu"
