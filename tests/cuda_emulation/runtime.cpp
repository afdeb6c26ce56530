/* runtime.cpp - the emulated runtime: memory, devices, errors.
 *
 * A device pointer is the address of a heap block plus 2^55, which no processor in use accepts from a program: host code that
 * follows one dies, pointer arithmetic still works, and kernels are handed the block itself. One block is one allocation of the
 * heap, so the address sanitizer sees a kernel that reaches outside. Streams and recordings are in streams.cpp. Bad
 * states are asked for by the environment, at each call: HS_EMULATE = no-driver, old-driver, no-device, not-ready, wrong-arch, busy,
 * no-recording (none begins) or lost-recording (none ends well; more in nccl.h);
 * HS_EMULATE_DEVICES = number; HS_EMULATE_MEMORY = bytes of a device. */
#include "cuda_runtime.h"
#include "journal.h"

#include "shadow.h"

#include <cstdio>
#include <cstring>
#include <map>

using emulation::die;
using emulation::failed;

static const std::uintptr_t far_away = std::uintptr_t(1) << 55;

static std::map<std::uintptr_t, std::size_t> blocks; /* by host address */
static std::size_t used;
static std::map<const void *, std::size_t> asked; /* shared memory, by kernel */
static const int most_shared = 227 * 1024;        /* compute capability 9.0 */
static cudaError_t last = cudaSuccess;

cudaError_t emulation::failed(cudaError_t error)
{
    return last = error;
}

void emulation::die(const char *who, const char *what)
{
    std::fprintf(stderr, "cuda emulation: %s: %s\n", who, what);
    std::abort();
}

static bool asked_for(const char *state)
{
    const char *value = std::getenv("HS_EMULATE");
    return value && std::strcmp(value, state) == 0;
}

static std::size_t number_from(const char *name, std::size_t otherwise)
{
    const char *value = std::getenv(name);
    return value && *value ? std::strtoull(value, nullptr, 10) : otherwise;
}

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

bool emulation::is_device(const void *pointer)
{
    return reinterpret_cast<std::uintptr_t>(pointer) >= far_away;
}

static std::map<std::uintptr_t, std::size_t>::iterator block_of(std::uintptr_t at)
{
    auto next = blocks.upper_bound(at);
    return next == blocks.begin() ? blocks.end() : --next;
}

void *emulation::reach(const void *device, const char *who)
{
    if (!is_device(device))
        die(who, "a pointer to host memory where device memory is needed (a missing copy?)");
    std::uintptr_t at = reinterpret_cast<std::uintptr_t>(device) - far_away;
    auto block = block_of(at);
    if (block == blocks.end() || at > block->first + block->second)
        die(who, "a pointer to no living block of device memory");
    return reinterpret_cast<void *>(at);
}

/* The same for BYTES from there on; host memory is let through where a copy allows it. */
static void *reach_range(const void *pointer, std::size_t bytes, const char *who)
{
    char *at = static_cast<char *>(emulation::reach(pointer, who));
    auto block = block_of(reinterpret_cast<std::uintptr_t>(at));
    if (reinterpret_cast<std::uintptr_t>(at) + bytes > block->first + block->second)
        die(who, "a range that leaves its block of device memory");
    return at;
}

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    emulation::wants_device("cudaMalloc");
    if (emulation::spoils_recording())
        return failed(cudaErrorStreamCaptureUnsupported);
    if (used + bytes > number_from("HS_EMULATE_MEMORY", std::size_t(1) << 40))
        return failed(cudaErrorMemoryAllocation);
    void *block = emulation::shadow::allocate(bytes);
    if (!block)
        return failed(cudaErrorMemoryAllocation);
    blocks[reinterpret_cast<std::uintptr_t>(block)] = bytes;
    used += bytes;
    *memory = reinterpret_cast<void *>(reinterpret_cast<std::uintptr_t>(block) + far_away);
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    if (!memory)
        return cudaSuccess;
    if (emulation::spoils_recording())
        return failed(cudaErrorStreamCaptureUnsupported);
    auto block = blocks.find(reinterpret_cast<std::uintptr_t>(memory) - far_away);
    if (block == blocks.end())
        die("cudaFree", "of what is no block of device memory, or was freed before");
    cudaDeviceSynchronize(); /* as the original */
    emulation::shadow::release(reinterpret_cast<char *>(block->first), block->second);
    used -= block->second;
    blocks.erase(block);
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *pointer)
{
    attributes->type = emulation::is_device(pointer) ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **memory, size_t bytes)
{
    if (emulation::spoils_recording())
        return failed(cudaErrorStreamCaptureUnsupported);
    *memory = std::malloc(bytes ? bytes : 1);
    return *memory ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeHost(void *memory)
{
    cudaDeviceSynchronize();
    std::free(memory);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream)
{
    bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (emulation::is_device(to) != to_device || emulation::is_device(from) != from_device)
        return failed(cudaErrorInvalidValue);
    /* Stricter than CUDA: a repeat would read what host memory holds by then. */
    if ((!to_device || !from_device) && emulation::is_recording(stream) && emulation::spoils_recording())
        return failed(cudaErrorStreamCaptureUnsupported);
    return emulation::queue(stream, [=] {
        void *into = to_device ? reach_range(to, bytes, "cudaMemcpyAsync") : to;
        const void *out = from_device ? reach_range(from, bytes, "cudaMemcpyAsync") : from;
        emulation::shadow::copied(into, out, bytes);
        std::memmove(into, out, bytes);
    }, "cudaMemcpyAsync");
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    if (!emulation::is_device(memory))
        return failed(cudaErrorInvalidValue);
    return emulation::queue(stream, [=] {
        void *at = reach_range(memory, bytes, "cudaMemsetAsync");
        emulation::shadow::touched(at, bytes, emulation::shadow::WRITES);
        std::memset(at, value, bytes);
    }, "cudaMemsetAsync");
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total)
{
    *total = number_from("HS_EMULATE_MEMORY", std::size_t(1) << 40);
    *available = *total - used;
    return cudaSuccess;
}

/* ---- devices and errors ------------------------------------------------------------------------------------------------- */

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = (int)number_from("HS_EMULATE_DEVICES", 1);
    if (asked_for("no-driver") || asked_for("old-driver"))
        return failed(cudaErrorInsufficientDriver);
    if (asked_for("not-ready"))
        return failed(cudaErrorSystemNotReady);
    return asked_for("no-device") || *count == 0 ? failed(cudaErrorNoDevice) : cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = asked_for("no-driver") ? 0 : asked_for("old-driver") ? 11040 : 13000;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

/* A thread that has not chosen one works on device 0, whichever this process took. */
static thread_local bool has_chosen;
static bool somebody_has;

void emulation::wants_device(const char *who)
{
    if (somebody_has && !has_chosen)
        die(who, "in a thread that has not chosen a device (cudaSetDevice)");
}

cudaError_t cudaSetDevice(int device)
{
    has_chosen = somebody_has = true;
    if (device < 0 || device >= (int)number_from("HS_EMULATE_DEVICES", 1))
        return failed(cudaErrorInvalidDevice);
    return asked_for("busy") ? failed(cudaErrorDevicesUnavailable) : cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device)
{
    *properties = cudaDeviceProp{};
    std::snprintf(properties->name, sizeof properties->name, "emulated device %d", device);
    properties->totalGlobalMem = number_from("HS_EMULATE_MEMORY", std::size_t(1) << 40);
    properties->major = asked_for("wrong-arch") ? 5 : 9;
    properties->multiProcessorCount = 132;
    properties->sharedMemPerBlockOptin = most_shared;
    properties->memoryBusWidth = 5120;
    properties->pciBusID = device + 1;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char *id, int capacity, int device)
{
    std::snprintf(id, (std::size_t)capacity, "0000:%02x:00.0", device + 1);
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t error = last;
    last = cudaSuccess;
    return error;
}

const char *cudaGetErrorName(cudaError_t error)
{
    switch (error) {
    case cudaSuccess:
        return "cudaSuccess";
    case cudaErrorMemoryAllocation:
        return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver:
        return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice:
        return "cudaErrorNoDevice";
    case cudaErrorNoKernelImageForDevice:
        return "cudaErrorNoKernelImageForDevice";
    default:
        return "cudaError";
    }
}

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaSuccess ? "no error" : "emulated error";
}

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute, int value)
{
    if (value < 0 || value > most_shared)
        return failed(cudaErrorInvalidValue);
    asked[kernel] = (std::size_t)value;
    return cudaSuccess;
}

std::size_t emulation::shared_limit(const void *kernel)
{
    const auto found = asked.find(kernel);
    return found == asked.end() || found->second < 48 * 1024 ? 48 * 1024 : found->second;
}

/* With up to 255 registers a thread no more than 256 threads are sure to fit without __launch_bounds__. These take 37, which cuda/registers.txt watches. */
static unsigned most_threads(const char *name)
{
    return std::strcmp(name, "gather_kernel") == 0 ? 512 : 256;
}

cudaError_t emulation::launch(cudaStream_t stream, const char *name, dim3 grid, dim3 block, std::size_t shared, bool together,
                              std::function<void()> thread)
{
    const bool legal = grid.x && grid.y && grid.z && block.x && block.y && block.z && grid.y < 65536 && grid.z < 65536 &&
                       block.z <= 64 && block.x * block.y * block.z <= 1024;
    if (!legal)
        return failed(cudaErrorInvalidConfiguration);
    if (block.x * block.y * block.z > most_threads(name))
        die(name, "more threads in a block than are sure to fit: say so in __launch_bounds__, and here");
    if (asked_for("wrong-arch"))
        return failed(cudaErrorNoKernelImageForDevice);
    emulated_note(EMULATED_LAUNCH, name, stream, nullptr);
    return queue(stream, [=] { run_grid(name, grid, block, shared, together, thread); }, name);
}
