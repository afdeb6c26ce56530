"""t_train_odd.py - configurations that nobody would write, drawn from the grammar of networks and the table of keys: `cpu` against `ref` in double
over the first steps, loss and norm of the gradient, on 1 to 4 ranks and more ranks than samples; files must be sound. A configuration that cannot
be must say so with code 2. Part of make check-long. HS_TEST_SEED repeats, HS_TEST_COUNT says how many (60). TAP."""

import json
import os
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hostile as h  # noqa: E402

ARMS = ["spatial", "spectral", "half-raw", "full-complex", "rotation", "spectral3d"]


def ceil(a, b):
    return -(-a // b)


class Net:
    """A network that is meant to be legal; the program may know better."""

    def __init__(self, r):
        self.r = r
        self.h, self.w = r.choice([1, 2, 3, 4, 5, 7, 8, 11, 16, 17, 24, 33]), r.choice([1, 2, 3, 5, 6, 8, 9, 13, 16, 20, 31])
        self.c = r.choice([1, 1, 2, 3, 3, 5, 16, 17])
        self.in_shape, self.classes = (self.h, self.w, self.c), r.choice([1, 2, 3, 4, 10, 11])
        depth = r.choice([0, 1, 2, 3, 4, 6, 9, 14])
        words = []
        while len(words) < depth:
            words.append(self.layer())
        self.text = " ".join(words + [r.choice([f"F{self.classes}", f"C{self.classes}k1 GA", f"GA F{self.classes}"])])

    def conv(self, out=None, keep=False):
        r = self.r
        kh, kw = r.choice([1, 1, 2, 3, 3, 4, 5, 6, 7, self.h]), r.choice([1, 2, 3, 3, 4, 5, 7, self.w])
        if r.random() < 0.6:
            kw = kh
        kh, kw = min(kh, max(self.h, 1)), min(kw, max(self.w, 1))
        out = out or r.choice([1, 2, 3, 5, 8, 16, 17, 33])
        options = [f"param={r.choice(ARMS)}"] if r.random() < 0.6 else []
        if r.random() < 0.5:
            options.append("boundary=" + r.choice(["periodic", "zero"]))
        if not keep and r.random() < 0.25:
            s = r.randint(2, 3)
            options.append(f"stride={s}")
            self.h, self.w = ceil(self.h, s), ceil(self.w, s)
        elif r.random() < 0.3:
            options.append("engine=" + r.choice(["direct", "fft"]))
        if "boundary=periodic" in options and "param=spectral3d" not in options and r.random() < 0.2:
            options.append("embed=band")
        if r.random() < 0.1:
            options.append("flip=yes")
        if r.random() < 0.2:
            options.append("bias=no")
        self.c = out
        return f"C{out}k{kh}" + (f"x{kw}" if kw != kh else "") + ("{" + ",".join(options) + "}" if options else "")

    def layer(self):
        r = self.r
        kind = r.random()
        if kind < 0.38:
            return self.conv()
        if kind < 0.58:
            return r.choice(["R", "R", "T"])
        if kind < 0.70:
            self.h, self.w = r.randint(1, self.h), r.randint(1, self.w)
            return f"SP{self.h}x{self.w}" + r.choice(["", "{norm=mean}"])
        if kind < 0.80:
            k, s = r.randint(1, 3), r.randint(1, 3)
            self.h, self.w = ceil(self.h, s), ceil(self.w, s)
            return f"{r.choice('MA')}{k}s{s}"
        if kind < 0.84:
            return r.choice(["MR", "ST"])
        if kind < 0.87:
            return "FD"
        if kind < 0.91:
            return "BN"
        if kind < 0.94:
            self.h = self.w = 1
            self.c = r.randint(1, 40)
            return f"F{self.c}"
        if kind < 0.97:
            return f"[{self.conv(self.c, True)} R]"
        return f"({self.conv(self.c, True)} R)*{r.randint(1, 4)}"


MORE = (("l2", [0, 1e-3]), ("l1.spectral", [1e-3]), ("l1.spatial", [1e-3]), ("sobolev", [1e-3]), ("clip", [0.1, 10]), ("lr.warmup", [3]),
        ("l1.step", ["subgradient"]), ("l1.kind", ["split"]), ("penalty.reduction", ["mean"]), ("reproducible", ["yes"]), ("param", ARMS),
        ("boundary", ["periodic"]), ("conv.engine", ["direct", "fft"]), ("conv.flip", ["yes"]), ("pool.norm", ["mean"]),
        ("data.validation", [0.1, 0.5, 0.9]), ("augment.flip", ["yes"]), ("augment.shift", [1]), ("comm.bucket", [1024]),
        ("lr.schedule", ["cosine", "exponential", "plateau"]), ("init.bias", [0.1]), ("history.filters", ["all", "none", "first:1"]))


def options(r, samples):
    batch = r.choice([1, 2, 3, 7, 16, samples - 1, samples, samples + 1, 1000000])
    keys = {"batch": max(batch, 1), "seed": r.randint(0, 10**6), "optimizer": r.choice(["sgd", "momentum", "nesterov", "adam", "adamw"]),
            "lr": r.choice([1e-5, 1e-4]), "data.normalise": r.choice(["none", "channel", "pixel"]), "threads": r.choice([1, 1, 2, 3, 5]),
            "init": r.choice(["he", "glorot", "truncated", "spectrum"]), "plan": r.choice(["estimate", "estimate", "measure"])}
    for key, values in MORE:
        if r.random() < 0.12:
            keys[key] = r.choice(values)
    if "adam" in keys["optimizer"] and r.random() < 0.2:
        keys["moment"] = "modulus"
    return keys


def trace(run):
    rows = [json.loads(line) for line in open(f"{run}/log.jsonl")]
    return [row for row in rows if row["kind"] == "train"], [row for row in rows if row["kind"] == "eval"]


def near(a, b, limit):
    return a == b or (a is not None and b is not None and abs(a - b) <= limit * (1e-3 + max(abs(a), abs(b))))


def compare(one, other):
    """The first step, before the optimizer parts them: loss, accuracy's neighbour the loss, norm of the gradient."""
    a, b = trace(one)[0], trace(other)[0]
    if len(a) != len(b) or not a:
        return f"{len(a)} and {len(b)} rows"
    for name, limit in (("loss_data", 2e-4), ("grad_norm", 2e-3), ("penalty_l1", 1e-4), ("penalty_l2", 1e-4), ("param_norm", 1e-4)):
        if not near(a[0][name], b[0][name], limit):
            return f"{name} of step 1: {a[0][name]} and {b[0][name]}"
    return ""


def one_case(seed, r, folder):
    net, samples = Net(r), r.choice([1, 2, 3, 5, 17, 40])
    keys = options(r, samples)
    shape = ",".join(str(side) for side in net.in_shape)
    fixed = {"net": net.text, "data": f"synthetic:{samples},{shape},{net.classes}", "max-steps": 3, "epochs": 100, "log-every": 1,
             "eval-every": 2, "checkpoint.every": 2, "history.every": 1, "progress": "none", "watchdog": 90}
    conf = f"{folder}/{seed}.conf"
    with open(conf, "w") as f:
        f.writelines(f"{k} = {v}\n" for k, v in {**fixed, **keys}.items())
    ranks = r.choice([1, 1, 1, 2, 3, 4])
    text = f"seed {seed}: {ranks} ranks: {open(conf).read()}"
    ends = {}
    for device, count, more in (("ref", 1, ["precision=double"]), ("cpu", ranks, [])):
        ends[device] = h.call(count, "train", conf, f"run={folder}/{seed}-{device}", f"device={device}", *more)
    code, said = ends["cpu"]
    if code == 2 or ends["ref"][0] == 2:
        good = code in (2, 0) and ends["ref"][0] in (2, 0) and (code == 0 or "error:" in said)
        why = next((line for line in (said + ends["ref"][1]).splitlines() if "error:" in line), "")
        return good, f"{seed}: refused: {why[:160]}", text + said
    if {code, ends["ref"][0]} == {78}:
        return True, f"{seed}: not finite on both: {net.text}", text
    if code != 0 or ends["ref"][0] != 0 or h.LOUD.search(said + ends["ref"][1]):
        return False, f"{seed}: exit {code} on cpu, {ends['ref'][0]} on ref", text + said[-3000:] + ends["ref"][1][-3000:]
    why = compare(f"{folder}/{seed}-ref", f"{folder}/{seed}-cpu")
    checked = h.call(1, "check", f"{folder}/{seed}-cpu")
    looked = h.call(1, "eval", f"{folder}/{seed}-cpu", "threads=1")
    if not why and checked[0] != 0:
        why = "files are not sound: " + checked[1]
    if not why and looked[0] != 0:
        why = "cannot be evaluated: " + looked[1]
    return not why, f"{seed}: {net.text}{': ' + why if why else ''}", text


first, _, wanted = h.draws(60)
h.note(f"HS_TEST_SEED={first} HS_TEST_COUNT={wanted}")
import random  # noqa: E402

with h.Scratch() as folder:
    for seed in range(first, first + wanted):
        good, what, more = one_case(seed, random.Random(seed), folder)
        if not h.ok(good, what):
            h.note(more)
            h.note(f"repeat: HS_TEST_SEED={seed} HS_TEST_COUNT=1")
        else:
            for device in ("ref", "cpu"):
                shutil.rmtree(f"{folder}/{seed}-{device}", ignore_errors=True)
h.finish()
