/* shadow_cells.h - the part of the shadow memory that is looked at with every read and write of a kernel. */
#ifndef HS_EMULATED_SHADOW_CELLS_H
#define HS_EMULATED_SHADOW_CELLS_H

#include <cstddef>
#include <cstdint>

namespace emulation
{
namespace shadow
{

struct cell {
    std::uint32_t wrote, read; /* stamps; 0: nobody */
};

const std::size_t space_bytes = std::size_t(1) << 38;
struct space {
    char *base;  /* device memory, the block's shared memory first */
    cell *cells; /* [space_bytes] */
    /* the thread that runs; stamps of this kernel and of this side of the block's barrier begin at; where shared memory ends, and the rest begins */
    std::uint32_t stamp, kernel, side;
    std::size_t room_end, rest;
};
extern space memory;

enum kind : std::uint32_t { SEVERAL_LANES = 32, SEVERAL_WARPS = 33, SEVERAL_BLOCKS = 34 };

/* Nothing new: this thread has read this since it was written, or so many have that one more does not matter. */
static inline bool read_before(std::uint32_t readers)
{
    return readers == memory.stamp || (readers >= memory.side && readers % 64 == SEVERAL_WARPS) ||
           (readers >= memory.kernel && readers % 64 == SEVERAL_BLOCKS);
}

void check(std::size_t at, std::size_t bytes, bool writes, const void *caller);
void misaligned(std::size_t at, bool writes, const void *caller);

} // namespace shadow
} // namespace emulation

#endif
