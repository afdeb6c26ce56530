/* streams.cpp - streams, events and recordings. A stream is a list of work that runs when somebody waits for it. Recorded work goes to
 * the recording instead, and runs at each repeat with the arguments it had then. A recording is lost, as on a GPU, by whatever waits,
 * allocates, or frees meanwhile, by a copy from or to the host, by waiting for an event from outside, and by a stream that joined and
 * was not waited for at the end. */
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cuda_runtime.h"

using emulation::die;
using emulation::failed;

struct recording;

struct CUstream_st {
    std::deque<std::function<void()>> work;
    bool running = false;
    recording *records = nullptr;
};

/* One record of an event. Who waits, waits for the record that was the last when it was asked to. */
struct mark {
    CUstream_st *stream;
    bool done;
};

/* How much of every stream's recorded work comes before: what a stream has seen, and what an event stands for. */
typedef std::map<CUstream_st *, std::size_t> clock_of;

struct CUevent_st {
    std::shared_ptr<mark> last;
    recording *records = nullptr; /* recorded itself: nobody may ask for it */
    clock_of seen;
};

struct recording {
    CUstream_st *origin;
    std::vector<std::function<void()>> work;
    std::map<CUstream_st *, clock_of> seen; /* by stream that takes part */
    cudaError_t lost = cudaSuccess;
};

struct CUgraph_st {
    std::vector<std::function<void()>> work;
};
struct CUgraphExec_st {
    std::shared_ptr<std::vector<std::function<void()>>> work;
};

bool emulation::stuck;
static std::set<CUstream_st *> streams;
static recording *active; /* one at a time is enough */

bool emulation::is_recording(cudaStream_t stream)
{
    return stream && stream->records;
}

bool emulation::spoils_recording()
{
    if (active && active->lost == cudaSuccess)
        active->lost = cudaErrorStreamCaptureInvalidated;
    return active != nullptr;
}

/* ---- work ---------------------------------------------------------------------------------------------------------------- */

/* All work, or up to a record and no further. */
static void drain(CUstream_st *stream, const mark *until = nullptr)
{
    if (stream->running) /* waits for itself through an event: its earlier work is done already */
        return;
    stream->running = true;
    while (!emulation::stuck && !stream->work.empty() && !(until && until->done)) {
        std::function<void()> first = std::move(stream->work.front());
        stream->work.pop_front();
        first();
    }
    stream->running = false;
}

cudaError_t emulation::queue(cudaStream_t stream, std::function<void()> work)
{
    if (!stream || !streams.count(stream))
        die("a stream", "was never created, or is gone");
    if (stream->records) {
        stream->records->work.push_back(std::move(work));
        stream->records->seen[stream][stream]++;
    } else {
        stream->work.push_back(std::move(work));
    }
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    *stream = new CUstream_st;
    streams.insert(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    drain(stream);
    streams.erase(stream);
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    if (emulation::spoils_recording())
        return failed(cudaErrorStreamCaptureUnsupported);
    drain(stream);
    if (emulation::stuck)
        die("cudaStreamSynchronize", "waits for work that does not end");
    return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    if (emulation::spoils_recording())
        return failed(cudaErrorStreamCaptureUnsupported);
    drain(stream);
    return emulation::stuck ? cudaErrorNotReady : cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    if (emulation::spoils_recording())
        return failed(cudaErrorStreamCaptureUnsupported);
    for (CUstream_st *stream : streams)
        drain(stream);
    return cudaSuccess;
}

/* ---- events -------------------------------------------------------------------------------------------------------------- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned)
{
    *event = new CUevent_st;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    event->records = stream->records;
    if (stream->records) {
        event->seen = stream->records->seen[stream];
        return cudaSuccess;
    }
    auto now = std::make_shared<mark>(mark{stream, false});
    event->last = now;
    return emulation::queue(stream, [now] { now->done = true; });
}

static cudaError_t join(CUstream_st *stream, cudaEvent_t event)
{
    if (event->records != active || (stream->records && stream->records != event->records)) {
        (void)emulation::spoils_recording();
        return failed(cudaErrorStreamCaptureIsolation);
    }
    stream->records = event->records;
    clock_of &mine = active->seen[stream];
    for (const auto &other : event->seen)
        mine[other.first] = std::max(mine[other.first], other.second);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    if (event->records || stream->records)
        return join(stream, event);
    return emulation::queue(stream, [seen = event->last] {
        if (seen && !seen->done)
            drain(seen->stream, seen.get());
    });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    if (emulation::spoils_recording() || event->records)
        return failed(cudaErrorStreamCaptureUnsupported);
    if (event->last && !event->last->done)
        drain(event->last->stream, event->last.get());
    if (emulation::stuck)
        die("cudaEventSynchronize", "waits for work that does not end");
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    if (emulation::stuck)
        return cudaErrorNotReady;
    return cudaEventSynchronize(event);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    if (!event->records)
        cudaEventSynchronize(event);
    delete event;
    return cudaSuccess;
}

/* ---- recordings ---------------------------------------------------------------------------------------------------------- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    const char *fault = std::getenv("HS_EMULATE");
    if (active || stream->records || (fault && std::string(fault) == "no-recording"))
        return failed(cudaErrorIllegalState);
    active = stream->records = new recording{stream, {}, {}, cudaSuccess};
    return cudaSuccess;
}

/* Has the first stream waited for all that the others were given? */
static bool joined(const recording *r)
{
    const clock_of &end = r->seen.count(r->origin) ? r->seen.at(r->origin) : clock_of();
    for (const auto &other : r->seen) {
        const auto done = other.second.find(other.first), waited = end.find(other.first);
        if (done != other.second.end() && (waited == end.end() || waited->second < done->second))
            return false;
    }
    return true;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    *graph = nullptr;
    if (!active || active->origin != stream)
        return failed(cudaErrorIllegalState);
    std::unique_ptr<recording> r(active);
    active = nullptr;
    for (CUstream_st *each : streams)
        each->records = nullptr;
    if (r->lost != cudaSuccess)
        return failed(r->lost);
    if (!joined(r.get()))
        return failed(cudaErrorStreamCaptureUnjoined);
    *graph = new CUgraph_st{std::move(r->work)};
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    *exec = new CUgraphExec_st{std::make_shared<std::vector<std::function<void()>>>(graph->work)};
    return cudaSuccess;
}

static long repeats;

long emulated_repeats(void)
{
    return repeats;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    repeats++;
    return emulation::queue(stream, [work = exec->work] {
        for (const std::function<void()> &each : *work)
            each();
    });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    delete exec;
    return cudaSuccess;
}
