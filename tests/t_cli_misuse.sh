#!/bin/sh
# t_cli_misuse.sh - what goes wrong in real life, on two ranks: the message (once), the exit code, no partial file, and the end within 5 s.
. "$srcdir/tests/lib.sh"
make_scratch
command -v "$MPIRUN" > /dev/null && ! "$HALFSPEC" --version | grep -q '^MPI .*not built' || skip_all "no MPI"
cat > "$scratch/a.conf" << 'END'
net = C4k3 R SP4 F4
data = synthetic:64,8,8,1,4
device = ref
batch = 32
epochs = 1
log-every = 0
END

file_limit=unlimited

# expect CODE 'text' ARGUMENTS of train...: two ranks, run directory $scratch/run unless an argument says otherwise.
expect() {
    wanted=$1 text=$2
    shift 2
    begin=$(date +%s%N)
    # The limit is for the ranks alone: the launcher writes files too.
    run_ranks 2 timeout 60 sh -c "ulimit -f $file_limit; exec \"\$@\"" sh "$HALFSPEC" train "$scratch/a.conf" run="$scratch/run" "$@" \
        > "$scratch/out" 2> "$scratch/err"
    code=$?
    spent=$((($(date +%s%N) - begin) / 1000000))
    count=$(grep -cF -e "$text" "$scratch/err")
    left=$(find "$scratch" -name '*.tmp')
    if [ $code = "$wanted" ] && [ "$count" = 1 ] && [ -z "$left" ] && [ $spent -le 15000 ]; then
        ok "$text ($wanted, $spent ms)"
    else
        sed 's/^/# /' "$scratch/err"
        not_ok "'$text' and exit $wanted: got it $count times, exit $code, $spent ms, left '$left'"
    fi
}

# idx NAME MAGIC COUNT [ROWS COLUMNS]: header of an IDX file; then bytes are added to it.
word() { printf "\\$(printf %03o $(($1 / 16777216 % 256)))\\$(printf %03o $(($1 / 65536 % 256)))\\$(printf %03o $(($1 / 256 % 256)))\\$(printf %03o $(($1 % 256)))"; }
idx() {
    file=$1
    shift
    for number; do word "$number"; done > "$file"
}
# set DIR: 16 training and 8 test images of 4 x 4, labels 0 and 1.
make_set() {
    mkdir -p "$1"
    for part in train:16 t10k:8; do
        name=${part%:*} n=${part#*:}
        idx "$1/$name-images-idx3-ubyte" 2051 "$n" 4 4
        head -c $((n * 16)) /dev/zero | tr '\0' 'a' >> "$1/$name-images-idx3-ubyte"
        idx "$1/$name-labels-idx1-ubyte" 2049 "$n"
        head -c $((n / 2)) /dev/zero >> "$1/$name-labels-idx1-ubyte"
        head -c $((n / 2)) /dev/zero | tr '\0' '\001' >> "$1/$name-labels-idx1-ubyte"
    done
}

expect 2 "pooling" net='C4k3 R SP9 F4'
check "a caret points at the token" grep -qE '^ *\^' "$scratch/err"
expect 2 "unknown layer" net='C4k3 R Q7 F4'
expect 2 "did you mean" net=paper-ps
expect 2 "no such kind of data set" data=fashion-minst
expect 65 "$scratch/none" data=idx:"$scratch/none"

make_set "$scratch/good"
run_ranks 2 "$HALFSPEC" train "$scratch/a.conf" run="$scratch/idx" data=idx:"$scratch/good" net='C4k3 R GA F2' batch=8 > "$scratch/out" 2>&1
code=$?
[ $code = 0 ] || sed 's/^/# /' "$scratch/out"
check "a sound IDX set trains" [ $code = 0 ]
make_set "$scratch/cut"
head -c 100 "$scratch/good/train-images-idx3-ubyte" > "$scratch/cut/train-images-idx3-ubyte"
expect 65 "$scratch/cut/train-images-idx3-ubyte" data=idx:"$scratch/cut"
make_set "$scratch/label"
idx "$scratch/label/t10k-labels-idx1-ubyte" 2049 8
printf '\0\1\0\1\0\1\0\11' >> "$scratch/label/t10k-labels-idx1-ubyte"
expect 65 "label" data=idx:"$scratch/label" net='C4k3 R GA F2'
make_set "$scratch/magic"
idx "$scratch/magic/train-labels-idx1-ubyte" 2051 16
head -c 16 /dev/zero >> "$scratch/magic/train-labels-idx1-ubyte"
expect 65 "$scratch/magic/train-labels-idx1-ubyte" data=idx:"$scratch/magic"
expect 2 "F4" data=idx:"$scratch/good"
check "and the data that want otherwise" grep -qF "(idx:$scratch/good has samples of 4 x 4 x 1 in 2 classes)" "$scratch/err"
check "nothing of all this left a checkpoint" [ ! -e "$scratch/run/ckpt" ]

run_ranks 2 "$HALFSPEC" train "$scratch/a.conf" run="$scratch/run" > "$scratch/out" 2>&1
check "the same file trains when nothing is wrong" [ $? = 0 ]
before=$(cd "$scratch/run" && find . -type f -exec cksum {} + | sort)
expect 2 "lr: 0.001 -> 0.5" lr=0.5
check "a refused run is as it was" [ "$before" = "$(cd "$scratch/run" && find . -type f -exec cksum {} + | sort)" ]

expect 74 "cannot" run="$scratch/a.conf/below"
expect 74 "cannot" run=/proc/halfspec
file_limit=8
expect 74 "the file is larger than allowed here" run="$scratch/full"
check "no checkpoint is half there" [ -z "$(find "$scratch/full" -name 'step-*' -size -1k 2> /dev/null)" ]
done_testing
