"""Read what halfspec writes: runs, checkpoints and predictions, as NumPy arrays and pandas frames, and draw figures from them.

    import halfspec
    r = halfspec.open("RUN")              # a run directory, a run.h5, a checkpoint or a predictions file
    r.train.plot("step", "loss")          # pandas frame; a dict of arrays where pandas is missing
    h = r.history("conv1")
    h.taps[-1]                            # newest filters in space [out, in, ky, kx]
    h.half_spectrum[-1]                   # the same as numpy.fft.rfft2(taps, norm="ortho")
    halfspec.figures.draw_all(r, "DIR")   # or: python3 -m halfspec RUN -o DIR

NumPy and h5py are needed; pandas, xarray and matplotlib are used where they are wanted and there.
"""

import importlib

_HOME = {"open": "run", "Run": "run", "History": "run", "Checkpoint": "checkpoint", "Predictions": "checkpoint"}

__all__ = sorted([*_HOME, "figures"])


def __getattr__(name):
    """Import on first use, so that `python3 -m halfspec.pack` and the like ask for no more than they need."""
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    if name == "figures":
        return importlib.import_module(f"{__name__}.figures")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
