/* record.c - work of a stream, and of streams that follow it by events, recorded as a CUDA graph: a step of a hundred launches becomes
 * one. Only this thread is held to the rules meanwhile: others (prefetch, NCCL's own) go on. */
#include "hs_cuda.h"

#include "hs_base.h"

struct hs_recording {
    cudaGraphExec_t graph;
};

hs_status hs_cuda_record_begin(hs_stream *s)
{
    return hs_cuda_check(cudaStreamBeginCapture(hs_cuda_raw(s), cudaStreamCaptureModeThreadLocal), "recording a step");
}

static hs_status instantiate(cudaGraph_t graph, hs_recording **recording)
{
    hs_recording *r = NULL;
    HS_TRY(hs_calloc(1, sizeof *r, "recording", &r));
    const hs_status st = hs_cuda_check(cudaGraphInstantiateWithFlags(&r->graph, graph, 0), "recording a step");
    if (st != HS_OK)
        hs_free(r);
    else
        *recording = r;
    return st;
}

hs_status hs_cuda_record_end(hs_stream *s, hs_recording **recording)
{
    cudaGraph_t graph = NULL;
    const cudaError_t error = cudaStreamEndCapture(hs_cuda_raw(s), &graph);
    (void)cudaGetLastError(); /* of a call that could not be recorded; ERROR says so */
    hs_status st = hs_cuda_check(error, "recording a step");
    if (st == HS_OK)
        st = instantiate(graph, recording);
    if (graph)
        (void)cudaGraphDestroy(graph);
    return st;
}

hs_status hs_cuda_record_repeat(hs_stream *s, hs_recording *recording)
{
    return hs_cuda_check(cudaGraphLaunch(recording->graph, hs_cuda_raw(s)), "repeating a step");
}

void hs_cuda_record_destroy(hs_recording **recording)
{
    if (!*recording)
        return;
    (void)cudaGraphExecDestroy((*recording)->graph);
    hs_free(*recording);
    *recording = NULL;
}
