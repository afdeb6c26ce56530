#!/bin/sh
# gpu.sh - what only a machine with a GPU can show; run in the build directory of a program configured with CUDA, after `make check`:
#
#   sh ../tests/gpu.sh [SCRATCH]
#
# Device facts; every op case against `ref`; training against the losses of device = cpu in exact, fp32, tf32 and bf16; NCCL with one rank; two ranks on
# one GPU through mpi-staged; equal bits of two equal runs; compute-sanitizer on small shapes where it is installed. TAP on standard output.
# GPU_DEVICE=cpu runs the script itself on a machine without one (then nothing is said about a GPU).
: "${srcdir:=$(dirname "$0")/..}"
. "$srcdir/tests/lib.sh"
device=${GPU_DEVICE:-cuda}
scratch=${1:-}
if [ -n "$scratch" ]; then mkdir -p "$scratch" || exit 99; else make_scratch; fi
halfspec=${HALFSPEC:-./halfspec}
conf=$scratch/gpu.conf
cat > "$conf" << 'END'
data = synthetic:512,16,16,3,10
net = C16k3 R SP10 C24k5 BN R M3s2 F32 T F10
batch = 64
max-steps = 40
epochs = 1000
log-every = 1
eval-every = 0
history.every = 0
checkpoint.every = 0
END

# losses RUN: one number a step. train NAME [RANKS] KEY=VALUE...
losses() { sed -n 's/.*"loss": *\([-0-9.eE+]*\).*/\1/p' "$scratch/$1/log.jsonl"; }
train() {
    name=$1
    ranks=$2
    shift 2
    rm -rf "${scratch:?}/$name"
    if [ "$ranks" = 1 ]; then set -- "$halfspec" train "$conf" run="$scratch/$name" "$@"; else
        set -- run_ranks "$ranks" "$halfspec" train "$conf" run="$scratch/$name" "$@"
    fi
    "$@" > "$scratch/$name.out" 2> "$scratch/$name.err" && return 0
    sed 's/^/# /' "$scratch/$name.err"
    return 1
}
# near A B LIMIT: the same number of losses, none further apart than LIMIT, relative
near() {
    losses "$1" > "$scratch/a"
    losses "$2" > "$scratch/b"
    paste "$scratch/a" "$scratch/b" | awk -v limit="$3" '
        NF != 2 { bad = 1 }
        { d = ($1 - $2) / ($1 == 0 ? 1 : $1); if (d < 0) d = -d; if (d > worst) worst = d; n++ }
        END { printf "# %d losses, worst relative difference %.1e\n", n, worst; exit bad || n == 0 || !(worst <= limit) }'
}

"$halfspec" version | sed 's/^/# /'
nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,power.limit --format=csv 2> /dev/null | sed 's/^/# /'
if ! "$halfspec" train "$conf" run="$scratch/probe" device="$device" max-steps=1 > "$scratch/probe.out" 2> "$scratch/probe.err"; then
    skip_all "NOTHING WAS TESTED ON A GPU: $(cat "$scratch/probe.err")"
fi
sed -n '1s/^/# /p' "$scratch/probe.out"

if [ -x ./t_cpu_ops ]; then
    ./t_cpu_ops "$device" > "$scratch/ops.out" 2>&1
    code=$?
    sed 's/^/# /' "$scratch/ops.out"
    check "every op case agrees with ref" [ $code = 0 ]
else
    not_ok "t_cpu_ops is not built: make check first"
fi

check "device = cpu trains" train cpu 1 device=cpu
precisions="exact:1e-4 fp32:1e-4 tf32:2e-2 bf16:5e-2"
[ "$device" = cuda ] || precisions="fp32:1e-4"
for pair in $precisions; do
    precision=${pair%%:*}
    check "precision = $precision trains" train "$precision" 1 device="$device" precision="$precision"
    check "and follows the losses of cpu within ${pair##*:}" near cpu "$precision" "${pair##*:}"
done
check "the same run again" train again 1 device="$device" precision=fp32
check "gives equal losses to the last digit" near fp32 again 0
if [ "$device" = cuda ]; then
    check "NCCL with one rank" train nccl 1 device=cuda comm=nccl
    check "gives the same losses" near fp32 nccl 0
    check "two ranks on one GPU go through mpi-staged" train staged 2 device=cuda:0 comm=mpi-staged
else
    check "two ranks" train staged 2 device="$device"
fi
check "and follow the losses of one" near fp32 staged 1e-4

if [ "$device" = cuda ] && command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck; do
        compute-sanitizer --tool "$tool" --error-exitcode 9 ./t_cpu_ops cuda "norm rows=" > "$scratch/$tool.out" 2>&1
        code=$?
        tail -n 3 "$scratch/$tool.out" | sed 's/^/# /'
        check "compute-sanitizer $tool finds nothing" [ $code = 0 ]
    done
fi
done_testing
