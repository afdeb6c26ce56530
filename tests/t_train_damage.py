"""t_train_damage.py - bits flipped, ends cut off, rubbish added, blocks zeroed or exchanged, in every kind of file that the program reads: data
sets, configurations, wisdom, and all that a run wrote. Whatever is read afterwards says which file is wrong with code 65 (2: a configuration), or
goes on to the bits of an undamaged run; it never crashes, hangs, or goes on silently to something else. Part of make check-long. HS_TEST_SEED
repeats, HS_TEST_COUNT says how many files are damaged (150). TAP."""

import gzip
import os
import shutil
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hostile as h  # noqa: E402

KEYS = ["net=C3k3 R M2s2 F10", "batch=8", "epochs=100", "device=ref", "threads=1", "checkpoint.every=2", "checkpoint.keep=3", "history.every=2",
        "log-every=1", "eval-every=2", "progress=none", "augment.flip=yes"]


# ---- sound files -------------------------------------------------------------------------------------------------------------------------------


def pixels(r, count, size):
    return bytes(r.randrange(256) for _ in range(count * size))


def labels(count, classes=10):
    return bytes(i % classes for i in range(count))


def write(path, content, packed=False):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + (".gz" if packed else ""), "wb") as f:
        f.write(gzip.compress(content) if packed else content)


def make_idx(r, folder, packed):
    for part, n in (("train", 40), ("t10k", 8)):
        write(f"{folder}/{part}-images-idx3-ubyte", struct.pack(">4I", 2051, n, 6, 6) + pixels(r, n, 36), packed)
        write(f"{folder}/{part}-labels-idx1-ubyte", struct.pack(">2I", 2049, n) + labels(n), packed)
    return f"data=idx:{folder}"


def make_cifar(r, folder):
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        write(f"{folder}/{name}.bin", b"".join(bytes([i % 10]) + pixels(r, 1, 3072) for i in range(6)))
    return f"data=cifar10:{folder}"


def make_hdf5(r, folder):
    import h5py
    import numpy as np

    os.makedirs(folder)
    with h5py.File(f"{folder}/set.h5", "w") as f:
        for part, n in (("train", 40), ("test", 8)):
            images = np.frombuffer(pixels(r, n, 36), np.uint8).reshape(n, 6, 6, 1)
            f.create_dataset(f"{part}/images", data=images, chunks=(8, 6, 6, 1), compression="gzip", fletcher32=True)
            f[f"{part}/labels"] = np.frombuffer(labels(n), np.uint8)
    return f"data=hdf5:{folder}/set.h5"


# ---- damage ------------------------------------------------------------------------------------------------------------------------------------


def damage(r, path):
    """Says what was done."""
    data = bytearray(open(path, "rb").read())
    size = len(data)
    kind = r.choice(["flip", "flip", "flip", "flips", "cut", "cut", "rubbish", "zeros", "exchange", "empty"]) if size else "rubbish"
    at = min(r.randrange(size), r.randrange(size)) if size else 0  # headers more than contents
    if kind in ("flip", "flips"):
        for _ in range(1 if kind == "flip" else r.randint(2, 40)):
            data[at] ^= 1 << r.randrange(8)
            at = r.randrange(size)
    elif kind == "cut":
        at = r.randrange(size)
        data = data[:at]
    elif kind == "rubbish":
        data += bytes(r.randrange(256) for _ in range(r.randint(1, 300)))
    elif kind == "zeros":
        data[at:at + r.randint(1, 600)] = bytes(len(data[at:at + r.randint(1, 600)]))
    elif kind == "exchange":
        to, length = r.randrange(size), r.randint(1, 64)
        data[at:at + length], data[to:to + length] = data[to:to + length], data[at:at + length]
    else:
        data = b""
    with open(path, "wb") as f:
        f.write(data)
    return f"{kind} at {at} of {size}"


# ---- what must come of it ----------------------------------------------------------------------------------------------------------------------


def complaint(code, said, files):
    """Why this end is not one of those that are allowed; "": it is."""
    if code is None:
        return "hangs"
    if h.LOUD.search(said):
        return "a sanitizer or an assertion speaks"
    if code not in (0, 2, 65, 74):
        return f"exit code {code}"
    if code and "error:" not in said:
        return f"exit code {code} without a message"
    if code and not any(os.path.basename(f) in said or os.path.dirname(f) in said for f in files):
        return "the message does not name the file"
    return ""


class Case:
    """A sound run of 4 steps of one data set, its copy after 8, and how to start it."""

    def __init__(self, name, data, folder, files):
        self.name, self.data, self.files = name, data, files
        self.run, self.golden = f"{folder}/{name}-run", f"{folder}/{name}-whole"
        self.conf = f"{folder}/{name}.conf"
        with open(self.conf, "w") as f:
            f.writelines(k.replace("=", " = ", 1) + "\n" for k in KEYS + [data])
        for run, steps in ((self.run, 4), (self.golden, 8)):
            code, said = h.call(1, "train", self.conf, f"run={run}", f"max-steps={steps}")
            if not h.ok(code == 0, f"{name}: a sound run of {steps} steps"):
                h.note(said)
        self.digest, self.tables = h.digest_state(self.golden), h.digest_tables(self.golden)


def try_data(r, case, folder):
    """A data file is damaged under a run that goes on."""
    path = r.choice(case.files)
    sound, run = open(path, "rb").read(), f"{folder}/again"
    shutil.copytree(case.run, run)
    done = damage(r, path)
    code, said = h.call(1, "train", case.conf, f"run={run}", "max-steps=8")
    why = complaint(code, said, [path, case.data.split(":", 1)[1]])
    if not why and code == 0 and h.digest_state(run) != case.digest:
        why = "goes on to other numbers"
    if not why:
        code, said = h.call(1, "train", case.conf, f"run={folder}/fresh", "max-steps=1")
        why = complaint(code, said, [path, case.data.split(":", 1)[1], "net"])
    with open(path, "wb") as f:
        f.write(sound)
    return f"{os.path.basename(path)} ({case.name}): {done}", why, said


def try_run(r, case, folder):
    """A file of RUN is damaged, then the run goes on, or is looked at."""
    run = f"{folder}/again"
    shutil.copytree(case.run, run)
    names = ["config", "log.jsonl", "run.h5", "run.h5", "ckpt/MANIFEST", "ckpt/step-00000004.h5", "ckpt/step-00000004.h5", "ckpt/step-00000002.h5"]
    name = r.choice(names)
    if r.random() < 0.2 and name.endswith(".h5") and "ckpt" in name:
        os.remove(f"{run}/ckpt/MANIFEST")
    done = damage(r, f"{run}/{name}")
    command = r.choice([["train", case.conf, f"run={run}", "max-steps=8"]] * 3 + [["eval", run], ["info", run], ["check", run]])
    code, said = h.call(1, *command)
    why = complaint(code, said, [f"{run}/{name}"])
    if code == 65 and command[0] == "check":
        why = ""
    if not why and code == 0 and command[0] == "train":
        if h.digest_state(run) != case.digest:
            why = "goes on to another state"
        elif name not in ("run.h5", "log.jsonl") and h.digest_tables(run) != case.tables:
            why = "tables, history or log differ"
        elif name == "run.h5":  # a log has no checksum: what it says is for people
            checked = h.call(1, "check", run)
            try:
                same = h.digest_tables(run) == case.tables
            except (OSError, KeyError):
                same = False
            if checked[0] == 0 and not same:
                why = "a history that differs passes `check`"
    return f"{name} ({case.name}, {command[0]}): {done}", why, said


def try_text(r, case, folder):
    """A configuration or wisdom is damaged under a new run."""
    conf, wisdom = f"{folder}/text.conf", f"{folder}/wisdom"
    shutil.copy(case.conf, conf)
    shutil.copy(case.conf + ".wisdom", wisdom)
    name = r.choice([conf, wisdom])
    done = damage(r, name)
    code, said = h.call(1, "train", conf, f"run={folder}/again", "plan=wisdom", f"wisdom={wisdom}", "max-steps=2", "device=cpu")
    why = complaint(code, said, [name, "network", "data ="])
    return f"{os.path.basename(name)} ({case.name}): {done}", why, said


seed, r, wanted = h.draws(150)
h.note(f"HS_TEST_SEED={seed} HS_TEST_COUNT={wanted}")
with h.Scratch() as folder:
    cases = []
    for name, make in (("idx", lambda d: make_idx(r, d, False)), ("gzip", lambda d: make_idx(r, d, True)), ("cifar", lambda d: make_cifar(r, d)),
                       ("hdf5", lambda d: make_hdf5(r, d))):
        data = make(f"{folder}/{name}")
        cases.append(Case(name, data, folder, sorted(f"{folder}/{name}/{p}" for p in os.listdir(f"{folder}/{name}"))))
    h.call(1, "train", cases[0].conf, f"run={folder}/for-wisdom", "plan=wisdom", f"wisdom={cases[0].conf}.wisdom", "max-steps=1", "device=cpu")
    tally = {}
    for number in range(wanted):
        case = r.choice(cases)
        what = r.choice([try_data, try_data, try_run, try_run, try_text])
        what, why, said = what(r, cases[0] if what is try_text else case, folder)
        if not h.ok(not why, f"{what}{': ' + why if why else ''}"):
            h.note(said[-3000:])
        for left in ("again", "fresh"):
            shutil.rmtree(f"{folder}/{left}", ignore_errors=True)
h.finish()
