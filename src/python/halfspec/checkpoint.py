"""Checkpoints and predictions."""

import h5py
import numpy as np

from .files import Reader, attributes


class Checkpoint(Reader):
    """A checkpoint: state, and parameters by layer."""

    kind = "halfspec-checkpoint"

    @property
    def state(self):
        """step, epoch, position, seed, best_error, ..."""
        with self._file() as file:
            return attributes(file["state"])

    @property
    def layers(self):
        with self._file() as file:
            return list(file["model"])

    def parameters(self, layer):
        """{name: array} of one layer: weight (filters as half spectra or taps, as the arm has them), coordinates, bias, gamma, ..."""
        return self._arrays(f"model/{layer}")

    def moments(self, layer):
        """{name: array} of the optimizer's moments of one layer, in coordinates."""
        return self._arrays(f"optimizer/{layer}")

    def _arrays(self, where):
        with self._file() as file:
            if where not in file:
                raise KeyError(f"{self.path}: no {where}")
            return {name: node[()] for name, node in file[where].items() if not h5py.h5ds.is_scale(node.id)}

    def taps(self, layer):
        """Filters of one layer in space, [out, in, y, x], whatever its arm."""
        with self._file() as file:
            group = file["model"][layer]
            weight, about = group["weight"][()], attributes(group)
        if "kernel" not in about:
            raise LookupError(f"{layer} has no filters")
        if not np.iscomplexobj(weight):
            return weight
        return np.fft.irfft2(weight, s=tuple(about["kernel"]), norm=about["fft_norm"]).astype(weight.real.dtype)


class Predictions(Reader):
    """What `halfspec eval --predictions` wrote: index, label, logits, and with --inputs the normalised input."""

    kind = "halfspec-predictions"

    def __getattr__(self, name):
        if name.startswith("_") or name == "path":
            raise AttributeError(name)
        with self._file() as file:
            if name not in file:
                raise AttributeError(f"{self.path}: no data set {name!r}")
            return file[name][()]

    @property
    def predicted(self):
        """The class with the largest logit."""
        return np.argmax(self.logits, axis=1)

    @property
    def error(self):
        """Share of samples whose class is not predicted."""
        return float(np.mean(self.predicted != self.label))
