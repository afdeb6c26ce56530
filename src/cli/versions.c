/* versions.c - the table of libraries. What a build leaves out is an empty row, not a missing one: users ask exactly for that. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#ifdef HAVE_MPI
#include <mpi.h>
#endif
#ifdef HAVE_CPU_BACKEND
#include <fftw3.h>
#endif
#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif
#include <zlib.h>
#ifdef HAVE_CUDA_BACKEND
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cufft.h>
#endif
#ifdef HAVE_NCCL
#include <nccl.h>
#endif

#include "hs_store.h"
#include "versions.h"

/* ---- MPI ------------------------------------------------------------------------------------------------------------------------- */

#ifdef HAVE_MPI
/* MPI_Get_library_version may be called before MPI_Init. Its text is long in some libraries: the first line or clause is enough. */
static void mpi_version(char *built, size_t built_size, char *running, size_t running_size)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
#ifdef OMPI_MAJOR_VERSION
    snprintf(built, built_size, "Open MPI %d.%d.%d", OMPI_MAJOR_VERSION, OMPI_MINOR_VERSION, OMPI_RELEASE_VERSION);
#elif defined MPICH_VERSION
    snprintf(built, built_size, "MPICH %s", MPICH_VERSION);
#else
    snprintf(built, built_size, "MPI %d.%d", MPI_VERSION, MPI_SUBVERSION);
#endif
    MPI_Get_library_version(text, &length);
    text[strcspn(text, ",\n")] = '\0';
    snprintf(running, running_size, "%s", text);
}
#define MPI_ROW mpi_version
#else
#define MPI_ROW NULL
#endif

/* ---- FFTW, BLAS -------------------------------------------------------------------------------------------------------------------- */

#ifdef HAVE_CPU_BACKEND
/* FFTW's headers carry no version; the text of the library that runs does. */
static void fftw_row(char *built, size_t built_size, char *running, size_t running_size)
{
    snprintf(built, built_size, "%s", "3");
    snprintf(running, running_size, "%s", fftwf_version);
}
#define FFTW_ROW fftw_row
#else
#define FFTW_ROW NULL
#endif

#ifdef HAVE_OPENBLAS
static void openblas_row(char *built, size_t built_size, char *running, size_t running_size)
{
#ifdef OPENBLAS_VERSION
    const char *text = OPENBLAS_VERSION; /* " OpenBLAS 0.3.21 " */
    text += strspn(text, " ");
    snprintf(built, built_size, "%.*s", (int)strcspn(text, " "), text);
    if (strncmp(text, "OpenBLAS ", 9) == 0)
        snprintf(built, built_size, "%.*s", (int)strcspn(text + 9, " "), text + 9);
#else
    snprintf(built, built_size, "?");
#endif
    snprintf(running, running_size, "%s", openblas_get_config());
}
#define OPENBLAS_ROW openblas_row
#else
#define OPENBLAS_ROW NULL
#endif

/* ---- zlib, always there ------------------------------------------------------------------------------------------------------------- */

static void zlib_row(char *built, size_t built_size, char *running, size_t running_size)
{
    snprintf(built, built_size, "%s", ZLIB_VERSION);
    snprintf(running, running_size, "%s", zlibVersion());
}

/* ---- CUDA, its libraries, NCCL: asked without touching a device --------------------------------------------------------------------------------- */

#ifdef HAVE_CUDA_BACKEND
static void cuda_row(char *built, size_t built_size, char *running, size_t running_size)
{
    int runtime = 0, driver = 0;
    (void)cudaRuntimeGetVersion(&runtime);
    (void)cudaDriverGetVersion(&driver);
    snprintf(built, built_size, "%d.%d", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    if (driver > 0)
        snprintf(running, running_size, "%d.%d, driver for %d.%d", runtime / 1000, runtime % 1000 / 10, driver / 1000, driver % 1000 / 10);
    else
        snprintf(running, running_size, "%d.%d, no driver", runtime / 1000, runtime % 1000 / 10);
}

static void cufft_row(char *built, size_t built_size, char *running, size_t running_size)
{
    int version = 0;
    (void)cufftGetVersion(&version);
    snprintf(built, built_size, "%d.%d", CUFFT_VERSION / 1000, CUFFT_VERSION % 1000 / 100);
    snprintf(running, running_size, "%d.%d", version / 1000, version % 1000 / 100);
}

static void cublas_row(char *built, size_t built_size, char *running, size_t running_size)
{
    int major = 0, minor = 0;
    (void)cublasGetProperty(MAJOR_VERSION, &major);
    (void)cublasGetProperty(MINOR_VERSION, &minor);
    snprintf(built, built_size, "%d.%d", CUBLAS_VER_MAJOR, CUBLAS_VER_MINOR);
    snprintf(running, running_size, "%d.%d", major, minor);
}
#define CUDA_ROW cuda_row
#define CUFFT_ROW cufft_row
#define CUBLAS_ROW cublas_row
#else
#define CUDA_ROW NULL
#define CUFFT_ROW NULL
#define CUBLAS_ROW NULL
#endif

#ifdef HAVE_NCCL
static void nccl_row(char *built, size_t built_size, char *running, size_t running_size)
{
    int version = 0;
    (void)ncclGetVersion(&version);
    snprintf(built, built_size, "%d.%d.%d", NCCL_MAJOR, NCCL_MINOR, NCCL_PATCH);
    snprintf(running, running_size, "%d.%d.%d", version / 10000, version % 10000 / 100, version % 100);
}
#define NCCL_ROW nccl_row
#else
#define NCCL_ROW NULL
#endif

static const library_version table[] = {
    {"MPI", MPI_ROW, "one rank only"},
    {"HDF5", hs_store_version, ""},
    {"FFTW", FFTW_ROW, "no cpu backend"},
    {"OpenBLAS", OPENBLAS_ROW, "another BLAS, or no cpu backend"},
    {"zlib", zlib_row, ""},
    {"CUDA", CUDA_ROW, "no GPU; configure --with-cuda=DIR"},
    {"cuFFT", CUFFT_ROW, "comes with CUDA"},
    {"cuBLAS", CUBLAS_ROW, "comes with CUDA"},
    {"NCCL", NCCL_ROW, "GPUs talk through MPI; configure --with-nccl=DIR"},
};

const library_version *library_versions(int *count)
{
    *count = sizeof table / sizeof *table;
    return table;
}

void library_versions_text(char *text, size_t capacity)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof table / sizeof *table && used < capacity; i++) {
        char built[128] = "", running[256] = "";
        if (!table[i].get)
            continue;
        table[i].get(built, sizeof built, running, sizeof running);
        int n = snprintf(text + used, capacity - used, "%s%s %s (running %s)", used ? "; " : "", table[i].name, built, running);
        used += n > 0 ? (size_t)n : 0;
    }
}
