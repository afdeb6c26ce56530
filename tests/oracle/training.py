"""training.py - the oracle's training loop: penalties, optimizers (torch.optim's own where there is one), rates and clipping, from a configuration that
is a dict of the program's keys."""

import math

import torch
import torch.nn.functional as F

import spectra


def real(config, key, default=0.0):
    return float(config.get(key, default))


class Penalties:
    """(lambda/2) sum w^2, lambda sum |X|, (lambda/2) sum |k|^2p |X|^2 and lambda sum |w|, over what the filters are in space and their whole unitary spectrum."""

    def __init__(self, net, config):
        self.net, self.config = net, config
        self.prox = config.get("l1.step", "prox") == "prox"
        self.split = config.get("l1.kind", "modulus") == "split"

    def weight(self, key, layer, numbers, dense=False):
        value = self.config.get(f"{key}.{layer}", 0 if dense and key != "l2" else self.config.get(key, 0))
        return float(value) / (numbers if self.config.get("penalty.reduction") == "mean" else 1)

    def layers(self):
        for name, p in self.net.p.items():
            layer = name.rsplit(".", 1)[0]
            if name.endswith(".weight"):
                yield layer, layer in self.net.filters, (self.net.taps(layer) if layer in self.net.filters else p)

    @staticmethod
    def spectrum(w):
        """Real and imaginary parts; the latter exactly nothing where a bin is its own mirror (rounding there would have a sign)."""
        z = torch.fft.fft2(w, norm="ortho")
        alone = torch.zeros(w.shape[-2:])
        for k, mirror in spectra.bins(*w.shape[-2:]):
            alone[k] = mirror
        return z.real, z.imag * (1 - alone)

    def size(self, w):
        re, im = self.spectrum(w)
        if self.split:
            return re.abs() + im.abs()
        square = re * re + im * im
        return torch.where(square > 0, torch.where(square > 0, square, torch.ones_like(square)).sqrt(), torch.zeros_like(square))

    def values(self):
        """(l1, l2) as they stand, differentiable."""
        l1 = l2 = torch.zeros(())
        p = real(self.config, "sobolev.p", 1)
        for layer, filters, w in self.layers():
            n = w.numel()
            if not any(self.weight(key, layer, n, not filters) for key in ("l2", "l1.spatial", "l1.spectral", "sobolev")):
                continue
            l2 = l2 + self.weight("l2", layer, n) / 2 * (w * w).sum()
            l1 = l1 + self.weight("l1.spatial", layer, n, not filters) * w.abs().sum()
            if filters:
                kh, kw = w.shape[-2:]
                signed = lambda m: torch.tensor([float(min(k, m - k)) for k in range(m)])
                radius = signed(kh)[:, None] ** 2 + signed(kw)[None, :] ** 2
                re, im = self.spectrum(w)
                l1 = l1 + self.weight("l1.spectral", layer, n) * self.size(w).sum()
                l2 = l2 + self.weight("sobolev", layer, n) / 2 * (radius ** p * (re * re + im * im)).sum()
        return l1, l2

    def shrink(self, rate_of):
        """argmin over filters of |w - w0|^2 / 2 + rate lambda |..|_1; per bin of the full spectrum, or per tap."""
        with torch.no_grad():
            if not any(key.startswith("l1.sp") for key in self.config):
                return
            for layer, filters, w in list(self.layers()):
                step = rate_of(layer) * self.weight("l1.spectral", layer, w.numel())
                if filters and step > 0:
                    re, im = self.spectrum(w)
                    if self.split:
                        re, im = (torch.sign(v) * torch.relu(v.abs() - step) for v in (re, im))
                    else:
                        size = torch.sqrt(re * re + im * im)
                        gain = torch.relu(1 - step / size.clamp_min(1e-300))
                        re, im = gain * re, gain * im
                    w = torch.fft.ifft2(torch.complex(re, im), norm="ortho").real
                    self.net.set_taps(layer, w)
                step = rate_of(layer) * self.weight("l1.spatial", layer, w.numel(), not filters)
                if step > 0:
                    w = torch.sign(w) * torch.relu(w.abs() - step)
                    self.net.set_taps(layer, w) if filters else self.net.p[layer + ".weight"].data.copy_(w)


class ModulusAdam:
    """Adam whose second moment of a complex number is the mean of its two squares."""

    def __init__(self, groups, partner, betas, eps):
        self.groups, self.partner, self.betas, self.eps, self.t = groups, partner, betas, eps, 0
        self.state = {}
        self.param_groups = groups

    def step(self):
        self.t += 1
        b1, b2 = self.betas
        for group in self.groups:
            for p in group["params"]:
                m, v = self.state.setdefault(p, (torch.zeros_like(p), torch.zeros_like(p)))
                square = p.grad ** 2
                if p in self.partner:
                    other, to_rows, from_rows = self.partner[p]
                    rows = to_rows(square)
                    square = from_rows((rows + rows[..., other]) / 2)
                m.mul_(b1).add_(p.grad, alpha=1 - b1)
                v.mul_(b2).add_(square, alpha=1 - b2)
                p.data -= group["lr"] * (m / (1 - b1 ** self.t)) / ((v / (1 - b2 ** self.t)).sqrt() + self.eps)


def make_optimizer(net, config):
    kind, lr = config.get("optimizer", "adam"), real(config, "lr", 1e-3)
    layers = {}
    for name, p in net.p.items():
        layers.setdefault(name.rsplit(".", 1)[0], []).append(p)
    groups = [{"params": ps, "lr": lr, "share": real(config, f"lr.{layer}", lr) / lr if lr else 1.0, "layer": layer} for layer, ps in layers.items()]
    betas, eps = (real(config, "beta1", 0.9), real(config, "beta2", 0.999)), real(config, "epsilon", 1e-8)
    momentum = real(config, "momentum", 0.9)
    if kind == "adam" and config.get("moment") == "modulus":
        partner = {}
        for layer, (arm, kh, kw) in net.filters.items():
            p = net.p[layer + ".weight"]
            other = spectra.partners(arm, kh, kw, p.shape[1])
            if arm == "spectral3d":
                shape = p.shape
                partner[p] = (other, lambda s: s.permute(0, 2, 1).reshape(s.shape[0], -1),
                              lambda s, shape=shape: s.reshape(shape[0], shape[2], shape[1]).permute(0, 2, 1))
            elif other:
                partner[p] = (other, lambda s: s, lambda s: s)
        return ModulusAdam(groups, partner, betas, eps)
    return {"sgd": lambda: torch.optim.SGD(groups, lr), "momentum": lambda: torch.optim.SGD(groups, lr, momentum=momentum),
            "nesterov": lambda: torch.optim.SGD(groups, lr, momentum=momentum, nesterov=True),
            "adam": lambda: torch.optim.Adam(groups, lr, betas=betas, eps=eps),
            "adamw": lambda: torch.optim.AdamW(groups, lr, betas=betas, eps=eps, weight_decay=real(config, "decay", 0.01))}[kind]()


def rate_at(config, step, total, scale):
    """Step from 0, one step an epoch; SCALE is what reduce-on-plateau has come to."""
    base, kind, warmup = real(config, "lr", 1e-3), config.get("lr.schedule", "constant"), int(config.get("lr.warmup", 0))
    factor, lowest = real(config, "lr.factor", 0.1), real(config, "lr.minimum", 0)
    rate = base
    if kind == "step":
        rate = base * factor ** sum(step >= int(m) for m in config["lr.milestones"].split(","))
    elif kind == "exponential":
        rate = base * factor ** step
    elif kind == "cosine":
        done = min(max((step - warmup) / (total - warmup), 0), 1)
        rate = lowest + (base - lowest) * (1 + math.cos(math.pi * done)) / 2
    elif kind == "plateau":
        rate = max(base * scale, lowest)
    return rate * (step + 1) / warmup if step < warmup else rate


def train(net, config, steps, x, labels, test_x, test_labels, cutoffs):
    """What the program logs, a dict of lists; eval_loss after every step."""
    rows = {k: [] for k in ("loss", "loss_data", "penalty_l1", "penalty_l2", "lr", "grad_norm", "eval_loss")}
    with torch.no_grad():
        net(x[:1], False)  # meets every filter once
    for layer in net.running:
        net.running[layer] = [torch.zeros_like(net.running[layer][0]), torch.ones_like(net.running[layer][1])]
    penalties, optimizer = Penalties(net, config), make_optimizer(net, config)
    best, bad, scale, clip = math.inf, 0, 1.0, real(config, "clip")
    for step in range(steps):
        data = F.cross_entropy(net(x, True, cutoffs[step] if cutoffs else ()), labels)
        l1, l2 = penalties.values()
        for p in net.p.values():
            p.grad = torch.zeros_like(p)
        (data + l2 + (0 * l1 if penalties.prox else l1)).backward()
        norm = math.sqrt(sum((p.grad ** 2).sum().item() for p in net.p.values()))
        rate = rate_at(config, step, steps, scale)
        for key, value in zip(rows, ((data + l1 + l2).item(), data.item(), float(l1), float(l2), rate, norm)):
            rows[key].append(value)
        if clip and norm > clip:
            for p in net.p.values():
                p.grad *= clip / norm
        for group in optimizer.param_groups:
            group["lr"] = rate * group["share"]
        optimizer.step()
        if penalties.prox:
            share = {g["layer"]: g["lr"] for g in optimizer.param_groups}
            penalties.shrink(lambda layer: share[layer])
        with torch.no_grad():
            seen = F.cross_entropy(net(test_x, False), test_labels).item()
        rows["eval_loss"].append(seen)
        bad = 0 if seen < best else bad + 1
        best = min(best, seen)
        if bad >= int(config.get("lr.patience", 5)):
            scale, bad = scale * real(config, "lr.factor", 0.1), 0
    return rows
