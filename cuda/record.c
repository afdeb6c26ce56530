/* record.c - work of a stream, and of streams that follow it by events, recorded as a CUDA graph: a step of a hundred launches becomes
 * one. Only this thread is held to the rules meanwhile: others (prefetch, NCCL's own) go on. */
#include "hs_cuda.h"

#include <string.h>

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

/* ---- a few numbers for the host, which meanwhile queues the next step ----------------------------------------------------- */

hs_status hs_cuda_post(hs_stream *stream, int slot, const void *device_from, size_t bytes)
{
    hs_cuda_stream *s = hs_cuda_stream_of(stream);
    if (bytes > HS_POST_MOST)
        return hs_fail(HS_EINTERNAL, "%zu bytes for the host at a time, at most %d", bytes, HS_POST_MOST);
    HS_TRY(hs_cuda_check(cudaMemcpyAsync(s->mail + slot * HS_POST_MOST, device_from, bytes, cudaMemcpyDeviceToHost, s->stream),
                         "numbers for the host"));
    return hs_cuda_check(cudaEventRecord(s->mailed[slot], s->stream), "numbers for the host");
}

hs_status hs_cuda_collect(hs_stream *stream, int slot, void *host_to, size_t bytes, bool *there)
{
    hs_cuda_stream *s = hs_cuda_stream_of(stream);
    const cudaError_t state = there ? cudaEventQuery(s->mailed[slot]) : cudaEventSynchronize(s->mailed[slot]);
    if (there)
        *there = state == cudaSuccess;
    if (there && state == cudaErrorNotReady) {
        (void)cudaGetLastError(); /* kept like an error, and the next launch would report it */
        return HS_OK;
    }
    HS_TRY(hs_cuda_check(state, "waiting for the GPU"));
    memcpy(host_to, s->mail + slot * HS_POST_MOST, bytes);
    return HS_OK;
}
