#!/bin/sh
# t_bench_jobs.sh - the scripts of jobs/bench find in the lines of halfspec bench what they look for, and compute their tables right. Tiny networks; how
# fast anything is does not matter here.
. "$srcdir/tests/lib.sh"
make_scratch
bench=$srcdir/jobs/bench
"$HALFSPEC" bench device=cpu step net=F4 data=synthetic:8,4,4,1,4 batch=8 threads=1 --no-errors --seconds 0.01 > /dev/null 2>&1 ||
    skip_all "no cpu backend in this build"
has() { [ -n "$PYTHON" ] && [ "$PYTHON" != : ] && "$PYTHON" -c "import $1" 2> /dev/null; }

# The table of two rounds, one mode of PyTorch clearly slower: medians, ratio to the better mode, modes to keep.
mkdir "$scratch/table"
cat > "$scratch/table/head" << 'END'
{"part":"head","name":"program","value":"halfspec"}
{"part":"head","name":"device","value":"cpu"}
END
printf '{"label":"deep-3","img_per_s":%s}\n' '300,"error":2e-7' 100 > "$scratch/table/ours"
for mode in '"a/-/eager","img_per_s":40' '"b/-/eager","img_per_s":20' '"a/-/eager","img_per_s":60'; do
    echo "{\"label\":\"deep-3\",\"mode\":$mode,\"torch\":\"1\",\"threads\":1,\"batch\":64,\"dtype\":\"fp32\"}"
done > "$scratch/table/theirs"
if has json; then
    row='| deep-3 | 200.0 | 50.0 | 50.0 | 20.0 | a | b 20.0 | 4.00 | 1.67 to 7.50 | 2.0e-07 |'
    check "peer_table.py computes the table" sh -c '"$1" "$2" --markdown "$3" | grep -qxF "$4"' sh "$PYTHON" "$bench/peer_table.py" "$scratch/table" "$row"
    check "and keeps the modes worth it" [ "$("$PYTHON" "$bench/peer_table.py" --keep deep-3 "$scratch/table")" = "a/-/eager" ]
else
    skip "peer_table.py: no Python"
fi

if has torch; then
    HALFSPEC=$HALFSPEC sh "$bench/peer-cpu.sh" -n generic-3 -t 1 -r 1 -s 0.01 -b 2 -o "$scratch/peer.md" > "$scratch/out" 2> "$scratch/err"
    code=$?
    [ $code = 0 ] || sed 's/^/# /' "$scratch/err"
    check "peer-cpu.sh" [ $code = 0 ]
    check "one row with rates, ratio and error" grep -qE '^\| generic-3 \|( [0-9.]+ \|){4} n[ch]*wc* \| n[ch]*wc* [0-9.]+ \| [0-9.]+ \| [0-9.]+ to [0-9.]+ \| [0-9.]+e-0[678] \|$' \
        "$scratch/peer.md"
else
    skip "peer-cpu.sh: no Python with torch"
fi

if has matplotlib; then
    HALFSPEC=$HALFSPEC sh "$bench/scaling.sh" -q -t 1 -s 0.01 -o "$scratch/scaling" > "$scratch/out" 2> "$scratch/err"
    code=$?
    [ $code = 0 ] || sed 's/^/# /' "$scratch/err"
    check "scaling.sh" [ $code = 0 ]
    check "both engines at five points" [ "$(grep -cE ',(direct|fft),(yes|no),[0-9.e-]+,[0-9.e-]+,([0-9.]+e-0[678])?$' "$scratch/scaling.csv")" = 10 ]
    check "the planner's choice agrees with the reference" [ "$(grep -cE ',yes,.*,[0-9.]+e-0[678]$' "$scratch/scaling.csv")" = 5 ]
    check "a figure" [ -s "$scratch/scaling.png" ]
else
    skip "scaling.sh: no Python with matplotlib"
fi

if command -v "$MPIRUN" > /dev/null && ! "$HALFSPEC" --version | grep -q '^MPI .*not built'; then
    HALFSPEC=$HALFSPEC MPIRUN=$MPIRUN sh "$bench/ranks.sh" -n "C8k3 R F10" -p 1x2@8,2x1@8 -r 1 -s 0.05 -o "$scratch/ranks.md" > "$scratch/out" 2> "$scratch/err"
    code=$?
    [ $code = 0 ] || sed 's/^/# /' "$scratch/err"
    check "ranks.sh" [ $code = 0 ]
    check "threads are the first row" grep -qE '^\| 1 x 2 \| 8 \| [0-9.]+ \| 0.0 \| 1.000 \|( - \|){4}$' "$scratch/ranks.md"
    check "ranks have a sum and what is left of it" grep -qE '^\| 2 x 1 \| 8 \|( [0-9.]+ \|){5} [0-9.]+ % \| [0-9]+ % \|$' "$scratch/ranks.md"
else
    skip "ranks.sh: no MPI"
fi
done_testing
