/* libraries.cpp - what stands in for cuFFT and cuBLAS: direct sums and plain loops, queued on the stream like everything else.
 * They refuse what the originals refuse. A transform spoils the memory that it was given to work in; one to reals destroys its half spectrum
 * too, and gives nothing but NaN where that is not Hermitian: what the original makes of it differs from size to size. */
#include <cstring>
#include <map>
#include <vector>

#include "cublas_v2.h"
#include "cuda_runtime.h"
#include "cufft.h"
#include "shadow.h"

/* ---- cuFFT -------------------------------------------------------------------------------------------------------------- */

namespace
{

struct fft_plan {
    int h, w, in_row, in_dist, out_row, out_dist, batch; /* rows and distances in numbers of their types; h = 0: not made yet */
    cufftType type;
    std::size_t in_bytes, out_bytes; /* of a number */
    bool allocates;
    std::size_t work;
    void *area;
    cudaStream_t stream;
    std::vector<double> cos_h, sin_h, cos_w, sin_w;
};
std::map<int, fft_plan> plans;
int next_plan = 1;

void circle(int n, std::vector<double> &c, std::vector<double> &s)
{
    for (int j = 0; j < n; j++) {
        c.push_back(std::cos(6.283185307179586477 * j / n));
        s.push_back(std::sin(6.283185307179586477 * j / n));
    }
}

/* Sum over ky of one column of a half spectrum, e^(SIGN 2 pi i ky y / h). */
void column(const fft_plan &p, int sign, const std::vector<double> &from, std::vector<double> &to)
{
    const int columns = p.w / 2 + 1;
    for (int kx = 0; kx < columns; kx++)
        for (int y = 0; y < p.h; y++) {
            double re = 0, im = 0;
            for (int k = 0; k < p.h; k++) {
                const double *z = &from[2 * (std::size_t)(k * columns + kx)];
                double c = p.cos_h[(std::size_t)(k * y % p.h)], s = sign * p.sin_h[(std::size_t)(k * y % p.h)];
                re += z[0] * c - z[1] * s;
                im += z[0] * s + z[1] * c;
            }
            to[2 * (std::size_t)(y * columns + kx)] = re;
            to[2 * (std::size_t)(y * columns + kx) + 1] = im;
        }
}

void plane_forward(const fft_plan &p, const float *from, float *to)
{
    const int columns = p.w / 2 + 1;
    std::vector<double> half(2 * (std::size_t)(p.h * columns)), full(half.size());
    for (int y = 0; y < p.h; y++)
        for (int kx = 0; kx < columns; kx++) {
            double re = 0, im = 0;
            for (int x = 0; x < p.w; x++) {
                re += from[y * p.in_row + x] * p.cos_w[(std::size_t)(kx * x % p.w)];
                im -= from[y * p.in_row + x] * p.sin_w[(std::size_t)(kx * x % p.w)];
            }
            half[2 * (std::size_t)(y * columns + kx)] = re;
            half[2 * (std::size_t)(y * columns + kx) + 1] = im;
        }
    column(p, -1, half, full);
    for (int y = 0; y < p.h; y++)
        for (int kx = 0; kx < 2 * columns; kx++)
            to[2 * y * p.out_row + kx] = (float)full[2 * (std::size_t)(y * columns) + (std::size_t)kx];
}

/* Columns that are their own mirror hold a bin and its conjugate, or a real number. */
bool is_hermitian(const fft_plan &p, const std::vector<double> &full)
{
    const auto same = [](double a, double b) { return a == b || (a != a && b != b); };
    const int columns = p.w / 2 + 1;
    for (int kx = 0; kx < columns; kx += p.w % 2 == 0 ? p.w / 2 : columns)
        for (int ky = 0; ky < p.h; ky++) {
            const double *z = &full[2 * (std::size_t)(ky * columns + kx)], *mirror = &full[2 * (std::size_t)((p.h - ky) % p.h * columns + kx)];
            if (!same(z[0], mirror[0]) || !same(z[1], -mirror[1]))
                return false;
        }
    return true;
}

void plane_inverse(const fft_plan &p, const float *from, float *to)
{
    const int columns = p.w / 2 + 1;
    std::vector<double> full(2 * (std::size_t)(p.h * columns)), half(full.size());
    for (int y = 0; y < p.h; y++)
        for (int kx = 0; kx < 2 * columns; kx++)
            full[2 * (std::size_t)(y * columns) + (std::size_t)kx] = from[2 * y * p.in_row + kx];
    const bool hermitian = is_hermitian(p, full);
    column(p, 1, full, half);
    for (int y = 0; y < p.h; y++)
        for (int x = 0; x < p.w; x++) {
            double sum = 0;
            for (int kx = 0; kx < columns; kx++) {
                const double *z = &half[2 * (std::size_t)(y * columns + kx)];
                const bool alone = kx == 0 || 2 * kx == p.w;
                sum += (alone ? 1 : 2) *
                       (z[0] * p.cos_w[(std::size_t)(kx * x % p.w)] - z[1] * p.sin_w[(std::size_t)(kx * x % p.w)]);
            }
            to[y * p.out_row + x] = hermitian ? (float)sum : NAN;
        }
}

/* Complex, of one dimension. */
void line(const fft_plan &p, int direction, const float *from, float *to)
{
    std::vector<double> x(from, from + 2 * p.h), y(x.size());
    column(p, direction, x, y);
    for (int i = 0; i < 2 * p.h; i++)
        to[i] = (float)y[(std::size_t)i];
}

/* The numbers that a transform reads and writes; the half spectrum it reads may be destroyed, so it is written too. */
void touch_plane(const fft_plan &p, const float *from, float *to)
{
    const std::size_t complex = (std::size_t)(p.w / 2 + 1) * 8, reals = p.type == CUFFT_C2C ? complex : (std::size_t)p.w * 4;
    const bool forward = p.type == CUFFT_R2C;
    for (int y = 0; y < p.h; y++) {
        const float *row = from + (std::size_t)y * (std::size_t)p.in_row * (forward ? 1 : 2);
        emulation::shadow::touched(row, forward ? reals : complex, emulation::shadow::READS);
        if (!forward)
            emulation::shadow::touched(row, complex, emulation::shadow::WRITES);
        emulation::shadow::touched(to + (std::size_t)y * (std::size_t)p.out_row * (forward ? 2 : 1), forward ? complex : reals,
                                   emulation::shadow::WRITES);
    }
}

cufftResult execute(int handle, cufftType type, int direction, void *from, void *to)
{
    auto found = plans.find(handle);
    if (found == plans.end() || found->second.type != type || !found->second.h || !found->second.stream)
        return CUFFT_INVALID_PLAN;
    fft_plan *p = &found->second;
    const std::uintptr_t x = reinterpret_cast<std::uintptr_t>(from), y = reinterpret_cast<std::uintptr_t>(to);
    const int in = (int)p->in_bytes, out = (int)p->out_bytes;
    if (!emulation::is_device(from) || !emulation::is_device(to) || x % p->in_bytes || y % p->out_bytes || !p->area)
        return p->area ? CUFFT_INVALID_VALUE : CUFFT_NO_WORKSPACE;
    /* In place, a row of reals lies where its row of complex numbers does. */
    if (x == y && (p->in_row * in != p->out_row * out || p->in_dist * in != p->out_dist * out))
        return CUFFT_INVALID_VALUE;
    emulation::queue(p->stream, [=, area = p->area] {
        const char *reads = static_cast<const char *>(emulation::reach(from, "cuFFT"));
        char *writes = static_cast<char *>(emulation::reach(to, "cuFFT")), *room = static_cast<char *>(emulation::reach(area, "cuFFT"));
        emulation::shadow::touched(room, p->work, emulation::shadow::WRITES);
        std::memset(room, 0xFF, p->work);
        for (int b = 0; b < p->batch; b++) {
            const float *one = reinterpret_cast<const float *>(reads + p->in_bytes * (std::size_t)b * (std::size_t)p->in_dist);
            float *other = reinterpret_cast<float *>(writes + p->out_bytes * (std::size_t)b * (std::size_t)p->out_dist);
            touch_plane(*p, one, other);
            type == CUFFT_R2C ? plane_forward(*p, one, other) : type == CUFFT_C2R ? plane_inverse(*p, one, other) : line(*p, direction, one, other);
        }
    }, "cuFFT");
    return CUFFT_SUCCESS;
}

} // namespace

cufftResult cufftGetVersion(int *version)
{
    *version = CUFFT_VERSION;
    return CUFFT_SUCCESS;
}

cufftResult cufftCreate(cufftHandle *plan)
{
    if (emulation::spoils_recording())
        return CUFFT_ALLOC_FAILED;
    *plan = next_plan++;
    plans[*plan] = fft_plan{0, 0, 0, 0, 0, 0, 0, CUFFT_R2C, 0, 0, true, 0, nullptr, nullptr, {}, {}, {}, {}};
    return CUFFT_SUCCESS;
}

cufftResult cufftSetAutoAllocation(cufftHandle plan, int allocates)
{
    if (!plans.count(plan) || plans[plan].h)
        return CUFFT_INVALID_PLAN;
    plans[plan].allocates = allocates;
    return CUFFT_SUCCESS;
}

/* Of what the original offers, what halfspec uses. A dimension of one number is refused: the original does not say what it does. */
cufftResult cufftMakePlanMany64(cufftHandle plan, int rank, long long *n, long long *inembed, long long istride, long long idist,
                                long long *onembed, long long ostride, long long odist, cufftType type, long long batch, size_t *work)
{
    if (!plans.count(plan) || plans[plan].h || emulation::spoils_recording()) /* allocates */
        return CUFFT_INVALID_PLAN;
    if (plans[plan].allocates)
        emulation::die("cuFFT", "takes memory of the device for a plan, which nobody has planned");
    if (istride != 1 || ostride != 1 || !inembed || !onembed || rank < 1 || rank > 2 || (rank == 2 && type == CUFFT_C2C))
        return CUFFT_INVALID_VALUE;
    if (n[0] < 2 || n[rank - 1] < 2 || batch < 1)
        return CUFFT_INVALID_SIZE;
    const bool complex = type == CUFFT_C2C;
    const long long h = rank == 2 || complex ? n[0] : 1, w = complex ? 1 : n[rank - 1], half = w / 2 + 1, lines = rank == 2 ? h : 1;
    const long long in = complex ? h : type == CUFFT_R2C ? w : half, out = complex ? h : type == CUFFT_R2C ? half : w;
    const long long in_row = inembed[rank - 1], out_row = onembed[rank - 1];
    if (in_row < in || out_row < out || (batch > 1 && (idist < lines * in_row || odist < lines * out_row)))
        return CUFFT_INVALID_VALUE; /* rows or planes overlap */
    fft_plan p{(int)h, (int)w, complex ? 1 : (int)in_row, (int)idist, complex ? 1 : (int)out_row, (int)odist, (int)batch, type,
               type == CUFFT_R2C ? 4u : 8u, type == CUFFT_C2R ? 4u : 8u, false, 0, nullptr, nullptr, {}, {}, {}, {}};
    p.work = *work = (std::size_t)batch * (std::size_t)(h * half) * 8; /* the original needs none to several times as much */
    circle(p.h, p.cos_h, p.sin_h);
    circle(p.w, p.cos_w, p.sin_w);
    plans[plan] = p;
    return CUFFT_SUCCESS;
}

cufftResult cufftSetWorkArea(cufftHandle plan, void *area)
{
    if (!plans.count(plan) || !emulation::is_device(area) || reinterpret_cast<std::uintptr_t>(area) % 256)
        return CUFFT_INVALID_VALUE;
    plans[plan].area = area;
    return CUFFT_SUCCESS;
}

cufftResult cufftSetStream(cufftHandle plan, cudaStream_t stream)
{
    if (!plans.count(plan))
        return CUFFT_INVALID_PLAN;
    plans[plan].stream = stream;
    return CUFFT_SUCCESS;
}

cufftResult cufftExecR2C(cufftHandle plan, cufftReal *from, cufftComplex *to)
{
    return execute(plan, CUFFT_R2C, CUFFT_FORWARD, from, to);
}

cufftResult cufftExecC2R(cufftHandle plan, cufftComplex *from, cufftReal *to)
{
    return execute(plan, CUFFT_C2R, CUFFT_INVERSE, from, to);
}

cufftResult cufftExecC2C(cufftHandle plan, cufftComplex *from, cufftComplex *to, int direction)
{
    return execute(plan, CUFFT_C2C, direction, from, to);
}

cufftResult cufftDestroy(cufftHandle plan)
{
    cudaDeviceSynchronize(); /* queued work still looks at the plan */
    return plans.erase(plan) ? CUFFT_SUCCESS : CUFFT_INVALID_PLAN;
}

/* ---- cuBLAS ------------------------------------------------------------------------------------------------------------- */

struct cublasContext {
    cudaStream_t stream;
    bool has_workspace;
};

cublasStatus_t cublasCreate(cublasHandle_t *handle)
{
    if (emulation::spoils_recording()) /* allocates */
        return CUBLAS_STATUS_ALLOC_FAILED;
    *handle = new cublasContext{nullptr, false};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle)
{
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream)
{
    handle->stream = stream;
    handle->has_workspace = false; /* as the original */
    return CUBLAS_STATUS_SUCCESS;
}

/* Sums are exact here in any mode. */
cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t)
{
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t)
{
    if (!emulation::is_device(workspace) || reinterpret_cast<std::uintptr_t>(workspace) % 256)
        return CUBLAS_STATUS_INVALID_VALUE;
    handle->has_workspace = true;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetProperty(libraryPropertyType type, int *value)
{
    *value = type == MAJOR_VERSION ? CUBLAS_VERSION / 10000 : type == MINOR_VERSION ? CUBLAS_VERSION / 100 % 100 : CUBLAS_VERSION % 100;
    return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS ? "CUBLAS_STATUS_SUCCESS" : "CUBLAS_STATUS (emulated)";
}

static float float_of(std::uint32_t bits)
{
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

/* To KEPT bits of mantissa, nearest, ties to even; NaN stays NaN. */
static float rounded(float x, int kept)
{
    std::uint32_t bits;
    const int lost = 23 - kept;
    if (lost == 0 || x != x)
        return x;
    std::memcpy(&bits, &x, sizeof bits);
    bits += (1u << (lost - 1)) - 1 + (bits >> lost & 1);
    return float_of(bits & ~((1u << lost) - 1));
}

/* What a product sees of number I of an array. */
static float factor(const void *array, cudaDataType type, std::size_t i, int kept)
{
    if (type == CUDA_R_16BF)
        return float_of((std::uint32_t) static_cast<const std::uint16_t *>(array)[i] << 16);
    return rounded(static_cast<const float *>(array)[i], kept);
}

/* A matrix of ROWS x COLS as products see it, column after column. */
static std::vector<float> factors(const void *array, cudaDataType type, int rows, int cols, int ld, int kept)
{
    const std::size_t bytes = type == CUDA_R_16BF ? 2 : 4;
    std::vector<float> all;
    for (int j = 0; j < cols; j++) {
        emulation::shadow::touched(static_cast<const char *>(array) + bytes * (std::size_t)j * (std::size_t)ld, bytes * (std::size_t)rows,
                                   emulation::shadow::READS);
        for (int i = 0; i < rows; i++)
            all.push_back(factor(array, type, (std::size_t)j * (std::size_t)ld + (std::size_t)i, kept));
    }
    return all;
}

/* One product, column-major: columns of C from columns of op(A), so that the inner loop runs along memory where A is not
 * transposed. TO (j, i, sum) takes the numbers. */
template <typename To>
static void product(bool trans_a, bool trans_b, int m, int n, int k, const float *a, const float *b, To to)
{
    const std::size_t lda = (std::size_t)(trans_a ? k : m), ldb = (std::size_t)(trans_b ? n : k);
    std::vector<double> sum((std::size_t)m);
    for (int j = 0; j < n; j++) {
        std::fill(sum.begin(), sum.end(), 0.0);
        for (int l = 0; l < k; l++) {
            const double right = trans_b ? b[(std::size_t)l * ldb + (std::size_t)j] : b[(std::size_t)j * ldb + (std::size_t)l];
            if (trans_a)
                for (int i = 0; i < m; i++)
                    sum[(std::size_t)i] += a[(std::size_t)i * lda + (std::size_t)l] * right;
            else
                for (int i = 0; i < m; i++)
                    sum[(std::size_t)i] += a[(std::size_t)l * lda + (std::size_t)i] * right;
        }
        for (int i = 0; i < m; i++)
            to(j, i, sum[(std::size_t)i]);
    }
}

/* alpha sum + beta C, stored as C is. */
static void put(void *c, cudaDataType type, std::size_t at, double sum, float alpha, float beta)
{
    const double old = beta == 0 ? 0 : beta * (double)factor(c, type, at, 23);
    const float value = (float)(alpha * sum + old);
    if (type == CUDA_R_32F) {
        static_cast<float *>(c)[at] = value;
        return;
    }
    std::uint32_t bits;
    const float half = rounded(value, 7);
    std::memcpy(&bits, &half, sizeof bits);
    static_cast<std::uint16_t *>(c)[at] = (std::uint16_t)(bits >> 16);
}

static void touch_column(void *c, std::size_t bytes, bool read)
{
    if (read)
        emulation::shadow::touched(c, bytes, emulation::shadow::READS);
    emulation::shadow::touched(c, bytes, emulation::shadow::WRITES);
}

/* A matrix where one may be. */
static bool fits(const void *matrix, cudaDataType type)
{
    return emulation::is_device(matrix) && reinterpret_cast<std::uintptr_t>(matrix) % (type == CUDA_R_16BF ? 2 : 4) == 0;
}

static int kept_bits(cublasComputeType_t compute)
{
    return compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? 10 : compute == CUBLAS_COMPUTE_32F_FAST_16BF ? 7 : 23;
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n,
                                          int k, const void *alpha, const void *a, cudaDataType type_a, int lda,
                                          long long stride_a, const void *b, cudaDataType type_b, int ldb, long long stride_b,
                                          const void *beta, void *c, cudaDataType type_c, int ldc, long long stride_c, int batch,
                                          cublasComputeType_t compute, cublasGemmAlgo_t)
{
    const bool ta = op_a == CUBLAS_OP_T, tb = op_b == CUBLAS_OP_T;
    if (!handle->stream)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    if (emulation::is_recording(handle->stream) && !handle->has_workspace)
        emulation::die("cuBLAS", "is recorded without a workspace of ours, so it takes one of its own at every recording");
    if (!alpha || !beta || emulation::is_device(alpha) || emulation::is_device(beta) || !fits(a, type_a) || !fits(b, type_b) || !fits(c, type_c))
        return CUBLAS_STATUS_INVALID_VALUE; /* the mode of pointers is that of the host */
    if (m < 0 || n < 0 || k < 0 || batch < 0 || batch > 65535 || lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m || lda < 1 ||
        ldb < 1 || ldc < 1)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (type_a != type_b || (type_a == CUDA_R_32F && type_c != CUDA_R_32F) || (type_a == CUDA_R_16BF && compute != CUBLAS_COMPUTE_32F))
        return CUBLAS_STATUS_INVALID_VALUE; /* of what the original offers, what halfspec uses */
    const float al = *static_cast<const float *>(alpha), be = *static_cast<const float *>(beta);
    const int kept = kept_bits(compute);
    emulation::loads(handle->stream, "cuBLAS", {ta, tb, m, n, k, type_a, lda, ldb, type_c, ldc, batch, compute}); /* what its choice of a kernel rests on */
    emulation::queue(handle->stream, [=] {
        const char *x = static_cast<const char *>(emulation::reach(a, "cuBLAS, A")),
                   *y = static_cast<const char *>(emulation::reach(b, "cuBLAS, B"));
        char *z = static_cast<char *>(emulation::reach(c, "cuBLAS, C"));
        const int bytes = type_a == CUDA_R_16BF ? 2 : 4, bytes_c = type_c == CUDA_R_16BF ? 2 : 4;
        for (int i = 0; i < batch; i++) {
            const std::vector<float> left = factors(x + i * stride_a * bytes, type_a, ta ? k : m, ta ? m : k, lda, kept),
                                     right = factors(y + i * stride_b * bytes, type_b, tb ? n : k, tb ? k : n, ldb, kept);
            for (int col = 0; col < n; col++)
                touch_column(z + ((long long)col * ldc + i * stride_c) * bytes_c, (std::size_t)m * (std::size_t)bytes_c, be != 0);
            product(ta, tb, m, n, k, left.data(), right.data(), [=](int col, int row, double sum) {
                put(z + i * stride_c * bytes_c, type_c, (std::size_t)col * (std::size_t)ldc + (std::size_t)row, sum, al, be);
            });
        }
    }, "cuBLAS");
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, const void *alpha,
                            const void *a, cudaDataType type_a, int lda, const void *b, cudaDataType type_b, int ldb, const void *beta, void *c,
                            cudaDataType type_c, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t algorithm)
{
    return cublasGemmStridedBatchedEx(handle, op_a, op_b, m, n, k, alpha, a, type_a, lda, 0, b, type_b, ldb, 0, beta, c, type_c, ldc, 0, 1, compute,
                                      algorithm);
}
