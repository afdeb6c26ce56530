#!/bin/sh
# ranks.sh - the same cores as threads of one rank or as ranks of one thread, and how much of the all-reduce backward hides:
#
#     sh jobs/bench/ranks.sh [-n "NET"] [-p RANKSxTHREADS@BATCH,...] [-r ROUNDS] [-s SECONDS] [-o FILE.md]
#
#   -n   network                                                            ("deep k=3")
#   -p   what to compare, with the batch of all ranks together; the first is what the others are compared with     (1x2@64,2x1@64,2x1@128)
#   -r   rounds: each measures all of them once                             (3)
#   -s   seconds for a measurement                                          (6)
#   -o   write the table there too, as Markdown
#
# img/s is of whole training steps; "waiting" is the share of a step spent on a sum that backward did not hide; "hidden" the share of the sum, as long as
# it takes alone, that it did. Takes ROUNDS x comparisons x SECONDS and a start of each. HALFSPEC=PROGRAM, MPIRUN=mpirun.
set -eu
give_up() { printf '%s: %s\n' "$0" "$*" >&2; exit 2; }

net="deep k=3" plan=1x2@64,2x1@64,2x1@128 rounds=3 seconds=6 out=
while getopts n:p:r:s:o: option; do
    case $option in
    n) net=$OPTARG ;;
    p) plan=$OPTARG ;;
    r) rounds=$OPTARG ;;
    s) seconds=$OPTARG ;;
    o) out=$OPTARG ;;
    *) sed -n '2,/^set/{/^#/p;}' "$0" >&2; exit 2 ;;
    esac
done
program=${HALFSPEC:-build/halfspec}
[ -x "$program" ] || program=$(command -v halfspec) || give_up "no program; build it first (sh jobs/quickstart.sh does), or say HALFSPEC=PROGRAM"
mpirun=${MPIRUN:-mpirun}
command -v "$mpirun" > /dev/null || give_up "no $mpirun: install openmpi-bin, or say MPIRUN=PROGRAM"
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# field LINE NAME: a number of the line of $scratch/json that has LINE in it, or 0
field() { sed -n "/$1/s/.*\"$2\":\\([-0-9.e+]*\\).*/\\1/p" "$scratch/json" | grep . || echo 0; }

# measure RANKSxTHREADS@BATCH: a line of $scratch/rows
measure() {
    ranks=${1%%x*} rest=${1#*x}
    threads=${rest%@*} batch=${rest#*@}
    for number in "$ranks" "$threads" "$batch"; do
        case $number in '' | *[!0-9]*) give_up "-p $1: write ranks, threads and batch as 2x1@64" ;; esac
    done
    OMP_NUM_THREADS=$threads "$mpirun" --oversubscribe --bind-to none -n "$ranks" "$program" bench "net=$net" device=cpu threads="$threads" batch="$batch" \
        step allreduce --no-errors --seconds "$seconds" --json "$scratch/json" > "$scratch/out" 2>&1 || { cat "$scratch/out" >&2; give_up "bench failed"; }
    echo "$1 $(field '"name":"step"' img_per_s) $(field '"part":"allreduce".*"what"' seconds) $(field '"part":"allreduce".*"what"' gbs)" \
        "$(field '"name":"exposed-of-step"' value) $(field '"name":"hidden"' value)" >> "$scratch/rows"
}

round=1
while [ "$round" -le "$rounds" ]; do
    for one in $(echo "$plan" | tr ',' ' '); do
        printf '%s, round %s of %s\n' "$one" "$round" "$rounds" >&2
        measure "$one"
    done
    round=$((round + 1))
done

# table SEPARATOR: medians over the rounds. Columns of rows: which, img/s, seconds and GB/s of a sum, share of the step waiting, share of the sum hidden.
table() {
    awk -v plan="$plan" -v line="$1" '
        function median(which, column,    i, j, n, v, t) {
            n = 0
            for (i = 1; i <= NR; i++) if (name[i] == which) v[++n] = value[i, column]
            for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
            low = v[1]; high = v[n]
            return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
        }
        { name[NR] = $1; for (c = 2; c <= NF; c++) value[NR, c] = $c }
        END {
            head = "ranks x threads|batch|img/s|+-%|of the first|sum ms|sum GB/s|waiting|hidden"
            if (line) { gsub(/\|/, " | ", head); print "| " head " |"; print "|---|---|---|---|---|---|---|---|---|" }
            else { gsub(/\|/, "\t", head); print head }
            count = split(plan, all, ",")
            for (k = 1; k <= count; k++) {
                split(all[k], part, "@"); sub(/x/, " x ", part[1])
                rate = median(all[k], 2); spread = 50 * (high - low) / rate
                if (k == 1) first = rate
                many = part[1] + 0 > 1
                form = line ? "| %s | %s | %.1f | %.1f | %.3f | %s | %s | %s | %s |\n" : "%s\t\t%s\t%.1f\t%.1f\t%.3f\t\t%s\t%s\t\t%s\t%s\n"
                printf form, part[1], part[2], rate, spread, rate / first, many ? sprintf("%.2f", 1000 * median(all[k], 3)) : "-",
                    many ? sprintf("%.2f", median(all[k], 4)) : "-", many ? sprintf("%.1f %%", 100 * median(all[k], 5)) : "-",
                    many ? sprintf("%.0f %%", 100 * median(all[k], 6)) : "-"
            }
        }' "$scratch/rows"
}

head_line() { sed -n "s/.*\"name\":\"$1\",\"value\":\"\\(.*\\)\"}/\\1/p" "$scratch/json"; }
about="$(head_line program), $net, on $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2> /dev/null | head -n 1), $(nproc) cores"
printf '%s\n\n' "$about"
table ''
if [ -n "$out" ]; then
    mkdir -p "$(dirname "$out")"
    { printf 'Ranks and threads; made by jobs/bench/ranks.sh with %s.\n\n' "$about"; table 1; } > "$out"
fi
