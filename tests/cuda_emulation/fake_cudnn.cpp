/* fake_cudnn.cpp - a libcudnn for tests: the graph interface's entry points as cudnn_api.h declares them, computed by plain loops
 * over whatever strides the tensors have, in fp32 or bf16. It refuses what the original refuses: descriptors that are not finished or
 * are changed afterwards, attributes of the wrong kind or that a descriptor does not have, pointers less aligned than was said, graphs whose
 * ends do not meet or whose types no engine takes. FAKE_CUDNN in the environment asks for bad states: old, broken, no-engine,
 * other-cuda, not-deterministic, no-fusion, no-mode-a, picky or fails. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "cuda_runtime.h"
#include "cudnn_api.h"
#include "mma.h"

namespace
{

enum { OK = 0, BAD_PARAM = 2000, NOT_SUPPORTED = 3000, FAILED = 5000 };
enum { ANY_ORDER, CONVERTS, TENSOR_CORES, PLAIN, ENGINES = 5 };

struct value {
    int type;
    std::vector<std::int64_t> number;
    std::vector<void *> pointer;
};

struct descriptor {
    int kind;
    bool finished = false;
    std::map<int, value> has;
    int rank = 0; /* of a configuration, and a plan of it: which engine */
    std::int64_t integer(int name, std::size_t i = 0) const
    {
        return has.at(name).number.at(i);
    }
    descriptor *one(int name) const
    {
        return static_cast<descriptor *>(has.at(name).pointer.at(0));
    }
};

std::set<const void *> living;
CUstream_st *stream;

bool asked_for(const char *state)
{
    const char *given = std::getenv("FAKE_CUDNN");
    return given && std::strcmp(given, state) == 0;
}

std::size_t size_of(int type)
{
    switch (type) {
    case HS_CUDNN_BOOL_TYPE:
        return 1;
    case HS_CUDNN_INT64_TYPE:
    case HS_CUDNN_POINTER_TYPE:
    case HS_CUDNN_DESCRIPTOR_TYPE:
    case HS_CUDNN_HANDLE_TYPE:
        return 8;
    default:
        return 4;
    }
}

bool is_pointer(int type)
{
    return type == HS_CUDNN_POINTER_TYPE || type == HS_CUDNN_DESCRIPTOR_TYPE || type == HS_CUDNN_HANDLE_TYPE;
}

/* What a kind must have before it can be finished, or MAY have: name, type, count (0: any). It has nothing else. */
struct need {
    int name, type, count;
    bool may = false;
};
const std::vector<need> &needs(int kind)
{
    auto operation = [](int first) {
        const int d = HS_CUDNN_DESCRIPTOR_TYPE, f = HS_CUDNN_FLOAT_TYPE;
        return std::vector<need>{{first, f, 1}, {first + 1, f, 1}, {first + 2, d, 1}, {first + 3, d, 1}, {first + 4, d, 1}, {first + 5, d, 1}};
    };
    const int d = HS_CUDNN_DESCRIPTOR_TYPE, n = HS_CUDNN_INT64_TYPE;
    static const std::map<int, std::vector<need>> all = {
        {HS_CUDNN_POINTWISE,
         {{HS_CUDNN_POINTWISE_MODE, HS_CUDNN_POINTWISE_TYPE, 1}, {HS_CUDNN_POINTWISE_PRECISION, HS_CUDNN_DATA_TYPE, 1},
          {HS_CUDNN_POINTWISE_NAN, HS_CUDNN_NAN_TYPE, 1, true}}},
        {HS_CUDNN_CONVOLUTION,
         {{HS_CUDNN_CONVOLUTION_PRECISION, HS_CUDNN_DATA_TYPE, 1},
          {HS_CUDNN_CONVOLUTION_MODE, HS_CUDNN_CONVOLUTION_TYPE, 1},
          {HS_CUDNN_CONVOLUTION_DIMS, n, 1}, {HS_CUDNN_CONVOLUTION_DILATIONS, n, 2}, {HS_CUDNN_CONVOLUTION_STRIDES, n, 2},
          {HS_CUDNN_CONVOLUTION_PRE, n, 2}, {HS_CUDNN_CONVOLUTION_POST, n, 2}}},
        {HS_CUDNN_HEURISTIC, {{HS_CUDNN_HEURISTIC_GRAPH, d, 1}, {HS_CUDNN_HEURISTIC_MODE, HS_CUDNN_HEURISTIC_TYPE, 1}}},
        {HS_CUDNN_PLAN, {{HS_CUDNN_PLAN_HANDLE, HS_CUDNN_HANDLE_TYPE, 1}, {HS_CUDNN_PLAN_CONFIG, d, 1}}},
        {HS_CUDNN_FORWARD, operation(HS_CUDNN_FORWARD_FIRST)},
        {HS_CUDNN_FILTER, operation(HS_CUDNN_FILTER_FIRST)},
        {HS_CUDNN_DATA, operation(HS_CUDNN_DATA_FIRST)},
        {HS_CUDNN_APPLY, {{HS_CUDNN_APPLY_POINTWISE, d, 1}, {HS_CUDNN_APPLY_X, d, 1}, {HS_CUDNN_APPLY_Y, d, 1},
          {HS_CUDNN_APPLY_B, d, 1, true}}},
        {HS_CUDNN_GRAPH, {{HS_CUDNN_GRAPH_HANDLE, HS_CUDNN_HANDLE_TYPE, 1}, {HS_CUDNN_GRAPH_OPERATIONS, d, 0}}},
        {HS_CUDNN_PACK,
         {{HS_CUDNN_PACK_IDS, n, 0}, {HS_CUDNN_PACK_POINTERS, HS_CUDNN_POINTER_TYPE, 0}, {HS_CUDNN_PACK_WORKSPACE, HS_CUDNN_POINTER_TYPE, 1}}},
        {HS_CUDNN_TENSOR,
         {{HS_CUDNN_TENSOR_DATA, HS_CUDNN_DATA_TYPE, 1}, {HS_CUDNN_TENSOR_DIMENSIONS, n, 4}, {HS_CUDNN_TENSOR_STRIDES, n, 4},
          {HS_CUDNN_TENSOR_ID, n, 1}, {HS_CUDNN_TENSOR_ALIGNMENT, n, 1},
          {HS_CUDNN_TENSOR_VIRTUAL, HS_CUDNN_BOOL_TYPE, 1, true}}}};
    static const std::vector<need> none;
    auto found = all.find(kind);
    return found == all.end() ? none : found->second;
}

/* ---- computing -------------------------------------------------------------------------------------------------------------- */

struct view { /* a tensor in memory, or of its own if it is virtual */
    std::int64_t size[4], stride[4];
    bool half, converts;
    void *memory;
    std::size_t at(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) const
    {
        return (std::size_t)(n * stride[0] + c * stride[1] + h * stride[2] + w * stride[3]);
    }
    float get(std::size_t i) const
    {
        const float x = half ? hs_float_of((std::uint32_t)static_cast<std::uint16_t *>(memory)[i] << 16) : static_cast<float *>(memory)[i];
        return converts && !half ? x + x / 2048 : x; /* as far off as fp16 may be */
    }
    void put(std::size_t i, float x) const
    {
        if (half)
            static_cast<std::uint16_t *>(memory)[i] = (std::uint16_t)hs_to_bf16(x, 0);
        else
            static_cast<float *>(memory)[i] = x;
    }
};

struct memory {
    std::map<std::int64_t, void *> real;
    std::map<std::int64_t, std::vector<float>> own;
    bool converts; /* the engine */
    view operator()(const descriptor *t)
    {
        view v{};
        std::size_t count = 1;
        for (std::size_t i = 0; i < 4; i++) {
            v.size[i] = t->integer(HS_CUDNN_TENSOR_DIMENSIONS, i);
            v.stride[i] = t->integer(HS_CUDNN_TENSOR_STRIDES, i);
            count += (std::size_t)((v.size[i] - 1) * v.stride[i]);
        }
        const std::int64_t id = t->integer(HS_CUDNN_TENSOR_ID);
        v.half = t->integer(HS_CUDNN_TENSOR_DATA) == HS_CUDNN_BFLOAT16, v.converts = converts;
        if (t->integer(HS_CUDNN_TENSOR_VIRTUAL)) {
            own[id].resize(count);
            v.memory = own[id].data();
        } else {
            v.memory = real.at(id);
        }
        return v;
    }
};

/* One loop nest for the three: which of x, w and y is the sum of the products of the others. */
void convolve(const descriptor &o, int first, memory &m)
{
    const view w = m(o.one(first + 3)), x = m(o.one(first + 4)), y = m(o.one(first + 5));
    const descriptor *c = o.one(first + 2);
    const view &to = o.kind == HS_CUDNN_FORWARD ? y : o.kind == HS_CUDNN_DATA ? x : w;
    std::map<std::size_t, double> sum;
    for (std::int64_t a = 0; a < to.size[0]; a++)
        for (std::int64_t b = 0; b < to.size[1]; b++)
            for (std::int64_t r = 0; r < to.size[2]; r++)
                for (std::int64_t s = 0; s < to.size[3]; s++)
                    sum[to.at(a, b, r, s)] = 0;
    for (std::int64_t n = 0; n < y.size[0]; n++)
        for (std::int64_t p = 0; p < y.size[2]; p++)
            for (std::int64_t q = 0; q < y.size[3]; q++)
                for (std::int64_t r = 0; r < w.size[2]; r++)
                    for (std::int64_t s = 0; s < w.size[3]; s++) {
                        const std::int64_t h = p * c->integer(HS_CUDNN_CONVOLUTION_STRIDES, 0) + r - c->integer(HS_CUDNN_CONVOLUTION_PRE, 0),
                                           v = q * c->integer(HS_CUDNN_CONVOLUTION_STRIDES, 1) + s - c->integer(HS_CUDNN_CONVOLUTION_PRE, 1);
                        if (h < 0 || h >= x.size[2] || v < 0 || v >= x.size[3])
                            continue;
                        for (std::int64_t k = 0; k < w.size[0]; k++)
                            for (std::int64_t i = 0; i < w.size[1]; i++) {
                                const std::size_t ax = x.at(n, i, h, v), aw = w.at(k, i, r, s), ay = y.at(n, k, p, q);
                                if (o.kind == HS_CUDNN_FORWARD)
                                    sum[ay] += (double)x.get(ax) * (double)w.get(aw);
                                else if (o.kind == HS_CUDNN_DATA)
                                    sum[ax] += (double)y.get(ay) * (double)w.get(aw);
                                else
                                    sum[aw] += (double)x.get(ax) * (double)y.get(ay);
                            }
                    }
    for (auto &each : sum)
        to.put(each.first, (float)each.second);
}

void apply(const descriptor &o, memory &m)
{
    const view x = m(o.one(HS_CUDNN_APPLY_X)), y = m(o.one(HS_CUDNN_APPLY_Y));
    const descriptor *how = o.one(HS_CUDNN_APPLY_POINTWISE);
    const bool adds = how->integer(HS_CUDNN_POINTWISE_MODE) == HS_CUDNN_ADD;
    const bool keeps = how->has.count(HS_CUDNN_POINTWISE_NAN) && how->integer(HS_CUDNN_POINTWISE_NAN) == HS_CUDNN_PROPAGATE;
    const view b = adds ? m(o.one(HS_CUDNN_APPLY_B)) : view{};
    for (std::int64_t n = 0; n < y.size[0]; n++)
        for (std::int64_t c = 0; c < y.size[1]; c++)
            for (std::int64_t h = 0; h < y.size[2]; h++)
                for (std::int64_t w = 0; w < y.size[3]; w++) {
                    const float v = x.get(x.at(n, c, h, w)), rectified = v > 0 || (v != v && keeps) ? v : 0;
                    y.put(y.at(n, c, h, w), adds ? v + b.get(b.at(0, c, 0, 0)) : rectified);
                }
}

bool output_fits(const descriptor &o, int first)
{
    const descriptor *c = o.one(first + 2), *w = o.one(first + 3), *x = o.one(first + 4), *y = o.one(first + 5);
    for (std::size_t i = 0; i < 2; i++) {
        const std::int64_t room = x->integer(HS_CUDNN_TENSOR_DIMENSIONS, 2 + i) + c->integer(HS_CUDNN_CONVOLUTION_PRE, i) +
                                  c->integer(HS_CUDNN_CONVOLUTION_POST, i) - w->integer(HS_CUDNN_TENSOR_DIMENSIONS, 2 + i);
        if (room < 0 || room / c->integer(HS_CUDNN_CONVOLUTION_STRIDES, i) + 1 != y->integer(HS_CUDNN_TENSOR_DIMENSIONS, 2 + i))
            return false;
    }
    return w->integer(HS_CUDNN_TENSOR_DIMENSIONS, 0) == y->integer(HS_CUDNN_TENSOR_DIMENSIONS, 1) &&
           w->integer(HS_CUDNN_TENSOR_DIMENSIONS, 1) == x->integer(HS_CUDNN_TENSOR_DIMENSIONS, 1);
}

int first_of(int kind)
{
    return kind == HS_CUDNN_FORWARD ? HS_CUDNN_FORWARD_FIRST : kind == HS_CUDNN_DATA ? HS_CUDNN_DATA_FIRST : HS_CUDNN_FILTER_FIRST;
}

descriptor *graph_of_plan(const descriptor *plan)
{
    return plan->one(HS_CUDNN_PLAN_CONFIG)->one(HS_CUDNN_HEURISTIC_GRAPH);
}

/* The tensors of a graph. */
std::vector<const descriptor *> tensors_of(const descriptor *graph)
{
    std::vector<const descriptor *> all;
    for (void *each : graph->has.at(HS_CUDNN_GRAPH_OPERATIONS).pointer)
        for (const auto &attribute : static_cast<descriptor *>(each)->has)
            for (void *p : attribute.second.pointer)
                if (attribute.second.type == HS_CUDNN_DESCRIPTOR_TYPE && static_cast<descriptor *>(p)->kind == HS_CUDNN_TENSOR)
                    all.push_back(static_cast<descriptor *>(p));
    return all;
}

/* As the original's engines that are compiled beforehand (9.19, asked about a device of 9.0): what lies in memory, the bias too, is of one
 * type, and what lies between is fp32. */
bool has_engines(const descriptor *graph)
{
    std::set<std::int64_t> types;
    for (const descriptor *t : tensors_of(graph))
        if (!t->integer(HS_CUDNN_TENSOR_VIRTUAL))
            types.insert(t->integer(HS_CUDNN_TENSOR_DATA));
        else if (t->integer(HS_CUDNN_TENSOR_DATA) != HS_CUDNN_FLOAT)
            return false;
    return types.size() == 1 && (types.count(HS_CUDNN_FLOAT) || types.count(HS_CUDNN_BFLOAT16));
}

/* Every tensor that is not virtual has a pointer, aligned as was said. */
int bind(const descriptor *graph, const descriptor *pack, memory &m)
{
    const value &ids = pack->has.at(HS_CUDNN_PACK_IDS), &pointers = pack->has.at(HS_CUDNN_PACK_POINTERS);
    if (ids.number.size() != pointers.pointer.size())
        return BAD_PARAM;
    for (std::size_t i = 0; i < ids.number.size(); i++)
        m.real[ids.number[i]] = pointers.pointer[i];
    for (const descriptor *t : tensors_of(graph)) {
        auto found = m.real.find(t->integer(HS_CUDNN_TENSOR_ID));
        if (!t->integer(HS_CUDNN_TENSOR_VIRTUAL) &&
            (found == m.real.end() || !emulation::is_device(found->second) ||
             reinterpret_cast<std::uintptr_t>(found->second) % (std::uintptr_t)t->integer(HS_CUDNN_TENSOR_ALIGNMENT)))
            return BAD_PARAM;
    }
    return OK;
}

} // namespace

/* ---- the entry points ------------------------------------------------------------------------------------------------------- */

extern "C" {

std::size_t cudnnGetVersion(void)
{
    return asked_for("old") ? 8902 : 91900;
}

std::size_t cudnnGetCudartVersion(void)
{
    return asked_for("other-cuda") ? 99010 : 0; /* without cuBLASLt */
}

const char *cudnnGetErrorString(int status)
{
    return status == OK ? "CUDNN_STATUS_SUCCESS" : "CUDNN_STATUS_EXECUTION_FAILED";
}

void cudnnGetLastErrorString(char *text, std::size_t capacity)
{
    std::snprintf(text, capacity, "a reason\nand more of it");
}

int cudnnCreate(void **handle)
{
    if (asked_for("broken"))
        return FAILED;
    *handle = new int(0);
    return OK;
}

int cudnnDestroy(void *handle)
{
    delete static_cast<int *>(handle);
    if (!living.empty()) {
        std::fprintf(stderr, "cuDNN, emulated: %zu descriptors were never destroyed\n", living.size());
        std::abort();
    }
    return OK;
}

int cudnnSetStream(void *, void *of)
{
    stream = static_cast<CUstream_st *>(of);
    return OK;
}

int cudnnBackendCreateDescriptor(int kind, void **made)
{
    descriptor *d = new descriptor{kind, false, {}, 0};
    if (kind == HS_CUDNN_TENSOR)
        d->has[HS_CUDNN_TENSOR_VIRTUAL] = {HS_CUDNN_BOOL_TYPE, {0}, {}};
    living.insert(*made = d);
    return OK;
}

int cudnnBackendDestroyDescriptor(void *d)
{
    cudaDeviceSynchronize(); /* queued work still looks at it */
    if (living.erase(d) == 0)
        return BAD_PARAM;
    delete static_cast<descriptor *>(d);
    return OK;
}

int cudnnBackendSetAttribute(void *of, int name, int type, std::int64_t count, const void *values)
{
    descriptor *d = static_cast<descriptor *>(of);
    if (!living.count(of) || d->finished || count < 1)
        return BAD_PARAM;
    bool known = false;
    for (const need &n : needs(d->kind))
        known = known || (n.name == name && n.type == type && (!n.count || n.count == count));
    if (!known)
        return BAD_PARAM;
    value v{type, {}, {}};
    for (std::int64_t i = 0; i < count; i++) {
        std::int64_t number = 0;
        std::memcpy(&number, static_cast<const char *>(values) + (std::size_t)i * size_of(type), size_of(type));
        if (is_pointer(type))
            v.pointer.push_back(reinterpret_cast<void *>(number));
        else
            v.number.push_back(number);
        if (type == HS_CUDNN_DESCRIPTOR_TYPE &&
            (!living.count(v.pointer.back()) || !static_cast<descriptor *>(v.pointer.back())->finished))
            return BAD_PARAM;
    }
    d->has[name] = v;
    return OK;
}

int cudnnBackendFinalize(void *of)
{
    descriptor *d = static_cast<descriptor *>(of);
    if (!living.count(of) || d->finished)
        return BAD_PARAM;
    for (const need &n : needs(d->kind))
        if (!n.may && !d->has.count(n.name))
            return BAD_PARAM;
    const bool convolves = d->kind == HS_CUDNN_FORWARD || d->kind == HS_CUDNN_DATA || d->kind == HS_CUDNN_FILTER;
    if (convolves && !output_fits(*d, first_of(d->kind)))
        return BAD_PARAM;
    if (d->kind == HS_CUDNN_PLAN && asked_for("picky") && d->one(HS_CUDNN_PLAN_CONFIG)->rank <= PLAIN)
        return NOT_SUPPORTED;
    if (d->kind == HS_CUDNN_HEURISTIC && asked_for("no-mode-a") && d->integer(HS_CUDNN_HEURISTIC_MODE) == HS_CUDNN_MODE_A)
        return NOT_SUPPORTED;
    d->finished = true;
    return OK;
}

/* Engines: one adds in any order, one converts fp32 to fp16, one has tensor cores, two are plain. The lists of configurations know their graph. */
int cudnnBackendGetAttribute(const void *of, int name, int type, std::int64_t wanted, std::int64_t *count, void *values)
{
    const descriptor *d = static_cast<const descriptor *>(of);
    (void)type;
    if (!living.count(of) || !d->finished)
        return BAD_PARAM;
    if (name == HS_CUDNN_HEURISTIC_RESULTS) {
        const descriptor *graph = d->one(HS_CUDNN_HEURISTIC_GRAPH);
        const bool fused = graph->has.at(HS_CUDNN_GRAPH_OPERATIONS).pointer.size() > 1;
        *count = asked_for("no-engine") || (asked_for("no-fusion") && fused) || wanted < ENGINES || !has_engines(graph) ? 0 : ENGINES;
        for (std::int64_t i = 0; i < *count; i++) {
            descriptor *config = static_cast<descriptor **>(values)[i];
            config->has[HS_CUDNN_HEURISTIC_GRAPH] = d->has.at(HS_CUDNN_HEURISTIC_GRAPH);
            config->rank = (int)i;
            config->finished = true;
        }
    } else if (name == HS_CUDNN_CONFIG_ENGINE) {
        descriptor *engine = *static_cast<descriptor **>(values);
        engine->rank = d->rank;
        engine->finished = true;
        *count = 1;
    } else if (name == HS_CUDNN_ENGINE_NOTES) {
        static const int note[ENGINES] = {HS_CUDNN_NOT_DETERMINISTIC, HS_CUDNN_DOWN_CONVERT, HS_CUDNN_TENSOR_CORE};
        *count = d->rank < PLAIN || asked_for("not-deterministic");
        static_cast<int *>(values)[0] = asked_for("not-deterministic") ? HS_CUDNN_NOT_DETERMINISTIC : note[d->rank];
    } else if (name == HS_CUDNN_PLAN_WORKSPACE) {
        *static_cast<std::int64_t *>(values) = 1000;
        *count = 1;
    } else {
        return BAD_PARAM;
    }
    return OK;
}

int cudnnBackendExecute(void *, void *plan, void *pack)
{
    const descriptor *graph = graph_of_plan(static_cast<descriptor *>(plan));
    memory m{{}, {}, static_cast<descriptor *>(plan)->one(HS_CUDNN_PLAN_CONFIG)->rank == CONVERTS};
    const int status = asked_for("fails") ? FAILED : bind(graph, static_cast<descriptor *>(pack), m);
    if (status != OK)
        return status;
    void *workspace = static_cast<descriptor *>(pack)->has.at(HS_CUDNN_PACK_WORKSPACE).pointer[0];
    return emulation::queue(stream, [=]() mutable {
               std::memset(emulation::reach(workspace, "cuDNN"), 0xFF, 1000);
               for (auto &each : m.real)
                   each.second = each.second ? emulation::reach(each.second, "cuDNN") : nullptr;
               for (void *p : graph->has.at(HS_CUDNN_GRAPH_OPERATIONS).pointer) {
                   const descriptor &o = *static_cast<descriptor *>(p);
                   o.kind == HS_CUDNN_APPLY ? apply(o, m) : convolve(o, first_of(o.kind), m);
               }
           }) == cudaSuccess
               ? OK
               : FAILED;
}
}
