#!/bin/sh
# gpu.sh - halfspec's training step against PyTorch's on one GPU, alternating in one run, and each layer against what the device can do:
#
#     sh jobs/bench/gpu.sh [-n NETS] [-b BATCHES] [-p PRECISIONS] [-r ROUNDS] [-s SECONDS] [-t BUDGET] [-m MODES] [-d DEVICE] [-w PLAN] [-o FILE.md]
#
#   -n   networks as NAME-SIDE or NAME-SIDE-periodic, comma-separated
#        (paper-sp-3-periodic,deep-3,generic-3,deep-5,paper-sp-5-periodic,paper-sp-3,generic-5,paper-sp-5)
#   -b   batches                                                        (512,128,1024)
#   -p   precisions of both sides                                       (bf16,tf32)
#   -r   rounds: each measures halfspec, then PyTorch                   (3)
#   -s   seconds for a measurement, behind its warm-up                  (1)
#   -t   seconds for all: what no longer fits is left out and said so   (3600)
#   -m   modes of PyTorch; compiling a network for its fastest kernels takes minutes (graph,compile)
#   -d   device of both sides                                           (cuda)
#   -w   halfspec's plan, by the clock once or by estimates: wisdom, estimate; where planning by the clock fails, that is said, and estimates serve
#                                                                       (wisdom)
#   -o   write the tables there too, as Markdown, with what they were measured on; after every network, so that what there is when time runs out stays
#
# A step is forward, backward and Adam; no data is loaded on either side. PyTorch runs by pixels in memory, as a CUDA graph of its eager kernels and
# compiled with max-autotune (spectral pooling as products with a matrix; its FFT as a graph too) in the first round, in the later ones in the modes
# within a tenth of the best; the ratio is to the best median. Layers are timed at the first batch only. Correctness is for tests/gpu.sh, which calls
# this in the same run. HALFSPEC=PROGRAM (default ./halfspec, else the one in PATH), PYTHON=one that imports torch: without one only our side is timed.
# What fails is told and the rest goes on; the exit code is 1 then.
set -eu
began=$(date +%s)
here=$(cd "$(dirname "$0")" && pwd)
give_up() { printf '%s: %s\n' "$0" "$*" >&2; exit 2; }

nets=paper-sp-3-periodic,deep-3,generic-3,deep-5,paper-sp-5-periodic,paper-sp-3,generic-5,paper-sp-5
batches=512,128,1024 precisions=bf16,tf32 rounds=3 seconds=1 budget=3600 modes=graph,compile device=cuda plan=wisdom out=
while getopts n:b:p:r:s:t:m:d:w:o: option; do
    case $option in
    n) nets=$OPTARG ;;
    b) batches=$OPTARG ;;
    p) precisions=$OPTARG ;;
    r) rounds=$OPTARG ;;
    s) seconds=$OPTARG ;;
    t) budget=$OPTARG ;;
    m) modes=$OPTARG ;;
    d) device=$OPTARG ;;
    w) plan=$OPTARG ;;
    o) out=$OPTARG ;;
    *) sed -n '2,/^set/{/^#/p;}' "$0" >&2; exit 2 ;;
    esac
done
program=${HALFSPEC:-./halfspec}
[ -x "$program" ] || program=$(command -v halfspec) || give_up "no program; build it first, or say HALFSPEC=PROGRAM"
# PyTorch brings libraries of its own: those that our program is made to find (a bundle's, another CUDA's) would come before them.
python=
apart="env -u LD_LIBRARY_PATH"
for one in "${PYTHON:-/usr/bin/python3}" python3 as-it-is "${PYTHON:-/usr/bin/python3}" python3; do
    [ "$one" != as-it-is ] || { apart= && continue; }
    # shellcheck disable=SC2086  # words, or nothing
    if $apart "$one" -c "import torch, sys; sys.exit('$device' != 'cpu' and not torch.cuda.is_available())" 2> /dev/null; then
        python=$one
        break
    fi
done
[ -n "$python" ] || printf '%s: NO PEER: no Python here imports a torch that sees device %s; only halfspec is timed\n' "$0" "$device" >&2

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
: > "$scratch/ours"
: > "$scratch/theirs"
: > "$scratch/left"
: > "$scratch/failed"
elapsed() { echo $(($(date +%s) - began)); }
# within COMMAND...: what hangs ends with the budget, and a quarter of a minute later at most
within() {
    left=$((budget - $(elapsed)))
    if command -v timeout > /dev/null; then timeout -k 5 $((left > 15 ? left + 15 : 30)) "$@"; else "$@"; fi
}

# bench FILE PART: what halfspec prints goes to FILE. Uses net, side, boundary, batch, precision.
bench() {
    within "$program" bench "net=$net k=$side" "$2" device="$device" precision="$precision" batch="$batch" boundary="$boundary" plan="$plan" \
        wisdom="$scratch/wisdom" --seconds "$seconds" --no-errors --json "$scratch/json" > "$1" 2>&1
}
# fails TEXT: told, and kept for the end
fails() { grep -qxF "$1" "$scratch/failed" || echo "$1" | tee -a "$scratch/failed" >&2; }
# planned COMMAND...: by the clock; where that fails and estimates serve, by these from then on
planned() {
    asked=$plan
    "$@" && return 0
    [ "$asked" != estimate ] || return 1
    plan=estimate
    sed 's/^/# /' "$scratch/out" >&2
    if "$@"; then
        fails "$label: plan = $asked failed; plan = estimate from here on"
    else
        plan=$asked
        return 1
    fi
}

# ours: a line of $scratch/ours
ours() {
    planned bench "$scratch/out" step || return 1
    sed -n "s/^{\"part\":\"step\",\"name\":\"step\",/{\"label\":\"$label\",/p" "$scratch/json" >> "$scratch/ours"
    grep '"part":"head"' "$scratch/json" > "$scratch/head"
}

# table FLAGS...: of what there is so far
table() {
    # shellcheck disable=SC2086  # words, or nothing
    $apart "$python" "$here/peer_table.py" "$@" "$scratch"
}

# theirs ROUND: a line of $scratch/theirs for each mode
theirs() {
    [ -n "$python" ] || return 0
    how=$modes
    [ "$device" != cpu ] || how=eager
    pools=- keep=
    [ "$net" != paper-sp ] || pools=matrix,fft
    if [ "$1" = 1 ]; then
        for pool in $(echo "$pools" | tr ',' ' '); do
            for one in $(echo "$how" | tr ',' ' '); do
                [ "$pool/$one" = fft/compile ] || keep=$keep,nhwc/$pool/$one
            done
        done
        keep=${keep#,}
    else
        keep=$(table --keep "$label") && [ -n "$keep" ] || return 1
    fi
    # shellcheck disable=SC2086  # words, or nothing
    within $apart "$python" "$here/torch_nets.py" "$net" "$side" --batch "$batch" --device "$device" --dtype "$precision" --boundary "$boundary" \
        --seconds "$seconds" --modes "$keep" > "$scratch/out" 2> "$scratch/err" || return 1
    sed "s/^{/{\"label\":\"$label\",/" "$scratch/out" >> "$scratch/theirs"
}

# one configuration: alternating rounds
compare() {
    round=1
    while [ "$round" -le "$rounds" ]; do
        ours || { sed 's/^/# /' "$scratch/out" >&2; fails "$label: halfspec failed"; return 0; }
        tail -n 1 "$scratch/ours" | sed -n 's/.*"img_per_s":\([0-9.e+]*\).*/    halfspec \1 img\/s/p' >&2
        theirs "$round" || { tail -n 12 "$scratch/err" | sed 's/^/# /' >&2; fails "$label: PyTorch failed"; return 0; }
        [ ! -s "$scratch/theirs" ] || sed -n "s/.*\"label\":\"$label\".*\"mode\":\"\([^\"]*\)\".*\"img_per_s\":\([0-9.e+]*\).*/    \1 \2 img\/s/p" "$scratch/out" >&2
        round=$((round + 1))
    done
}

layers() {
    if planned bench "$scratch/out" layers; then
        printf '\n%s\n' "$label" >> "$scratch/layers"
        sed -n '/^layers/,$p' "$scratch/out" >> "$scratch/layers"
    else
        sed 's/^/# /' "$scratch/out" >&2
        fails "$label: halfspec's layers failed"
    fi
}

# tables FLAGS
tables() {
    if [ -s "$scratch/theirs" ]; then
        table "$@" --by "sh jobs/bench/gpu.sh" || fails "the table could not be made"
    else
        sed -n 's/^{"label":"\([^"]*\)".*"img_per_s":\([0-9.e+]*\).*/\1: \2 img\/s/p' "$scratch/ours"
    fi
    [ ! -s "$scratch/failed" ] || sed 's/^/FAILED: /' "$scratch/failed"
    [ ! -s "$scratch/left" ] || printf '\nLeft out, %s s were over: %s\n' "$budget" "$(paste -s -d ';' "$scratch/left")"
}
# keep: all there is so far to the file
keep() {
    [ -n "$out" ] || return 0
    mkdir -p "$(dirname "$out")"
    {
        tables --markdown
        if command -v nvidia-smi > /dev/null; then
            printf '\n```\n'
            nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.draw --format=csv
            printf '```\n'
        fi
        printf '\nLayers, per cent of what the measured peaks allow:\n\n```'
        [ ! -s "$scratch/layers" ] || cat "$scratch/layers"
        printf '```\n'
    } > "$out"
}

longest=0 first=${batches%%,*}
for batch in $(echo "$batches" | tr ',' ' '); do
    for precision in $(echo "$precisions" | tr ',' ' '); do
        for each in $(echo "$nets" | tr ',' ' '); do
            boundary=zero net=${each%-periodic}
            [ "$net" = "$each" ] || boundary=periodic
            side=${net##*-} net=${net%-*} label="$each $batch $precision"
            case $net-$side in
            deep-[1-9]* | generic-[1-9]* | paper-sp-[1-9]*) ;;
            *) give_up "-n $each: a network is deep-3, generic-5, paper-sp-3-periodic or the like" ;;
            esac
            start=$(elapsed)
            if [ $((start + longest)) -gt "$budget" ]; then
                echo "$label" >> "$scratch/left"
                continue
            fi
            printf '%s s: %s\n' "$start" "$label" >&2
            compare
            [ "$batch" != "$first" ] || layers
            keep
            took=$(($(elapsed) - start))
            [ "$took" -le "$longest" ] || longest=$took
        done
    done
done

tables
if [ -s "$scratch/layers" ]; then
    cat "$scratch/layers"
fi
keep
[ ! -s "$scratch/failed" ]
