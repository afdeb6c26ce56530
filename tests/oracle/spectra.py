"""spectra.py - half spectra for the oracle, with torch.fft alone: filters from the numbers that each arm trains, spectral pooling, frequency
dropout, activations on spectra. Written from the convention (unitary DFT, one of each pair {k, -k}, sqrt2 Re and sqrt2 Im), not from our code."""

import math

import torch
from torch.fft import fft, fft2, fftn, ifft, ifft2, ifftn

SQRT2 = math.sqrt(2.0)


def bins(*sides):
    """Representatives (last axis's frequency outermost, 0 .. n/2) and whether each is its own mirror, in the order of files: an axis is halved only where
    all axes outside it are their own mirrors."""
    order, found = list(reversed(sides)), []

    def walk(prefix, mirror):
        if len(prefix) == len(order):
            found.append((tuple(reversed(prefix)), mirror))
            return
        n = order[len(prefix)]
        for k in range(n // 2 + 1 if mirror else n):
            walk(prefix + [k], mirror and (2 * k) % n == 0)

    walk([], True)
    return found


def filled(coords, sides, single, double):
    """Full Hermitian spectrum [..., *sides] from real numbers [..., prod(sides)]: X = single * number for a bin that is its own mirror, else double * (re + i im)."""
    place, mirror, at = [], [], 0
    parts = []
    for k, alone in bins(*sides):
        place.append(k)
        re = coords[..., at]
        parts.append(torch.complex(single * re, torch.zeros_like(re)) if alone else torch.complex(double * re, double * coords[..., at + 1]))
        mirror.append(None if alone else tuple(-a % n for a, n in zip(k, sides)))
        at += 1 if alone else 2
    flat = lambda k: sum(a * math.prod(sides[i + 1:]) for i, a in enumerate(k))
    columns = [None] * math.prod(sides)
    for k, m, z in zip(place, mirror, parts):
        columns[flat(k)] = z
        if m is not None:
            columns[flat(m)] = z.conj()
    return torch.stack(columns, -1).reshape(*coords.shape[:-1], *sides)


def numbers_of(spectrum, sides, single, double):
    """The inverse of `filled`."""
    out = []
    for k, alone in bins(*sides):
        z = spectrum[(...,) + k]
        out += [z.real / single] if alone else [z.real / double, z.imag / double]
    return torch.stack(out, -1)


# ---- arms: [out, in, numbers] <-> taps [out, in, kh, kw] -------------------------------------------------------------------------


def taps_from(arm, p, kh, kw, rotation=None):
    out, inner = p.shape[:2]
    if arm == "spatial":
        return p.reshape(out, inner, kh, kw)
    if arm == "rotation":
        return (p @ rotation).reshape(out, inner, kh, kw)
    if arm == "spectral":
        return ifft2(filled(p, (kh, kw), 1.0, 1 / SQRT2), norm="ortho").real
    if arm == "half-raw":
        return ifft2(filled(p, (kh, kw), 1.0, 1.0)).real
    if arm == "full-complex":
        return ifft2(torch.view_as_complex(p.reshape(out, inner, kh, kw, 2).contiguous())).real
    if arm == "spectral3d":  # files keep [out][in][tap] of rows that count tap * in + channel
        rows = p.permute(0, 2, 1).reshape(out, -1)
        taps = ifftn(filled(rows, (inner, kh, kw), 1.0, 1 / SQRT2), dim=(-3, -2, -1), norm="ortho").real
        return taps
    raise ValueError(arm)


def numbers_from(arm, taps, rotation=None):
    out, inner, kh, kw = taps.shape
    if arm == "spatial":
        return taps.reshape(out, inner, -1)
    if arm == "rotation":
        return taps.reshape(out, inner, -1) @ rotation.T
    if arm == "spectral":
        return numbers_of(fft2(taps, norm="ortho"), (kh, kw), 1.0, 1 / SQRT2)
    if arm == "half-raw":
        return numbers_of(fft2(taps), (kh, kw), 1.0, 1.0)
    if arm == "full-complex":
        return torch.view_as_real(fft2(taps).contiguous()).reshape(out, inner, -1)
    rows = numbers_of(fftn(taps, dim=(-3, -2, -1), norm="ortho"), (inner, kh, kw), 1.0, 1 / SQRT2)
    return rows.reshape(out, kh * kw, inner).permute(0, 2, 1).contiguous()


def partners(arm, kh, kw, inner):
    """For each number of a filter [numbers] (spectral3d: [rows]) the other half of its complex bin, or itself."""
    if arm == "full-complex":
        return [i ^ 1 for i in range(2 * kh * kw)]
    if arm not in ("spectral", "half-raw", "spectral3d"):
        return None
    found = []
    for _, alone in bins(*((inner, kh, kw) if arm == "spectral3d" else (kh, kw))):
        n = len(found)
        found += [n] if alone else [n + 1, n]
    return found


# ---- maps [n, c, h, w] ------------------------------------------------------------------------------------------------------------


def pool_axis(x, m, dim):
    n = x.shape[dim]
    if m == n:
        return x
    z = fft(x, dim=dim, norm="ortho").movedim(dim, -1)
    parts = [z[..., :(m + 1) // 2]]
    if m % 2 == 0:  # the pair +-m/2 becomes one real coefficient of the same norm
        parts.append((z[..., m // 2:m // 2 + 1] + z[..., n - m // 2:n - m // 2 + 1]) / SQRT2)
    if m > 2:
        parts.append(z[..., n - (m - 1) // 2:])
    return ifft(torch.cat(parts, -1), norm="ortho").real.movedim(-1, dim)


def pool(x, h, w, norm):
    big_h, big_w = x.shape[-2:]
    y = pool_axis(pool_axis(x, h, -2), w, -1)
    return y * math.sqrt(h * w / (big_h * big_w)) if norm == "mean" else y


def spread(taps, h, w):
    """A small spectrum in a large one: the transpose of unitary pooling, axis by axis."""
    def axis(x, n, dim):
        m = x.shape[dim]
        if m == n:
            return x
        z = fft(x, dim=dim, norm="ortho").movedim(dim, -1)
        half = (m + 1) // 2
        middle = torch.zeros(*z.shape[:-1], n - m + (0 if m % 2 else -1), dtype=z.dtype)
        nyquist = [] if m % 2 else [z[..., m // 2:m // 2 + 1] / SQRT2]
        return ifft(torch.cat([z[..., :half], *nyquist, middle, *nyquist, z[..., m - (m - 1) // 2:]], -1), norm="ortho").real.movedim(-1, dim)
    return axis(axis(taps, h, -2), w, -1)


def low_pass(x, keep):
    """Frequency dropout: of each axis's basis DC, cos1, sin1, .. the first KEEP stay. Losing a sine but not its cosine is no mask on |k|, so the cosine
    part of the pair is taken out by itself."""
    def axis(x, dim):
        n = x.shape[dim]
        if keep >= n:
            return x
        z = fft(x, dim=dim, norm="ortho").movedim(dim, -1)
        mask = torch.zeros(n)
        for k in range((keep + 1) // 2):
            mask[k] = mask[-k % n] = 1
        y = z * mask
        if keep % 2 == 0:  # the last one kept is the cosine of keep/2: the real part of its pair
            k = keep // 2
            real = torch.zeros_like(z)
            cosine = (z[..., k] + z[..., n - k]) / 2
            real[..., k] = cosine
            real[..., n - k] = cosine.conj() if 2 * k != n else cosine
            y = y + real
        return ifft(y, norm="ortho").real.movedim(-1, dim)
    return axis(axis(x, -2), -1)


def on_modulus(x, b, soft):
    """modReLU max(|X| + b, 0) X/|X|, soft threshold max(|X| - |b|, 0) X/|X|."""
    z = fft2(x, norm="ortho")
    size = z.abs().clamp_min(1e-300)
    b = b.reshape(1, -1, 1, 1)
    return ifft2(torch.relu(1 - b.abs() / size if soft else 1 + b / size) * z, norm="ortho").real
