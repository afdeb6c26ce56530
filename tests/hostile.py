"""hostile.py - for tests that treat the program badly: runs of it on any number of ranks, its processes, and what a run left behind as one digest.
Not a test."""

import glob
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from store_tap import note, ok  # noqa: E402,F401

PROGRAM = os.path.abspath(os.environ.get("HALFSPEC", "./halfspec"))
MPIRUN = os.environ.get("MPIRUN", "mpirun")
FLAGS = os.environ.get("MPIRUN_FLAGS", "--oversubscribe --bind-to none").split()
PATIENCE = 120  # s that any start may take before it counts as hanging
LOUD = re.compile(r"AddressSanitizer|runtime error:|LeakSanitizer|Assertion|Segmentation|stack smashing|terminate called")
CLOCKS = {"elapsed", "samples_per_second", "date"}  # what two equal runs need not agree on

ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_btl_base_warn_component_unused="0",
                   OMPI_MCA_rmaps_base_oversubscribe="1", OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
ENVIRONMENT.setdefault("ASAN_OPTIONS", "detect_leaks=0")


def draws(default):
    """(seed, generator, number of cases): HS_TEST_SEED repeats what a failure printed, HS_TEST_COUNT asks for more."""
    seed = int(os.environ.get("HS_TEST_SEED", random.randrange(2**31)))
    return seed, random.Random(seed), int(os.environ.get("HS_TEST_COUNT", default))


def words(ranks, *rest):
    return ([MPIRUN, *FLAGS, "-n", str(ranks)] if ranks > 1 else []) + [PROGRAM, *rest]


def begin(ranks, *rest):
    """Starts the program in a process group of its own."""
    return subprocess.Popen(words(ranks, *rest), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=ENVIRONMENT,
                            start_new_session=True)


def end(job, seconds=PATIENCE):
    """(exit status, what it said); None as status: it hung."""
    try:
        said = job.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        return None, job.communicate()[0].decode(errors="replace")
    return job.returncode, said.decode(errors="replace")


def call(ranks, *rest, seconds=PATIENCE):
    return end(begin(ranks, *rest), seconds)


def processes(mark):
    """(number, is a rank) of all processes with MARK among their words."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            line = open(path, "rb").read().split(b"\0")
        except OSError:
            continue
        if mark.encode() in line:
            found.append((int(path.split("/")[2]), os.path.basename(line[0]) != os.path.basename(MPIRUN).encode()))
    return found


def wait_gone(mark, seconds=20):
    """True when no process of MARK is left."""
    until = time.monotonic() + seconds
    while processes(mark):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def newest(run):
    """Steps of the newest checkpoint, -1 if there is none."""
    steps = [int(re.sub(r"\D", "", os.path.basename(p)[:-3])) for p in glob.glob(f"{glob.escape(run)}/ckpt/step-*.h5")]
    return max(steps, default=-1)


def feed(digest, name, item):
    """ITEM of an HDF5 file, its attributes but hosts and clocks, and all below it."""
    digest.update(name.encode())
    for key in sorted(item.attrs):
        if key not in CLOCKS:
            digest.update(f"{key}={item.attrs[key]!r}".encode())
    if hasattr(item, "keys"):
        for key in sorted(item):
            if key not in CLOCKS:
                feed(digest, f"{name}/{key}", item[key])
    else:
        digest.update(str(item.shape).encode() + item[()].tobytes() if item.dtype.kind != "O" else repr(item[()].tolist()).encode())


def digest_state(run):
    """Parameters, statistics, moments and state of the newest checkpoint."""
    import h5py

    digest = hashlib.sha256()
    with h5py.File(f"{run}/ckpt/step-{newest(run):08d}.h5") as f:
        for part in ("model", "optimizer"):
            feed(digest, part, f[part])
        for key in sorted(f["state"].attrs):
            if key not in CLOCKS and not key.startswith("config"):
                digest.update(f"{key}={f['state'].attrs[key]!r}".encode())
    return digest.hexdigest()


def digest_tables(run):
    """Tables and history of run.h5, and the log, without what the clock made."""
    import h5py

    digest = hashlib.sha256()
    with h5py.File(f"{run}/run.h5") as f:
        for part in ("train", "eval", "layers", "history"):
            feed(digest, part, f[part])
    for line in open(f"{run}/log.jsonl"):
        row = json.loads(line)
        digest.update(json.dumps({k: v for k, v in row.items() if k not in CLOCKS}, sort_keys=True).encode())
    return digest.hexdigest()


class Scratch:
    """A directory that goes away, unless something failed in it."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="hs-hostile-")
        return self.path

    def __exit__(self, *_):
        import store_tap

        if store_tap.failed == 0:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            note(f"kept: {self.path}")


def finish():
    import store_tap

    print(f"1..{store_tap.count}")
    sys.exit(store_tap.failed > 0)
