/* streams.cpp - streams and events. A stream is a list of work that runs when somebody waits for it; with HS_EMULATE_ORDER = a number
 * other than 0 some of it runs earlier, in an order drawn from that number, and who asks whether work is over may hear no. Recorded work
 * goes to the recording instead (recordings.cpp).
 *
 * Every piece of work carries what is known to be over when it begins, for the shadow memory: what its stream did before, what the
 * events it waited for stand for, and what the host had waited for when it asked for it. */
#include "streams.h"

#include <map>
#include <random>
#include <string>

#include "journal.h"

using namespace emulation;

bool emulation::stuck;
std::set<CUstream_st *> emulation::streams;
static unsigned streams_so_far;
static clock_of host;     /* what the host has waited for */
recording *emulation::active;

/* ---- order --------------------------------------------------------------------------------------------------------------- */

/* Below N, or 0 where no order is asked for. */
unsigned emulation::drawn(unsigned n)
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
void emulation::run_some()
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
operation emulation::placed(CUstream_st *stream, const char *name)
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
