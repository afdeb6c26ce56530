/* streams.cpp - streams, events and recordings. A stream is a list of work that runs when somebody waits for it; with
 * HS_EMULATE_ORDER = a number other than 0 some of it runs earlier, in an order drawn from that number, and who asks whether work is
 * over may hear no. Recorded work goes to the recording instead, and runs at each repeat with the arguments it had then; its branches
 * take turns in a drawn order too. A recording is lost, as on a GPU, by whatever waits, allocates, or frees meanwhile, by a copy from or
 * to the host, by waiting for an event from outside, and by a stream that joined and was not waited for at the end. A kernel or a product of cuBLAS
 * that has not run before may not be recorded.
 *
 * Every piece of work carries what is known to be over when it begins, for the shadow memory: what its stream did before, what the
 * events it waited for stand for, and what the host had waited for when it asked for it. */
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "cuda_runtime.h"
#include "journal.h"
#include "shadow.h"

using emulation::clock_of;
using emulation::die;
using emulation::failed;
using emulation::learn;
using emulation::operation;

struct recording;

/* One record of an event. Who waits, waits for the record that was the last when it was asked to. */
struct mark {
    CUstream_st *stream;
    bool done;
    clock_of before;
};

struct piece {
    std::function<void()> work;
    operation what;
    bool elsewhere; /* waits for other processes: not before somebody waits here */
    std::shared_ptr<mark> needs; /* another stream's; NULL: nothing */
};

struct CUstream_st {
    unsigned number;
    std::deque<piece> work;
    clock_of before; /* of what comes next */
    bool running = false;
    recording *records = nullptr;
    unsigned branch = 0; /* of the recording */
};

struct CUevent_st {
    std::shared_ptr<mark> last;
    recording *records = nullptr; /* recorded itself: nobody may ask for it */
    clock_of seen;                /* of the recording's branches */
};

struct recording {
    CUstream_st *origin;
    std::vector<piece> work;
    std::vector<clock_of> seen; /* by every branch */
    cudaError_t lost;
};

struct CUgraph_st {
    std::vector<piece> work;
};
struct CUgraphExec_st {
    std::shared_ptr<std::vector<piece>> work;
    clock_of last; /* a recording does not run twice at a time */
};

bool emulation::stuck;
static std::set<CUstream_st *> streams;
static unsigned streams_so_far;
static clock_of host;     /* what the host has waited for */
static recording *active; /* one at a time is enough */

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

/* ---- order --------------------------------------------------------------------------------------------------------------- */

/* Below N, or 0 where no order is asked for. */
static unsigned drawn(unsigned n)
{
    static const char *const asked = std::getenv("HS_EMULATE_ORDER");
    static const unsigned seed = asked ? (unsigned)std::strtoul(asked, nullptr, 10) : 0;
    static std::minstd_rand numbers(seed);
    return seed && n ? (unsigned)(numbers() >> 8) % n : 0;
}

static void run_first(CUstream_st *stream)
{
    const piece first = std::move(stream->work.front());
    stream->work.pop_front();
    first.work();
}

/* All work, or up to a record and no further. */
static void drain(CUstream_st *stream, const mark *until = nullptr)
{
    if (stream->running) /* waits for itself through an event: its earlier work is done already */
        return;
    stream->running = true;
    while (!emulation::stuck && !stream->work.empty() && !(until && until->done))
        run_first(stream);
    stream->running = false;
}

/* Some work of some streams, before anybody waits for it. */
static void run_some()
{
    for (unsigned left = drawn(4); left > 0 && !emulation::stuck; left--) {
        auto stream = streams.begin();
        std::advance(stream, drawn((unsigned)streams.size()));
        CUstream_st *s = *stream;
        if (s->running || s->work.empty() || s->work.front().elsewhere || (s->work.front().needs && !s->work.front().needs->done))
            continue;
        s->running = true;
        run_first(s);
        s->running = false;
    }
}

/* ---- work ---------------------------------------------------------------------------------------------------------------- */

/* The next place of STREAM. */
static operation placed(CUstream_st *stream, const char *name)
{
    operation o;
    learn(stream->before, host);
    stream->before.resize(std::max<std::size_t>(stream->before.size(), stream->number + 1));
    o.name = name;
    o.stream = stream->number;
    o.at = ++stream->before[stream->number];
    o.before = stream->before;
    return o;
}

static operation placed_in_branch(CUstream_st *stream, const char *name)
{
    operation o;
    clock_of &seen = stream->records->seen[stream->branch];
    seen.resize(std::max<std::size_t>(seen.size(), stream->branch + 1));
    o.name = name;
    o.branch = stream->branch;
    o.branch_at = ++seen[stream->branch];
    o.branch_before = seen;
    return o;
}

cudaError_t emulation::queue(cudaStream_t stream, std::function<void()> work, const char *name, bool elsewhere)
{
    wants_device(name);
    if (!stream || !streams.count(stream))
        die("a stream", "was never created, or is gone");
    if (stream->records) {
        stream->records->work.push_back({std::move(work), placed_in_branch(stream, name), elsewhere, nullptr});
        return cudaSuccess;
    }
    const operation o = placed(stream, name);
    stream->work.push_back({[o, work = std::move(work)] {
                                shadow::begin(o);
                                work();
                            },
                            o, elsewhere, nullptr});
    run_some();
    return cudaSuccess;
}

/* What does not touch memory itself. */
static void queue_order(CUstream_st *stream, std::shared_ptr<mark> needs, std::function<void()> work)
{
    stream->work.push_back({std::move(work), operation(), false, std::move(needs)});
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    emulation::wants_device("cudaStreamCreateWithFlags");
    *stream = new CUstream_st;
    (*stream)->number = streams_so_far++;
    streams.insert(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    if (!streams.count(stream))
        die("cudaStreamDestroy", "a stream that was never created, or is gone");
    if (stream->records)
        return failed(cudaErrorStreamCaptureUnsupported);
    drain(stream);
    streams.erase(stream);
    delete stream;
    return cudaSuccess;
}

/* Work that is queued already does not know what the host does now. */
static void host_learns(const clock_of &more)
{
    learn(host, more);
    for (const CUstream_st *stream : streams)
        if (!stream->work.empty())
            return;
    emulation::shadow::settle(host);
}

/* The host waits, and knows then. */
static cudaError_t wait_for(CUstream_st *stream, const char *who)
{
    if (!streams.count(stream))
        die(who, "a stream that was never created, or is gone");
    if (emulation::spoils_recording())
        return failed(cudaErrorStreamCaptureUnsupported);
    drain(stream);
    if (!emulation::stuck)
        host_learns(stream->before);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    const cudaError_t error = wait_for(stream, "cudaStreamSynchronize");
    if (emulation::stuck)
        die("cudaStreamSynchronize", "waits for work that does not end");
    return error;
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    if (streams.count(stream) && !stream->work.empty() && !active && drawn(2))
        return failed(cudaErrorNotReady); /* kept, as the original does */
    const cudaError_t error = wait_for(stream, "cudaStreamQuery");
    return error == cudaSuccess && emulation::stuck ? failed(cudaErrorNotReady) : error;
}

cudaError_t cudaDeviceSynchronize(void)
{
    if (emulation::spoils_recording())
        return failed(cudaErrorStreamCaptureUnsupported);
    for (CUstream_st *stream : streams)
        wait_for(stream, "cudaDeviceSynchronize");
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
    if (!streams.count(stream))
        die("cudaEventRecord", "a stream that was never created, or is gone");
    emulated_note(EMULATED_RECORD, nullptr, stream, event);
    event->records = stream->records;
    if (stream->records) {
        event->seen = stream->records->seen[stream->branch];
        return cudaSuccess;
    }
    auto now = std::make_shared<mark>(mark{stream, false, placed(stream, "an event").before});
    event->last = now;
    queue_order(stream, nullptr, [now] { now->done = true; });
    return cudaSuccess;
}

static cudaError_t join(CUstream_st *stream, cudaEvent_t event)
{
    if (!active || event->records != active || (stream->records && stream->records != event->records)) {
        (void)emulation::spoils_recording();
        return failed(cudaErrorStreamCaptureIsolation);
    }
    if (!stream->records) {
        stream->records = active;
        stream->branch = (unsigned)active->seen.size();
        active->seen.emplace_back();
    }
    learn(active->seen[stream->branch], event->seen);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    if (!streams.count(stream))
        die("cudaStreamWaitEvent", "a stream that was never created, or is gone");
    emulated_note(EMULATED_WAIT, nullptr, stream, event);
    if (event->records || stream->records)
        return join(stream, event);
    if (event->last)
        learn(stream->before, event->last->before);
    queue_order(stream, event->last, [seen = event->last] {
        if (seen && !seen->done)
            drain(seen->stream, seen.get());
    });
    return cudaSuccess;
}

static cudaError_t wait_for_event(cudaEvent_t event)
{
    if (emulation::spoils_recording() || event->records)
        return failed(cudaErrorStreamCaptureUnsupported);
    if (event->last && !event->last->done)
        drain(event->last->stream, event->last.get());
    if (event->last && !emulation::stuck)
        host_learns(event->last->before);
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    const cudaError_t error = wait_for_event(event);
    if (emulation::stuck)
        die("cudaEventSynchronize", "waits for work that does not end");
    return error;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    if (emulation::stuck || (!active && event->last && !event->last->done && drawn(2)))
        return failed(cudaErrorNotReady);
    return wait_for_event(event);
}

/* Who waits for it has been told what to wait for. */
cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return cudaSuccess;
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
