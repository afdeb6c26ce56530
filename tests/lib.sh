# shellcheck shell=sh disable=SC2034
# lib.sh - for test scripts: `. "$srcdir/tests/lib.sh"`. POSIX shell.
#
#   run_ranks N COMMAND...   under mpirun with the flags that this machine needs
#   ok DESCRIPTION / not_ok DESCRIPTION / check DESCRIPTION COMMAND...   one TAP line each
#   skip REASON              one result that cannot be had here
#   skip_all REASON          ends the script: nothing to test here (loudly)
#   done_testing             prints the plan
#   $scratch                 a directory that goes away
# Environment from make: HALFSPEC (the program), MPIRUN, MPIRUN_FLAGS, PYTHON (one that imports h5py, or empty).
: "${MPIRUN:=mpirun}" "${MPIRUN_FLAGS:=--oversubscribe --bind-to none}"
tests_run=0 tests_failed=0

run_ranks() {
    ranks_wanted=$1
    shift
    if [ "$(id -u)" = 0 ]; then
        OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
        export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM
    fi
    # One thread a rank: tests share few cores. Warnings of the transport about missing network hardware are not ours.
    # shellcheck disable=SC2086  # flags are a list of words
    OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} OMPI_MCA_btl_base_warn_component_unused=0 OMPI_MCA_rmaps_base_oversubscribe=1 \
        "$MPIRUN" $MPIRUN_FLAGS -n "$ranks_wanted" "$@"
}

make_scratch() {
    scratch=$(mktemp -d) || exit 99
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 130' INT TERM
}

ok() {
    tests_run=$((tests_run + 1))
    echo "ok $tests_run - $*"
}

not_ok() {
    tests_run=$((tests_run + 1)) tests_failed=$((tests_failed + 1))
    echo "not ok $tests_run - $*"
}

skip() {
    tests_run=$((tests_run + 1))
    echo "ok $tests_run # SKIP $*"
}

check() {
    check_description=$1
    shift
    if "$@"; then ok "$check_description"; else not_ok "$check_description"; fi
}

skip_all() {
    echo "1..0 # SKIP $*"
    exit 0
}

done_testing() {
    echo "1..$tests_run"
}
