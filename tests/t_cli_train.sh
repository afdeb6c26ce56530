#!/bin/sh
# t_cli_train.sh - train, eval, info, check, end to end on small made-up data.
. "$srcdir/tests/lib.sh"
make_scratch
run=$scratch/run
cat > "$scratch/a.conf" << END
net = C4k3 R SP4 F16 R F4
data = synthetic:96,8,8,1,4
device = ref
batch = 32
epochs = 2
lr = 1e-2
progress = plain
log-every = 1
run = $run
END
"$HALFSPEC" train "$scratch/a.conf" --dry-run > "$scratch/dry" 2>&1
check "train --dry-run" [ $? = 0 ]
check "it shows the layers" grep -q '^conv1 ' "$scratch/dry"
check "and writes nothing" [ ! -e "$run" ]

"$HALFSPEC" train "$scratch/a.conf" > "$scratch/train" 2>&1
code=$?
[ $code = 0 ] || sed 's/^/# /' "$scratch/train"
check "train" [ $code = 0 ]
for file in config log.jsonl run.h5 ckpt/MANIFEST ckpt/step-00000006.h5; do
    check "it leaves $file" [ -s "$run/$file" ]
done
check "no temporary file is left" [ -z "$(find "$run" -name '*.tmp')" ]
check "the last line says that it is done" sh -c 'tail -n 1 "$1" | grep -q "^done: 6 steps, test error 0\.[0-9]* "' sh "$scratch/train"
"$HALFSPEC" config "$run/config" > "$scratch/config" 2>&1
check "the run's own config is a configuration" [ $? = 0 ]

"$HALFSPEC" train "$scratch/a.conf" lr=1 > "$scratch/out" 2> "$scratch/err"
code=$?
check "another configuration in the same run is refused" [ $code = 2 ]
check "and the difference shown" grep -q 'lr: 0.01 -> 1' "$scratch/err"
"$HALFSPEC" train "$scratch/a.conf" epochs=3 > "$scratch/train" 2>&1
check "more epochs go on" [ $? = 0 ]
check "to step 9" [ -s "$run/ckpt/step-00000009.h5" ]

"$HALFSPEC" eval "$run" > "$scratch/eval" 2> "$scratch/err"
code=$?
[ $code = 0 ] || sed 's/^/# /' "$scratch/err"
check "eval RUN" [ $code = 0 ]
for word in samples loss 'top-1 error' 'top-5 error' 'confusion matrix'; do
    check "eval prints $word" grep -q "^$word" "$scratch/eval"
done
# Rows of the matrix add up to the samples, and the errors of the classes to the whole.
sums=$(awk '/^samples/ { n = $2 } /^top-1/ { e = $3 } m && NF == 6 { for (i = 2; i < 6; i++) s += $i; d += $(NR - m + 1) } /^confusion/ { m = NR + 1 }
    END { print (n == s) + 0, (n > 0) + 0, ((1 - d / s - e) ^ 2 < 1e-8) + 0 }' "$scratch/eval")
check "the matrix adds up ($sums)" [ "$sums" = "1 1 1" ]
"$HALFSPEC" eval "$run/ckpt/step-00000009.h5" eval.limit=10 --predictions "$scratch/p.h5" --inputs > "$scratch/eval" 2> "$scratch/err"
code=$?
[ $code = 0 ] || sed 's/^/# /' "$scratch/err"
check "eval CKPT key=value --predictions --inputs" [ $code = 0 ]
check "eval.limit is heard" grep -qE '^samples +10$' "$scratch/eval"
if [ -n "$PYTHON" ] && [ "$PYTHON" != : ]; then
    check "run.h5 says which libraries were built against and running" "$PYTHON" -c '
import h5py, sys
text = h5py.File(sys.argv[1])["provenance"].attrs["libraries"]
assert "HDF5 1." in text and "(running" in text and "zlib" in text, text' "$run/run.h5"
    check "h5py reads the predictions" "$PYTHON" -c '
import h5py, sys
with h5py.File(sys.argv[1]) as f:
    assert f["logits"].shape == (10, 4) and f["label"].shape == f["index"].shape == (10,) and f["input"].shape == (10, 8, 8, 1)' "$scratch/p.h5"
fi

"$HALFSPEC" info "$run" > "$scratch/info" 2> "$scratch/err"
check "info RUN" [ $? = 0 ]
check "it says something" [ "$(wc -l < "$scratch/info")" -gt 5 ]
# name, (engine,) shape, predicted, measured, forward, backward, together: the first layer with parameters has times of training
awk '$1 == "conv1" && $(NF-5) ~ /x/ && $(NF-4) > 0 && $(NF-2) > 0 && $(NF-1) > 0 && $NF > 0 { good = 1 } END { exit !good }' "$scratch/info"
check "it shows what layers were predicted to take beside what they took" [ $? = 0 ]
"$HALFSPEC" check "$run" "$scratch/p.h5" > "$scratch/check" 2>&1
code=$?
[ $code = 0 ] || sed 's/^/# /' "$scratch/check"
check "check RUN FILE" [ $code = 0 ]
head -c 3000 "$run/run.h5" > "$scratch/cut.h5"
"$HALFSPEC" check "$scratch/cut.h5" > "$scratch/check" 2>&1
check "a file that is cut off is not valid" [ $? = 65 ]

# A full disk, as a limit on file sizes: the right code, the reason, no half file.
(
    ulimit -f 8
    "$HALFSPEC" train "$scratch/a.conf" run="$scratch/full" > "$scratch/out" 2> "$scratch/err"
)
code=$?
check "no room for a file: exit 74 (got $code)" [ $code = 74 ]
check "and the reason" grep -q 'File too large' "$scratch/err"
check "and no half file" [ -z "$(find "$scratch/full" -name '*.tmp' 2> /dev/null)" ]
"$HALFSPEC" train "$scratch/a.conf" run=/proc/halfspec > "$scratch/out" 2> "$scratch/err"
code=$?
check "a place that cannot be written: exit 74 (got $code)" [ $code = 74 ]

"$HALFSPEC" train "$scratch/a.conf" run="$scratch/many" data=synthetic:8,4,4,1,12000 net=F12000 epochs=1 > "$scratch/train" 2>&1
"$HALFSPEC" eval "$scratch/many" > "$scratch/eval" 2>&1
check "12000 classes are evaluated" [ $? = 0 ]
check "without a confusion matrix" grep -q 'no confusion matrix of 12000 classes' "$scratch/eval"

"$HALFSPEC" train "$scratch/a.conf" run="$scratch/vast" max-steps=1000000000000 epochs=1000000000 history.every=1 history.filters=all --dry-run > "$scratch/dry" 2>&1
if grep -q '^MemAvailable' /proc/meminfo 2> /dev/null; then
    check "a history that no memory holds is warned of before the first step" grep -q 'The history of filters is .* TiB of it' "$scratch/dry"
else
    skip "the system does not tell its memory"
fi
done_testing
