"""t_oracle_random.py - networks and ways to train them, drawn from a seed, on `ref` in double and on `cpu` in float32 against the PyTorch oracle.
HS_TEST_SEED starts elsewhere, HS_TEST_COUNT says how many (default 10; 150 with HS_TEST_LONG). TAP."""

import os
import random
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "oracle"))
import cases

ARMS = ["spatial", "spectral", "half-raw", "full-complex", "rotation", "spectral3d"]


class Drawn:
    """A network in the notation, drawn layer by layer while the map's size is followed. Rotations are found from pairs of filters, so layers with one have
    enough of them. `cpu` has no strided FFT."""

    def __init__(self, r):
        self.r = r
        self.h, self.w, self.c = r.randint(5, 10), r.randint(5, 10), r.randint(1, 3)
        self.shape = (r.randint(2, 6), self.h, self.w, self.c, r.randint(2, 5))
        self.periodic = r.random() < 0.5
        self.modulus = r.random() < 0.3  # modReLU of offset b > 0 jumps by b where a bin is 0: no maps that ReLU empties, none limited to a band
        words = []
        for _ in range(r.randint(2, 5)):
            words += self.block()
        if self.modulus:
            words = ["T" if word == "R" else word for word in words]
        self.text = " ".join(words + ([f"C{self.shape[4]}k1 GA"] if r.random() < 0.3 else [f"F{self.shape[4]}"]))

    def conv(self, out=None, stride=True, bias=True):
        r, out = self.r, out or self.r.randint(3, 6)
        kh, kw = r.randint(1, min(5, self.h)), r.randint(1, min(5, self.w))
        arm, options = r.choice(ARMS), []
        if arm == "rotation" and out * self.c < 2 * kh * kw:
            arm = "spectral"
        periodic = self.periodic if r.random() < 0.8 else not self.periodic
        options += [f"param={arm}", f"boundary={'periodic' if periodic else 'zero'}"]
        if periodic and not self.modulus and arm not in ("spectral3d", "rotation") and r.random() < 0.3:
            options.append("embed=band")
        if stride and r.random() < 0.2 and min(self.h, self.w) > 4:
            options.append("stride=2")
            self.h, self.w = -(-self.h // 2), -(-self.w // 2)
        elif r.random() < 0.4 and "embed=band" not in options:
            options.append(f"engine={r.choice(['direct', 'fft'])}")
        options += ["bias=no"] if not bias or r.random() < 0.2 else []
        self.c = out
        return f"C{out}k{kh}x{kw}{{{','.join(options)}}}"

    def block(self):
        r, kind = self.r, self.r.random()
        act = r.choice(["R", "T", "T", "R"])
        if kind < 0.45:
            norm = r.random() < 0.2  # Adam turns the rounding in the gradient of a bias that BN takes away into steps
            return [self.conv(bias=not norm)] + (["BN"] if norm else []) + [act]
        if kind < 0.65:
            h, w = r.randint(1 if r.random() < 0.2 else 2, self.h), r.randint(2, self.w)
            self.h, self.w = h, w
            return [f"SP{h}x{w}" + r.choice(["", "{norm=mean}", "{norm=unitary}"]), act]
        if kind < 0.75 and min(self.h, self.w) >= 3:
            k, s = r.randint(2, 3), r.randint(1, 2)
            self.h, self.w = -(-self.h // s), -(-self.w // s)
            return [r.choice("MA") + f"{k}s{s}"]
        if kind < 0.82:
            return [r.choice(["MR", "ST"]) if self.modulus else "ST", act]
        if kind < 0.88 and self.h == self.w:
            return ["FD"]
        if kind < 0.95:
            return ["[", self.conv(self.c, False), act, self.conv(self.c, False), "]", act]
        return ["("] + [self.conv(self.c, False), act] + [f")*{r.randint(2, 3)}"]


def training(r):
    kind = r.choice(["sgd", "momentum", "nesterov", "adam", "adamw"])
    keys = {"optimizer": kind, "lr": r.choice([0.002, 0.005]) if "adam" in kind else r.choice([0.003, 0.01]), "seed": r.randint(1, 1000),
            "init.bias": 0.1}  # a map of zeros under zero biases would stand on the kink of every ReLU
    for key, value in (("l2", 0.01), ("sobolev", 0.01), ("l1.spatial", 0.01), ("l1.spectral", 0.02)):
        if r.random() < 0.25:
            keys[key] = value
    keys.update({"l1.step": "subgradient"} if r.random() < 0.4 else {})
    keys.update({"l1.kind": "split"} if r.random() < 0.4 else {})
    keys.update({"penalty.reduction": "mean"} if r.random() < 0.3 else {})
    keys.update({"clip": 1} if r.random() < 0.3 else {})
    keys.update(r.choice([{}, {}, {"lr.schedule": "step", "lr.milestones": "3,9"}, {"lr.schedule": "exponential", "lr.factor": 0.9},
                          {"lr.schedule": "cosine", "lr.warmup": 5}, {"lr.schedule": "plateau", "lr.patience": 1, "lr.factor": 0.5}]))
    keys.update({"moment": "modulus"} if kind == "adam" and r.random() < 0.3 else {})
    keys.update({"conv.flip": "yes"} if r.random() < 0.15 else {})
    return keys


cases.need_torch()
first = int(os.environ.get("HS_TEST_SEED", 1))
number = int(os.environ.get("HS_TEST_COUNT", 150 if os.environ.get("HS_TEST_LONG") else 10))
for seed in range(first, first + number):
    r = random.Random(seed)
    net, keys = Drawn(r), training(r)
    before = cases.failed
    for precision in ("double", "fp32"):
        cases.case(f"seed {seed}, {precision}", net.text, keys, precision, net.shape, seed, moves=0, may_be_unstable=True)
    if cases.failed > before:
        cases.note(f"repeat: make check TESTS=tests/t_oracle_random.py HS_TEST_SEED={seed} HS_TEST_COUNT=1")
cases.finish()
