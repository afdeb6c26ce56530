#!/bin/sh
# quickcheck.sh - from a bare Debian 12 to a tested program, in one command:
#
#     sh tests/quickcheck.sh
#
# Installs what is missing, builds out of tree in build-check/ with warnings as errors, runs `make check` and ends with the line "N passed, N failed".
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build-check}
. jobs/setup.sh

# shellcheck disable=SC2086  # a list of words
install_packages $build_packages libcmocka-dev hdf5-tools python3-h5py python3-numpy python3-matplotlib python3-pandas python3-xarray \
    python3-h5netcdf python3-netcdf4 python3-pil python3-torch shellcheck
build_program --enable-werror
allow_root

say "make check"
started=$(date +%s)
# Compile side by side, then test one after another: tests with several ranks want the cores for themselves.
make -C "$build" -j"$(cores)" -s check TESTS= > /dev/null || true
make -C "$build" -s check || true
log=$build/test-suite.log
[ -f "$log" ] || { echo "the tests were not built"; echo "0 passed, 1 failed"; exit 1; }
# The totals are Automake's own: a test program that died counts as an error, a plan that was not kept too.
count() { sed -n "s/^# $1: *\([0-9]*\)$/\1/p" "$log" | head -n 1; }
passed=$(($(count PASS) + $(count XFAIL)))
failed=$(($(count FAIL) + $(count XPASS) + $(count ERROR)))
skipped=$(count SKIP)
if [ "$failed" != 0 ]; then
    say "what failed"
    grep -hE '^not ok|^FAIL|^ERROR' "$log" "$build"/tests/*.log "$build"/*.log 2> /dev/null | sort -u | head -n 60 || true
fi
[ "$skipped" = 0 ] || grep -hE '^(ok.*# SKIP|1\.\.0 # SKIP)' "$build"/*.log "$build"/tests/*.log 2> /dev/null | sort -u || true
echo "tests took $(($(date +%s) - started)) s"
[ "$passed" -gt 0 ] || failed=$((failed + 1))
if [ "$skipped" = 0 ]; then echo "$passed passed, $failed failed"; else echo "$passed passed, $failed failed, $skipped skipped"; fi
[ "$failed" = 0 ]
