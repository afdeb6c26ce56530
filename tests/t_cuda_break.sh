#!/bin/sh
# t_cuda_break.sh - the program on two (emulated) GPUs when NCCL breaks in the middle of a run: a sum that does not end and of which one rank knows why,
# a rank that is killed, a rank that stands still. The job ends in time with a message and its code, leaves nobody behind, its checkpoints are whole, and
# the run goes on from them.
srcdir=${srcdir:-$(dirname "$0")/..}
. "$srcdir/tests/lib.sh"
make_scratch
[ -x ./halfspec_emulated ] || skip_all "no program with the emulated backend"
command -v "${MPIRUN%% *}" > /dev/null || skip_all "no mpirun"

cat > "$scratch/small.conf" << 'END'
net = C4k3 R SP5 F4
data = synthetic:96,8,8,2,4
batch = 32
epochs = 1000
max-steps = 9
device = cuda
comm = nccl
comm.timeout = 1
threads = 1
progress = plain
checkpoint.every = 2
checkpoint.keep = 9
history.every = 0
eval-every = 0
check-ranks.every = 0
END

left_behind() {
    for process in /proc/[0-9]*; do
        (tr '\0' ' ' < "$process/cmdline") 2> /dev/null | grep -q "halfspec_emulated.*run=$scratch/$1 " && return 0
    done
    return 1
}

# breaks FAULT GRAPH CODE MESSAGE: one sum a step, so the seventh is step 7's
breaks() {
    run=$scratch/$1-$2
    begin=$(date +%s)
    HS_EMULATE_DEVICES=2 HS_EMULATE=$1 HS_EMULATE_SUM=7 HS_EMULATE_PATIENCE=3 run_ranks 2 ./halfspec_emulated train "$scratch/small.conf" "run=$run" "graph=$2" \
        > "$run.out" 2> "$run.err"
    code=$?
    seconds=$(($(date +%s) - begin))
    [ "$code" = "$3" ] || sed 's/^/# /' "$run.err"
    check "$1, graph=$2: the job ends with code $3 (is $code)" [ "$code" = "$3" ]
    check "$1, graph=$2: and says why" grep -q "$4" "$run.err"
    check "$1, graph=$2: in time ($seconds s)" [ "$seconds" -lt 60 ]
    check "$1, graph=$2: nobody is left behind" eval "! left_behind $1-$2"
    good=yes
    for file in "$run"/ckpt/step-*.h5; do
        ./halfspec_emulated check "$file" > /dev/null 2>&1 || good=no
    done
    [ -f "$run/ckpt/step-00000006.h5" ] || good=no
    check "$1, graph=$2: checkpoints up to step 6 are whole" [ "$good" = yes ]
    HS_EMULATE_DEVICES=2 run_ranks 2 ./halfspec_emulated train "$scratch/small.conf" "run=$run" "graph=$2" > "$run.out" 2> "$run.err2"
    code=$?
    [ "$code" = 0 ] || sed 's/^/# /' "$run.err2"
    check "$1, graph=$2: and the run goes on from there" [ "$code" = 0 ]
}

breaks nccl-breaks-1 yes 74 "rank 1 .*remote process exited"
breaks nccl-stalls-1 yes 74 "rank 0 .*no answer in time"
breaks nccl-dies-1 no 137 "signal 9"
done_testing
