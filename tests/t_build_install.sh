#!/bin/sh
# t_build_install.sh - `make install DESTDIR=` puts program, library, headers, man page and pkg-config file where they belong; a program built against
# them alone runs; `make uninstall` leaves nothing behind. Runs in the build directory.
# shellcheck disable=SC2046  # pkg-config prints words
. "$srcdir/tests/lib.sh"
make_scratch
root=$scratch/root
if make -s install DESTDIR="$root" > "$scratch/install.log" 2>&1; then ok "make install DESTDIR="; else
    sed 's/^/# /' "$scratch/install.log"
    not_ok "make install DESTDIR="
fi
prefix=$(sed -n 's/^prefix = //p' Makefile)
place=$root$prefix
check "program" test -x "$place/bin/halfspec"
check "static library" test -f "$place/lib/libhalfspec.a"
check "shared library" test -f "$place/lib/libhalfspec.so"
check "public header" test -f "$place/include/halfspec/halfspec.h"
check "man page" test -f "$place/share/man/man1/halfspec.1"
check "python module" test -f "$place/share/halfspec/python/halfspec/__init__.py"
"$place/bin/halfspec" --version > "$scratch/version"
check "installed program runs" [ $? = 0 ]
check "it says its version" grep -q '^halfspec ' "$scratch/version"

# The worked example on top of halfspec.h, compiled as a user would.
sed -n '/^ \*     #include/,/^ \*     }$/s/^ \*     //p' "$place/include/halfspec/halfspec.h" > "$scratch/example.c"
check "the header's example is there" grep -q hs_train "$scratch/example.c"
export PKG_CONFIG_PATH="$place/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root"
if cc -std=c11 -Wall -Werror -o "$scratch/example" "$scratch/example.c" $(pkg-config --cflags --libs halfspec) > "$scratch/cc.log" 2>&1; then
    ok "it compiles and links through pkg-config"
else
    sed 's/^/# /' "$scratch/cc.log"
    not_ok "it compiles and links through pkg-config"
fi
cd "$scratch" || exit 99
sed -i 's/data = fashion-mnist/data = synthetic:64,8,8,1,4\\nnet = C4k3 R F4\\nlog-every = 0/' example.c
cc -std=c11 -o example example.c $(pkg-config --cflags --libs halfspec) &&
    LD_LIBRARY_PATH="$place/lib" ./example > example.out 2> example.err
code=$?
sed 's/^/# /' example.err
[ $code = 0 ] && grep -q '^test error 0\.' example.out
check "and trains" [ $? = 0 ]
cd - > /dev/null || exit 99

make -s uninstall DESTDIR="$root" > "$scratch/uninstall.log" 2>&1
left=$(find "$root" -type f -o -type l | head -n 5)
check "make uninstall leaves nothing behind ($left)" [ -z "$left" ]
done_testing
