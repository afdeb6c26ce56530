#!/bin/sh
# gpu.sh - what only a machine with a GPU can show, in under eight minutes. TAP on standard output.
#
#   sh ../tests/gpu.sh [SCRATCH]      in the build directory of a program configured with CUDA, after `make check`
#   sh tests/gpu.sh [SCRATCH]         anywhere else: programs are taken from PATH (a bundle's, an installation's): halfspec, t_cpu_ops, t_gpu_conv,
#                                     t_gpu_precision, t_gpu_data and t_gpu_optim, with tests/ and jobs/bench/ side by side
#
# Device facts; every op case against `ref`; convolution by every way and precision; training against the losses of device = cpu in exact, fp32, tf32 and
# bf16; a step as a CUDA graph and launch by launch, bit for bit; NCCL with one rank; two ranks on one GPU through mpi-staged; compute-sanitizer on small
# shapes where it is installed; then jobs/bench/gpu.sh in the time that is left. SCRATCH keeps logs, and bench.md.
# GPU_DEVICE=cpu runs the script itself on a machine without a GPU (then nothing is said about one); GPU_SECONDS is the time for all (460);
# GPU_BENCH=no leaves the benchmark out; GPU_STEPS is the length of a training (40), of which the first five and each fifth are not recorded, of GPU_BATCH samples (64);
# GPU_PATIENCE multiplies the time that a single command may take (1). `make check-gpu-script` runs all of it on an emulated GPU.
# A part that fails is told and the next one runs; the exit code is 1 if any failed, the benchmark included. Without a GPU nothing is tested: one line
# says so, with code 0.
here=$(cd "$(dirname "$0")" && pwd)
: "${srcdir:=$here/..}"
lib=$srcdir/tests/lib.sh
[ -f "$lib" ] || lib=$here/lib.sh
# shellcheck source=tests/lib.sh
. "$lib"
began=$(date +%s)
device=${GPU_DEVICE:-cuda}
total=${GPU_SECONDS:-460}
scratch=${1:-}
if [ -n "$scratch" ]; then mkdir -p "$scratch" || exit 99; else make_scratch; fi

# program NAME: in this directory, else in PATH; says where
program() {
    if [ -x "./$1" ]; then echo "./$1"; else command -v "$1"; fi
}
halfspec=${HALFSPEC:-$(program halfspec)}
[ -n "$halfspec" ] || skip_all "NOTHING WAS TESTED: there is no program halfspec here or in PATH"
export HS_TEST_SEED="${HS_TEST_SEED:-1}" # who reads this log has no use for a case that only one seed draws
conf=$scratch/gpu.conf
cat > "$conf" << END
data = synthetic:512,16,16,3,10
net = C16k3 R SP10 C24k5 BN R M3s2 F32 T F10
batch = ${GPU_BATCH:-64}
max-steps = ${GPU_STEPS:-40}
epochs = 1000
log-every = 5
eval-every = 0
history.every = 0
checkpoint.every = 0
END

# losses RUN: one number a step. train NAME [RANKS] KEY=VALUE...
losses() { sed -n 's/.*"loss": *\([-0-9.eE+]*\).*/\1/p' "$scratch/$1/log.jsonl" 2> /dev/null; }
train() {
    name=$1
    ranks=$2
    shift 2
    rm -rf "${scratch:?}/$name"
    if [ "$ranks" = 1 ]; then set -- within 90 "$halfspec" train "$conf" run="$scratch/$name" "$@"; else
        # shellcheck disable=SC2086  # words, or nothing
        set -- run_ranks "$ranks" $limited "$halfspec" train "$conf" run="$scratch/$name" "$@"
    fi
    "$@" > "$scratch/$name.out" 2> "$scratch/$name.err"
    code=$?
    [ $code != 0 ] || return 0
    explain $code "$scratch/$name.err"
    tail -n 5 "$scratch/$name.out" | sed 's/^/# /'
    return 1
}
# near A B LIMIT: the same number of losses, none further apart than LIMIT, relative. If not: the first pair that is, and how many there are
near() {
    losses "$1" > "$scratch/a"
    losses "$2" > "$scratch/b"
    paste "$scratch/a" "$scratch/b" | awk -v limit="$3" '
        NF != 2 { bad = 1 }
        { d = ($1 - $2) / ($1 == 0 ? 1 : $1); if (d < 0) d = -d; if (d > worst) worst = d; n++ }
        NF == 2 && !(d <= limit) && !off { off = n; printf "# step %d: losses %s and %s\n", n, $1, $2 }
        END { printf "# %d losses, worst relative difference %.1e\n", n, worst; exit bad || n == 0 || !(worst <= limit) }'
}
# within SECONDS COMMAND...: what hangs ends
within() {
    if [ -n "$limited" ]; then
        most=$(($1 * patience))
        shift
        timeout -k 5 "$most" "$@"
    else
        shift
        "$@"
    fi
}
patience=${GPU_PATIENCE:-1}
limited=
! command -v timeout > /dev/null || limited="timeout -k 5 $((90 * patience))"
# explain CODE LOG: the beginning, where the first difference stands, and the end of what a command said
explain() {
    case $1 in
    124 | 137) echo "# it was ended: it took too long, or hangs" ;;
    134 | 139) echo "# it died by a signal ($(($1 - 128)))" ;;
    *) echo "# exit code $1" ;;
    esac
    awk '{ line[NR] = $0 } END { for (i = 1; i <= NR; i++) if (i <= 40 || i > NR - 40 || line[i] ~ /^not ok/) print "# " line[i] }' "$2"
}
# quietly NAME COMMAND...: what it prints goes to SCRATCH/NAME.out, and to us if it fails
quietly() {
    log=$scratch/$1.out
    shift
    within 150 "$@" > "$log" 2>&1
    code=$?
    [ $code != 0 ] || return 0
    explain $code "$log"
    if grep -qE 'illegal|misaligned|unspecified launch|invalid (configuration|argument|device)' "$log"; then
        echo "# the same, each launch waited for, so that the one that fails is named:"
        CUDA_LAUNCH_BLOCKING=1 within 60 "$@" 2>&1 | grep -v '^ok' | head -n 20 | sed 's/^/# /'
    fi
    return $code
}

# ---- facts: what somebody who has only this log wants to know -------------------------------------------------------------------------------
"$halfspec" version 2>&1 | sed 's/^/# /'
echo "# $(uname -srm), $(nproc 2> /dev/null) processors, CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES-not set}"
nvidia-smi --query-gpu=index,name,driver_version,memory.total,memory.used,compute_mode,mig.mode.current,clocks.sm,clocks.mem,power.limit --format=csv \
    2> /dev/null | sed 's/^/# /'
ldd "$halfspec" 2> /dev/null | grep -E 'not found|cuda|cublas|cufft|nccl' | sed 's/^[[:space:]]*/# /'
# Is there a GPU, whatever our program says?
sees_gpu() { nvidia-smi -L 2> /dev/null | grep -q '^GPU' || [ -e /dev/nvidia0 ]; }
if within 60 "$halfspec" train "$conf" run="$scratch/probe" device="$device" max-steps=1 > "$scratch/probe.out" 2> "$scratch/probe.err"; then
    ok "a step on the device"
else
    code=$?
    sees_gpu || skip_all "NOTHING WAS TESTED ON A GPU: $(cat "$scratch/probe.err")"
    not_ok "a step on the device"
    explain $code "$scratch/probe.err"
    if ! "$halfspec" version > /dev/null 2>&1; then # nor does anything else begin
        done_testing
        exit 1
    fi
fi
sed -n '1s/^/# /p' "$scratch/probe.out"
within 60 "$halfspec" train "$conf" run="$scratch/plan" device="$device" --dry-run 2>&1 | sed 's/^/# /'

# ---- ops ---------------------------------------------------------------------------------------------------------------------------
ops=$(program t_cpu_ops)
conv=$(program t_gpu_conv)
rounded=$(program t_gpu_precision)
if [ -z "$ops" ]; then not_ok "t_cpu_ops is not here: make check first, or bundle it"; else
    check "every op case agrees with ref" quietly ops "$ops" "$device"
    sed -n '/^ok/s/^/# /p' "$scratch/ops.out"
fi
if [ "$device" = cuda ] && [ -n "$ops" ]; then
    for way in implicit windows cudnn cudnn-apart product; do
        check "convolution in space by $way agrees with ref" quietly "ops-$way" env HALFSPEC_CUDA_CONV="$way" "$ops" cuda "conv direct"
    done
    if [ -z "$conv" ]; then not_ok "t_gpu_conv is not here: make check first, or bundle it"; else
        check "convolution in space in every precision has the error of its rounding" quietly conv "$conv" gpu
    fi
fi

if [ "$device" = cuda ]; then
    if [ -z "$rounded" ]; then not_ok "t_gpu_precision is not here: make check first, or bundle it"; else
        check "ops in exact, tf32 and bf16 have the errors of their rounding" quietly rounded "$rounded"
        sed -n '/^ok/s/^/# /p' "$scratch/rounded.out"
    fi
    for name in data optim; do
        one=$(program t_gpu_$name)
        if [ -z "$one" ]; then skip "NOT RUN: t_gpu_$name is not here"; else
            check "t_gpu_$name agrees with the host" quietly "$name" "$one" gpu
        fi
    done
fi

# ---- training: a rectifier or a maximum that falls to the other side by the last bit of a sum, which no two devices add alike, is not forgotten. On
# CPU cores losses of two engines in fp32 have been seen 4e-5 apart after 40 steps, in bf16 2e-3. A fault is seen far above, and in ops, to 1e-5.
check "device = cpu trains" train cpu 1 device=cpu
precisions="exact:5e-4 fp32:5e-4 tf32:2e-2 bf16:5e-2" measured="fp32:5e-4 bf16:5e-2"
[ "$device" = cuda ] || precisions="fp32:5e-4" measured="fp32:5e-4"
for pair in $precisions; do
    precision=${pair%%:*}
    check "precision = $precision trains" train "$precision" 1 device="$device" precision="$precision"
    check "and follows the losses of cpu within ${pair##*:}" near cpu "$precision" "${pair##*:}"
done
for engine in direct fft; do
    check "conv.engine = $engine trains" train "$engine" 1 device="$device" conv.engine="$engine"
    check "and follows the losses of cpu" near cpu "$engine" 5e-4
done
check "device = cpu trains with a periodic boundary" train cpu-periodic 1 device=cpu boundary=periodic
check "so does $device" train periodic 1 device="$device" boundary=periodic
check "and follows the losses of cpu" near cpu-periodic periodic 5e-4
for pair in $measured; do # every way of a layer runs, which estimates leave out
    precision=${pair%%:*}
    check "precision = $precision trains by a plan that was measured" train "measured-$precision" 1 device="$device" precision="$precision" plan=measure
    check "and follows the losses of cpu within ${pair##*:}" near cpu "measured-$precision" "${pair##*:}"
done
check "samples that are streamed from the host" train streamed 1 device="$device" precision=fp32 data.resident=0
check "give the losses of those that lie on the device" near fp32 streamed 0
check "the same run again" train again 1 device="$device" precision=fp32
check "gives equal losses to the last digit" near fp32 again 0
if [ "$device" = cuda ]; then
    for precision in fp32 bf16; do
        check "steps in $precision are repeated as a CUDA graph" grep -q "^recorded steps" "$scratch/$precision.out"
        check "launch by launch in $precision" train "launches-$precision" 1 device=cuda precision="$precision" graph=no
        check "gives the bits of a CUDA graph" near "$precision" "launches-$precision" 0
    done
    check "NCCL with one rank" train nccl 1 device=cuda comm=nccl
    check "gives the same losses" near fp32 nccl 0
fi
if ! command -v "$MPIRUN" > /dev/null; then
    skip "NO TWO RANKS: there is no $MPIRUN here; a bundle brings its own"
elif [ "$device" = cuda ] && nvidia-smi --query-gpu=compute_mode --format=csv,noheader 2> /dev/null | grep -qE 'Exclusive|Prohibited'; then
    skip "NO TWO RANKS: the compute mode of the GPU lets one process have it to itself"
else
    staged=device=$device
    [ "$device" != cuda ] || staged="device=cuda:0 comm=mpi-staged"
    # shellcheck disable=SC2086  # words
    check "two ranks, on a GPU through mpi-staged" train staged 2 $staged
    check "follow the losses of one" near fp32 staged 5e-4
fi

# ---- compute-sanitizer: small shapes with ragged edges, each kernel once, until five eighths of the time are over ---------------------------
# What libraries ask the driver in vain is their business, and we look at every status that we get: the tools shall not report it. A program of this
# size may take longer to begin than they wait.
# sanitize TOOL NAME WAY COMMAND...     WAY: to convolve in space, or nothing
sanitize() {
    tool=$1
    cases=$2
    way=$3
    shift 3
    log=$scratch/$tool-$(echo "$cases" | tr ' ' -).out
    most=$((total * 5 / 8 - $(date +%s) + began))
    if [ "$most" -lt 10 ]; then
        skip "NOT LOOKED AT by $tool, the time is over: $cases"
        return
    fi
    [ "$most" -le 75 ] || most=75
    within "$most" env HALFSPEC_CUDA_CONV="$way" "$sanitizer" --tool "$tool" --report-api-errors no --launch-timeout 0 --error-exitcode 9 "$@" \
        > "$log" 2>&1
    code=$?
    case $code in
    0) ok "compute-sanitizer $tool finds nothing in $cases" ;;
    124 | 137) skip "NOT FINISHED by $tool in $most s: $cases" ;;
    *)
        if grep -q 'Device not supported' "$log"; then
            skip "NOT LOOKED AT by $tool, which does not serve this machine: $cases"
        else
            not_ok "compute-sanitizer $tool finds nothing in $cases"
            explain $code "$log"
        fi
        ;;
    esac
}
if [ "$device" = cuda ]; then
    sanitizer=$(command -v compute-sanitizer || ls "${CUDA_HOME:-/usr/local/cuda}/bin/compute-sanitizer" 2> /dev/null)
    if [ -z "$sanitizer" ] || [ -z "$ops" ]; then skip "NO RACES WERE LOOKED FOR: compute-sanitizer is not installed here"; else
        # what calls libraries comes last: their kernels are many and large, and are looked at too
        both() {
            sanitize racecheck "$@"
            sanitize memcheck "$@"
        }
        both "convolution by own kernels" implicit "$ops" cuda "conv direct n=1/2 6x5"
        [ -z "$conv" ] || both "convolution on tensor cores" "" "$conv" gpu "?f*" # tf32 and bf16
        both "batch normalisation" "" "$ops" cuda "norm rows="
        both "convolution by FFT" "" "$ops" cuda "conv fft n=1/2 6x5"
    fi
fi
done_testing
echo "# $(($(date +%s) - began)) s, $tests_failed of $tests_run failed"

# ---- speeds ----------------------------------------------------------------------------------------------------------------------------
end=0
[ "$tests_failed" = 0 ] || end=1
bench=$srcdir/jobs/bench/gpu.sh
[ "${GPU_BENCH:-yes}" = yes ] && [ -f "$bench" ] || exit $end
left=$((total - $(date +%s) + began))
export HALFSPEC="$halfspec"
if [ "$device" = cuda ]; then set -- -r 2 -s 1 -m graph; else set -- -r 1 -s 0.1 -d "$device" -n generic-3 -b 4 -p fp32; fi
{
    sh "$bench" -t "$left" "$@" -o "$scratch/bench.md" 2>&1
    echo $? > "$scratch/bench.code"
} | sed 's/^/# /'
if [ "$(cat "$scratch/bench.code")" != 0 ]; then
    echo "# the benchmark failed (exit code $(cat "$scratch/bench.code"))"
    end=1
fi
[ "$end" = 0 ]
