#!/bin/sh
# t_train_memory.sh - the figure that --dry-run prints for a rank's memory is within 5 % of the largest resident size of the finished run, for networks of
# 50 to 330 MiB whose memory lies in different parts: activations, dense weights and their files, filters with their history; and with two ranks.
srcdir=${srcdir:-$(dirname "$0")/..}
. "$srcdir/tests/lib.sh"
make_scratch
[ -x "${HALFSPEC:-}" ] || skip_all "HALFSPEC does not name the program"
grep -q VmHWM /proc/self/status 2> /dev/null || skip_all "this system does not tell resident sizes"
case "$(ldd "$HALFSPEC" 2> /dev/null) ${CFLAGS:-}" in *libasan* | *sanitize*) skip_all "sanitizers have memory of their own" ;; esac

cat > "$scratch/net.conf" << 'END'
epochs = 100
max-steps = 6
eval.limit = 64
log-every = 2
progress = none
END

# MiB behind the last match of PATTERN on standard input: "total 95.1 MiB", "0.9 GiB"
mib() { sed -n "s/.*$1 *\([0-9.]*\) \([KMG]\)iB.*/\1 \2/p" | awk '{ print $2 == "K" ? $1 / 1024 : $2 == "G" ? $1 * 1024 : $1 }'; }

# predicts NAME RANKS key=value...
predicts() {
    name=$1 ranks=$2
    shift 2
    launch=
    [ "$ranks" = 1 ] || launch="run_ranks $ranks"
    # shellcheck disable=SC2086  # a function and its argument, or nothing
    $launch "$HALFSPEC" train "$scratch/net.conf" "run=$scratch/$name" "$@" --dry-run > "$scratch/dry" 2> "$scratch/err"
    # shellcheck disable=SC2086
    $launch "$HALFSPEC" train "$scratch/net.conf" "run=$scratch/$name" "$@" > "$scratch/out" 2>> "$scratch/err"
    planned=$(grep "^memory of rank 0" "$scratch/dry" | mib "total")
    peak=$(mib "memory at the peak" < "$scratch/out")
    echo "# $name: planned ${planned:-nothing}, peak ${peak:-nothing} MiB"
    awk -v a="${planned:-0}" -v b="${peak:-0}" 'BEGIN { exit !(b > 10 && a / b > 0.95 && a / b < 1.05) }'
    check "$name: the plan is within 5 % of the peak" [ $? = 0 ]
}

device=cpu
"$HALFSPEC" train "$scratch/net.conf" device=cpu data=synthetic:8,4,4,1,2 net=F2 "run=$scratch/none" --dry-run > /dev/null 2>&1 || device=ref
if [ $device = cpu ]; then
    predicts activations 1 device=cpu threads=2 "net=C32k3 R C32k3 R M2 C64k3 R M2 F64 R F10" data=synthetic:200,32,32,3,10 batch=64 history.every=0
    predicts filters 1 device=cpu threads=1 boundary=periodic "net=C64k3 R SP22 C96k3 R SP18 C96k3 R SP9 F10" data=synthetic:200,27,27,3,10 batch=16 history.every=2
    predicts dense 1 device=cpu threads=2 "net=C16k3 R M2 F1024 R F10" data=synthetic:200,32,32,3,10 batch=16 history.every=0
    if command -v "${MPIRUN%% *}" > /dev/null; then
        predicts ranks 2 device=cpu threads=1 "net=C32k3 R C32k3 R M2 C64k3 R M2 F64 R F10" data=synthetic:200,32,32,3,10 batch=64 history.every=2
    else
        skip "two ranks: no mpirun"
    fi
else
    skip "no cpu backend: ref is too slow for networks of this size"
fi
"$HALFSPEC" info "$scratch/activations" 2> /dev/null | grep -q "^memory .*planned, .*at the peak"
check "the run file has both figures" [ $? = 0 ]
done_testing
