#!/bin/sh
# t_build_scripts.sh - every shell script of the tree passes shellcheck.
. "$srcdir/tests/lib.sh"
command -v shellcheck > /dev/null || skip_all "no shellcheck here; apt-get install shellcheck"
here=$(pwd)
cd "$srcdir" || exit 99
for script in bootstrap jobs/*.sh jobs/*/*.sh jobs/*.slurm tests/*.sh tests/run-tap tests/run-python; do
    case $script in
    tests/t_*) without="-S warning -e SC1091,SC2154" ;; # srcdir and scratch come from make and lib.sh
    *) without= ;;
    esac
    # shellcheck disable=SC2086  # words, or nothing
    if out=$(shellcheck -x $without "$script" 2>&1); then ok "$script"; else
        printf '%s\n' "$out" | sed 's/^/# /'
        not_ok "$script"
    fi
done
cd "$here" || exit 99
done_testing
