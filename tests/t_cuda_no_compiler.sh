#!/bin/sh
# t_cuda_no_compiler.sh - stands for the tests of cuda/ where they cannot be built.
. "$srcdir/tests/lib.sh"
skip_all "NOTHING OF cuda/ WAS TESTED: no C++17 compiler was found; install g++ and configure again"
