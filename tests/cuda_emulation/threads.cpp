/* threads.cpp - the threads of a block. Every waiting kernel's threads have stacks of their own and run until they wait; when all
 * that live wait at the same kind of barrier they go on. The order in which they run changes from block to block, so that a
 * kernel which lacks a barrier does not get by on the luck of one order. Shared memory is filled
 * with NaN before each block. */
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "cuda_runtime.h"
#include "shadow.h"
#include "strand.h"

EMULATION_CHANGE;

namespace emulation
{
place now;
}

namespace
{

struct copy {
    void *to;
    const void *from;
    std::size_t bytes;
    unsigned group;
};

enum state { READY, AT_BLOCK, AT_WARP, AT_MEMORY, OVER }; /* AT_MEMORY: at a wait of the warp that orders memory too */
struct fiber {
    strand flow;
    std::unique_ptr<char[]> stack; /* none: not begun. It stays where it is when the fiber moves */
    state at;
    uint3 place;
    unsigned warp, lane;
    std::uint64_t mine;
    unsigned meetings;
    std::deque<copy> copies;
    unsigned group; /* of the copies to come */
};

struct team {
    std::vector<fiber> each; /* as many as any block had; COUNT of this one */
    std::vector<emulation::fragment> fragments[2];
    strand home;
    std::size_t count = 0, running = 0;
    const std::function<void()> *thread = nullptr;
    const char *name = "";
    bool together = false;
} team;

const std::size_t stack_bytes = 64 * 1024;

[[noreturn]] void die(const char *what)
{
    std::fprintf(stderr, "cuda emulation: kernel %s, block %u %u %u: %s\n", team.name, blockIdx.x, blockIdx.y, blockIdx.z, what);
    std::abort();
}

void body()
{
    for (;;) { /* a thread of the next block, or kernel, when it is asked again */
        (*team.thread)();
        team.each[team.running].group++;
        emulation::copy_wait(0); /* a kernel ends when its copies have */
        team.each[team.running].at = OVER;
        strand_change(team.each[team.running].flow, team.home);
    }
}

void wait_as(state at)
{
    if (!team.together)
        die("waits for other threads but was not launched with HS_LAUNCH_TOGETHER");
    fiber &f = team.each[team.running];
    f.at = at;
    strand_change(f.flow, team.home);
    threadIdx = f.place;
}

void wait_for_warp(state at)
{
    if (team.count % 32)
        die("lanes wait for a warp that is not whole");
    wait_as(at);
}

/* Release everybody who waits for a barrier that all have reached. False: somebody waits for ever. */
bool release()
{
    bool any = false, all_at_block = true;
    for (std::size_t i = 0; i < team.count; i++)
        all_at_block = all_at_block && team.each[i].at == AT_BLOCK;
    for (std::size_t first = 0; first < team.count; first += 32) {
        std::size_t end = first + 32 < team.count ? first + 32 : team.count;
        const state at = team.each[first].at;
        bool warp = at == AT_WARP || at == AT_MEMORY;
        for (std::size_t i = first; i < end; i++)
            warp = warp && team.each[i].at == at;
        for (std::size_t i = first; i < end; i++)
            if (all_at_block || warp)
                team.each[i].at = READY, any = true;
        if (warp && at == AT_MEMORY)
            emulation::shadow::warp_waited(first / 32);
    }
    if (all_at_block)
        emulation::shadow::block_waited();
    return any;
}

void start_fibers(dim3 block)
{
    const unsigned count = block.x * block.y * block.z;
    team.count = count;
    if (team.each.size() < count)
        team.each.resize(count);
    for (auto &fragments : team.fragments)
        fragments.resize(team.each.size() + 32);
    for (unsigned i = 0; i < count; i++) {
        fiber &f = team.each[i];
        if (!f.stack) {
            f.stack.reset(new char[stack_bytes]);
            strand_make(f.flow, f.stack.get(), stack_bytes, body);
        }
        f.place = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
        f.warp = i / 32;
        f.lane = i % 32;
        f.at = READY;
        f.meetings = f.group = 0;
        f.copies.clear();
    }
}

void run_together(dim3 block, unsigned round)
{
    start_fibers(block);
    const std::size_t count = team.count;
    for (bool left = true; left; round++) {
        left = false;
        for (std::size_t k = 0; k < count; k++) {
            team.running = round % 2 ? count - 1 - k : k;
            fiber &f = team.each[team.running];
            if (f.at != READY)
                continue;
            threadIdx = f.place;
            emulation::shadow::turn(team.running);
            strand_change(team.home, f.flow);
            left = left || f.at != OVER;
        }
        if (left && !release())
            die("some threads wait at a barrier that others never reach");
    }
}

void run_alone(dim3 block)
{
    std::size_t thread = 0;
    for (unsigned z = 0; z < block.z; z++)
        for (unsigned y = 0; y < block.y; y++)
            for (unsigned x = 0; x < block.x; x++) {
                threadIdx = {x, y, z};
                emulation::shadow::turn(thread++);
                (*team.thread)();
            }
}

} // namespace

void emulation::wait_block()
{
    wait_as(AT_BLOCK);
}

void emulation::wait_warp()
{
    wait_for_warp(AT_MEMORY);
}

unsigned emulation::lane()
{
    return team.each[team.running].lane;
}

/* All lanes lay out their numbers, then all read: two meetings, the second so that nobody's number changes before it is read. */
std::uint64_t emulation::trade(std::uint64_t mine, unsigned from)
{
    fiber &f = team.each[team.running];
    f.mine = mine;
    wait_for_warp(AT_WARP);
    const std::uint64_t got = team.each[f.warp * 32 + from].mine;
    wait_for_warp(AT_WARP);
    return got;
}

/* One meeting is enough: what a lane brings next lies elsewhere, and nobody brings a third before all have seen the first. */
const emulation::fragment *emulation::meet(const fragment &mine)
{
    fiber &f = team.each[team.running];
    std::vector<fragment> &table = team.fragments[f.meetings++ % 2];
    table[f.warp * 32 + f.lane] = mine;
    wait_for_warp(AT_WARP);
    return &table[f.warp * 32];
}

void emulation::copy_later(void *shared, const void *from, std::size_t bytes)
{
    fiber &f = team.each[team.running];
    if (reinterpret_cast<std::uintptr_t>(shared) % bytes || reinterpret_cast<std::uintptr_t>(from) % bytes)
        emulation::die(team.name, "copies to shared memory from or to where it is not aligned");
    shadow::touched(from, from ? bytes : 0, shadow::READS);
    shadow::touched(shared, bytes, shadow::WRITES_LATER);
    f.copies.push_back({shared, from, bytes, f.group});
}

void emulation::copy_group()
{
    team.each[team.running].group++;
}

void emulation::copy_wait(unsigned left)
{
    fiber &f = team.each[team.running];
    for (; !f.copies.empty() && f.copies.front().group + left < f.group; f.copies.pop_front()) {
        const copy &c = f.copies.front();
        shadow::touched(c.from, c.from ? c.bytes : 0, shadow::READS);
        shadow::touched(c.to, c.bytes, shadow::WROTE);
        if (c.from)
            std::memcpy(c.to, c.from, c.bytes);
        else
            std::memset(c.to, 0, c.bytes);
    }
}

void emulation::run_grid(const char *name, dim3 grid, dim3 block, std::size_t shared, bool together,
                         const std::function<void()> &thread)
{
    team.thread = &thread;
    team.name = name;
    team.together = together;
    emulation::now.blocks = grid;
    emulation::now.threads = block;
    emulation::now.shared = shadow::room(shared);
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = {x, y, z};
                shadow::begin_block(std::size_t(block.x) * block.y * block.z);
                if (shared)
                    std::memset(emulation::now.shared, 0xFF, shared);
                if (together)
                    run_together(block, x + y + z);
                else
                    run_alone(block);
            }
}
