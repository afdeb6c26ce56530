#!/bin/sh
# t_cli_bench.sh - halfspec bench on a small network: every line has its numbers, results agree with the reference, misuse is refused. Nothing here
# asks how fast anything is.
. "$srcdir/tests/lib.sh"
make_scratch
device=cpu
"$HALFSPEC" bench device=cpu step net=F4 data=synthetic:8,4,4,1,4 batch=8 threads=1 --seconds 0.01 > "$scratch/out" 2>&1 || device=ref
net='C16k3 R M2s2 C24k3{engine=fft} R SP6 C10k3 T F10'
small="device=$device threads=1 data=synthetic:32,16,16,3,10 batch=16 --seconds 0.3"

# shellcheck disable=SC2086  # words
bench() { "$HALFSPEC" bench $small "net=$net" "$@" > "$scratch/out" 2> "$scratch/err"; }

# rows PART: its lines of the JSON file, each whole and with numbers above 0.
rows() { grep -c "^{\"part\":\"$1\",\"name\":\"[^\"]*\",\"what\":\"[^\"]*\",\"seconds\":[0-9.e-]*[1-9].*\"samples\":[1-9][0-9]*}\$" "$scratch/b.json"; }

# Largest error of the JSON file; 9 if a number is not one.
worst() {
    awk '/nan|inf|null/ { bad = 1 }
        { if (match($0, /"error":[^,}]*/)) { e = substr($0, RSTART + 8, RLENGTH - 8); n++; if (e + 0 > m) m = e + 0 } }
        END { print bad || !n ? 9 : m }' "$scratch/b.json"
}
below() { awk "BEGIN { exit !($1 < $2) }"; }

bench --json "$scratch/b.json"
code=$?
[ $code = 0 ] || sed 's/^/# /' "$scratch/err"
check "bench" [ $code = 0 ]
for part in transforms products layers step; do
    [ $device = ref ] && [ $part != layers ] && [ $part != step ] && continue
    check "$part has a heading" grep -q "^$part .* GFLOP/s" "$scratch/out"
    check "$part has rows" [ "$(rows $part)" -ge 2 ]
done
check "peaks have rows" [ "$(rows peaks)" -ge 3 ]
check "peaks are rates" sh -c 'grep -q "multiply-add.*\"gflops\":[0-9.]*[1-9]" "$1" && grep -q "\"name\":\"memory\".*\"gbs\":[0-9.]*[1-9]" "$1"' sh "$scratch/b.json"
for layer in conv1 pool1 conv2 pool2 conv3 tanh1 fc1; do
    check "$layer, both ways" [ "$(grep -c "\"layers\",\"name\":\"$layer\",\"what\":\"\(forward\|backward\), [^\"]*\".*\"error\":[0-9.e-]*," "$scratch/b.json")" = 2 ]
done
check "layers are held against a peak" grep -q '"layers","name":"conv2".*"percent":[0-9.]*[1-9].*"bound":"\(flop\|mem\)"' "$scratch/b.json"
check "the step has a rate" grep -q '"name":"step".*"img_per_s":[0-9.]*[1-9]' "$scratch/b.json"
error=$(worst)
check "everything agrees with the reference ($error)" below "$error" 1e-5
check "as many lines in the table as in the file" \
    [ "$(grep -cE '[0-9]+\.[0-9]{3} ' "$scratch/out")" = "$(grep -c '"samples":' "$scratch/b.json")" ]

bench boundary=periodic 'net=C16k3 R [C16k3 R BN C16k3] R SP6 D0.5 C20k5 R C9k3 MR FD GA F10' conv.engine=fft layers --json "$scratch/b.json"
check "residual blocks, BN, dropout, spectra handed on" [ $? = 0 ]
error=$(worst)
check "agree with the reference too ($error)" below "$error" 1e-5
check "a part that was not asked for is not there" [ "$(rows step)" = 0 ]

bench --model-scaling --links hop=1e-5,node=4 --json "$scratch/b.json"
check "--model-scaling" [ $? = 0 ]
check "it says what it is" grep -q '^PREDICTION, not a measurement' "$scratch/out"
check "from which figures" grep -q 'assumed .*node=4 .*hop=1e-05 ' "$scratch/out"
check "for 8 to 4096 ranks" [ "$(grep -c '"part":"prediction","ranks":[0-9]*,.*"efficiency":\(0\.[0-9]*\|1\)}' "$scratch/b.json")" = 10 ]
# A sum of few bytes is latency: within a node, to begin, and up and down a tree of ranks/4 nodes.
for point in 8,51.6 1024,191.6 4096,231.6; do
    found=$(sed -n "s/^{\"part\":\"prediction\",\"ranks\":${point%,*},\"sum_seconds\":\([^,]*\),.*/\1/p" "$scratch/b.json")
    check "the model's sum over ${point%,*} ranks: $found s" awk "BEGIN { exit !($found > 0.999e-6 * ${point#*,} && $found < 1.01e-6 * ${point#*,}) }"
done

# What must not work: expect CODE 'text' ARGUMENTS.
expect() {
    wanted=$1 text=$2
    shift 2
    bench "$@"
    code=$?
    check "$text ($code)" sh -c '[ "$1" = "$2" ] && grep -qF -e "$3" "$4"' sh $code "$wanted" "$text" "$scratch/err"
}
expect 2 "no part 'layer'; did you mean 'layers'?" layer
expect 2 "unknown key 'bach'; did you mean 'batch'?" bach=3
expect 2 "--seconds takes a number above 0" --seconds 0
expect 2 "unknown option '--jsn'; did you mean '--json'?" --jsn x
expect 2 "--links: no figure 'hops'; did you mean 'hop'?" --model-scaling --links hops=1
expect 2 "link is a number of at least 1" --model-scaling --links link=fast
expect 2 "--links is for --model-scaling" --links hop=1
expect 65 "cannot read $scratch/none.conf" "$scratch/none.conf"
expect 2 "at most one configuration file" "$scratch/none.conf" "$scratch/other.conf"

if command -v "$MPIRUN" > /dev/null && ! "$HALFSPEC" --version | grep -q '^MPI .*not built'; then
    # shellcheck disable=SC2086  # words
    run_ranks 2 "$HALFSPEC" bench $small "net=$net" step allreduce --json "$scratch/b.json" > "$scratch/out" 2> "$scratch/err"
    code=$?
    [ $code = 0 ] || sed 's/^/# /' "$scratch/err"
    check "two ranks" [ $code = 0 ]
    check "one of them prints" [ "$(grep -c '^step .* GFLOP/s' "$scratch/out")" = 1 ]
    check "the all-reduce has its row" [ "$(rows allreduce)" = 1 ]
    check "and what a step waits for it" grep -q '^{"part":"allreduce","name":"exposed","value":[0-9.e-]*,"unit":"s"}$' "$scratch/b.json"
    error=$(worst)
    check "sums are right ($error)" below "$error" 1e-5
    # shellcheck disable=SC2086  # words
    run_ranks 2 "$HALFSPEC" bench $small layer > "$scratch/out" 2> "$scratch/err"
    check "misuse on two ranks is said once" [ "$(grep -c "no part 'layer'" "$scratch/err")" = 1 ]
else
    skip "two ranks: no MPI"
fi
done_testing
