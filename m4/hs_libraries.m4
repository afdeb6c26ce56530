# hs_libraries.m4 - the smaller libraries: zlib (required), FFTW and a CBLAS (the fast CPU backend needs both), cmocka (unit tests).

# HS_CHECK_SMALL(NAME, VARIABLE, PKG-CONFIG NAMES, FALLBACK LIBS, HEADERS, CALL): sets hs_have_NAME, VARIABLE_CFLAGS, VARIABLE_LIBS.
AC_DEFUN([HS_CHECK_SMALL], [
  AS_IF([test "$hs_want_$1" != no], [
    AC_MSG_CHECKING([for $1])
    AS_IF([test -n "$hs_dir_$1"],
      [$2_CFLAGS="-I$hs_dir_$1/include" $2_LIBS="-L$hs_dir_$1/lib -Wl,-rpath,$hs_dir_$1/lib $4"
       HS_TRY_LINK([hs_have_$1], [$$2_CFLAGS], [$$2_LIBS], [$5], [$6], [], [])],
      [for hs_pc in $3; do
         AS_IF([test $hs_have_$1 = no && test -n "$PKG_CONFIG" && $PKG_CONFIG --exists $hs_pc 2>/dev/null],
           [$2_CFLAGS=`$PKG_CONFIG --cflags $hs_pc` $2_LIBS=`$PKG_CONFIG --libs $hs_pc`
            HS_TRY_LINK([hs_have_$1], [$$2_CFLAGS], [$$2_LIBS], [$5], [$6], [], [])])
       done
       AS_IF([test $hs_have_$1 = no], [$2_CFLAGS= $2_LIBS="$4"
         HS_TRY_LINK([hs_have_$1], [], [$4], [$5], [$6], [], [])])])
    AC_MSG_RESULT([$hs_have_$1])])
  AS_IF([test $hs_have_$1 = no], [$2_CFLAGS= $2_LIBS=])
  AC_SUBST([$2_CFLAGS]) AC_SUBST([$2_LIBS])
])

AC_DEFUN([HS_CHECK_ZLIB], [
  HS_WITH([zlib], [zlib, for gzip data])
  HS_CHECK_SMALL([zlib], [ZLIB], [zlib], [-lz], [[#include <zlib.h>]], [[gzopen("", "r")]])
  AS_IF([test $hs_have_zlib = no], [AC_MSG_ERROR([zlib was not found. To get it: apt-get install zlib1g-dev, or --with-zlib=DIR])])
])

AC_DEFUN([HS_CHECK_FFTW], [
  HS_WITH([fftw], [FFTW, single precision, for transforms on CPU cores])
  HS_CHECK_SMALL([fftw], [FFTW], [fftw3f], [-lfftw3f], [[#include <fftw3.h>]], [[fftwf_plan_dft_r2c_2d(1, 1, 0, 0, 0)]])
  AS_IF([test "$hs_want_fftw" != no && test $hs_have_fftw = no],
    [HS_MISSING([fftw], [FFTW (single precision) was not found: no fast CPU backend], [apt-get install libfftw3-dev, or --with-fftw=DIR])])
])

AC_DEFUN([HS_CHECK_BLAS], [
  HS_WITH([blas], [a CBLAS, for matrix products on CPU cores])
  HS_CHECK_SMALL([blas], [BLAS], [openblas blis mkl-dynamic-lp64-seq cblas], [-lopenblas], [[#include <cblas.h>]],
    [[cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1)]])
  AS_IF([test "$hs_want_blas" != no && test $hs_have_blas = no],
    [HS_MISSING([blas], [no CBLAS was found: no fast CPU backend], [apt-get install libopenblas-dev, or --with-blas=DIR])])
  AS_IF([test $hs_have_blas = yes], [
    HS_TRY_LINK([hs_openblas], [$BLAS_CFLAGS], [$BLAS_LIBS], [[#include <cblas.h>]], [[openblas_set_num_threads(1)]],
      [AC_DEFINE([HAVE_OPENBLAS], [1], [Define if the CBLAS is OpenBLAS])], [])])
])

AC_DEFUN([HS_CHECK_CMOCKA], [
  HS_WITH([cmocka], [cmocka, for unit tests])
  HS_CHECK_SMALL([cmocka], [CMOCKA], [cmocka], [-lcmocka], [[#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>]], [[cmocka_set_message_output(CM_OUTPUT_TAP)]])
  AS_IF([test "$hs_want_cmocka" != no && test $hs_have_cmocka = no],
    [HS_MISSING([cmocka], [cmocka was not found: the tests cannot be built], [apt-get install libcmocka-dev])])
  AM_CONDITIONAL([HS_CMOCKA], [test $hs_have_cmocka = yes])
])

# A Python that imports h5py: the first of $PYTHON, python3, /usr/bin/python3. Only tests and figures want one; the first in PATH often lacks h5py.
AC_DEFUN([HS_CHECK_PYTHON], [
  AC_ARG_VAR([PYTHON], [a Python that imports h5py, for tests])
  AC_MSG_CHECKING([for a Python with h5py])
  hs_python=
  for hs_try in $PYTHON python3 /usr/bin/python3; do
    AS_IF([test -z "$hs_python" && $hs_try -c 'import h5py, numpy' >/dev/null 2>&1], [hs_python=$hs_try])
  done
  AS_IF([test -n "$hs_python"], [PYTHON=$hs_python; hs_have_python="yes ($hs_python)"],
    [PYTHON=:; hs_have_python="no"])
  AC_MSG_RESULT([$hs_have_python])
  AM_CONDITIONAL([HS_PYTHON], [test -n "$hs_python"])
])
