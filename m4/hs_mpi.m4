# hs_mpi.m4 - MPI for C: pkg-config of Open MPI or MPICH, then the flags that mpicc shows. Sets MPI_CFLAGS, MPI_LIBS, conditional HS_MPI,
# MPIRUN and MPIRUN_FLAGS (what tests start ranks with).
#
# Whether MPI takes device memory is asked while the program runs; here only whether it can be asked, and for the closing box what its
# header says. MPICH and its kin have MPIX_GPU_query_support in mpi.h, Open MPI has MPIX_Query_cuda_support in mpi-ext.h.
AC_DEFUN([HS_CHECK_MPI_CUDA], [
  hs_ext="#include <mpi.h>
#if defined OPEN_MPI && OPEN_MPI
#include <mpi-ext.h>
#endif"
  AC_MSG_CHECKING([whether MPI can be asked about device memory])
  HS_TRY_LINK([hs_mpi_asks], [$MPI_CFLAGS], [$MPI_LIBS], [[$hs_ext]], [[int does; MPIX_GPU_query_support(MPIX_GPU_SUPPORT_CUDA, &does)]],
    [AC_DEFINE([HAVE_MPIX_GPU_QUERY_SUPPORT], [1], [Define if MPI has MPIX_GPU_query_support])
     hs_mpi_cuda="asked when it runs"],
    [HS_TRY_LINK([hs_mpi_asks], [$MPI_CFLAGS], [$MPI_LIBS], [[$hs_ext]], [[return MPIX_Query_cuda_support()]],
      [AC_DEFINE([HAVE_MPIX_QUERY_CUDA_SUPPORT], [1], [Define if MPI has MPIX_Query_cuda_support])
       HS_TRY_LINK([hs_mpi_says], [$MPI_CFLAGS], [$MPI_LIBS], [[$hs_ext]], [[int yes[MPIX_CUDA_AWARE_SUPPORT ? 1 : -1]; (void)yes]],
         [hs_mpi_cuda=yes], [hs_mpi_cuda="no, by its header"])], [])])
  AC_MSG_RESULT([$hs_mpi_asks])
])

AC_DEFUN([HS_CHECK_MPI], [
  HS_WITH([mpi], [MPI, for more than one rank])
  AC_ARG_VAR([MPICC], [MPI compiler wrapper, asked for its flags])
  AC_ARG_VAR([MPIRUN], [starts ranks in tests])
  AC_ARG_VAR([MPIRUN_FLAGS], [flags of MPIRUN in tests])
  AS_IF([test "$hs_want_mpi" != no], [
    hs_mpi_found=no
    AS_IF([test -n "$hs_dir_mpi"], [MPICC=${MPICC:-$hs_dir_mpi/bin/mpicc}; MPIRUN=${MPIRUN:-$hs_dir_mpi/bin/mpirun}])
    AS_IF([test -z "$MPICC"], [
      for hs_pc in ompi-c ompi mpich; do
        AS_IF([test $hs_mpi_found = no && test -n "$PKG_CONFIG" && $PKG_CONFIG --exists $hs_pc 2>/dev/null],
          [MPI_CFLAGS=`$PKG_CONFIG --cflags $hs_pc` MPI_LIBS=`$PKG_CONFIG --libs $hs_pc` hs_mpi_found=$hs_pc])
      done
      AC_PATH_PROGS([MPICC], [mpicc cc], [])])
    AS_IF([test $hs_mpi_found = no && test -n "$MPICC"], [
      AS_IF([hs_flags=`$MPICC --showme:compile 2>/dev/null`],
          [MPI_CFLAGS=$hs_flags MPI_LIBS=`$MPICC --showme:link 2>/dev/null` hs_mpi_found=$MPICC],
        [hs_flags=`$MPICC -compile_info 2>/dev/null`],
          [MPI_CFLAGS=`echo "$hs_flags" | tr ' ' '\n' | grep -E '^-[[ID]]' | tr '\n' ' '`
           MPI_LIBS=`$MPICC -link_info 2>/dev/null | tr ' ' '\n' | grep -E '^-([[Ll]]|Wl)' | tr '\n' ' '` hs_mpi_found=$MPICC])])
    AC_MSG_CHECKING([whether an MPI program links])
    HS_TRY_LINK([hs_have_mpi], [$MPI_CFLAGS], [$MPI_LIBS], [[#include <mpi.h>]], [[MPI_Init(0, 0)]], [], [])
    AC_MSG_RESULT([$hs_have_mpi])
    AS_IF([test $hs_have_mpi = no], [MPI_CFLAGS= MPI_LIBS=
      HS_MISSING([mpi], [no MPI was found: one rank only], [apt-get install libopenmpi-dev openmpi-bin, or MPICC=/path/to/mpicc])])
  ])
  hs_mpi_cuda=no
  AS_IF([test $hs_have_mpi = yes], [HS_CHECK_MPI_CUDA])
  hs_mpi_version=
  AS_IF([test $hs_have_mpi = yes], [
    AC_DEFINE([HAVE_MPI], [1], [Define if MPI is there])
    hs_mpi_version=`test -n "$MPICC" && $MPICC --showme:version 2>/dev/null | sed 's/^[[^:]]*: //; s/ (.*//' | head -n 1`
    AC_PATH_PROGS([MPIRUN], [mpirun mpiexec], [])
    AS_IF([test -z "$MPIRUN_FLAGS" && $MPIRUN --version 2>/dev/null | grep -qi 'open.*mpi'], [MPIRUN_FLAGS="--oversubscribe --bind-to none"])
  ])
  AC_SUBST([MPI_CFLAGS]) AC_SUBST([MPI_LIBS])
  AM_CONDITIONAL([HS_MPI], [test $hs_have_mpi = yes])
])
