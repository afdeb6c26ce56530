/* nccl.h - stand-in for NCCL, over MPI. */
#ifndef HS_EMULATED_NCCL_H
#define HS_EMULATED_NCCL_H

#include "cuda_runtime_api.h"

#define NCCL_MAJOR 2
#define NCCL_MINOR 28
#define NCCL_PATCH 9

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ncclResult_t {
    ncclSuccess,
    ncclUnhandledCudaError,
    ncclSystemError,
    ncclInternalError,
    ncclInvalidArgument,
    ncclInvalidUsage,
    ncclRemoteError,
    ncclInProgress
} ncclResult_t;
typedef enum ncclDataType_t { ncclInt64 = 4, ncclFloat32 = 7, ncclFloat64 = 8, ncclBfloat16 = 9 } ncclDataType_t;
typedef enum ncclRedOp_t { ncclSum, ncclProd, ncclMax, ncclMin } ncclRedOp_t;
typedef struct ncclUniqueId {
    char internal[128];
} ncclUniqueId;
typedef struct ncclConfig_t {
    unsigned magic;
    int blocking;
} ncclConfig_t;
#define NCCL_MAGIC 0xcafebeef
#define NCCL_CONFIG_INITIALIZER \
    {                           \
        NCCL_MAGIC, 1           \
    }
typedef struct ncclComm *ncclComm_t;

ncclResult_t ncclGetVersion(int *version);
ncclResult_t ncclGetUniqueId(ncclUniqueId *id);
/* Not blocking: the first questions are answered with "in progress", and a call meanwhile is refused. Abort and Finalize do not end
 * before every recording with a sum in it is gone. HS_EMULATE (see runtime.cpp) =
 *   nccl-fails           refused on all ranks, as by a network that is not there;
 *   nccl-fails-1         refused on rank 1 alone: the others wait for it;
 *   nccl-no-register-1   rank 1 cannot register memory;
 * and at sum HS_EMULATE_SUM (3):
 *   nccl-breaks-1        it does not end; rank 1 is told why, the others are not;
 *   nccl-dies-1          rank 1 is killed;
 *   nccl-stalls-1        rank 1 stands still, host and all; the others wait for it HS_EMULATE_PATIENCE seconds (60), and then for ever. */
ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int size, ncclUniqueId id, int rank, ncclConfig_t *config);
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error);
ncclResult_t ncclCommAbort(ncclComm_t comm);
ncclResult_t ncclCommFinalize(ncclComm_t comm);
ncclResult_t ncclCommDestroy(ncclComm_t comm);
ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                           cudaStream_t stream);
ncclResult_t ncclMemAlloc(void **memory, size_t bytes);
ncclResult_t ncclMemFree(void *memory);
ncclResult_t ncclCommRegister(ncclComm_t comm, void *memory, size_t bytes, void **handle);
ncclResult_t ncclCommDeregister(ncclComm_t comm, void *handle);
const char *ncclGetLastError(ncclComm_t comm);
const char *ncclGetErrorString(ncclResult_t result);

#ifdef __cplusplus
}
#endif
#endif
