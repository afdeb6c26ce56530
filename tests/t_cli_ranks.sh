#!/bin/sh
# t_cli_ranks.sh - several ranks: one message for what all have alike, a rank's name for what only it has, one exit code, and nobody hangs.
. "$srcdir/tests/lib.sh"
make_scratch
"$HALFSPEC" --version | grep -q '^MPI .*not built' && skip_all "this build has no MPI"
command -v "$MPIRUN" > /dev/null || skip_all "no mpirun"
echo 'lr = 1' > "$scratch/good.conf"
echo 'lrr = 1' > "$scratch/bad.conf"

# expect CODE TIMES 'text' COMMAND...: exit code, and how often the text is printed; all within 5 s of work plus a launcher start on a busy machine.
expect() {
    wanted=$1 times=$2 text=$3
    shift 3
    begin=$(date +%s)
    run_ranks 3 timeout 60 "$@" > "$scratch/out" 2> "$scratch/err"
    code=$?
    spent=$(($(date +%s) - begin))
    count=$(cat "$scratch/out" "$scratch/err" | grep -cF -e "$text")
    if [ $code = "$wanted" ] && [ "$count" = "$times" ] && [ $spent -le 15 ]; then
        ok "$text ($wanted)"
    else
        sed 's/^/# /' "$scratch/err"
        not_ok "'$text' $times times and exit $wanted: got $count times, exit $code, $spent s"
    fi
}

expect 2 1 "halfspec: error: $scratch/bad.conf:1: unknown key 'lrr'; did you mean 'lr'?" "$HALFSPEC" train "$scratch/bad.conf"
expect 2 1 "halfspec: error: command line: unknown key 'bach'; did you mean 'batch'?" "$HALFSPEC" train "$scratch/good.conf" bach=3
expect 65 1 "halfspec: error: cannot read $scratch/none: No such file" "$HALFSPEC" train "$scratch/none"
expect 2 1 "halfspec: error: train needs a configuration file" "$HALFSPEC" train
expect 2 1 "halfspec: error: unknown command 'trian'" "$HALFSPEC" trian
expect 0 1 "# machine" "$HALFSPEC" config "$scratch/good.conf"
expect 0 1 "library " "$HALFSPEC" version
expect 0 1 "usage: halfspec train" "$HALFSPEC" train --help
expect 65 1 "no such checkpoint or run directory" "$HALFSPEC" eval "$scratch/none"
expect 74 1 "rank 1 on" ./t_cli_conclude stuck
done_testing
