# hs_cuda.m4 - CUDA toolkit (nvcc, cudart, cuFFT, cuBLAS) and NCCL. Sets NVCC, NVCCFLAGS, CUDA_CFLAGS, CUDA_LIBS, NCCL_CFLAGS, NCCL_LIBS.
AC_DEFUN([HS_CUDA_DIRECTORIES], [
  hs_cuda_dirs="$hs_dir_cuda"
  AS_IF([test -z "$hs_cuda_dirs"], [
    hs_nvcc_path=`command -v nvcc 2>/dev/null`
    hs_cuda_dirs="$CUDA_HOME $CUDA_PATH ${hs_nvcc_path:+`dirname \`dirname $hs_nvcc_path\``} /usr/local/cuda /usr"])
])

AC_DEFUN([HS_CHECK_CUDA], [
  HS_WITH([cuda], [CUDA toolkit with cuFFT and cuBLAS])
  AC_ARG_VAR([NVCC], [CUDA compiler])
  AC_ARG_VAR([NVCCFLAGS], [flags of NVCC])
  AC_ARG_WITH([cuda-arch], [AS_HELP_STRING([--with-cuda-arch=80,90], [architectures to compile for (default: 80,90)])],
    [hs_cuda_arch=$withval], [hs_cuda_arch=80,90])
  hs_cuda_version=
  AS_IF([test "$hs_want_cuda" != no], [
    HS_CUDA_DIRECTORIES
    AC_MSG_CHECKING([for CUDA])
    for hs_try in $hs_cuda_dirs; do
      AS_IF([test $hs_have_cuda = no && test -x "$hs_try/bin/nvcc"], [
        for hs_lib in lib64 lib targets/x86_64-linux/lib targets/sbsa-linux/lib; do
          AS_IF([test $hs_have_cuda = no && test -d "$hs_try/$hs_lib"], [
            CUDA_CFLAGS="-I$hs_try/include"
            CUDA_LIBS="-L$hs_try/$hs_lib -Wl,-rpath,$hs_try/$hs_lib -lcufft -lcublas -lcudart"
            HS_TRY_LINK([hs_have_cuda], [$CUDA_CFLAGS], [$CUDA_LIBS],
              [[#include <cuda_runtime_api.h>
#include <cufft.h>
#include <cublas_v2.h>]],
              [[int n; cudaGetDeviceCount(&n); cufftDestroy(0); cublasDestroy(0)]], [hs_cuda_home=$hs_try], [])])
        done])
    done
    AC_MSG_RESULT([$hs_have_cuda${hs_cuda_home:+ ($hs_cuda_home)}])
    AS_IF([test $hs_have_cuda = no], [CUDA_CFLAGS= CUDA_LIBS=
      HS_MISSING([cuda], [no CUDA toolkit was found: ranks compute on CPU cores], [install the CUDA toolkit and give --with-cuda=DIR])])
  ])
  AS_IF([test $hs_have_cuda = yes], [
    NVCC=${NVCC:-$hs_cuda_home/bin/nvcc}
    hs_cuda_version=`$NVCC --version | sed -n 's/.*release \([[0-9.]]*\).*/\1/p'`
    AS_IF([test -z "$NVCCFLAGS"], [NVCCFLAGS=-O3])
    hs_last=
    for hs_a in `echo $hs_cuda_arch | tr ',' ' '`; do
      NVCCFLAGS="$NVCCFLAGS -gencode arch=compute_$hs_a,code=sm_$hs_a"; hs_last=$hs_a
    done
    NVCCFLAGS="$NVCCFLAGS -gencode arch=compute_$hs_last,code=compute_$hs_last"
  ])
  AS_IF([test $hs_have_cuda = yes], [AC_DEFINE([HAVE_CUDA_BACKEND], [1], [Define if the CUDA backend is built])])
  AM_CONDITIONAL([HS_CUDA], [test $hs_have_cuda = yes])
  AC_SUBST([CUDA_CFLAGS]) AC_SUBST([CUDA_LIBS])
])

# The tests run the kernels on the host, for which they need a C++17 compiler. Nothing else does.
AC_DEFUN([HS_CHECK_CXX], [
  AC_MSG_CHECKING([for a C++17 compiler, for tests of cuda/])
  AC_LANG_PUSH([C++])
  hs_save_cxxflags=$CXXFLAGS
  CXXFLAGS="$CXXFLAGS -std=c++17"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <functional>]], [[std::function<void()> f; if constexpr (sizeof f > 0) f = [] {};]])],
    [hs_have_cxx=yes], [hs_have_cxx=no])
  dnl Kernels report their reads and writes to tests/cuda_emulation/shadow.h, unless the address sanitizer looks.
  HS_SHADOW=
  dnl What is moved at once from or to an address that does not divide by its size ends the program, as on a GPU.
  hs_shadow="-fsanitize=thread,alignment -fsanitize-undefined-trap-on-error"
  CXXFLAGS="$hs_save_cxxflags $hs_shadow"
  AS_IF([test "$hs_sanitizers" = no], [AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])], [HS_SHADOW=$hs_shadow])])
  dnl The same under the address sanitizer, in a few programs; where all is built with it, the others are they.
  HS_ASAN=
  hs_asan="-fsanitize=address -fno-omit-frame-pointer"
  CXXFLAGS="$hs_save_cxxflags $hs_asan"
  AS_IF([test "$hs_sanitizers" = no], [AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [HS_ASAN=$hs_asan])])
  CXXFLAGS=$hs_save_cxxflags
  AC_LANG_POP([C++])
  AC_MSG_RESULT([$hs_have_cxx])
  AM_CONDITIONAL([HS_CXX], [test $hs_have_cxx = yes])
  AM_CONDITIONAL([HS_ASAN], [test $hs_have_cxx = yes && test -n "$HS_ASAN"])
  AC_SUBST([HS_SHADOW]) AC_SUBST([HS_ASAN])
])

AC_DEFUN([HS_CHECK_NCCL], [
  HS_WITH([nccl], [NCCL, sums between GPUs])
  hs_nccl_version=
  AS_IF([test "$hs_want_nccl" != no && test $hs_have_cuda = yes], [
    AC_MSG_CHECKING([for NCCL])
    for hs_try in $hs_dir_nccl $NCCL_HOME $hs_cuda_home /usr; do
      for hs_lib in lib64 lib lib/x86_64-linux-gnu; do
        AS_IF([test $hs_have_nccl = no && test -f "$hs_try/include/nccl.h" && test -d "$hs_try/$hs_lib"], [
          NCCL_CFLAGS="-I$hs_try/include" NCCL_LIBS="-L$hs_try/$hs_lib -Wl,-rpath,$hs_try/$hs_lib -lnccl"
          HS_TRY_LINK([hs_have_nccl], [$CUDA_CFLAGS $NCCL_CFLAGS], [$NCCL_LIBS $CUDA_LIBS], [[#include <nccl.h>]],
            [[int v; ncclGetVersion(&v)]], [hs_nccl_home=$hs_try], [])])
      done
    done
    AC_MSG_RESULT([$hs_have_nccl${hs_nccl_home:+ ($hs_nccl_home)}])
    AS_IF([test $hs_have_nccl = no], [NCCL_CFLAGS= NCCL_LIBS=
      HS_MISSING([nccl], [NCCL was not found: sums between GPUs go through MPI], [install NCCL and give --with-nccl=DIR])],
      [hs_nccl_version=`sed -n 's/^#define NCCL_\(MAJOR\|MINOR\|PATCH\) *//p' "$hs_nccl_home/include/nccl.h" | tr '\n' '.' | sed 's/\.$//'`])
  ])
  AS_IF([test "$hs_want_nccl" = guess && test $hs_have_cuda = no], [hs_why_nccl="needs CUDA"])
  AS_IF([test $hs_have_nccl = yes], [AC_DEFINE([HAVE_NCCL], [1], [Define if sums between GPUs can go through NCCL])])
  AM_CONDITIONAL([HS_NCCL], [test $hs_have_nccl = yes])
  AC_SUBST([NCCL_CFLAGS]) AC_SUBST([NCCL_LIBS])
])
