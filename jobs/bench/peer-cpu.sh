#!/bin/sh
# peer-cpu.sh - halfspec's training step against PyTorch's on the same cores, alternating in one run:
#
#     sh jobs/bench/peer-cpu.sh [-n NETS] [-t THREADS] [-r ROUNDS] [-s SECONDS] [-b BATCH] [-o FILE.md]
#
#   -n   networks as NAME-SIDE, comma-separated   (deep-3,deep-5,paper-sp-3,paper-sp-5,generic-3,generic-5)
#   -t   threads of each side, pinned to the first so many cores        (2, or 1 on one core)
#   -r   rounds: each measures halfspec, then PyTorch                   (3)
#   -s   seconds for a measurement, behind its warm-up                  (3)
#   -b   batch                                                          (64)
#   -o   write the table there too, as Markdown, with what it was measured on
#
# A step is forward, backward and Adam in fp32; no data is loaded on either side. PyTorch runs in every mode it offers in the first round (planes or pixels
# in memory, spectral pooling by FFT or as products with a matrix), in the later ones in those within a tenth of the best; the ratio is to the best median.
# The error is halfspec's gradient of all parameters against its reference in double, found in the first round. All six networks take minutes, most of them
# PyTorch's, whose slowest mode needs seconds for a step and is given four: -n and -r make it shorter. HALFSPEC=PROGRAM (default build/halfspec, else the one
# in PATH), PYTHON=one that imports torch.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
give_up() { printf '%s: %s\n' "$0" "$*" >&2; exit 2; }

nets=deep-3,deep-5,paper-sp-3,paper-sp-5,generic-3,generic-5
threads=2 rounds=3 seconds=3 batch=64 out=
[ "$(nproc)" -ge 2 ] || threads=1
while getopts n:t:r:s:b:o: option; do
    case $option in
    n) nets=$OPTARG ;;
    t) threads=$OPTARG ;;
    r) rounds=$OPTARG ;;
    s) seconds=$OPTARG ;;
    b) batch=$OPTARG ;;
    o) out=$OPTARG ;;
    *) sed -n '2,/^set/{/^#/p;}' "$0" >&2; exit 2 ;;
    esac
done
program=${HALFSPEC:-build/halfspec}
[ -x "$program" ] || program=$(command -v halfspec) || give_up "no program; build it first (sh jobs/quickstart.sh does), or say HALFSPEC=PROGRAM"
python=
for one in "${PYTHON:-/usr/bin/python3}" python3; do
    if "$one" -c 'import torch' 2> /dev/null; then
        python=$one
        break
    fi
done
[ -n "$python" ] || give_up "no Python here imports torch: install Debian's python3-torch (sh tests/quickcheck.sh does), or say PYTHON=PROGRAM"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
pin=
if [ "$threads" -lt "$(nproc)" ] && taskset -c "0-$((threads - 1))" true 2> /dev/null; then
    pin="taskset -c 0-$((threads - 1))"
fi
export OMP_NUM_THREADS="$threads"

# ours NET SIDE ROUND: a line of $scratch/ours
ours() {
    errors=--no-errors
    [ "$3" != 1 ] || errors=
    # shellcheck disable=SC2086  # words, or nothing
    $pin "$program" bench "net=$1 k=$2" device=cpu threads="$threads" batch="$batch" step --seconds "$seconds" $errors --json "$scratch/json" \
        > "$scratch/out" 2>&1 || { cat "$scratch/out" >&2; give_up "halfspec bench failed"; }
    sed -n "s/^{\"part\":\"step\",\"name\":\"step\",/{\"label\":\"$1-$2\",/p" "$scratch/json" >> "$scratch/ours"
    grep '"part":"head"' "$scratch/json" > "$scratch/head"
}

# theirs NET SIDE ROUND: a line of $scratch/theirs for each mode
theirs() {
    keep=
    [ "$3" = 1 ] || keep="--modes $("$python" "$here/peer_table.py" --keep "$1-$2" "$scratch")"
    # shellcheck disable=SC2086  # words, or nothing
    $pin "$python" "$here/torch_nets.py" "$1" "$2" --batch "$batch" --threads "$threads" --seconds "$seconds" $keep > "$scratch/out" ||
        give_up "torch_nets.py failed"
    sed "s/^{/{\"label\":\"$1-$2\",/" "$scratch/out" >> "$scratch/theirs"
}

for net in $(echo "$nets" | tr ',' ' '); do
    side=${net##*-} name=${net%-*}
    case $name-$side in
    deep-[1-9]* | generic-[1-9]* | paper-sp-[1-9]*) ;;
    *) give_up "-n $net: a network is deep-3, generic-5, paper-sp-3 or the like" ;;
    esac
    round=1
    while [ "$round" -le "$rounds" ]; do
        printf '%s, round %s of %s\n' "$net" "$round" "$rounds" >&2
        ours "$name" "$side" "$round"
        theirs "$name" "$side" "$round"
        round=$((round + 1))
    done
done
"$python" "$here/peer_table.py" "$scratch"
if [ -n "$out" ]; then
    mkdir -p "$(dirname "$out")"
    "$python" "$here/peer_table.py" --markdown "$scratch" > "$out"
fi
