"""cases.py - one case of the oracle: a network, a configuration and a small data set go through the program and through PyTorch; HDF5 files are all
that crosses over. Also the TAP lines."""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

PROGRAM = os.path.abspath(os.environ.get("HALFSPEC", "./halfspec"))
LIMITS = {"double": 1e-10, "fp32": 1e-5}
STEPS = 20
count = failed = 0


def need_torch():
    """Without PyTorch the whole script is a loud skip."""
    try:
        import h5py  # noqa: F401
        import torch
    except ImportError as missing:
        print(f"1..0 # SKIP no independent oracle: {missing}; apt-get install python3-torch python3-h5py (nothing else checks whole trainings against it)")
        sys.exit(0)
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    print(f"# torch {torch.__version__}, h5py {h5py.__version__}")


def ok(good, text):
    global count, failed
    count += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {count} - {text}", flush=True)
    return good


def note(text):
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def finish():
    print(f"1..{count}")
    sys.exit(failed > 0)


def write_set(path, seed, n, h, w, c, classes):
    """Samples and a held-out part, drawn by numpy."""
    import h5py
    import numpy as np

    draw = np.random.default_rng(seed)
    with h5py.File(path, "w") as f:
        f.attrs["classes"] = classes
        for part, size in (("", n), ("test_", 5)):
            f[part + "images"] = draw.normal(size=(size, h, w, c)).astype("f4")
            f[part + "labels"] = draw.integers(0, classes, size)


def halfspec(folder, run, net, config, precision, more):
    """Runs `halfspec train`; returns the directory of the run."""
    conf = os.path.join(folder, "case.conf")
    fixed = {"net": net, "data": f"hdf5:{folder}/set.h5", "data.normalise": "none", "run": f"{folder}/{run}", "batch": 4096, "threads": 1,
             "device": "ref" if precision == "double" else "cpu", "precision": precision, "log-every": 1, "history.every": 0,
             "checkpoint.every": 0, "progress": "none", "data.prefetch": "no"}
    with open(conf, "w") as f:
        f.writelines(f"{k} = {v}\n" for k, v in {**fixed, **config, **more}.items())
    done = subprocess.run([PROGRAM, "train", conf], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"halfspec train: exit code {done.returncode}\n{open(conf).read()}\n{done.stderr}")
    return f"{folder}/{run}"


NEUTRAL = ("l2", "l1.", "sobolev", "lr", "clip", "optimizer", "moment", "decay")


def start(folder, net, config, precision):
    """Initial parameters: the checkpoint of one step of SGD at rate 0, which moves nothing. Rotations from the same filters in two bases."""
    import h5py
    import numpy as np

    calm = {k: v for k, v in config.items() if not k.startswith(NEUTRAL)}
    run = halfspec(folder, "start", net, calm, precision, {"optimizer": "sgd", "lr": 0, "epochs": 1})
    values, rotations = {}, {}
    with h5py.File(glob.glob(run + "/ckpt/step-*.h5")[0], "r") as f:
        for layer, group in f["model"].items():
            for name in group:
                if name in ("weight", "bias", "gamma", "beta", "offset") and not (name == "weight" and "coordinates" in group):
                    values[f"{layer}.{name}"] = group[name][()].astype("f8")
            if "coordinates" in group:
                p = values[f"{layer}.weight"] = group["coordinates"][()].astype("f8")
                if group.attrs["param"] == "rotation":
                    taps = group["weight"][()].astype("f8").reshape(-1, p.shape[2])
                    if np.linalg.matrix_rank(taps) < p.shape[2]:
                        raise RuntimeError("too few filters to find a rotation from")
                    q = np.linalg.lstsq(taps, p.reshape(-1, p.shape[2]), rcond=None)[0].T
                    u, _, v = np.linalg.svd(q)
                    rotations[layer] = u @ v
    return values, rotations


def logged(run):
    import h5py

    with h5py.File(run + "/run.h5", "r") as f:
        rows = {k: f["train"][k][()].astype("f8") for k in ("loss", "loss_data", "penalty_l1", "penalty_l2", "lr", "grad_norm")}
        rows["eval_loss"] = f["eval"]["loss"][()]
    with open(run + "/log.jsonl") as f:
        lines = [json.loads(line) for line in f]
    return rows, [line["cutoffs"] for line in lines if "cutoffs" in line]


def compare(ours, theirs, limit, column_limit):
    """Largest relative difference by column and which columns are beyond their limit."""
    import numpy as np

    worst = {}
    for key, values in theirs.items():
        a, b = np.asarray(ours[key], float), np.asarray(values, float)
        if len(a) != len(b):
            return {key: float("inf")}, [key]
        worst[key] = float((np.abs(a - b) / np.maximum(np.abs(b), 1e-30)).max()) if np.any(b) or np.any(a) else 0.0
    return worst, [k for k, v in worst.items() if not v <= (limit if "loss" in k and k != "eval_loss" else column_limit)]


def shaken(values, precision):
    """The same parameters, each moved by half a unit in the last place of PRECISION."""
    import numpy as np

    draw, size = np.random.default_rng(0), 2.0 ** (-52 if precision == "double" else -24)
    return {k: v * (1 + size * draw.choice([-1.0, 1.0], v.shape)) for k, v in values.items()}


def excused(oracle, theirs, worst, beyond, values, precision):
    """True if rounding the initial parameters once already moves the oracle's own losses by a tenth of what differs: then nothing can be told."""
    moved, _ = compare(oracle(shaken(values, precision)), theirs, 0, 0)
    note(f"beyond the limit: {[(k, worst[k]) for k in beyond]}; rounding the initial parameters once moves them by {[moved[k] for k in beyond]}")
    return all(worst[k] <= 10 * moved[k] for k in beyond)


def case(name, net, config=None, precision="double", shape=(6, 8, 8, 2, 4), seed=1, moves=1e-4, may_be_unstable=False):
    """One TAP line: NAME's losses over 20 steps agree; so do rates, penalties, gradient norms and held-out losses, ten times less strictly. Drawn networks
    may be unstable."""
    import h5py
    import torch

    import network
    import training

    config = {"optimizer": "sgd", "lr": "0.05", **(config or {})}
    folder, begun = tempfile.mkdtemp(prefix="hs-oracle-"), time.time()
    try:
        write_set(folder + "/set.h5", seed, *shape)
        values, rotations = start(folder, net, config, precision)
        ours, cutoffs = logged(halfspec(folder, "run", net, config, precision, {"epochs": STEPS, "eval-every": 1}))
        middle = time.time()
        with h5py.File(folder + "/set.h5", "r") as f:
            images = [torch.tensor(f[k][()].astype("f8")).permute(0, 3, 1, 2) for k in ("images", "test_images")]
            labels = [torch.tensor(f[k][()]).long() for k in ("labels", "test_labels")]

        def oracle(values):
            built = network.Network(net, shape[4], values, config, {k: torch.tensor(v) for k, v in rotations.items()})
            return training.train(built, config, STEPS, images[0], labels[0], images[1], labels[1], cutoffs)

        theirs = oracle(values)
        worst, beyond = compare(ours, theirs, LIMITS[precision], 10 * LIMITS[precision])
        if may_be_unstable and precision == "fp32":  # at a ReLU's kink the gradient jumps where the loss does not
            beyond = [k for k in beyond if k != "grad_norm"]
        span = max(theirs["loss"]) - min(theirs["loss"])
        good = not beyond or (may_be_unstable and excused(oracle, theirs, worst, beyond, values, precision))
        text = f"{name}: losses within {worst.get('loss', float('inf')):.1e}, over a change of {span:.2g}"
        if not ok(good and span > moves, text):
            note(f"net = {net}\n{config}\ndifferences {worst}\nbeyond: {beyond}")
            note(f"ours   {list(ours['loss'][:6])}\ntheirs {theirs['loss'][:6]}")
        if os.environ.get("HS_TEST_TIMES"):
            note(f"{middle - begun:.1f} s program, {time.time() - middle:.1f} s oracle")
    except Exception as error:  # a case that cannot be run is a failure, not the end
        ok(False, f"{name}: {type(error).__name__}")
        note(f"net = {net}\n{config}\n{error}")
        if not isinstance(error, RuntimeError):
            note(traceback.format_exc())
    finally:
        shutil.rmtree(folder)
