#!/usr/bin/env python3
"""Numbers of record for half spectra and spectral pooling, from numpy alone.

    python3 make_spectrum_reference.py > spectrum_reference.h

Planes are exact binary fractions, (37 y + 61 x + 13 x y) mod 23 - 11 over 8, so that both sides start from the same bits.
  spectrum  numpy.fft.rfft2(x, norm="ortho"), row-major re, im
  pooled    the textbook of an even Hermitian crop: full fft2, keep |k| <= h/2 on each axis, fold the pair at +-h/2 with weight 1/sqrt2 where h is
            even and smaller than H, and transform back. The imaginary part that is left must be rounding, or this script stops."""
import sys

import numpy as np

SPECTRA = [(1, 1), (1, 5), (5, 1), (2, 2), (3, 3), (4, 4), (5, 5), (3, 4), (4, 3), (4, 6), (6, 4), (7, 5), (2, 7), (8, 8), (1, 6)]
POOLS = [(8, 8, 5, 5), (8, 8, 4, 4), (8, 8, 6, 6), (8, 8, 7, 7), (9, 9, 6, 6), (9, 9, 5, 5), (9, 9, 8, 8), (5, 5, 2, 2), (5, 5, 1, 1), (6, 6, 6, 6),
         (7, 6, 4, 3), (6, 7, 3, 4), (5, 8, 2, 8), (8, 5, 8, 2), (4, 4, 2, 3), (10, 12, 8, 6)]


def plane(h, w):
    y, x = np.mgrid[0:h, 0:w]
    return ((37 * y + 61 * x + 13 * x * y) % 23 - 11) / 8.0


def crop_axis(spectrum, small, axis):
    """Full complex spectrum, one axis from H to SMALL frequencies."""
    big = spectrum.shape[axis]
    if small == big:
        return spectrum
    frequencies = np.rint(np.fft.fftfreq(small) * small).astype(int)
    out = np.take(spectrum, frequencies % big, axis=axis)
    if small % 2 == 0:
        nyquist = small // 2
        pair = np.take(spectrum, [nyquist], axis=axis) + np.take(spectrum, [big - nyquist], axis=axis)
        index = [slice(None)] * 2
        index[axis] = slice(nyquist, nyquist + 1)
        out[tuple(index)] = pair / np.sqrt(2.0)
    return out


def pooled(x, h, w):
    spectrum = np.fft.fft2(x, norm="ortho")
    y = np.fft.ifft2(crop_axis(crop_axis(spectrum, h, 0), w, 1), norm="ortho")
    assert np.abs(y.imag).max() < 1e-13
    return y.real


def numbers(values):
    return ",\n    ".join(", ".join(repr(float(v)) for v in values[i:i + 6]) for i in range(0, len(values), 6))


def tables():
    """(name, sides, numbers) of every case, in the order of the file."""
    for h, w in SPECTRA:
        half = np.fft.rfft2(plane(h, w), norm="ortho")
        yield "spectrum", (h, w, 0, 0), np.stack([half.real, half.imag], axis=-1).ravel()
    for big_h, big_w, h, w in POOLS:
        yield "pooled", (big_h, big_w, h, w), pooled(plane(big_h, big_w), h, w).ravel()


def main():
    print("/* Made by tests/make_spectrum_reference.py with numpy %s; do not edit. Planes, spectra and pooled planes as explained there. */" % np.__version__)
    print("static const double reference_numbers[] = {")
    cases, offset = [], 0
    for name, sides, values in tables():
        print("    /* %s %d x %d%s */\n    %s," % (name, sides[0], sides[1], " to %d x %d" % sides[2:] if sides[2] else "", numbers(values)))
        cases.append("    {%d, %d, %d, %d, %d, %d}," % (sides + (offset, len(values))))
        offset += len(values)
    print("};\n")
    print("/* Sides of the plane; of the pooled plane, or 0 for a spectrum; where the numbers start and how many they are. */")
    print("static const struct reference_case {\n    int big_h, big_w, h, w, start, count;\n} reference_cases[] = {")
    print("\n".join(cases))
    print("};")


if __name__ == "__main__":
    sys.exit(main())
