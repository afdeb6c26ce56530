/* cufft.h - stand-in for cuFFT: plans of real transforms with batches, in single precision. */
#ifndef HS_EMULATED_CUFFT_H
#define HS_EMULATED_CUFFT_H

#include "cuda_runtime_api.h"

#define CUFFT_VERSION 12000

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cufftResult {
    CUFFT_SUCCESS,
    CUFFT_INVALID_PLAN,
    CUFFT_ALLOC_FAILED,
    CUFFT_INVALID_VALUE = 4,
    CUFFT_EXEC_FAILED = 6,
    CUFFT_INVALID_SIZE = 8
} cufftResult;
typedef enum cufftType { CUFFT_R2C = 0x2a, CUFFT_C2R = 0x2c } cufftType;
typedef int cufftHandle;
typedef float cufftReal;
typedef struct cufftComplex {
    float x, y;
} cufftComplex;

cufftResult cufftGetVersion(int *version);
cufftResult cufftPlanMany(cufftHandle *plan, int rank, int *n, int *inembed, int istride, int idist, int *onembed, int ostride,
                          int odist, cufftType type, int batch);
cufftResult cufftSetStream(cufftHandle plan, cudaStream_t stream);
cufftResult cufftExecR2C(cufftHandle plan, cufftReal *from, cufftComplex *to);
cufftResult cufftExecC2R(cufftHandle plan, cufftComplex *from, cufftReal *to);
cufftResult cufftDestroy(cufftHandle plan);

#ifdef __cplusplus
}
#endif
#endif
