/* cudnn_api.h - the part of cuDNN's graph interface that convolutions need, declared here and looked up in the library at run time.
 *
 * Why not its header: programs built where there is no cuDNN use it where there is one, and the tests put a library of their own
 * in its place on machines that have neither. The numbers are the library's binary interface, fixed since version 8; where the
 * header is at hand cudnn_check.c compares them. */
#ifndef HS_CUDA_CUDNN_API_H
#define HS_CUDA_CUDNN_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hs_cudnn_kind {
    HS_CUDNN_POINTWISE = 0,
    HS_CUDNN_CONVOLUTION = 1,
    HS_CUDNN_ENGINE = 2,
    HS_CUDNN_CONFIG = 3,
    HS_CUDNN_HEURISTIC = 4,
    HS_CUDNN_PLAN = 5,
    HS_CUDNN_FORWARD = 10,
    HS_CUDNN_FILTER = 11,
    HS_CUDNN_DATA = 12,
    HS_CUDNN_APPLY = 13,
    HS_CUDNN_GRAPH = 15,
    HS_CUDNN_PACK = 16,
    HS_CUDNN_TENSOR = 17
};

enum hs_cudnn_type {
    HS_CUDNN_HANDLE_TYPE = 0,
    HS_CUDNN_DATA_TYPE = 1,
    HS_CUDNN_BOOL_TYPE = 2,
    HS_CUDNN_INT64_TYPE = 3,
    HS_CUDNN_FLOAT_TYPE = 4,
    HS_CUDNN_POINTER_TYPE = 6,
    HS_CUDNN_CONVOLUTION_TYPE = 7,
    HS_CUDNN_HEURISTIC_TYPE = 8,
    HS_CUDNN_NAN_TYPE = 10,
    HS_CUDNN_NOTE_TYPE = 11,
    HS_CUDNN_POINTWISE_TYPE = 14,
    HS_CUDNN_DESCRIPTOR_TYPE = 15
};

enum hs_cudnn_name {
    HS_CUDNN_POINTWISE_MODE = 0,
    HS_CUDNN_POINTWISE_PRECISION = 1,
    HS_CUDNN_POINTWISE_NAN = 2,
    HS_CUDNN_CONVOLUTION_PRECISION = 100,
    HS_CUDNN_CONVOLUTION_MODE = 101,
    HS_CUDNN_CONVOLUTION_DILATIONS = 102,
    HS_CUDNN_CONVOLUTION_STRIDES = 103,
    HS_CUDNN_CONVOLUTION_POST = 104,
    HS_CUDNN_CONVOLUTION_PRE = 105,
    HS_CUDNN_CONVOLUTION_DIMS = 106,
    HS_CUDNN_HEURISTIC_MODE = 200,
    HS_CUDNN_HEURISTIC_GRAPH = 201,
    HS_CUDNN_HEURISTIC_RESULTS = 202,
    HS_CUDNN_CONFIG_ENGINE = 300,
    HS_CUDNN_PLAN_HANDLE = 400,
    HS_CUDNN_PLAN_CONFIG = 401,
    HS_CUDNN_PLAN_WORKSPACE = 402,
    /* alpha, beta, convolution, filter, x, y: one after the other in each of the three operations */
    HS_CUDNN_FORWARD_FIRST = 700,
    HS_CUDNN_DATA_FIRST = 706,
    HS_CUDNN_FILTER_FIRST = 712,
    HS_CUDNN_APPLY_POINTWISE = 750,
    HS_CUDNN_APPLY_X = 751,
    HS_CUDNN_APPLY_B = 752,
    HS_CUDNN_APPLY_Y = 753,
    HS_CUDNN_GRAPH_HANDLE = 800,
    HS_CUDNN_GRAPH_OPERATIONS = 801,
    HS_CUDNN_TENSOR_ALIGNMENT = 900,
    HS_CUDNN_TENSOR_DATA = 901,
    HS_CUDNN_TENSOR_DIMENSIONS = 902,
    HS_CUDNN_TENSOR_STRIDES = 903,
    HS_CUDNN_TENSOR_ID = 906,
    HS_CUDNN_TENSOR_VIRTUAL = 907,
    HS_CUDNN_PACK_IDS = 1000,
    HS_CUDNN_PACK_POINTERS = 1001,
    HS_CUDNN_PACK_WORKSPACE = 1003,
    HS_CUDNN_ENGINE_NOTES = 1303
};

enum { HS_CUDNN_FLOAT = 0, HS_CUDNN_BFLOAT16 = 9, HS_CUDNN_CORRELATION = 1, HS_CUDNN_ADD = 0, HS_CUDNN_RELU = 100, HS_CUDNN_PROPAGATE = 1 };
enum { HS_CUDNN_MODE_FALLBACK = 2, HS_CUDNN_MODE_A = 3 };
enum hs_cudnn_note {
    HS_CUDNN_TENSOR_CORE = 0,
    HS_CUDNN_DOWN_CONVERT = 1,
    HS_CUDNN_REDUCED_SUM = 2,
    HS_CUDNN_NOT_DETERMINISTIC = 4,
    HS_CUDNN_NOTES = 10
};

/* The library, its functions by their own names, and a handle. Statuses are 0 for success. */
typedef struct hs_cudnn {
    void *library, *handle;
    size_t version;
    size_t (*GetVersion)(void);
    size_t (*GetCudartVersion)(void);
    const char *(*GetErrorString)(int status);
    void (*GetLastErrorString)(char *text, size_t capacity);
    int (*Create)(void **handle);
    int (*Destroy)(void *handle);
    int (*SetStream)(void *handle, void *stream);
    int (*BackendCreateDescriptor)(int kind, void **descriptor);
    int (*BackendDestroyDescriptor)(void *descriptor);
    int (*BackendFinalize)(void *descriptor);
    int (*BackendSetAttribute)(void *descriptor, int name, int type, int64_t count, const void *values);
    int (*BackendGetAttribute)(const void *descriptor, int name, int type, int64_t wanted, int64_t *count, void *values);
    int (*BackendExecute)(void *handle, void *plan, void *pack);
} hs_cudnn;

struct hs_log;
/* NULL where there is none, and with a warning where there is one that does not serve. HALFSPEC_CUDNN = file or "none" overrides where it is
 * looked for. */
hs_cudnn *hs_cudnn_open(const struct hs_log *log);
void hs_cudnn_close(hs_cudnn **cudnn);
enum { HS_CUDNN_TEXT = 256 };
const char *hs_cudnn_says(const hs_cudnn *cudnn, int status, char text[HS_CUDNN_TEXT]); /* what STATUS means, and its reason */

/* ---- cudnn_graph.c: one convolution, planned -------------------------------------------------------------------------------- */

typedef struct hs_cudnn_shape {
    int kind; /* HS_CUDNN_FORWARD, _DATA or _FILTER */
    int64_t x[4], w[4], y[4]; /* n c h w; filters co ci kh kw; in memory channels are last */
    int64_t pre[2], post[2], stride[2];
    bool half;        /* all tensors are bf16, else fp32 */
    bool bias, relu;  /* forward: in the same graph */
    bool only_fp32;   /* no tensor cores */
} hs_cudnn_shape;

typedef struct hs_cudnn_plan hs_cudnn_plan;
/* NULL where the library has no engine for it that gives equal bits every time. */
hs_cudnn_plan *hs_cudnn_plan_create(hs_cudnn *cudnn, const hs_cudnn_shape *shape);
void hs_cudnn_plan_destroy(hs_cudnn_plan **plan);
size_t hs_cudnn_plan_workspace(const hs_cudnn_plan *plan);
/* A status of the library. BIAS where the shape has one. Pointers that stay the same from call to call cost nothing. */
int hs_cudnn_plan_run(hs_cudnn_plan *plan, void *stream, const void *x, const void *w, const void *y, const void *bias,
                      void *workspace);

#endif
