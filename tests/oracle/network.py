"""network.py - a reader of the network notation for the oracle: tokens into torch operations on [n, c, h, w]."""

import re

import torch
import torch.nn.functional as F

import spectra

ARM_DEFAULT = "spectral"


def preset(text, classes):
    """The networks of the literature, from the descriptions in Rippel, Snoek and Adams 2015."""
    word, given = text.split()[0], dict(re.findall(r"(\w+)=([\d.]+)", text))
    k = given.get("k", {"deep": "5"}.get(word, "3"))
    c96, c192 = f"C96k{k}", f"C192k{k}"
    deep = f"{c96} R {c96} R M3s2 {c192} R {c192} R {c192} R M3s2 "
    if word == "paper-sp":
        widths = [min(96 + 32 * m, 288) for m in range(1, int(given.get("M", 6)) + 1)]
        return "".join(f"C{f}k{k} R SP*{given.get('gamma', '0.85')} R " for f in widths) + f"C{widths[-1]}k1 R C{classes}k1 GA"
    return {"deep": deep + f"F1024 R F512 R F{classes}", "deep-conv": deep + f"C192k1 R C{classes}k1 GA",
            "generic": f"{c96} R M3s2 {c192} R M3s2 F1024 R F512 R F{classes}",
            "seed-mnist": f"C15k10 R M2s2 C1k6 R M2s2 F1024 R F{classes}"}.get(word, text)


def unrolled(text):
    """Tokens with (...)*n written out; brackets stay."""
    tokens = re.findall(r"\(|\)\*\d+|\[|\]|[A-Z][^\s()\[\]{]*(?:\{[^}]*\})?", text)
    stack = [[]]
    for t in tokens:
        if t == "(":
            stack.append([])
        elif t[0] == ")":
            body = stack.pop()
            stack[-1] += body * int(t[2:])
        else:
            stack[-1].append(t)
    return stack[0]


def framed(x, kh, kw, stride, periodic, value=0.0, top=None, left=None):
    """X with (k-1)/2 cells in front and what ceil(n / stride) windows need behind."""
    h, w = x.shape[-2:]
    top = (kh - 1) // 2 if top is None else top
    left = (kw - 1) // 2 if left is None else left
    rows = torch.arange(-top, (-(-h // stride) - 1) * stride + kh - top)
    cols = torch.arange(-left, (-(-w // stride) - 1) * stride + kw - left)
    y = x[:, :, rows % h][:, :, :, cols % w]
    if periodic:
        return y
    inside = ((rows >= 0) & (rows < h))[:, None] & ((cols >= 0) & (cols < w))[None, :]
    return torch.where(inside, y, torch.tensor(value, dtype=x.dtype))


class Network:
    """Parameters by name, as files have them ("conv1.weight": the numbers the optimizer sees, [out, in, numbers])."""

    def __init__(self, text, classes, values, config, rotations=None):
        self.tokens = unrolled(preset(text, classes) if text[0].islower() else text)
        self.p = {name: torch.tensor(v).requires_grad_() for name, v in values.items()}
        self.config, self.rotations = config, rotations or {}
        self.filters = {}  # layer: (arm, kh, kw)
        self.running = {}  # layer: [mean, var]

    # what filters are in space, for the network and for penalties
    def taps(self, layer):
        arm, kh, kw = self.filters[layer]
        return spectra.taps_from(arm, self.p[layer + ".weight"], kh, kw, self.rotations.get(layer))

    def set_taps(self, layer, taps):
        arm, _, _ = self.filters[layer]
        self.p[layer + ".weight"].data = spectra.numbers_from(arm, taps, self.rotations.get(layer))

    def __call__(self, x, training=True, cutoffs=()):
        self.count, self.training, self.cutoffs, self.at = {}, training, list(cutoffs), 0
        y = self.sequence(x)
        return y.flatten(1)

    def sequence(self, x):
        while self.at < len(self.tokens) and self.tokens[self.at] != "]":
            t = self.tokens[self.at]
            self.at += 1
            if t == "[":
                x = x + self.sequence(x)
                self.at += 1
            else:
                x = self.layer(x, t)
        return x

    def named(self, stem):
        self.count[stem] = self.count.get(stem, 0) + 1
        return f"{stem}{self.count[stem]}"

    def layer(self, x, token):
        kind, rest, braces = re.match(r"([A-Z]+)([^{]*)(?:\{(.*)\})?$", token).groups()
        options = dict(o.strip().split("=") for o in braces.split(",")) if braces else {}
        numbers = [float(v) for v in re.findall(r"[\d.]+", rest)]
        return getattr(self, "layer_" + kind)(x, rest, numbers, options)

    def layer_C(self, x, rest, numbers, options):
        option = lambda key, default: options.get(key, self.config.get(key, default))
        out, kh, kw, stride = int(numbers[0]), int(numbers[1]), int(numbers[-1]), int(options.get("stride", 1))
        layer, periodic = self.named("conv"), option("boundary", "zero") == "periodic"
        flip = options.get("flip", self.config.get("conv.flip", "no")) == "yes"
        self.filters[layer] = (option("param", ARM_DEFAULT), kh, kw)
        w = self.taps(layer)
        bias = self.p.get(layer + ".bias")
        if option("embed", "space") == "band":  # Y = conj(W) X on the whole map
            h, wide = x.shape[-2:]
            z = torch.fft.fft2(spectra.spread(w, h, wide))
            z = z if flip else z.conj()
            y = torch.fft.ifft2(torch.einsum("ochw,nchw->nohw", z, torch.fft.fft2(x).to(z.dtype))).real[:, :, ::stride, ::stride]
            return y if bias is None else y + bias.reshape(1, -1, 1, 1)
        top, left = (kh - 1) // 2, (kw - 1) // 2
        if flip:
            w, top, left = w.flip(2, 3), kh - 1 - top, kw - 1 - left
        return F.conv2d(framed(x, kh, kw, stride, periodic, 0.0, top, left), w, bias, stride)

    def layer_F(self, x, rest, numbers, options):
        layer = self.named("fc")
        x = x.permute(0, 2, 3, 1).flatten(1)
        y = F.linear(x, self.p[layer + ".weight"], self.p[layer + ".bias"])
        return y[:, :, None, None]

    def layer_BN(self, x, rest, numbers, options):
        layer, c = self.named("bn"), x.shape[1]
        mean, var = self.running.setdefault(layer, [torch.zeros(c), torch.ones(c)])
        return F.batch_norm(x, mean, var, self.p[layer + ".gamma"], self.p[layer + ".beta"], self.training,
                            float(self.config.get("bn.momentum", 0.1)), float(self.config.get("bn.epsilon", 1e-5)))

    def layer_SP(self, x, rest, numbers, options):
        h, w = int(numbers[0]), int(numbers[-1])
        if rest[0] == "*":
            h, w = (int(numbers[0] * n + 1e-9) for n in x.shape[-2:])
        return spectra.pool(x, h, w, options.get("norm", self.config.get("pool.norm", "unitary")))

    def layer_FD(self, x, rest, numbers, options):
        self.named("fd")
        return spectra.low_pass(x, self.cutoffs.pop(0)) if self.training else x

    def layer_MR(self, x, rest, numbers, options):
        return spectra.on_modulus(x, self.p[self.named("modrelu") + ".offset"], False)

    def layer_ST(self, x, rest, numbers, options):
        return spectra.on_modulus(x, self.p[self.named("soft") + ".offset"], True)

    def layer_M(self, x, rest, numbers, options):
        k, stride = int(numbers[0]), int(numbers[-1])
        return F.max_pool2d(framed(x, k, k, stride, False, float("-inf")), k, stride)

    def layer_A(self, x, rest, numbers, options):
        k, stride = int(numbers[0]), int(numbers[-1])
        sums = F.avg_pool2d(framed(x, k, k, stride, False), k, stride)
        return sums / F.avg_pool2d(framed(torch.ones_like(x[:1, :1]), k, k, stride, False), k, stride)

    def layer_GA(self, x, rest, numbers, options):
        return x.mean((2, 3), keepdim=True)

    def layer_R(self, x, rest, numbers, options):
        return torch.relu(x)

    def layer_T(self, x, rest, numbers, options):
        return torch.tanh(x)
