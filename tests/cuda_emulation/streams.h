/* streams.h - what streams.cpp (streams, events) and recordings.cpp (what they queue while they record) share. */
#ifndef CUDA_EMULATION_STREAMS_H
#define CUDA_EMULATION_STREAMS_H

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "cuda_runtime.h"
#include "shadow.h"

using emulation::clock_of;
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

namespace emulation {
extern std::set<CUstream_st *> streams; /* all there are */
extern recording *active;               /* one at a time is enough */

unsigned drawn(unsigned n);                             /* below N, or 0 where no order is asked for */
operation placed(CUstream_st *stream, const char *name); /* the next place of STREAM */
void run_some();                                        /* work of any stream, where an order is asked for */
}

#endif
