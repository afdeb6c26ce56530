"""Runs: tables of training and evaluation, and the history of every layer's filters."""

import os

import numpy as np

from .checkpoint import Checkpoint, Predictions
from .files import FormatError, Reader, attributes, column, frame, kind_of


class History:
    """The history of one layer. Data sets are attributes (energy, radial_power, hoyer, ...: [snapshot, ...]), read when asked for."""

    def __init__(self, run, layer):
        self._run, self.layer = run, layer
        with run._file() as file:
            if layer not in file["history"]:
                raise KeyError(f"{layer}: no history; there is one of {', '.join(file['history']) or 'no layer'}")
            group = file["history"][layer]
            self.attributes = attributes(group)
            self.names = list(group)
        self.kernel = tuple(int(k) for k in self.attributes["kernel"])

    def __repr__(self):
        return f"<History of {self.layer}: {len(self.step)} snapshots of {self.kernel[0]}x{self.kernel[1]} filters>"

    def __getattr__(self, name):
        if name.startswith("_") or name not in self.names:
            raise AttributeError(f"no data set {name!r} in the history of {self.layer}")
        return self[name]

    def __getitem__(self, name):
        with self._run._file() as file:
            return column(file["history"][self.layer][name])

    def _at(self, step):
        """Index of the snapshot at STEP; the newest for None, the newest not after STEP otherwise."""
        steps = self.step
        if len(steps) == 0:
            raise LookupError(f"{self.layer}: no snapshot yet")
        if step is None:
            return len(steps) - 1
        at = int(np.searchsorted(steps, step, side="right")) - 1
        if at < 0:
            raise LookupError(f"{self.layer}: the first snapshot is at step {steps[0]}")
        return at

    def _to_taps(self, half_spectrum):
        if half_spectrum.size == 0:
            return np.zeros(half_spectrum.shape[:-2] + self.kernel, half_spectrum.real.dtype)
        return np.fft.irfft2(half_spectrum, s=self.kernel, norm=self.attributes["fft_norm"]).astype(half_spectrum.real.dtype)

    @property
    def taps(self):
        """The filters in space, [snapshot, out, in, y, x]; those that history.filters kept."""
        return self._to_taps(self.half_spectrum)

    def filters(self, step=None, domain="space"):
        """Filters at STEP (default: newest; else the newest not after it): taps [out, in, y, x], or for domain="spectrum" their
        half spectra [out, in, ky, kx]."""
        if "half_spectrum" not in self.names:
            raise LookupError(f"{self.layer}: this run kept no filters (history.filters = none); its checkpoints hold them")
        at = self._at(step)
        with self._run._file() as file:
            half = file["history"][self.layer]["half_spectrum"][at]
        if domain == "spectrum":
            return half
        if domain == "space":
            return self._to_taps(half)
        raise ValueError("domain is 'space' or 'spectrum'")

    def dataset(self):
        """The whole history as an xarray Dataset."""
        import xarray

        with xarray.open_dataset(self._run.path, group=f"history/{self.layer}", engine="h5netcdf", phony_dims="sort") as data:
            return data.load()


class Run(Reader):
    """A run: `train`, `eval`, `layers`, `plan`, `segments` as frames, `history(layer)` for filters."""

    kind = "halfspec-run"

    def __init__(self, path):
        super().__init__(os.path.join(path, "run.h5") if os.path.isdir(path) else path)

    def _frame(self, name):
        with self._file() as file:
            return frame(file[name])

    @property
    def train(self):
        """One row per log interval: step, epoch, loss, ..."""
        return self._frame("train")

    @property
    def eval(self):
        """One row per evaluation: step, epoch, loss, error_top1, ..."""
        return self._frame("eval")

    @property
    def layers(self):
        """One row per layer."""
        return self._frame("layers")

    @property
    def plan(self):
        """One row per step of the plan, with predicted and measured seconds; None in runs of programs that did not record it."""
        with self._file() as file:
            return frame(file["plan"]) if "plan" in file else None

    @property
    def segments(self):
        """One row per start of the program."""
        return self._frame("provenance/segments")

    @property
    def history_layers(self):
        """Names of the layers with a history, in network order."""
        with self._file() as file:
            kept = set(file["history"])
            return [name for name in column(file["layers"]["name"]) if name in kept] if "name" in file["layers"] else []

    def history(self, layer):
        return History(self, layer)

    def checkpoints(self):
        """The run's checkpoints, oldest first."""
        folder = os.path.join(os.path.dirname(self.path), "ckpt")
        names = sorted(n for n in os.listdir(folder) if n.startswith("step-") and n.endswith(".h5")) if os.path.isdir(folder) else []
        return [Checkpoint(os.path.join(folder, name)) for name in names]


def open(path):
    """A run directory or file, a checkpoint, or predictions: whatever PATH is."""
    if os.path.isdir(path):
        return Run(path)
    kind = kind_of(path)
    for reader in (Run, Checkpoint, Predictions):
        if kind == reader.kind:
            return reader(path)
    raise FormatError(f"{path}: a {kind} file, which this module does not read")
