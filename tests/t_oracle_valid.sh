#!/bin/sh
# t_oracle_valid.sh - after 1,000 steps of Adam the stored half spectrum of every arm is Hermitian to the last bit: `halfspec check` on the checkpoint.
. "$srcdir/tests/lib.sh"
make_scratch
# Even sides have the bins that earlier implementations got wrong: Nyquist rows and columns, four self-conjugate bins.
cat > "$scratch/a.conf" << END
net = C3k4 R C3k3x6 R SP3 F3
data = synthetic:32,7,7,1,3
device = cpu
threads = 1
batch = 8
epochs = 250
lr = 1e-2
optimizer = adam
l1.spectral = 1e-3
progress = none
log-every = 0
eval-every = 0
history.every = 250
checkpoint.every = 0
END
for arm in spectral half-raw spectral3d rotation spatial full-complex; do
    "$HALFSPEC" train "$scratch/a.conf" param=$arm run="$scratch/$arm" > "$scratch/out" 2>&1
    code=$?
    [ $code = 0 ] || sed 's/^/# /' "$scratch/out"
    check "$arm: 1,000 steps of Adam" [ $code = 0 ] && check "$arm: a checkpoint" [ -s "$scratch/$arm/ckpt/step-00001000.h5" ]
    "$HALFSPEC" check "$scratch/$arm" > "$scratch/out" 2>&1
    code=$?
    [ $code = 0 ] || sed 's/^/# /' "$scratch/out"
    check "$arm: Hermitian to the last bit, in checkpoint and history" [ $code = 0 ]
done
if [ -n "$PYTHON" ] && [ "$PYTHON" != : ]; then
    # Once more without our check: what the files hold, by numpy.
    for arm in spectral half-raw spectral3d full-complex; do
        check "$arm: numpy finds no asymmetry" "$PYTHON" -c '
import sys, h5py, numpy as np
found = 0
with h5py.File(sys.argv[1]) as f:
    for layer in ("conv1", "conv2"):
        w = f["model"][layer]["weight"][()]
        assert np.iscomplexobj(w) and np.abs(w).max() > 0
        kx = np.arange(w.shape[3])
        wide = f["model"][layer].attrs["kernel"][1]
        for c in kx[(2 * kx) % wide == 0]:
            column = w[..., c]
            mirror = np.conj(np.roll(column[..., ::-1], 1, axis=-1))
            assert np.array_equal(column, mirror), (layer, c)
            found += 1
assert found == 4, found' "$scratch/$arm/ckpt/step-00001000.h5"
    done
else
    ok "numpy finds no asymmetry # SKIP no Python that imports h5py"
fi
done_testing
