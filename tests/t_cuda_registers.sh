#!/bin/sh
# t_cuda_registers.sh - what ptxas said of every kernel when it was built, against the budget in cuda/registers.txt: registers, bytes of shared
# memory, of stack and of spills, for each architecture. No kernel may spill, whatever the table says; growth needs a new table, so that it
# is seen in a diff. `tests/t_cuda_registers.sh --renew` in the build directory writes the table anew.
srcdir=${srcdir:-$(dirname "$0")/..}
. "$srcdir/tests/lib.sh"
table=$srcdir/cuda/registers.txt
logs=$(ls cuda/.libs/*.ptxas 2> /dev/null)
[ -n "$logs" ] || skip_all "NO KERNEL WAS HELD AGAINST ITS REGISTER BUDGET: this build has no CUDA (nvcc was not found, or --without-cuda)"
make_scratch

# A line for each kernel: ARCHITECTURE NAME REGISTERS SHARED STACK SPILLS. Names lose the mangling of their arguments.
# shellcheck disable=SC2086  # logs are a list of words
awk '
    function short(name, length_of, rest) {
        sub(/^_Z[NL]*/, "", name)
        length_of = name + 0
        sub(/^[0-9]+/, "", name)
        rest = substr(name, length_of + 1)
        name = substr(name, 1, length_of)
        if (rest ~ /^I/) {
            sub(/Ev.*/, "", rest)
            name = name "<" substr(rest, 2) ">"
        }
        return name
    }
    /Compiling entry function/ { split($0, part, "\047"); name = short(part[2]); arch = part[4] }
    /bytes stack frame/ { stack = $1; spills = $5 + $9 }
    /Used [0-9]+ registers/ {
        for (i = 1; i < NF; i++)
            if ($i == "Used") registers = $(i + 1)
        shared = match($0, /[0-9]+ bytes smem/) ? substr($0, RSTART) + 0 : 0
        print arch, name, registers, shared, stack, spills
    }' $logs | LC_ALL=C sort > "$scratch/now"
# shellcheck disable=SC2086
compiler=$(sed -n 's/^compiler: //p' $logs | sort -u)
if [ "${1:-}" = --renew ]; then
    {
        echo "# registers.txt - architecture, kernel, registers, bytes of static shared memory, of stack and of spills, by ptxas of"
        echo "# compiler: $compiler"
        echo "# Read by tests/t_cuda_registers.sh; renewed by running it with --renew in the build directory, after a look at the difference."
        cat "$scratch/now"
    } > "$table"
    exit
fi

spilling=$(awk '$6 > 0 { print "# spills:", $0 }' "$scratch/now")
[ -z "$spilling" ] || echo "$spilling"
check "no kernel spills registers ($(wc -l < "$scratch/now" | tr -d ' ') compiled)" [ -z "$spilling" ]
if [ "$(sed -n 's/^# compiler: //p' "$table")" != "$compiler" ]; then
    skip "the budget is of another compiler: cuda/registers.txt was made by $(sed -n 's/^# compiler: //p' "$table"), this is $compiler"
    done_testing
    exit
fi
grown=$(awk '
    NR == FNR { if ($0 !~ /^#/) for (i = 3; i <= 6; i++) most[$1, $2, i] = $i; next }
    !(($1, $2, 3) in most) { print "# not in the table:", $0; next }
    function room(i, count) { return i == 3 ? int((count + 7) / 8) * 8 : count + 0 } # registers are handed out by the eight
    {
        for (i = 3; i <= 6; i++)
            if (room(i, $i) > room(i, most[$1, $2, i])) {
                print "# grown:", $0, "; the table has", most[$1, $2, 3], most[$1, $2, 4], most[$1, $2, 5], most[$1, $2, 6]
                break
            }
    }' "$table" "$scratch/now")
[ -z "$grown" ] || echo "$grown"
[ -z "$grown" ] || echo "# if this is meant: sh $srcdir/tests/t_cuda_registers.sh --renew, look at git diff cuda/registers.txt, commit it"
check "no kernel needs more than cuda/registers.txt allows" [ -z "$grown" ]
done_testing
