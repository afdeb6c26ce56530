#!/bin/sh
# t_cli_help.sh - help, man page and completion know every key; the version is complete.
. "$srcdir/tests/lib.sh"
make_scratch
page=$srcdir/src/cli/halfspec.1
"$HALFSPEC" help > "$scratch/help"
for command in $("$HALFSPEC" help --commands); do
    check "help lists $command" grep -qE "^  $command " "$scratch/help"
    check "the man page has $command" grep -q "^\.B $command\$" "$page"
done
"$HALFSPEC" help keys > "$scratch/keys"
missing='' silent=''
for key in $("$HALFSPEC" help --keys); do
    grep -qF "  $key = " "$scratch/keys" || missing="$missing $key"
    case $key in net | data) continue ;; esac # help on these is a topic
    "$HALFSPEC" help "$key" | grep -q '^  default ' || silent="$silent $key"
done
check "help keys has every key ($missing)" [ -z "$missing" ]
check "help KEY knows every key ($silent)" [ -z "$silent" ]
defined=$(grep -c '^HS_KEY(' "$srcdir/include/hs_keys.def")
shown=$(grep -cE '^  [a-z]' "$scratch/keys")
check "as many keys as the table has lines ($shown of $defined)" [ "$shown" = "$defined" ]
check "help --choices" [ "$("$HALFSPEC" help --choices l1.step | tr '\n' ' ')" = "prox subgradient " ]
for topic in net data files codes; do
    check "help $topic" [ "$("$HALFSPEC" help $topic | wc -l)" -gt 4 ]
done
for word in C96k3 SP14 'SP\*0.85' FD M3s2 GA F1024 D0.5 BN 'MR ST' paper-sp spectral3d; do
    check "help net tells of $word" sh -c '"$1" help net | grep -q -e "$2"' sh "$HALFSPEC" "$word"
done

# The section KEYS of the page is made from the table; `make update-man` makes it anew.
"$HALFSPEC" help --man > "$scratch/man"
sed -n '/^\.\\" KEYS BEGIN/,/^\.\\" KEYS END/p' "$page" | sed '1d;$d' > "$scratch/in-page"
check "the man page's keys are the table's (else: make update-man)" cmp -s "$scratch/man" "$scratch/in-page"
if command -v groff > /dev/null; then
    groff -man -Tascii -ww -z "$page" > /dev/null 2> "$scratch/groff"
    sed 's/^/# /' "$scratch/groff"
    check "groff has nothing to say" [ ! -s "$scratch/groff" ]
fi

# Completion, asked as bash asks.
if command -v bash > /dev/null; then
    cat > "$scratch/ask" << 'END'
PATH=$(dirname "$HALFSPEC"):$PATH
. "$srcdir/src/cli/completion.bash"
compopt() { :; }
ask() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_WORDBREAKS=$' \t\n'; _halfspec; echo "${COMPREPLY[*]}"; }
ask halfspec tr
ask halfspec train a.conf lr.s
ask halfspec train a.conf optimizer=ne
ask halfspec train a.conf --d
ask halfspec help mom
ask halfspec bench prod
ask halfspec bench step --mod
END
    bash "$scratch/ask" > "$scratch/answers" 2>&1
    printf '%s\n' train lr.schedule= optimizer=nesterov --dry-run 'momentum moment' products --model-scaling | sort > "$scratch/wanted"
    sort "$scratch/answers" | sed 's/moment momentum/momentum moment/' > "$scratch/got"
    cmp -s "$scratch/wanted" "$scratch/got" || sed 's/^/# /' "$scratch/answers"
    check "completion in bash" cmp -s "$scratch/wanted" "$scratch/got"
fi

"$HALFSPEC" --version > "$scratch/version"
check "the first line is the version" sh -c 'head -n 1 "$1" | grep -qE "^halfspec [0-9]+\.[0-9]+\.[0-9]+$"' sh "$scratch/version"
for word in commit compiler backends MPI HDF5 FFTW OpenBLAS zlib CUDA NCCL; do
    check "version tells of $word" grep -q "^$word " "$scratch/version"
done
check "HDF5 as built and as running" grep -qE '^HDF5 +[0-9]+\.[0-9]+\.[0-9]+ +[0-9]+\.[0-9]+\.[0-9]+$' "$scratch/version"
"$HALFSPEC" version | cmp -s - "$scratch/version"
check "version and --version are one" [ $? = 0 ]
done_testing
