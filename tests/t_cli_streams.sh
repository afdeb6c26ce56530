#!/bin/sh
# t_cli_streams.sh - standard streams that are closed, full, or that nobody reads any more, and terminals that close: nothing we print lands in a file of
# ours, and a training that loses its reader saves and stops.
. "$srcdir/tests/lib.sh"
make_scratch
cat > "$scratch/a.conf" << 'END'
net = C4k3 R SP4 F4
data = synthetic:96,8,8,1,4
device = ref
threads = 1
batch = 32
epochs = 2
progress = plain
log-every = 1
END
endless="epochs=100000 checkpoint.every=0 history.every=0 eval-every=0 max-hours=0.02"

# Is every line of RUN's log an object, and is everything sound?
sound() {
    [ -s "$1/log.jsonl" ] && ! grep -qv '^{"step":[0-9]*,.*}$' "$1/log.jsonl" && "$HALFSPEC" check "$1" > "$scratch/check" 2>&1
}

# Wait until RUN's log has some steps, at most 20 s.
wait_for_steps() {
    for _ in $(seq 200); do
        grep -qs '"kind":"train"' "$1/log.jsonl" && return 0
        sleep 0.1
    done
    return 1
}

run=$scratch/out
"$HALFSPEC" train "$scratch/a.conf" run="$run" >&-
check "standard output is closed: trains" sound "$run"
run=$scratch/all
"$HALFSPEC" train "$scratch/a.conf" run="$run" <&- >&- 2>&-
check "all three are closed: trains" sound "$run"
"$HALFSPEC" train "$scratch/a.conf" run="$run" lr=1 <&- >&- 2>&-
code=$?
check "and a message has no file to land in (code $code)" [ $code = 2 ]
check "whose files are as they were" sound "$run"

if [ -c /dev/full ]; then
    run=$scratch/full
    "$HALFSPEC" train "$scratch/a.conf" run="$run" > /dev/full 2> "$scratch/err"
    code=$?
    check "standard output is full: trained, code 74 (got $code)" [ $code = 74 ]
    check "and says so" grep -q 'cannot write to standard output' "$scratch/err"
    check "its files are sound" sound "$run"
else
    skip "no /dev/full"
fi

run=$scratch/pipe
# shellcheck disable=SC2086  # words
{
    "$HALFSPEC" train "$scratch/a.conf" run="$run" $endless 2> "$scratch/err"
    echo $? > "$scratch/code"
} | head -n 1 > /dev/null
code=$(cat "$scratch/code")
[ "$code" = 75 ] || sed 's/^/# /' "$scratch/err"
check "nobody reads any more: code 75 (got $code)" [ "$code" = 75 ]
check "with a checkpoint" [ -s "$run/ckpt/MANIFEST" ]

run=$scratch/hup
# shellcheck disable=SC2086
"$HALFSPEC" train "$scratch/a.conf" run="$run" $endless > "$scratch/log" 2>&1 &
wait_for_steps "$run"
kill -HUP $!
wait $!
code=$?
check "the terminal closes: code 75 (got $code)" [ $code = 75 ]
check "with a checkpoint" [ -s "$run/ckpt/MANIFEST" ]
run=$scratch/nohup
# shellcheck disable=SC2086
(
    trap '' HUP
    exec "$HALFSPEC" train "$scratch/a.conf" run="$run" $endless
) > "$scratch/log" 2>&1 &
wait_for_steps "$run"
kill -HUP $!
sleep 1
check "under nohup it goes on" kill -USR2 $!
wait $!
code=$?
check "until it is asked to stop: code 75 (got $code)" [ $code = 75 ]

if env --block-signal=USR2 true 2> /dev/null; then
    # shellcheck disable=SC2086,SC2016
    env --block-signal=USR2 sh -c 'kill -USR2 $$; exec "$@"' sh "$HALFSPEC" train "$scratch/a.conf" run="$scratch/early" $endless > "$scratch/log" 2>&1
    code=$?
    check "asked before it began: code 75 (got $code)" [ $code = 75 ]
    check "after one step" [ -s "$scratch/early/ckpt/step-00000001.h5" ]
else
    skip "env cannot block signals"
fi
done_testing
