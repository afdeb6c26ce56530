#!/bin/sh
# t_train_output.sh - what training prints and logs: a plan that writes nothing, lines into a pipe, a bar into a terminal that has a width (and none into
# one that has not), colour only where it is wanted, one JSON object a line in log.jsonl.
srcdir=${srcdir:-$(dirname "$0")/..}
. "$srcdir/tests/lib.sh"
make_scratch
[ -x "${HALFSPEC:-}" ] || skip_all "HALFSPEC does not name the program"
export OMP_NUM_THREADS=1

cat > "$scratch/small.conf" << 'END'
net = C4k3 R FD SP5 F4
data = synthetic:96,8,8,2,4
batch = 32
epochs = 4
device = ref
log-every = 1
l1.spectral = 1e-4
END

train() {
    run=$scratch/$1
    shift
    "$HALFSPEC" train "$scratch/small.conf" "run=$run" "$@"
}

train dry --dry-run > "$scratch/dry.out" 2>&1
check "--dry-run ends well" [ $? = 0 ]
check "--dry-run writes nothing" [ ! -e "$scratch/dry" ]
check "--dry-run shows every layer" sh -c 'grep -q "^conv1 *C4k3" "$1" && grep -q "^fc1 *F4" "$1" && grep -q "^total" "$1"' sh "$scratch/dry.out"
check "--dry-run shows bytes, steps and history" sh -c 'grep -q "bytes per rank: parameters" "$1" && grep -q "3 steps an epoch, 12 in all" "$1" &&
    grep -q "history on disk" "$1"' sh "$scratch/dry.out"

train plain > "$scratch/plain.out" 2>&1
check "into a pipe: a line per log interval" [ "$(grep -c '^step=[0-9]* epoch=.* loss=.* img/s=' "$scratch/plain.out")" = 12 ]
check "into a pipe: no carriage return" sh -c '! grep -q "$(printf "\r")" "$1"' sh "$scratch/plain.out"
check "a time table at the end" grep -q '^communication (exposed) ' "$scratch/plain.out"
train none progress=none > "$scratch/none.out" 2>&1
check "progress=none: no such lines" sh -c '! grep -q "^step=" "$1"' sh "$scratch/none.out"

if [ -n "${PYTHON:-}" ]; then
    check "log.jsonl: one object a line, steps in order, no NaN" "$PYTHON" - "$scratch/plain/log.jsonl" << 'END'
import json, sys
rows = [json.loads(line, parse_constant=lambda c: sys.exit("not JSON: " + c)) for line in open(sys.argv[1])]
train = [r for r in rows if r["kind"] == "train"]
evals = [r for r in rows if r["kind"] == "eval"]
assert [r["step"] for r in train] == list(range(1, 13)), train
assert [r["step"] for r in evals] == [3, 6, 9, 12], evals
for r in train:
    assert set(r) >= {"epoch", "loss", "loss_data", "penalty_l1", "penalty_l2", "accuracy", "lr", "grad_norm", "update_norm", "param_norm",
                      "samples_per_second", "elapsed"}, r
    assert abs(r["loss"] - r["loss_data"] - r["penalty_l1"] - r["penalty_l2"]) < 1e-6 and r["penalty_l1"] > 0, r
    assert len(r["cutoffs"]) >= 1 and all(1 <= c <= 8 for c in r["cutoffs"]), r
assert all(0 <= r["error_top1"] <= 1 for r in evals)
END
    cat > "$scratch/terminal.py" << 'END'
import fcntl, os, pty, struct, sys, termios
columns, command = int(sys.argv[1]), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24 if columns else 0, columns, 0, 0))
    os.execv(command[0], command)
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    sys.stdout.buffer.write(data)
END
    terminal() {
        "$PYTHON" "$scratch/terminal.py" "$1" "$HALFSPEC" train "$scratch/small.conf" "run=$scratch/$2" > "$scratch/$2.out"
    }
    bar=$(printf '\r[')
    green=$(printf '\033[32m')
    if "$PYTHON" -c 'import pty; pty.openpty()' 2> /dev/null; then
        unset NO_COLOR
        terminal 100 wide
        check "a terminal: a bar in colour" sh -c 'grep -qF "$2" "$1" && grep -qF "$3" "$1"' sh "$scratch/wide.out" "$bar" "$green"
        check "a terminal: no plain lines" sh -c '! grep -q "^step=[0-9]* epoch=[0-9.]* loss=" "$1"' sh "$scratch/wide.out"
        terminal 0 widthless
        check "a terminal without a width: plain lines" sh -c '! grep -qF "$2" "$1" && grep -q "^step=12 " "$1"' sh "$scratch/widthless.out" "$bar"
        NO_COLOR=1
        export NO_COLOR
        terminal 100 grey
        check "NO_COLOR: a bar without colour" sh -c 'grep -qF "$2" "$1" && ! grep -qF "$3" "$1"' sh "$scratch/grey.out" "$bar" "$green"
    else
        skip "terminals: this system has no pseudo-terminals (is /dev/pts mounted?)"
    fi
else
    echo "# no Python: log.jsonl and terminals are not looked at"
fi
done_testing
