#!/bin/sh
# t_train_wisdom.sh - plan = wisdom from outside: what was measured is kept and believed, for good or ill; files that are damaged, foreign, shared by two
# runs at once or impossible to write never stop a run; rank 0 alone looks at it, and what is computed does not depend on it.
srcdir=${srcdir:-$(dirname "$0")/..}
. "$srcdir/tests/lib.sh"
make_scratch
[ -x "${HALFSPEC:-}" ] || skip_all "HALFSPEC does not name the program"

cat > "$scratch/net.conf" << 'END'
net = C16k3 R C16k5 R SP5 F4
data = synthetic:96,8,8,2,4
batch = 32
epochs = 1
device = cpu
threads = 1
progress = none
history.every = 0
plan = wisdom
END
XDG_CACHE_HOME=$scratch/cache
export XDG_CACHE_HOME
file=$XDG_CACHE_HOME/halfspec/wisdom

dry() { "$HALFSPEC" train "$scratch/net.conf" "run=$scratch/dry" --dry-run "$@" > "$scratch/out" 2> "$scratch/err"; }
measured() { sed -n 's/^planner: \([0-9]*\) costs measured.*/\1/p' "$scratch/out"; }
engine() { awk -v name="$1" '$1 == name { print / fft / ? "fft" : "direct" }' "$scratch/out"; }
losses() { sed 's/,"samples_per_second.*//; s/,"elapsed.*//' "$1/log.jsonl"; }

dry plan=estimate || skip_all "no cpu backend: ref has no choice to measure"
dry && [ "$(measured)" -gt 5 ]
check "the first start measures" [ $? = 0 ]
check "and keeps it in the cache directory" grep -q 'C16k5.* fft space>space ' "$file"
dry && [ "$(measured)" = 0 ]
check "the second start measures nothing" [ $? = 0 ]
dry batch=16 && [ "$(measured)" -gt 5 ] && dry && [ "$(measured)" = 0 ]
check "another batch is measured, and joins the file" [ $? = 0 ]
dry plan=measure && [ "$(measured)" -gt 5 ]
check "plan = measure measures whatever the file says" [ $? = 0 ]

# Absurd costs are believed: conv2 takes what they ask for.
for pair in direct:fft fft:direct; do
    wanted=${pair%:*} shunned=${pair#*:}
    sed "/C16k5.* $wanted space>space .* dx=1/s/^[^ ]*/1e-9/; /C16k5.* $shunned space>space .* dx=1/s/^[^ ]*/1000/" "$file" > "$scratch/planted"
    dry "wisdom=$scratch/planted"
    check "a planted cost makes conv2 $wanted" [ "$(engine conv2)" = "$wanted" ]
    cp "$scratch/planted" "$scratch/$wanted"
done

# Damage: a line of noise, a cost of 0, a line cut off at the end; the whole lines count, the others are measured again and leave the file.
grep -v ' n=16 ' "$file" > "$scratch/whole"
{ head -n 4 "$scratch/whole"; printf 'noise\n-1 a | b\nnan a | b\n0.001 \001 | b\n'; sed 1,5d "$scratch/whole" | head -c -20; } > "$scratch/damaged"
dry "wisdom=$scratch/damaged" && [ "$(measured)" = 2 ] && [ "$(grep -c damaged "$scratch/err")" = 1 ]
check "damaged lines are skipped with one warning, and only they are measured" [ $? = 0 ]
dry "wisdom=$scratch/damaged" && [ "$(measured)" = 0 ] && [ ! -s "$scratch/err" ]
check "the next start finds a whole file" [ $? = 0 ]
head -c 300 /dev/urandom > "$scratch/noise"
sed '1s/1/2/' "$file" > "$scratch/newer"
for kind in noise newer; do
    before=$(cksum < "$scratch/$kind")
    dry "wisdom=$scratch/$kind" && [ "$(measured)" -gt 5 ] && grep -q "ignored" "$scratch/err" && [ "$before" = "$(cksum < "$scratch/$kind")" ]
    check "a file of another form ($kind) is ignored loudly and left alone" [ $? = 0 ]
done

: > "$scratch/file"
dry "wisdom=$scratch/file/below/wisdom" && [ "$(measured)" -gt 5 ] && grep -q "not kept" "$scratch/err"
check "where nothing can be written a warning is all" [ $? = 0 ]
if [ "$(id -u)" != 0 ]; then
    mkdir "$scratch/locked" && chmod 555 "$scratch/locked"
    dry "wisdom=$scratch/locked/wisdom" && grep -q "not kept" "$scratch/err"
    check "a directory that is read-only" [ $? = 0 ]
else
    skip "a directory that is read-only: root writes everywhere"
fi
dry "wisdom=$scratch" && [ "$(measured)" -gt 5 ] && grep -q "cannot be used" "$scratch/err"
check "a directory in its place" [ $? = 0 ]

# Two at once: the file is whole whoever comes last, and one more start completes it.
both=$scratch/both
"$HALFSPEC" train "$scratch/net.conf" "run=$scratch/dry" --dry-run "wisdom=$both" > /dev/null 2>&1 &
"$HALFSPEC" train "$scratch/net.conf" "run=$scratch/dry" --dry-run "wisdom=$both" batch=16 > /dev/null 2>&1
wait
dry "wisdom=$both" && [ ! -s "$scratch/err" ] && dry "wisdom=$both" batch=16 && [ ! -s "$scratch/err" ] && dry "wisdom=$both" && [ "$(measured)" = 0 ]
check "two runs at once" [ $? = 0 ]

# What is computed depends on the decisions, not on where they come from.
"$HALFSPEC" train "$scratch/net.conf" "run=$scratch/wise" "wisdom=$scratch/fft" log-every=1 > /dev/null 2>&1 &&
    dry "wisdom=$scratch/fft"
first=$(engine conv1)
sed "s/C16k5/C16k5{engine=fft}/; s/C16k3/C16k3{engine=$first}/; /^plan/d" "$scratch/net.conf" > "$scratch/forced.conf"
"$HALFSPEC" train "$scratch/forced.conf" "run=$scratch/forced" log-every=1 > /dev/null 2>&1
losses "$scratch/wise" > "$scratch/a" && losses "$scratch/forced" > "$scratch/b" && [ -s "$scratch/a" ] && cmp -s "$scratch/a" "$scratch/b"
check "losses are those of the same engines asked for by name, to the last digit" [ $? = 0 ]

# Ranks that have caches of their own: rank 0's is read and written, the other's is not looked at, and both follow rank 0.
if command -v "${MPIRUN%% *}" > /dev/null; then
    mkdir -p "$scratch/of0/halfspec" "$scratch/of1/halfspec"
    cp "$scratch/direct" "$scratch/of1/halfspec/wisdom"
    sed "s/ n=32 / n=16 /" "$scratch/fft" > "$scratch/of0/halfspec/wisdom"
    sed -i "s/ n=32 / n=16 /" "$scratch/of1/halfspec/wisdom"
    before=$(cksum < "$scratch/of1/halfspec/wisdom")
    # shellcheck disable=SC2016  # expanded by the ranks
    run_ranks 2 sh -c 'XDG_CACHE_HOME=$0/of${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}} exec "$@"' "$scratch" "$HALFSPEC" train "$scratch/net.conf" \
        "run=$scratch/two" log-every=1 plan=wisdom > "$scratch/out" 2> "$scratch/err"
    [ $? = 0 ] && [ "$(measured)" = 0 ] && [ "$before" = "$(cksum < "$scratch/of1/halfspec/wisdom")" ]
    check "two ranks: only rank 0 reads and writes" [ $? = 0 ]
    rm -r "$scratch/of0"
    # shellcheck disable=SC2016
    run_ranks 2 sh -c 'XDG_CACHE_HOME=$0/of${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}} exec "$@"' "$scratch" "$HALFSPEC" train "$scratch/net.conf" \
        "run=$scratch/again" log-every=1 plan=wisdom > "$scratch/out" 2> "$scratch/err"
    [ $? = 0 ] && [ "$(measured)" -gt 5 ] && [ -s "$scratch/of0/halfspec/wisdom" ] && [ "$before" = "$(cksum < "$scratch/of1/halfspec/wisdom")" ]
    check "what the other rank knows does not help rank 0" [ $? = 0 ]
else
    skip "two ranks: no mpirun"
fi
done_testing
