#!/bin/sh
# sketch.sh - the first implementation's experiment again, on Fashion-MNIST: its three networks, and the controls it did not have.
#
#     sh jobs/studies/sketch.sh [DIR]        runs under DIR (default run/sketch), a table on standard output
#
# HALFSPEC=PROGRAM (default build/halfspec, else the one in PATH), JOBS=N networks at a time (default 1), SEED=N. Run it again and finished networks are not
# trained again. About 2 minutes of one core for each network; jobs/studies/sketch.md holds the table as measured.
#
# Penalties: the sketch averages |F| over unnormalised spectra, F = sqrt(N) X with X unitary and N = k*k: its weight a is 10 a for 10x10 filters and 6 a for
# 6x6 in our keys. Its spectral filters are real and imaginary parts of the free bins of unnormalised transforms: param = half-raw. "Pure" multiplies the image's spectrum
# with the filter's, zero-padded in frequency: embed = band, boundary = periodic.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-run/sketch}
program=${HALFSPEC:-build/halfspec}
[ -x "$program" ] || program=$(command -v halfspec) || { echo "$0: no program; build it first, or say HALFSPEC=PROGRAM" >&2; exit 2; }

# name | what it is | keys
networks='baseline | spatial filters, penalty 1: the sketch'\''s baseline | param=spatial l1.spectral.conv1=10 l1.spectral.conv2=6
spectral | spectral filters (half-raw), penalty 2.3: the sketch'\''s "fft" | param=half-raw l1.spectral.conv1=23 l1.spectral.conv2=13.8
pure | band filters (half-raw), penalty 1: the sketch'\''s "pure" | param=half-raw embed=band boundary=periodic l1.spectral.conv1=10 l1.spectral.conv2=6
orthonormal | spectral filters in orthonormal coordinates, penalty 2.3 | param=spectral l1.spectral.conv1=23 l1.spectral.conv2=13.8
plain | spatial filters, no penalty | param=spatial'

mkdir -p "$dir"
running=0
while IFS='|' read -r name what keys; do
    name=$(echo "$name" | tr -d ' ')
    # shellcheck disable=SC2086  # keys are a list of words
    "$program" train "$here/sketch.conf" run="$dir/$name" seed="${SEED:-1}" threads=1 progress=plain $keys > "$dir/$name.out" 2>&1 ||
        { echo "$0: $name failed; $dir/$name.out says why" >&2; exit 1; } &
    running=$((running + 1))
    if [ "$running" -ge "${JOBS:-1}" ]; then
        wait
        running=0
    fi
done << END
$networks
END
wait

last() { sed -n "s/.*\"kind\":\"$1\".*\"$2\":\\([-0-9.e]*\\).*/\\1/p" "$dir/$name/log.jsonl" | tail -n 1; }
echo "| network | accuracy on 1,000 test images | loss there | last training loss | of it penalty |"
echo "|---|---|---|---|---|"
while IFS='|' read -r name what keys; do
    name=$(echo "$name" | tr -d ' ')
    [ -n "$(last eval error_top1)" ] || { echo "$0: $name has no result; $dir/$name.out says why" >&2; exit 1; }
    awk -v what="$what" -v error="$(last eval error_top1)" -v loss="$(last eval loss)" -v train="$(last train loss)" -v penalty="$(last train penalty_l1)" \
        'BEGIN { printf "|%s| %.1f %% | %.3f | %.3f | %.3f |\n", what, 100 * (1 - error), loss, train, penalty }'
done << END
$networks
END
