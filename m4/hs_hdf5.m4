# hs_hdf5.m4 - serial HDF5 with its high-level part (dimension scales) from the same directory: rank 0 writes alone, so parallel HDF5 is not needed,
# and pkg-config's plain `hdf5` may be either build. Order: --with-hdf5=DIR, hdf5-serial, hdf5, h5cc, plain -lhdf5. Required.
AC_DEFUN([HS_TRY_HDF5], [
  AS_IF([test "$hs_have_hdf5" = no], [
    HS_TRY_LINK([hs_have_hdf5], [$2], [$3], [[#include <hdf5.h>
#include <hdf5_hl.h>]], [[H5open(); H5DSis_scale(0)]], [HDF5_CFLAGS="$2" HDF5_LIBS="$3" hs_hdf5_how="$1"], [])])
])
AC_DEFUN([HS_CHECK_HDF5], [
  HS_WITH([hdf5], [HDF5 for checkpoints and run files])
  AS_IF([test "$hs_want_hdf5" = no], [AC_MSG_ERROR([halfspec needs HDF5; without it nothing could be saved])])
  AC_MSG_CHECKING([for HDF5 and its high-level library])
  AS_IF([test -z "$hs_dir_hdf5"], [hs_dir_hdf5=${HDF5_DIR:-${HDF5_ROOT:-}}])
  AS_IF([test -n "$hs_dir_hdf5"],
    [HS_TRY_HDF5([$hs_dir_hdf5], [-I$hs_dir_hdf5/include], [-L$hs_dir_hdf5/lib -Wl,-rpath,$hs_dir_hdf5/lib -lhdf5_hl -lhdf5])],
    [for hs_pc in hdf5-serial hdf5; do
       AS_IF([test -n "$PKG_CONFIG" && $PKG_CONFIG --exists $hs_pc 2>/dev/null], [
         hs_cflags=`$PKG_CONFIG --cflags $hs_pc` hs_libs=`$PKG_CONFIG --libs-only-L $hs_pc`
         HS_TRY_HDF5([pkg-config $hs_pc], [$hs_cflags], [$hs_libs -lhdf5_hl -lhdf5])])
     done
     HS_TRY_HDF5([-lhdf5], [], [-lhdf5_hl -lhdf5])
     AS_IF([test "$hs_have_hdf5" = no && hs_line=`h5cc -show 2>/dev/null`], [
       hs_cflags=`echo "$hs_line" | tr ' ' '\n' | grep -E '^-I' | tr '\n' ' '`
       hs_libs=`echo "$hs_line" | tr ' ' '\n' | grep -E '^-L' | tr '\n' ' '`
       HS_TRY_HDF5([h5cc], [$hs_cflags], [$hs_libs -lhdf5_hl -lhdf5])])])
  AC_MSG_RESULT([$hs_have_hdf5${hs_hdf5_how:+ ($hs_hdf5_how)}])
  AS_IF([test "$hs_have_hdf5" = no],
    [AC_MSG_ERROR([HDF5 with its high-level library was not found. To get it: apt-get install libhdf5-dev, or --with-hdf5=DIR])])
  hs_saved_cflags=$CFLAGS
  CFLAGS="$CFLAGS $HDF5_CFLAGS"
  AC_COMPUTE_INT([hs_h5_major], [H5_VERS_MAJOR], [[#include <hdf5.h>]], [hs_h5_major=0])
  AC_COMPUTE_INT([hs_h5_minor], [H5_VERS_MINOR], [[#include <hdf5.h>]], [hs_h5_minor=0])
  AC_COMPUTE_INT([hs_h5_release], [H5_VERS_RELEASE], [[#include <hdf5.h>]], [hs_h5_release=0])
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <hdf5.h>
#ifndef H5_HAVE_PARALLEL
#error serial
#endif]])], [hs_h5_kind=parallel], [hs_h5_kind=serial])
  CFLAGS=$hs_saved_cflags
  AS_IF([test $hs_h5_major -eq 1 && test $hs_h5_minor -lt 10], [AC_MSG_ERROR([HDF5 $hs_h5_major.$hs_h5_minor is too old: 1.10 or newer is needed])])
  AS_IF([test $hs_h5_kind = parallel], [HDF5_CFLAGS="$HDF5_CFLAGS $MPI_CFLAGS" HDF5_LIBS="$HDF5_LIBS $MPI_LIBS"])
  AC_SUBST([HDF5_CFLAGS]) AC_SUBST([HDF5_LIBS])
])
