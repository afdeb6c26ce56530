#!/bin/sh
# scaling.sh - how the time of one convolution, forward and backward, grows with batch, channels, map and filter; direct, by transforms, and as the
# planner chooses:
#
#     sh jobs/bench/scaling.sh [-t THREADS] [-s SECONDS] [-q] [-d] [-o PREFIX]
#
#   -t   threads                                                            (2, or 1 on one core)
#   -s   seconds for a measurement, behind its warm-up                      (0.6)
#   -q   few and small points, to try it out
#   -d   draw again from PREFIX.csv, measure nothing
#   -o   PREFIX.csv and PREFIX.png are written                              (jobs/bench/results/scaling)
#
# One thing varies at a time from a batch of 64, 64 channels in and out, a map of 32 x 32 and a filter of 3 x 3. The layer stands behind a 1 x 1 one, so
# that its input's gradient is computed too, and is timed inside the whole pass. Each point runs the planner's choice, compared with the reference, and
# then the engine it did not choose. Takes about 4 minutes on two cores. HALFSPEC=PROGRAM, PYTHON=one that imports matplotlib.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
give_up() { printf '%s: %s\n' "$0" "$*" >&2; exit 2; }

threads=2 seconds=0.6 quick='' draw='' prefix=$here/results/scaling
[ "$(nproc)" -ge 2 ] || threads=1
while getopts t:s:qdo: option; do
    case $option in
    t) threads=$OPTARG ;;
    s) seconds=$OPTARG ;;
    q) quick=1 ;;
    d) draw=1 ;;
    o) prefix=$OPTARG ;;
    *) sed -n '2,/^set/{/^#/p;}' "$0" >&2; exit 2 ;;
    esac
done
program=${HALFSPEC:-build/halfspec}
[ -n "$draw" ] || [ -x "$program" ] || program=$(command -v halfspec) ||
    give_up "no program; build it first (sh jobs/quickstart.sh does), or say HALFSPEC=PROGRAM"
python=
for one in "${PYTHON:-/usr/bin/python3}" python3; do
    if "$one" -c 'import matplotlib' 2> /dev/null; then
        python=$one
        break
    fi
done
[ -n "$python" ] || give_up "no Python here imports matplotlib: install Debian's python3-matplotlib, or say PYTHON=PROGRAM"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# run ENGINE OPTION...: "CHOSEN SECONDS LEAST ERROR" of the layer in $scratch/found
run() {
    engine=$1
    shift
    "$program" bench "net=C${channels}k1 C${channels}k$filter{engine=$engine} GA F10" "data=synthetic:$batch,$side,$side,1,10" batch="$batch" \
        device=cpu threads="$threads" layers --seconds "$seconds" --json "$scratch/json" "$@" > "$scratch/out" 2>&1 ||
        { cat "$scratch/out" >&2; give_up "halfspec bench failed"; }
    sed -n 's/^{"part":"layers","name":"conv2","what":"\([^"]*\)","seconds":\([^,]*\),.*"percent":\([^,]*\),"bound":"[a-z]*"\(,"error":\([^,]*\)\)*.*/\2 \3 \5;\1/p' \
        "$scratch/json" | awk -F';' '{ split($1, v, " "); t += v[1]; least += v[1] * v[2] / 100; if (v[3] + 0 > e) e = v[3] + 0
            n = split($2, what, ", "); chosen = what[n]; sub(/ .*/, "", chosen) }
        END { if (NR != 2) exit 1; print chosen, t, least, e }' > "$scratch/found" || { cat "$scratch/json" >&2; give_up "bench printed no layer conv2"; }
}

# point PANEL X: both engines at the current $batch $channels $side $filter
point() {
    printf '%s %s\n' "$1" "$2" >&2
    run auto
    read -r chosen took least error < "$scratch/found"
    case $chosen in direct) other=fft ;; *) other=direct ;; esac
    echo "$1,$2,$batch,$channels,$side,$filter,$chosen,yes,$took,$least,$error" >> "$prefix.csv"
    run "$other" --no-errors
    read -r chosen took least error < "$scratch/found"
    echo "$1,$2,$batch,$channels,$side,$filter,$chosen,no,$took,$least," >> "$prefix.csv"
}

base() { batch=64 channels=64 side=32 filter=3; }

# panel NAME VARIABLE VALUES
panel() {
    for x in $3; do
        base
        [ -z "$quick" ] || { batch=4 channels=16 side=12; }
        eval "$2=\$x"
        point "$1" "$x"
    done
}

if [ -z "$draw" ]; then
    mkdir -p "$(dirname "$prefix")"
    echo "panel,x,batch,channels,side,filter,engine,chosen,seconds,least_seconds,error" > "$prefix.csv"
    if [ -n "$quick" ]; then
        panel batch batch 8
        panel channels channels 16
        panel side side 12
        panel filter filter '1 5'
    else
        panel batch batch '16 32 64 128 256 512'
        panel channels channels '16 32 64 96 128 192 256'
        panel side side '8 12 16 24 32 48 64'
        panel filter filter '1 2 3 4 5 7 9 11'
    fi
    sed -n 's/.*"name":"\(program\|device\)","value":"\(.*\)"}/# \2/p' "$scratch/json" >> "$prefix.csv"
    sed -n 's/^model name[^:]*: /# /p' /proc/cpuinfo 2> /dev/null | head -n 1 >> "$prefix.csv"
fi
"$python" "$here/scaling_plot.py" "$prefix.csv" "$prefix.png"
