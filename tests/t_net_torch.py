# t_net_torch.py - an oracle that shares no code with us: PyTorch builds the same networks in float64 from the same samples and initial weights,
# and 20 steps of SGD must show the same losses (relative 1e-10). Filters are spatial taps there, whatever their (orthonormal) arm is here, so
# this also says that training in half-spectrum coordinates is training the same filters. Spectral layers are written with torch.fft.
import os
import re
import subprocess
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("1..0 # SKIP PyTorch is missing: apt-get install python3-torch for this independent check")
    sys.exit(0)

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
SIZES = dict(h=9, w=8, c=3, classes=4, n=6, rate=0.05)
STEPS, LIMIT = 20, 1e-10

NETS = [  # notation, sizes that differ from SIZES
    ("C5k3{param=spatial} R C6k3 R M3s2 F12 R F4", {}),
    ("C5k5 T C6k4 T A3s2 C7k2x3 T F4", {}),
    ("C5k3{stride=2} R C6k4x1{stride=2,bias=no} T F4", {}),
    ("C5k3{boundary=periodic} R C6k4{boundary=periodic,engine=fft} T C5k2x5{boundary=periodic,stride=2} R GA F4", {}),
    ("C5k3{flip=yes} R C6k4x3{flip=yes,boundary=periodic} T GA F4", {}),
    ("C5k3{param=rotation} R C6k3{param=spectral3d} T C4k1 GA", {}),
    ("C5k3 R SP7x5 R C6k3 R SP4 F4", {}),
    ("C5k3 T SP*0.7{norm=mean} T C6k3 T SP1 F4", {}),
    ("C5k3 BN R [C5k3 BN R C5k3 BN] R M2 C8k3 BN T GA F4", {}),
    ("F8 BN R F4", {}),
    ("C5k3 ([BN R C5k3])*2 GA F4", {}),
    ("C5k3{boundary=periodic} MR C6k3{boundary=periodic} ST SP5 R F4", {}),
    ("C5k3{boundary=periodic,embed=band} R SP6 C5k2x3{boundary=periodic,embed=band,stride=2} T F4", {}),
    ("M2s1 A2s1 M3 C5k7 R F4", {}),
    ("paper-sp M=2", dict(h=9, w=9, n=2)),
    ("deep k=3", dict(h=5, w=5, n=3, rate=0.005)),
    ("deep-conv k=3", dict(h=5, w=5, n=3, rate=0.005)),
    ("generic k=5", dict(h=5, w=5, n=3, rate=0.005)),
    ("seed-mnist", dict(h=12, w=12, c=1)),
]


def expand(text, classes):
    """The presets again, from the paper."""
    word = text.split()[0]
    values = dict(re.findall(r"(\w+)=([\d.]+)", text))
    k = values.get("k", "3")
    body = f"C96k{k} R C96k{k} R M3s2 C192k{k} R C192k{k} R C192k{k} R M3s2 "
    if word == "paper-sp":
        widths = [min(96 + 32 * m, 288) for m in range(1, int(values["M"]) + 1)]
        return "".join(f"C{f}k{k} R SP*0.85 R " for f in widths) + f"C{widths[-1]}k1 R C{classes}k1 GA"
    return {"deep": body + f"F1024 R F512 R F{classes}", "deep-conv": body + f"C192k1 R C{classes}k1 GA",
            "generic": f"C96k{k} R M3s2 C192k{k} R M3s2 F1024 R F512 R F{classes}",
            "seed-mnist": f"C15k10 R M2s2 C1k6 R M2s2 F1024 R F{classes}"}.get(word, text)


def run_ours(notation, s):
    program = os.path.join(os.getcwd(), "net_trajectory")
    words = [program, notation] + [str(s[k]) for k in ("h", "w", "c", "classes", "n")] + [str(STEPS), str(s["rate"])]
    result = subprocess.run(words, stdout=subprocess.PIPE, universal_newlines=True)
    if result.returncode != 0:
        raise RuntimeError("net_trajectory failed")
    records = [line.split() for line in result.stdout.splitlines()]
    return {r[0]: torch.tensor([float(v) for v in r[2:]]) for r in records}


def sides(size, k, stride, before):
    """Cells to add before and after one axis so that ceil(size / stride) windows fit."""
    return before, (-(-size // stride) - 1) * stride + k - size - before


def pad(x, kh, kw, stride, mode, value=0.0, anchor=None):
    top, left = anchor or ((kh - 1) // 2, (kw - 1) // 2)
    t, b = sides(x.shape[2], kh, stride, top)
    l, r = sides(x.shape[3], kw, stride, left)
    x = x[:, :, : x.shape[2] + min(b, 0), : x.shape[3] + min(r, 0)]
    b, r = max(b, 0), max(r, 0)
    if mode == "circular":  # by index: F.pad refuses more than one lap
        h, w = x.shape[2], x.shape[3]
        rows, cols = torch.arange(-t, h + b) % h, torch.arange(-l, w + r) % w
        return x[:, :, rows][:, :, :, cols]
    return F.pad(x, (l, r, t, b), value=value)


def spectral_pool(x, h, w, mean):
    """Truncation of the real Fourier series of each axis; for even sizes the last cosine is the mean of the pair +-h/2 (complex arithmetic, not
    our matrices)."""
    def axis(x, m, dim):
        n = x.shape[dim]
        if m == n:
            return x
        spectrum = torch.fft.fft(x, dim=dim, norm="ortho").movedim(dim, -1)
        keep = [spectrum[..., : (m + 1) // 2]]
        if m % 2 == 0:
            pair = spectrum[..., m // 2: m // 2 + 1]
            keep.append((pair + pair.conj()) / 2 ** 0.5 if m < n else pair)
        keep.append(spectrum[..., n - (m - 1) // 2:])
        return torch.fft.ifft(torch.cat(keep, -1), dim=-1, norm="ortho").movedim(-1, dim)
    H, W = x.shape[2], x.shape[3]
    # the pair of an axis is conjugate only if the other axis is real: one axis at a time, taking the real part in between
    y = axis(axis(x, h, 2).real if h != H else x, w, 3)
    y = y.real if torch.is_complex(y) else y
    return y * ((h / H) * (w / W)) ** 0.5 if mean else y


def modulus(x, b, soft):
    z = torch.fft.fft2(x, norm="ortho")
    size = z.abs().clamp_min(1e-300)
    b = b.view(1, -1, 1, 1)
    gain = torch.relu(1 - b.abs() / size) if soft else torch.relu(1 + b / size)
    return torch.fft.ifft2(gain * z, norm="ortho").real


class Net:
    """Interprets the notation on torch tensors; parameters are created from OURS by name when a layer is first met."""

    def __init__(self, notation, ours):
        self.tokens = re.findall(r"\(|\)\*\d+|\[|\]|[A-Z]+[^\s()\[\]{]*(?:\{[^}]*\})?", notation)
        self.ours, self.params = ours, {}

    def get(self, name, shape, order=None):
        if name not in self.params:
            p = self.ours[name].reshape(shape)
            self.params[name] = (p.permute(order) if order else p).clone(memory_format=torch.contiguous_format).requires_grad_()
        return self.params[name]

    def forward(self, x):
        self.counts = {}
        y, at = self.sequence(x, 0)
        assert at == len(self.tokens)
        return y.flatten(1)

    def sequence(self, x, at):
        while at < len(self.tokens):
            t = self.tokens[at]
            if t == "(":
                begin, times = at + 1, None
                while times is None or times > 0:
                    x, at = self.sequence(x, begin)
                    times = (int(self.tokens[at][2:]) if times is None else times) - 1
            elif t == "[":
                y, at = self.sequence(x, at + 1)
                x = x + y
            elif t[0] in ")]":
                return x, at
            else:
                x = self.layer(x, t)
            at += 1
        return x, at

    def name(self, stem):
        self.counts[stem] = self.counts.get(stem, 0) + 1
        return stem + str(self.counts[stem])

    def layer(self, x, text):
        kind, rest, braces = re.match(r"([A-Z]+)([^{]*)(?:\{(.*)\})?$", text).groups()
        options = dict(o.split("=") for o in braces.split(",")) if braces else {}
        numbers = [float(v) for v in re.findall(r"[\d.]+", rest)]
        if kind == "C":
            return self.conv(x, [int(v) for v in numbers], options)
        if kind == "F":
            x = x.permute(0, 2, 3, 1).flatten(1)
            name = self.name("fc")
            y = x @ self.get(name + ".weight", (x.shape[1], int(numbers[0]))) + self.get(name + ".bias", (int(numbers[0]),))
            return y[:, :, None, None]
        if kind in "MA":
            k = int(numbers[0])
            stride = int(numbers[1]) if len(numbers) > 1 else k
            if kind == "M":
                return F.max_pool2d(pad(x, k, k, stride, "zero", float("-inf")), k, stride)
            ones = torch.ones_like(x[:1, :1])
            return F.avg_pool2d(pad(x, k, k, stride, "zero"), k, stride) / F.avg_pool2d(pad(ones, k, k, stride, "zero"), k, stride)
        if kind == "SP":
            h, w = int(numbers[0]), int(numbers[-1])
            if rest[0] == "*":
                h, w = (int(numbers[0] * side + 1e-9) for side in x.shape[2:])
            return spectral_pool(x, h, w, options.get("norm") == "mean")
        if kind == "BN":
            name = self.name("bn")
            c = x.shape[1]
            return F.batch_norm(x, None, None, self.get(name + ".gamma", (c,)), self.get(name + ".beta", (c,)), True, 0.1, 1e-5)
        if kind in ("MR", "ST"):
            name = self.name("modrelu" if kind == "MR" else "soft")
            return modulus(x, self.get(name + ".offset", (x.shape[1],)), kind == "ST")
        return {"R": torch.relu, "T": torch.tanh, "GA": lambda v: v.mean((2, 3), keepdim=True)}[kind](x)

    def conv(self, x, numbers, options):
        out, kh = numbers[0], numbers[1]
        kw = numbers[2] if len(numbers) > 2 else kh
        stride, mode = int(options.get("stride", 1)), "circular" if options.get("boundary") == "periodic" else "zero"
        anchor = ((kh - 1) // 2, (kw - 1) // 2)
        name = self.name("conv")
        if options.get("embed") == "band":  # the plane of the map's size that the initial half spectrum stands for; trained as its k x k bins
            w = self.band(name, out, x, kh, kw)
            kh, kw, anchor = x.shape[2], x.shape[3], (0, 0)
        else:
            w = self.get(name + ".weight", (kh, kw, x.shape[1], out), (3, 2, 0, 1))
        if options.get("flip") == "yes":
            w, anchor = w.flip(2, 3), (kh - 1 - anchor[0], kw - 1 - anchor[1])
        bias = self.get(name + ".bias", (out,)) if options.get("bias") != "no" else None
        return F.conv2d(pad(x, kh, kw, stride, mode, 0.0, anchor), w, bias, stride)

    def band(self, name, out, x, kh, kw):
        """The parameter is the small filter, found by spectral pooling of the plane (embedding's transpose and left inverse)."""
        h, w = x.shape[2], x.shape[3]
        if name + ".weight" not in self.params:
            plane = self.ours[name + ".weight"].reshape(h, w, x.shape[1], out).permute(3, 2, 0, 1)
            self.params[name + ".weight"] = spectral_pool(plane, kh, kw, False).clone().requires_grad_()
        small = self.params[name + ".weight"]
        eye_h = spectral_pool(torch.eye(h)[None, :, :, None], kh, 1, False)[0, :, :, 0]  # [h][kh]: pooling of every unit vector
        eye_w = spectral_pool(torch.eye(w)[None, :, :, None], kw, 1, False)[0, :, :, 0]
        return eye_h @ small @ eye_w.T


def run_torch(notation, s, ours):
    x = ours["data.x"].reshape(s["n"], s["h"], s["w"], s["c"]).permute(0, 3, 1, 2)
    labels = ours["data.labels"].long()
    net, losses = Net(notation, ours), []
    for _ in range(STEPS):
        loss = F.cross_entropy(net.forward(x), labels)
        losses.append(loss.item())
        for p in net.params.values():
            p.grad = None
        loss.backward()
        with torch.no_grad():
            for p in net.params.values():
                p -= s["rate"] * p.grad
    return torch.tensor(losses)


print("# torch %s" % torch.__version__)
for i, (notation, sizes) in enumerate(NETS):
    s = {**SIZES, **sizes}
    ours = run_ours(notation, s)
    difference = ((run_torch(expand(notation, s["classes"]), s, ours) - ours["data.losses"]).abs() / ours["data.losses"].abs()).max().item()
    moved = (ours["data.losses"][0] - ours["data.losses"][-1]).abs().item()
    good = difference < LIMIT and moved > 1e-4
    print("%s %d - %s: losses differ by %.1e, over a change of %.2g" % ("ok" if good else "not ok", i + 1, notation, difference, moved))
print("1..%d" % len(NETS))
