/* check.c - what the CUDA libraries return, as a status with a message. */
#include "hs_cuda.h"

hs_status hs_cuda_check(cudaError_t error, const char *what)
{
    if (error == cudaSuccess)
        return HS_OK;
    (void)cudaGetLastError(); /* it is told here; the next launch, which asks for the last error, may be none of its business */
    if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorUnsupportedPtxVersion)
        return hs_fail(HS_EUNSUPPORTED,
                       "%s: this program holds no code for this GPU (%s); configure it with --with-cuda-arch for the GPU's "
                       "compute capability",
                       what, cudaGetErrorName(error));
    return hs_fail(HS_EINTERNAL, "%s: %s (%s)", what, cudaGetErrorString(error), cudaGetErrorName(error));
}

hs_status hs_cuda_check_fft(cufftResult result, const char *what)
{
    if (result == CUFFT_SUCCESS)
        return HS_OK;
    const int number = (int)result; /* by number: older headers have no names for the last of them */
    return hs_fail(HS_EINTERNAL, "%s: cuFFT error %d%s", what, number,
                   number == CUFFT_ALLOC_FAILED    ? ", no memory on the device; use a smaller batch"
                   : number >= 0x11 && number < 20 ? ", a library that it needs is missing or of another version (NVRTC, nvJitLink)"
                                                   : "");
}

hs_status hs_cuda_check_blas(cublasStatus_t status, const char *what)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return HS_OK;
    return hs_fail(HS_EINTERNAL, "%s: cuBLAS: %s", what, cublasGetStatusString(status));
}
