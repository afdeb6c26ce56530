/* shadow.h - what compute-sanitizer's racecheck, initcheck and memcheck would say, found while the emulation runs.
 *
 * The kernels are compiled with -fsanitize=thread and linked without its library: the compiler then calls functions of shadow_calls.cpp
 * at every read and write. For each byte of device memory and of the block's shared memory a cell holds who wrote it last and who read it
 * since. Two touches of a byte, one of them a write, have to be ordered: by one thread, by a barrier of the block, by a wait of the warp
 * that orders memory (__syncwarp; shuffles, ballots and products do not), or, between kernels, by a stream, an event or a host that
 * waited. Blocks of one kernel have no order. Who breaks that is a race, however well this machine's order of execution happens to treat
 * it. A byte that nobody wrote may be copied but not read.
 *
 * A stamp says who: a GROUP, counted up through the whole run, times 64, plus a lane, or that there were several. Every warp gets a new
 * group at every wait, all warps of a block get new ones at its barriers, and blocks and kernels run one after the other; so that
 * comparing groups tells whether an older stamp is of this kernel, this block, this side of the barrier, this side of the warp's wait. */
#ifndef HS_EMULATED_SHADOW_H
#define HS_EMULATED_SHADOW_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace emulation
{

/* How far every stream had come, by its number, as somebody knew it. */
typedef std::vector<unsigned> clock_of;
const clock_of &learn(clock_of &mine, const clock_of &other);

/* A piece of work that touches device memory: a kernel, a copy, a call of a library. */
struct operation {
    const char *name = "";
    unsigned stream = 0, at = 0; /* the AT-th of its stream */
    clock_of before;             /* what is known to be over when it begins, itself included */
    unsigned repeat = 0;         /* of which launch of a recording, 0: none; inside, the same once more: */
    unsigned branch = 0, branch_at = 0;
    clock_of branch_before;
};

namespace shadow
{

extern const bool reports; /* that the kernels do, of which there are two libraries: it takes them five times as long */

/* Device memory, each block in pages of its own with a page behind that nobody may touch; addresses are not used again. */
char *allocate(std::size_t bytes);
void release(char *memory, std::size_t bytes);
char *room(std::size_t bytes);                                       /* shared memory of that size; there is one, at least 227 KiB */

void begin(const operation &o);
void settle(const clock_of &host); /* what the host has waited for is over for everybody after */
void begin_block(std::size_t threads);
void turn(std::size_t thread); /* that one runs now */
void block_waited();
void warp_waited(std::size_t warp);

/* What is done to memory other than by kernels; host memory is let through. LATER: a copy is under way, nobody may look. */
enum touch { READS, WRITES, WRITES_LATER, WROTE };
void touched(const void *memory, std::size_t bytes, touch how);
void copied(void *to, const void *from, std::size_t bytes); /* what was never written stays so */

} // namespace shadow
} // namespace emulation

#endif
