#!/bin/sh
# t_train_mpirun.sh - the program under mpirun, from outside: signals forwarded by mpirun end in code 75 and the run goes on; a rank that stands still is
# found by the others (code 76) and nobody is left behind. max-hours ends what a signal should have ended.
srcdir=${srcdir:-$(dirname "$0")/..}
. "$srcdir/tests/lib.sh"
make_scratch
[ -x "${HALFSPEC:-}" ] || skip_all "HALFSPEC does not name the program"
command -v "${MPIRUN%% *}" > /dev/null || skip_all "no mpirun"

cat > "$scratch/small.conf" << 'END'
net = C4k3 R SP5 F4
data = synthetic:96,8,8,2,4
batch = 32
epochs = 100000
device = ref
threads = 1
progress = plain
log-every = 20
checkpoint.every = 0
history.every = 0
eval-every = 0
check-ranks.every = 0
max-hours = 0.02
END

# start RUN RANKS [key=value...]: in the background
start() {
    run=$scratch/$1
    count=$2
    shift 2
    run_ranks "$count" "$HALFSPEC" train "$scratch/small.conf" "run=$run" "$@" > "$run.out" 2> "$run.err" &
    job=$!
}

# Wait until RUN's log has some steps, at most 20 s.
wait_for_steps() {
    for _ in $(seq 200); do
        grep -qs '"kind":"train"' "$run/log.jsonl" && return 0
        sleep 0.1
    done
    return 1
}

# Processes whose command line names this run: number and command line. /proc tells; a small system has no ps.
processes() {
    for process in /proc/[0-9]*; do
        words=$( (tr '\0' ' ' < "$process/cmdline") 2> /dev/null)
        case $words in *"run=$run "*) echo "${process#/proc/} $words" ;; esac
    done
}

# children of mpirun that are ranks
rank_process() {
    processes | grep -v "$MPIRUN" | awk '{print $1}' | sed -n "${1}p"
}

for signal in USR2 TERM; do
    start "$signal" 2
    wait_for_steps
    # TERM is for one rank: mpirun itself answers TERM by killing all ranks soon after.
    if [ $signal = USR2 ]; then kill -USR2 "$(processes | grep "$MPIRUN" | awk '{print $1}' | head -n 1)"; else kill -TERM "$(rank_process 2)"; fi
    wait $job
    code=$?
    check "$signal: exit code 75 (got $code)" [ $code = 75 ]
    steps=$(ls "$run/ckpt" 2> /dev/null | sed -n 's/^step-0*\([0-9]*\)\.h5$/\1/p' | tail -n 1)
    check "$signal: a checkpoint (step ${steps:-none})" [ "${steps:-0}" -gt 0 ]
    last=$((${steps:-0} + 5))
    start "$signal" 3 "max-steps=$last"
    wait $job
    code=$?
    check "$signal: resumed on 3 ranks to step $last (code $code)" [ $code = 0 ]
    check "$signal: it said that it resumes" grep -q "resuming .*at step $steps" "$run.out"
done

start stopped 2 watchdog=2
wait_for_steps
kill -STOP "$(rank_process 2)"
begin=$(date +%s)
wait $job
code=$?
spent=$(($(date +%s) - begin))
check "a rank that stands still: code 76 (got $code)" [ $code = 76 ]
check "found within 15 s ($spent)" [ $spent -le 15 ]
check "with a message" grep -q 'nothing moved for .* in step' "$run.err"
sleep 1
processes | awk '{print $1}' | while read -r left; do kill -KILL "$left"; done > "$scratch/left"
check "nobody is left behind" [ ! -s "$scratch/left" ]
done_testing
