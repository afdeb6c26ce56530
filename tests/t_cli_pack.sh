#!/bin/sh
# t_cli_pack.sh - halfspec pack: usage, what it says without a Python that can, and a packed set that trains.
. "$srcdir/tests/lib.sh"
make_scratch
"$HALFSPEC" pack "$scratch" > "$scratch/out" 2> "$scratch/err"
code=$?
check "pack without -o is misuse" [ $code = 2 ]
check "and says how" grep -q 'usage: halfspec pack FOLDER -o' "$scratch/err"
mkdir "$scratch/empty"
env PATH="$scratch/empty" PYTHON=/bin/false PYTHONPATH=/nowhere "$HALFSPEC" pack "$scratch" -o "$scratch/set.h5" > "$scratch/out" 2> "$scratch/err"
code=$?
# /usr/bin/python3 may be able; then the empty folder is the fault
check "without Python or images: exit code 2 or 65" sh -c '[ "$1" = 2 ] || [ "$1" = 65 ]' sh $code
check "one error" [ "$(grep -c 'error' "$scratch/err")" = 1 ]
if [ -z "$PYTHON" ] || ! "$PYTHON" -c 'import h5py, numpy, PIL' 2> /dev/null; then
    ok "a packed set trains # SKIP no Python with Pillow, NumPy and h5py"
    done_testing
    exit 0
fi
"$PYTHON" -c '
import os, sys
import numpy as np
from PIL import Image
draw = np.random.default_rng(3)
for part, count in (("train", 12), ("test", 4)):
    for label in range(2):
        where = f"{sys.argv[1]}/images/{part}/class{label}"
        os.makedirs(where)
        for i in range(count):
            Image.fromarray((draw.integers(0, 128, (9, 9)) + 127 * label).astype(np.uint8)).save(f"{where}/{i}.png")' "$scratch"
"$HALFSPEC" pack "$scratch/images" --size 8x8 -o "$scratch/set.h5" > "$scratch/out" 2>&1
code=$?
[ $code = 0 ] || sed 's/^/# /' "$scratch/out"
check "a folder is packed" [ $code = 0 ]
check "it says what it made" grep -q '2 classes, 24 training and 8 test images of 8 x 8 x 1' "$scratch/out"
echo 'net = C2k3 R SP4 F2' > "$scratch/a.conf"
"$HALFSPEC" train "$scratch/a.conf" data=hdf5:"$scratch/set.h5" batch=8 epochs=2 device=ref run="$scratch/run" > "$scratch/out" 2>&1
code=$?
[ $code = 0 ] || sed 's/^/# /' "$scratch/out"
check "the set trains" [ $code = 0 ]
"$HALFSPEC" pack "$scratch/missing" -o "$scratch/other.h5" > "$scratch/out" 2> "$scratch/err"
code=$?
check "a missing folder is bad input" [ $code = 65 ]
check "and leaves no file" [ ! -e "$scratch/other.h5" ]
done_testing
