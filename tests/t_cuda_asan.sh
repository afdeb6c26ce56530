#!/bin/sh
# t_cuda_asan.sh - every op case, and training on 1 and 2 ranks, through the cuda backend under the address sanitizer: reads and writes outside of
# memory by kernels, by the host code of cuda/ and by the emulation itself. Leaks are not looked for: MPI keeps what it has until the process ends.
srcdir=${srcdir:-$(dirname "$0")/..}
. "$srcdir/tests/lib.sh"
make_scratch
[ -x ./cuda_asan_ops ] || skip_all "no program with the address sanitizer; did configure find that the compiler has one?"
ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0
export ASAN_OPTIONS

# clean WHAT COMMAND...
clean() {
    what=$1
    shift
    "$@" > "$scratch/out" 2> "$scratch/err"
    code=$?
    [ "$code" = 0 ] || grep -h -A 25 '^not ok\|ERROR: AddressSanitizer' "$scratch/out" "$scratch/err" | head -60 | sed 's/^/# /'
    check "$what: code 0 (is $code)" [ "$code" = 0 ]
    check "$what: all that was planned was done" grep -q '^1\.\.[1-9]' "$scratch/out"
}

check "the sanitizer is in the program" sh -c 'ldd ./cuda_asan_ops | grep -q libasan'
clean "op cases" ./cuda_asan_ops
clean "training" ./cuda_asan_train
command -v "${MPIRUN%% *}" > /dev/null && clean "training on 2 ranks" run_ranks 2 ./cuda_asan_train
done_testing
