#!/usr/bin/env python3
"""torch_nets.py - the other side of the comparison: whole training steps (forward, backward, Adam) of the paper's networks in PyTorch.

    torch_nets.py deep|generic|paper-sp K [options]        one JSON line a mode: {"mode": ..., "img_per_s": ..., ...}

A mode is how PyTorch is asked to do the same arithmetic: memory laid out by channel planes or by pixels ("nchw", "nhwc"), spectral pooling by its FFT or as
two products with a matrix ("fft", "matrix"), and on a GPU step by step, as a CUDA graph, or compiled ("eager", "graph", "compile"). Compare with the best of
them. Inputs are random numbers that lie on the device: no data is loaded.
"""
import argparse
import json
import math
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn.utils import parametrize


# ---- spectral pooling -------------------------------------------------------------------------------------------------------------------


def fourier_rows(n):
    """The orthonormal real Fourier basis of n points, lowest frequency first: constant, cos 1, sin 1, cos 2, ...; [n][n]."""
    basis = torch.empty(n, n, dtype=torch.float64)
    phase = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
    for row in range(n):
        wave = (phase * ((row + 1) // 2)).cos() if row % 2 or row == 0 else (phase * (row // 2)).sin()
        basis[row] = wave / wave.norm()
    return basis


class PoolByMatrix(nn.Module):
    """Keep the lowest frequencies of each axis: y = M x M^T, M [small][large]."""

    def __init__(self, large, small):
        super().__init__()
        self.register_buffer("matrix", (fourier_rows(small).T @ fourier_rows(large)[:small]).float())

    def forward(self, x):
        matrix = self.matrix.to(x.dtype)
        return matrix @ x @ matrix.T


class PoolByFft(nn.Module):
    """The same work through a half spectrum, cut out of its corners (of an even side's highest frequency it keeps one half)."""

    def __init__(self, large, small):
        super().__init__()
        self.small = small

    def forward(self, x):
        small, columns = self.small, self.small // 2 + 1
        spectrum = torch.fft.rfft2(x.float(), norm="ortho")[..., :columns]
        top, bottom = spectrum[..., : (small + 1) // 2, :], spectrum[..., spectrum.shape[-2] - small // 2 :, :]
        return torch.fft.irfft2(torch.cat((top, bottom), -2), s=(small, small), norm="ortho").to(x.dtype)


POOLS = {"fft": PoolByFft, "matrix": PoolByMatrix}


# ---- networks -------------------------------------------------------------------------------------------------------------------------------


class FromHalfSpectrum(nn.Module):
    """A filter whose parameters are its half spectrum; back in space in every forward pass."""

    def __init__(self, side):
        super().__init__()
        self.side = side

    def forward(self, halves):
        return torch.fft.irfft2(torch.view_as_complex(halves), s=(self.side, self.side), norm="ortho")

    def right_inverse(self, taps):
        return torch.view_as_real(torch.fft.rfft2(taps, norm="ortho")).contiguous()


class Builder:
    """Layers one after another, with the shape that the next one sees."""

    def __init__(self, options, pool):
        self.options, self.pool = options, pool
        self.channels, self.side, self.layers = options.channels, options.size, []

    def conv(self, filters, side):
        padding = {"padding": side // 2, "padding_mode": "circular" if self.options.boundary == "periodic" else "zeros"} if side > 1 else {}
        layer = nn.Conv2d(self.channels, filters, side, **padding)
        if self.options.param == "spectral" and side > 1:
            parametrize.register_parametrization(layer, "weight", FromHalfSpectrum(side))
        self.layers += [layer, nn.ReLU()]
        self.channels = filters

    def max_pool(self):
        self.layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        self.side = (self.side + 1) // 2

    def spectral_pool(self, ratio):
        small = int(ratio * self.side)
        self.layers += [self.pool(self.side, small), nn.ReLU()]
        self.side = small

    def dense(self, *widths):
        inputs = self.channels * self.side * self.side
        self.layers.append(nn.Flatten())
        for width in widths:
            self.layers += [nn.Linear(inputs, width), nn.ReLU()]
            inputs = width
        self.layers.pop()  # no rectifier behind the last


def build(options, pool):
    b = Builder(options, pool)
    if options.net == "paper-sp":
        for block in range(1, options.blocks + 1):
            b.conv(min(96 + 32 * block, 288), options.k)
            b.spectral_pool(0.85)
        b.conv(b.channels, 1)
        b.conv(options.classes, 1)
        b.layers[-1:] = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*b.layers)
    groups = {"deep": ((96, 96), (192, 192, 192)), "generic": ((96,), (192,))}[options.net]
    for group in groups:
        for filters in group:
            b.conv(filters, options.k)
        b.max_pool()
    b.dense(1024, 512, options.classes)
    return nn.Sequential(*b.layers)


# ---- timing -----------------------------------------------------------------------------------------------------------------------------------


class Step:
    """One training step, ready to be repeated in the given mode."""

    def __init__(self, options, mode):
        layout, pool, how = mode
        torch.manual_seed(options.seed)
        device = torch.device(options.device)
        form = torch.channels_last if layout == "nhwc" else torch.contiguous_format
        self.options, self.on_gpu = options, device.type == "cuda"
        self.net = build(options, POOLS.get(pool)).to(device).to(memory_format=form)
        self.forward = torch.compile(self.net, mode="max-autotune") if how == "compile" else self.net
        self.images = torch.randn(options.batch, options.channels, options.size, options.size, device=device).contiguous(memory_format=form)
        self.labels = torch.randint(options.classes, (options.batch,), device=device)
        fused = {"fused": True, "capturable": how != "eager"} if self.on_gpu else {}
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-4, **fused)
        for _ in range(5 if self.on_gpu else 1):
            self.once()
        self.run = self.captured() if how == "graph" else self.once

    def once(self):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.options.device.split(":")[0], torch.bfloat16, enabled=self.options.dtype == "bf16"):
            logits = self.forward(self.images)
        loss = nn.functional.cross_entropy(logits.float(), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def captured(self):
        side_stream = torch.cuda.Stream()
        side_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side_stream):
            for _ in range(3):
                self.once()
        torch.cuda.current_stream().wait_stream(side_stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.once()
        return graph.replay

    def timed(self, count):
        begin = time.perf_counter()
        for _ in range(count):
            self.run()
        if self.on_gpu:
            torch.cuda.synchronize()
        return (time.perf_counter() - begin) / count

    def rates(self, seconds):
        """Images a second, at least three times."""
        count = 20 if self.on_gpu else 1
        took, end = [], time.perf_counter() + seconds
        while len(took) < 3 or time.perf_counter() < end:
            took.append(self.timed(count))
        return [self.options.batch / t for t in took]


def modes(options):
    pools = list(POOLS) if options.net == "paper-sp" else ["-"]
    hows = ["eager", "graph", "compile"] if options.device.startswith("cuda") else ["eager"]
    offered = [(layout, pool, how) for pool in pools for layout in ("nchw", "nhwc") for how in hows]
    wanted = options.modes.split(",") if options.modes else []
    return [m for m in offered if not wanted or "/".join(m) in wanted]


def measure(options, mode):
    rates = sorted(Step(options, mode).rates(options.seconds))
    middle = statistics.median(rates)
    spread = (rates[(3 * len(rates)) // 4] - rates[len(rates) // 4]) / 2 / middle
    return {"mode": "/".join(mode), "img_per_s": round(middle, 2), "spread": round(spread, 4), "samples": len(rates), "net": options.net, "k": options.k,
            "batch": options.batch, "threads": torch.get_num_threads(), "device": options.device, "dtype": options.dtype, "torch": torch.__version__}


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("net", choices=["deep", "generic", "paper-sp"])
    p.add_argument("k", type=int, help="side of the filters")
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--blocks", type=int, default=6, help="of paper-sp")
    p.add_argument("--boundary", choices=["zero", "periodic"], default="zero")
    p.add_argument("--param", choices=["spatial", "spectral"], default="spatial")
    p.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    p.add_argument("--dtype", choices=["fp32", "tf32", "bf16"], default="fp32")
    p.add_argument("--threads", type=int, default=0, help="0: as PyTorch likes")
    p.add_argument("--seconds", type=float, default=5, help="for each mode, behind its warm-up")
    p.add_argument("--modes", default="", help="only these, e.g. nchw/fft/eager,nhwc/fft/eager")
    p.add_argument("--size", type=int, default=32)
    p.add_argument("--channels", type=int, default=3)
    p.add_argument("--classes", type=int, default=10)
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args()


def main():
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.dtype != "fp32"
    chosen, failed = modes(options), 0
    if not chosen:
        sys.exit(f"torch_nets.py: no mode called {options.modes}; without --modes all are listed as they run")
    for mode in chosen:
        try:
            print(json.dumps(measure(options, mode)), flush=True)
        except (RuntimeError, TypeError, AttributeError) as error:  # a mode that this PyTorch or this device lacks
            failed += 1
            print(f"torch_nets.py: {'/'.join(mode)}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr, flush=True)
    return 1 if failed == len(chosen) else 0


if __name__ == "__main__":
    sys.exit(main())
