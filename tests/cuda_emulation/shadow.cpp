/* shadow.cpp - see shadow.h: the cells, the rules, and device memory itself. */
#include "shadow.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>

#include <dlfcn.h>

#include "cuda_runtime.h"
#include "shadow_cells.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

using emulation::operation;
using namespace emulation::shadow;

emulation::shadow::space emulation::shadow::memory;

namespace
{

const std::uint32_t OUTSIDE = ~0u, UNDER_WAY = ~1u, GROUPS = 1u << 26, LONG_AGO = 1;
const std::size_t page = 4096, lead = 256, room_at = page + 16, room_bytes = 256 * 1024, first_block = room_at + room_bytes + page;

/* Who runs now. Groups of this kernel, block and side of the barrier begin at ... */
struct {
    std::uint32_t kernel = LONG_AGO + 1, block = 0, side = 0, next = LONG_AGO + 1, stamp = 0, warp = 0;
    std::vector<std::uint32_t> group;  /* of every warp */
    std::vector<std::uint16_t> warps;  /* of every group of the block */
    std::size_t room = 0;              /* bytes of shared memory */
    const operation *now = nullptr;
    std::uint32_t over = 0; /* groups below are known to be over */
} self;

struct past {
    std::uint32_t first; /* group */
    operation what;
};
std::vector<past> history;
std::map<std::size_t, std::size_t> living; /* blocks of device memory: begin, bytes */
std::size_t next_at = first_block, settled = 0; /* so much of HISTORY the host has waited for */

enum fault { RACE_WITH_WRITE, RACE_WITH_READ, UNWRITTEN, NOT_THERE, COPYING, MISALIGNED };

const operation *operation_of(std::uint32_t group)
{
    auto after = std::upper_bound(history.begin(), history.end(), group, [](std::uint32_t g, const past &p) { return g < p.first; });
    return after == history.begin() ? nullptr : &(after - 1)->what;
}

unsigned known(const emulation::clock_of &clock, unsigned stream)
{
    return stream < clock.size() ? clock[stream] : 0;
}

bool is_over(const operation *o)
{
    if (!o)
        return true;
    if (o->repeat && o->repeat == self.now->repeat)
        return known(self.now->branch_before, o->branch) >= o->branch_at;
    return known(self.now->before, o->stream) >= o->at;
}

/* May what STAMP did not be over yet, or run at the same time? */
bool unordered(std::uint32_t stamp)
{
    const std::uint32_t group = stamp / 64, kind = stamp % 64;
    if (group < self.over)
        return false;
    if (group < self.kernel)
        return !is_over(operation_of(group));
    if (group < self.block || kind == SEVERAL_BLOCKS)
        return true;
    if (group < self.side)
        return false;
    if (kind == SEVERAL_WARPS || self.warps[group - self.block] != self.warp)
        return true;
    return group == self.stamp / 64 && kind != self.stamp % 64;
}

/* OLD readers and this one as one stamp. */
std::uint32_t readers(std::uint32_t old)
{
    const std::uint32_t group = old / 64, kind = old % 64, mine = self.stamp / 64 * 64;
    if (group < self.kernel)
        return self.stamp;
    if (group < self.block || kind == SEVERAL_BLOCKS)
        return mine + SEVERAL_BLOCKS;
    if (group < self.side)
        return self.stamp;
    if (kind == SEVERAL_WARPS || self.warps[group - self.block] != self.warp)
        return mine + SEVERAL_WARPS;
    return group != mine / 64 || kind == self.stamp % 64 ? self.stamp : mine + SEVERAL_LANES;
}

/* ---- what is said ---------------------------------------------------------------------------------------------------------- */

std::string other_side(std::uint32_t stamp)
{
    const std::uint32_t group = stamp / 64, kind = stamp % 64;
    const operation *o = operation_of(group);
    if (group < self.kernel)
        return std::string("\"") + (o ? o->name : "?") + "\", which nobody waited for";
    if (group < self.block || kind == SEVERAL_BLOCKS)
        return "another block of this kernel";
    if (kind == SEVERAL_WARPS)
        return "threads of this block since its last barrier";
    const unsigned warp = self.warps[group - self.block];
    return warp != self.warp ? "thread " + std::to_string(warp * 32 + kind % 32) + " of this block since its last barrier"
                             : kind == SEVERAL_LANES ? "other lanes of this warp since its last wait"
                                                     : "lane " + std::to_string(kind) + " of this warp since its last wait";
}

std::string where(std::size_t at)
{
    if (at < first_block)
        return "byte " + std::to_string((long)at - (long)room_at) + " of " + std::to_string(self.room) + " of shared memory";
    auto block = living.upper_bound(at);
    if (block == living.begin())
        return "no block of device memory";
    --block;
    return "byte " + std::to_string(at - block->first) + " of a block of " + std::to_string(block->second) + " of device memory";
}

[[gnu::noinline]] void complain(fault f, std::size_t at, bool writes, std::uint32_t other, const void *caller)
{
    static std::set<const void *> said;
    const bool go_on = std::getenv("HS_EMULATE_GO_ON") != nullptr; /* each place in the program once */
    if (go_on && !said.insert(caller).second)
        return;
    Dl_info info = {};
    const bool found = caller && dladdr(caller, &info);
    const std::string who = f == RACE_WITH_WRITE ? "written by " + other_side(other) : f == RACE_WITH_READ ? "read by " + other_side(other) : "";
    std::fprintf(stderr, "cuda emulation: %s, block %u %u %u, thread %u %u %u: %s %s%s%s\n", self.now ? self.now->name : "?", blockIdx.x,
                 blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z, writes ? "writes" : "reads", where(at).c_str(),
                 f == UNWRITTEN   ? ", which nobody wrote"
                 : f == NOT_THERE ? ", which is outside"
                 : f == COPYING   ? ", to which a copy is under way"
                 : f == MISALIGNED ? ", at an address that is not a multiple of what is moved"
                                   : ", ",
                 who.c_str());
    if (found)
        std::fprintf(stderr, "  addr2line -fiCe %s 0x%zx\n", info.dli_fname, (std::size_t)((const char *)caller - (const char *)info.dli_fbase) - 1);
    if (!go_on)
        std::abort();
}

/* ---- cells ------------------------------------------------------------------------------------------------------------------ */

/* Shared memory of a block before is nobody's. */
bool forgotten(std::size_t at, std::uint32_t stamp)
{
    return at < first_block && stamp / 64 < self.block;
}

bool inside(std::size_t at, const cell &c)
{
    return at < first_block ? at - room_at < self.room : c.wrote != OUTSIDE;
}

void read_one(std::size_t at, cell &c, const void *caller)
{
    if (read_before(c.read) && inside(at, c))
        return;
    if (!inside(at, c))
        complain(NOT_THERE, at, false, 0, caller);
    else if (c.wrote == 0 || forgotten(at, c.wrote))
        complain(UNWRITTEN, at, false, 0, caller);
    else if (c.wrote == UNDER_WAY)
        complain(COPYING, at, false, 0, caller);
    else if (unordered(c.wrote))
        complain(RACE_WITH_WRITE, at, false, c.wrote, caller);
    c.read = c.read && !forgotten(at, c.read) ? readers(c.read) : self.stamp;
}

bool may_write(std::size_t at, const cell &c, const void *caller)
{
    if (!inside(at, c))
        complain(NOT_THERE, at, true, 0, caller);
    else if (c.wrote == UNDER_WAY && self.now)
        complain(COPYING, at, true, 0, caller);
    else if (c.wrote && !forgotten(at, c.wrote) && unordered(c.wrote))
        complain(RACE_WITH_WRITE, at, true, c.wrote, caller);
    else if (c.read && !forgotten(at, c.read) && unordered(c.read))
        complain(RACE_WITH_READ, at, true, c.read, caller);
    else
        return true;
    return c.wrote != OUTSIDE;
}

void write_one(std::size_t at, cell &c, const void *caller)
{
    if ((c.wrote == self.stamp && (c.read == 0 || c.read == self.stamp) && inside(at, c)) || may_write(at, c, caller))
        c = {self.stamp, 0};
}

} // namespace

void emulation::shadow::check(std::size_t at, std::size_t bytes, bool writes, const void *caller)
{
    if (!self.now)
        return;
    cell *const c = memory.cells + at, old = c[0];
    writes ? write_one(at, c[0], caller) : read_one(at, c[0], caller);
    const bool whole = at >= first_block || at + bytes - room_at <= self.room;
    for (std::size_t i = 1; i < bytes; i++)
        if (whole && c[i].wrote == old.wrote && c[i].read == old.read)
            c[i] = c[0]; /* bytes of one number mostly share one history */
        else
            writes ? write_one(at + i, c[i], caller) : read_one(at + i, c[i], caller);
}

void emulation::shadow::misaligned(std::size_t at, bool writes, const void *caller)
{
    complain(MISALIGNED, at, writes, 0, caller);
}

/* ---- who runs ---------------------------------------------------------------------------------------------------------------- */

const emulation::clock_of &emulation::learn(clock_of &mine, const clock_of &other)
{
    if (mine.size() < other.size())
        mine.resize(other.size());
    for (std::size_t i = 0; i < other.size(); i++)
        mine[i] = std::max(mine[i], other[i]);
    return mine;
}

/* Groups are used up, after hours: what was is long ago. */
static void forget()
{
    for (const auto &block : living)
        for (std::size_t i = 0; i < block.second; i++) {
            cell &c = memory.cells[block.first + i];
            c = {c.wrote ? LONG_AGO * 64 : 0, 0};
        }
    for (std::size_t i = 0; i < room_bytes; i++)
        memory.cells[room_at + i] = {0, 0};
    history.clear();
    settled = 0;
    self.next = LONG_AGO + 1;
}

void emulation::shadow::begin(const operation &o)
{
    if (!reports)
        return;
    if (self.next > GROUPS / 2)
        forget();
    history.push_back({self.next, o});
    history.back().what.before.clear(); /* nobody asks for that of work that is over */
    history.back().what.branch_before.clear();
    static operation now;
    now = o;
    self.now = &now;
    self.kernel = self.next;
    std::size_t k = settled;
    while (k + 1 < history.size() && is_over(&history[k].what))
        k++;
    self.over = history[k].first;
    memory.kernel = self.kernel * 64;
    begin_block(1);
}

void emulation::shadow::settle(const clock_of &host)
{
    while (settled < history.size() && known(host, history[settled].what.stream) >= history[settled].what.at)
        settled++;
    if (settled == history.size() && settled > 0)
        settled--; /* there is always one to look at */
}

void emulation::shadow::begin_block(std::size_t threads)
{
    if (!reports)
        return;
    self.block = self.next;
    self.group.resize((threads + 31) / 32);
    self.warps.clear();
    block_waited();
    turn(0);
}

void emulation::shadow::block_waited()
{
    if (!reports)
        return;
    if (self.next > GROUPS - 64)
        emulation::die("the shadow memory", "one kernel waits too often for it");
    self.side = self.next;
    memory.side = self.side * 64;
    for (std::size_t w = 0; w < self.group.size(); w++) {
        self.group[w] = self.next++;
        self.warps.push_back((std::uint16_t)w);
    }
}

void emulation::shadow::warp_waited(std::size_t warp)
{
    if (!reports)
        return;
    self.group[warp] = self.next++;
    self.warps.push_back((std::uint16_t)warp);
}

void emulation::shadow::turn(std::size_t thread)
{
    if (!reports)
        return;
    self.warp = (std::uint32_t)(thread / 32);
    memory.stamp = self.stamp = self.group[thread / 32] * 64 + (std::uint32_t)(thread % 32);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------------ */

/* Addresses for 2^38 bytes and their cells; pages come when they are asked for. */
static void reserve()
{
    const std::size_t cells = reports ? space_bytes * sizeof(cell) : 0;
    void *all = mmap(nullptr, space_bytes + cells, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED)
        emulation::die("the shadow memory", "the system has no addresses left (ulimit -v?)");
    memory.base = static_cast<char *>(all);
    memory.cells = reinterpret_cast<cell *>(memory.base + space_bytes);
    memory.rest = first_block;
    mprotect(memory.base, first_block, PROT_READ | PROT_WRITE);
    if (reports)
        mprotect(memory.cells, first_block * sizeof(cell), PROT_READ | PROT_WRITE);
    ASAN_POISON_MEMORY_REGION(memory.base, first_block);
}

static std::size_t pages(std::size_t bytes)
{
    return (lead + bytes + page - 1) / page * page;
}

char *emulation::shadow::allocate(std::size_t bytes)
{
    if (!memory.base)
        reserve();
    const std::size_t at = (next_at + page - 1) / page * page, all = pages(bytes);
    if (at + all + page > space_bytes || mprotect(memory.base + at, all, PROT_READ | PROT_WRITE) != 0)
        return nullptr;
    next_at = at + all + page; /* a page that is nobody's */
    char *const begin = memory.base + at + lead;
    if (reports) {
        if (mprotect(memory.cells + at, (all + page) * sizeof(cell), PROT_READ | PROT_WRITE) != 0)
            return nullptr;
        std::fill(memory.cells + at, memory.cells + at + lead, cell{OUTSIDE, 0});
        std::fill(memory.cells + at + lead + bytes, memory.cells + at + all + page, cell{OUTSIDE, 0});
    }
    std::memset(begin, 0xFF, bytes); /* NaN to whoever forgets to write */
    ASAN_POISON_MEMORY_REGION(memory.base + at, lead);
    ASAN_POISON_MEMORY_REGION(begin + bytes, all - lead - bytes);
    living[at + lead] = bytes;
    return begin;
}

void emulation::shadow::release(char *block, std::size_t bytes)
{
    const std::size_t at = (std::size_t)(block - memory.base);
    if (reports) {
        madvise(memory.cells + (at - lead), (pages(bytes) + page) * sizeof(cell), MADV_DONTNEED);
        mprotect(memory.cells + (at - lead), (pages(bytes) + page) * sizeof(cell), PROT_NONE);
    }
    living.erase(at);
    madvise(block - lead, pages(bytes), MADV_DONTNEED);
    mprotect(block - lead, pages(bytes), PROT_NONE);
}

char *emulation::shadow::room(std::size_t bytes)
{
    if (!memory.base)
        reserve();
    self.room = bytes;
    memory.room_end = room_at + bytes;
    char *const begin = memory.base + room_at;
    ASAN_UNPOISON_MEMORY_REGION(begin, bytes);
    ASAN_POISON_MEMORY_REGION(begin + bytes, room_bytes - bytes);
    return begin;
}

/* ---- what others do ---------------------------------------------------------------------------------------------------------- */

void emulation::shadow::touched(const void *at, std::size_t bytes, touch how)
{
    const std::size_t from = (std::size_t)(static_cast<const char *>(at) - memory.base);
    if (!reports || !memory.base || from >= space_bytes)
        return;
    if (how != WROTE)
        check(from, bytes, how != READS, __builtin_return_address(0));
    for (std::size_t i = from; i < from + bytes && how >= WRITES_LATER; i++)
        memory.cells[i] = {how == WROTE ? self.stamp : UNDER_WAY, 0};
}

void emulation::shadow::copied(void *to, const void *from, std::size_t bytes)
{
    const std::size_t source = (std::size_t)(static_cast<const char *>(from) - memory.base),
                      target = (std::size_t)(static_cast<char *>(to) - memory.base);
    if (!reports || !memory.base)
        return;
    if (target < space_bytes)
        check(target, bytes, true, nullptr);
    if (source >= space_bytes)
        return;
    for (std::size_t i = 0; i < bytes; i++) {
        cell &c = memory.cells[source + i];
        if (c.wrote && c.wrote != self.stamp)
            read_one(source + i, c, nullptr);
        else if (!c.wrote && target < space_bytes)
            memory.cells[target + i].wrote = 0;
    }
}
