/* recordings.cpp - work recorded from streams, and repeated. It runs at each repeat with the arguments it had then; its branches take turns
 * in a drawn order (HS_EMULATE_ORDER). A recording is lost, as on a GPU, by whatever waits, allocates, or frees meanwhile, by a copy from or
 * to the host, by waiting for an event from outside, and by a stream that joined and was not waited for at the end. A kernel or a product
 * of cuBLAS that has not run before may not be recorded. */
#include "streams.h"

#include <cstdlib>
#include <string>

#include "journal.h"

using namespace emulation;

/* ---- while a stream records ------------------------------------------------------------------------------------------------- */

bool emulation::is_recording(cudaStream_t stream)
{
    return stream && stream->records;
}

/* CUDA loads a kernel when it is first launched (CUDA_MODULE_LOADING is LAZY by itself), for which it may have to wait and allocate. */
void emulation::loads(cudaStream_t stream, const char *who, const std::vector<long long> &what)
{
    static std::set<std::vector<long long>> loaded;
    if (!is_recording(stream))
        loaded.insert(what);
    else if (!loaded.count(what))
        die(who, "is recorded, but has not run before: a driver may have to load it, which it cannot while a stream records");
}

bool emulation::spoils_recording()
{
    if (active && active->lost == cudaSuccess)
        active->lost = cudaErrorStreamCaptureInvalidated;
    return active != nullptr;
}

/* ---- recordings ---------------------------------------------------------------------------------------------------------- */

static bool asked_for(const char *fault)
{
    const char *value = std::getenv("HS_EMULATE");
    return value && std::string(value) == fault;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    if (active || stream->records || asked_for("no-recording"))
        return failed(cudaErrorIllegalState);
    active = stream->records = new recording{stream, {}, {clock_of()}, cudaSuccess};
    stream->branch = 0;
    return cudaSuccess;
}

/* Has the first stream waited for all that the others were given? */
static bool joined(const recording *r)
{
    for (unsigned branch = 1; branch < r->seen.size(); branch++) {
        const clock_of &own = r->seen[branch], &end = r->seen[0];
        if (branch < own.size() && own[branch] > 0 && (branch >= end.size() || end[branch] < own[branch]))
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
    if (r->lost != cudaSuccess || asked_for("lost-recording"))
        return failed(r->lost != cudaSuccess ? r->lost : cudaErrorStreamCaptureInvalidated);
    if (!joined(r.get()))
        return failed(cudaErrorStreamCaptureUnjoined);
    *graph = new CUgraph_st{std::move(r->work)};
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    *exec = new CUgraphExec_st{std::make_shared<std::vector<piece>>(graph->work), {}};
    return cudaSuccess;
}

static long repeats;

long emulated_repeats(void)
{
    return repeats;
}

/* Has all been done that comes before O in the recording? DONE: by branch. */
static bool may_begin(const operation &o, const clock_of &done)
{
    for (unsigned branch = 0; branch < o.branch_before.size(); branch++) {
        const unsigned needed = o.branch_before[branch] - (branch == o.branch);
        if (needed > (branch < done.size() ? done[branch] : 0))
            return false;
    }
    return true;
}

/* One piece after the other, as they may; without a drawn order as they were recorded. */
static void repeat(const std::vector<piece> &work, const operation &launch)
{
    clock_of done;
    std::vector<bool> over(work.size());
    for (std::size_t left = work.size(), first = 0; left > 0; left--) {
        for (; over[first]; first++)
            ;
        std::size_t next = first;
        for (std::size_t i = first; i < work.size() && i < first + 64; i++)
            if (!over[i] && may_begin(work[i].what, done) && drawn(2)) {
                next = i;
                break;
            }
        operation o = work[next].what;
        o.stream = launch.stream, o.at = launch.at, o.before = launch.before, o.repeat = launch.repeat;
        emulation::shadow::begin(o);
        work[next].work();
        over[next] = true;
        learn(done, o.branch_before);
    }
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    if (emulation::is_recording(stream))
        die("cudaGraphLaunch", "into a recording, which the emulation does not do");
    learn(stream->before, exec->last);
    operation launch = placed(stream, "a recording");
    launch.repeat = (unsigned)++repeats;
    exec->last = launch.before;
    bool elsewhere = false;
    for (const piece &each : *exec->work)
        elsewhere = elsewhere || each.elsewhere;
    stream->work.push_back({[work = exec->work, launch] { repeat(*work, launch); }, launch, elsewhere, nullptr});
    run_some();
    return cudaSuccess;
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
