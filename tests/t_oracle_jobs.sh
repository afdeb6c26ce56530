#!/bin/sh
# t_oracle_jobs.sh - the presets' files in jobs/ are configurations that the program accepts, with data made up in their shape.
. "$srcdir/tests/lib.sh"
make_scratch
for name in paper-sp deep deep-conv generic seed-mnist fashion studies/sketch; do
    channels=3
    case $name in seed-mnist | fashion | */sketch) channels=1 ;; esac
    "$HALFSPEC" train "$srcdir/jobs/$name.conf" data=synthetic:64,32,32,$channels,10 device=cpu run="$scratch/run" --dry-run > "$scratch/out" 2>&1
    code=$?
    [ $code = 0 ] || sed 's/^/# /' "$scratch/out"
    check "jobs/$name.conf --dry-run" [ $code = 0 ]
    check "jobs/$name.conf names its network's layers" grep -q '^conv1 ' "$scratch/out"
done
for net in 'deep k=3' 'deep-conv k=5' 'generic k=5'; do
    "$HALFSPEC" train "$srcdir/jobs/${net% *}.conf" net="$net" data=synthetic:64,32,32,3,10 device=cpu --dry-run > "$scratch/out" 2>&1
    check "jobs/${net% *}.conf net='$net'" [ $? = 0 ]
done
for f in paper-sp deep deep-conv generic seed-mnist; do
    check "$f.conf says what was published and what was not" sh -c 'grep -q "^# Published" "$1" && grep -qE "^# (Not published|Differs)" "$1"' sh "$srcdir/jobs/$f.conf"
done
check "sketch.sh is a shell script" sh -n "$srcdir/jobs/studies/sketch.sh"
done_testing
