# hs_summary.m4 - the closing box: what was found, what tests run under, and for each "no" what is lost and how to get it.

# HS_LINE(LABEL, VALUE): one aligned line.
AC_DEFUN([HS_LINE], [printf '  %-14s %s\n' "$1" "$2"])

# HS_LINE_OF(NAME, LABEL, VALUE IF THERE)
AC_DEFUN([HS_LINE_OF], [
  AS_IF([test "$hs_have_$1" = yes], [HS_LINE([$2], [$3])], [HS_LINE([$2], [no: $hs_why_$1])])])

AC_DEFUN([HS_SUMMARY], [
  hs_version_of() { test -n "$PKG_CONFIG" && $PKG_CONFIG --modversion "$[]1" 2>/dev/null; }
  echo
  echo "---------------------------------------------------------------------------"
  HS_LINE([halfspec], [$PACKAGE_VERSION, to be installed under $prefix_shown])
  HS_LINE([compiler], [$CC ($hs_cc_version) $CFLAGS])
  HS_LINE_OF([mpi], [MPI], [$hs_mpi_version; device memory: $hs_mpi_cuda])
  HS_LINE([HDF5], [$hs_h5_major.$hs_h5_minor.$hs_h5_release, $hs_h5_kind build, used by rank 0 alone ($hs_hdf5_how)])
  HS_LINE_OF([fftw], [FFT on CPU], [FFTW `hs_version_of fftw3f`])
  HS_LINE_OF([blas], [BLAS on CPU], [$BLAS_LIBS])
  HS_LINE([OpenMP], [${OPENMP_CFLAGS:-no: one thread per rank}])
  HS_LINE_OF([cuda], [CUDA], [$hs_cuda_version in $hs_cuda_home$hs_cuda_note])
  HS_LINE_OF([nccl], [NCCL], [$hs_nccl_version in $hs_nccl_home$hs_cuda_note])
  HS_LINE([backends], [$hs_backends])
  HS_LINE([tests], [make check; ranks by: $MPIRUN $MPIRUN_FLAGS -n N])
  HS_LINE([Python], [$hs_have_python: tests that read our files with h5py])
  HS_LINE([sanitizers], [$hs_sanitizers])
  echo "---------------------------------------------------------------------------"
])
