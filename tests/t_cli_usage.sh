#!/bin/sh
# t_cli_usage.sh - the command line: what is wrong, the nearest right word, and the exit code. Nothing here trains.
. "$srcdir/tests/lib.sh"
make_scratch
out=$scratch/out err=$scratch/err

# expect CODE 'text in what is printed to stderr' ARGUMENTS...
expect() {
    wanted=$1 text=$2
    shift 2
    "$HALFSPEC" "$@" > "$out" 2> "$err"
    code=$?
    if [ $code = "$wanted" ] && grep -qF -e "$text" "$err" && [ ! -s "$out" ]; then
        ok "halfspec $*: $wanted"
    else
        sed 's/^/# /' "$err"
        not_ok "halfspec $*: wanted $wanted and '$text', got $code"
    fi
}

printf 'net = C4k3 R GA F4\n\nlearning_rate = 1\n' > "$scratch/bad.conf"
printf 'lr = 1\0' > "$scratch/zero.conf"
expect 2 'usage:'
expect 2 "halfspec: error: unknown command 'trian'; did you mean 'train'?" trian
expect 2 "halfspec: error: unknown command 'zzzzzz'; \`halfspec help\` lists them all" zzzzzz
expect 2 'usage: halfspec train CONF [key=value ...] [--dry-run]' train
expect 2 'train takes one configuration file' train a b
expect 2 "train: unknown option '--dryrun'; did you mean '--dry-run'?" train --dryrun x
expect 2 'train: --dry-run takes no value' train --dry-run=1 x
expect 2 'eval: --predictions needs a value: --predictions FILE.h5' eval x --predictions
expect 2 '--inputs adds to the file of --predictions FILE' eval x --inputs
expect 2 'eval needs a checkpoint or a RUN directory' eval
expect 2 'usage: halfspec info FILE|RUN ...' info
expect 2 'usage: halfspec check FILE|RUN ...' check
expect 2 "no help on 'trian'; did you mean 'train'?" help trian
expect 2 "no help on 'momentun'; did you mean 'momentum'?" help momentun
expect 2 "$scratch/bad.conf:3: unknown key 'learning_rate'; did you mean 'lr'?" train "$scratch/bad.conf"
expect 2 "$scratch/bad.conf:3: unknown key 'learning_rate'; did you mean 'lr'?" config "$scratch/bad.conf"
expect 2 "command line: batch = 0 is out of range" config batch=0
expect 65 "cannot read $scratch/none.conf: No such file or directory" train "$scratch/none.conf"
expect 65 'it is a directory, not a regular file' train "$scratch"
expect 65 'it is not a text file' config "$scratch/zero.conf"
expect 65 '/none' info "$scratch/none"
expect 65 'is it a RUN directory?' info "$scratch"
expect 65 'is it a RUN directory?' check "$scratch"

for command in train eval info check config help version; do
    "$HALFSPEC" $command --help > "$out" 2> "$err"
    code=$?
    "$HALFSPEC" help $command > "$scratch/other" 2>&1
    check "$command --help" [ $code = 0 ]
    [ $command = help ] || check "help $command says the same" cmp -s "$out" "$scratch/other"
done
if [ -w /dev/full ]; then
    "$HALFSPEC" help > /dev/full 2> "$err"
    code=$?
    check "a full disk behind standard output is an error" [ $code = 74 ]
fi
done_testing
