"""t_python_run.py - the module `halfspec`: runs, checkpoints and predictions as arrays and frames; figures that show what they
should. TAP."""

import os
import subprocess
import sys

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "src", "python")
sys.path.insert(0, source)
from store_tap import note, ok, run, skip

import halfspec


def taps_of(layer, step):
    """The formula of t_store_sample.c, [out, in, y, x]."""
    kh, kw, inner, outer = {"conv1": (3, 3, 1, 4), "conv2": (4, 5, 3, 6)}[layer]
    q = np.arange(outer * inner).reshape(outer, inner, 1, 1)
    return np.cos(0.7 * q + 1.3 * np.arange(kh).reshape(-1, 1) - 0.4 * np.arange(kw) + 0.01 * step + int(layer[-1]) - 1)


def raises(error, call, *what):
    try:
        call(*what)
    except error as found:
        return str(found)
    return None


def module(*words):
    """python3 -m halfspec WORDS"""
    environment = {**os.environ, "PYTHONPATH": source}
    return subprocess.run([sys.executable, "-m", "halfspec", *words], env=environment, capture_output=True, text=True)


# ---- readers -----------------------------------------------------------------------------------------------------------------------


def tables(folder):
    for path in (folder, f"{folder}/run.h5"):
        r = halfspec.open(path)
        ok(isinstance(r, halfspec.Run) and list(r.train["step"]) == list(range(1, 101)),
           f"a run opens by its {'directory' if path == folder else 'file'}")
    ok(np.allclose(r.train["loss"], 2.3 * np.exp(-np.arange(1, 101) / 20)), "train has the losses")
    ok(list(r.eval["step"]) == list(range(10, 101, 10)) and list(r.layers["name"]) == ["conv1", "conv2", "fc1"],
       "eval and layers")
    ok(list(r.segments["step"]) == [0, 40], "segments")
    ok(list(r.plan["name"]) == ["conv1", "fft1", "conv2"] and np.allclose(r.plan["forward"], [1e-3, 2e-3, 3e-3]), "plan with times")
    ok(r.config == {"net": "C4k3", "seed": "1"} and r.provenance["world_size"] == 2, "configuration and provenance")
    try:
        import pandas

        ok(isinstance(r.train, pandas.DataFrame) and r.train["step"].dtype == np.int64, "tables are pandas frames")
    except ImportError:
        skip("tables are pandas frames", "python3-pandas is not installed")
    code = ("import sys; sys.modules['pandas'] = None; import halfspec; t = halfspec.open(sys.argv[1]).train; "
            "assert isinstance(t, dict) and len(t['loss']) == 100, t")
    ok(subprocess.run([sys.executable, "-c", code, folder], env={**os.environ, "PYTHONPATH": source}).returncode == 0,
       "without pandas tables are dicts of arrays")


def histories(folder):
    r = halfspec.open(folder)
    ok(r.history_layers == ["conv1", "conv2"], "layers with a history, in network order")
    h = r.history("conv2")
    ok(h.taps.shape == (11, 5, 3, 4, 5) and h.taps.dtype == np.float32, "taps [snapshot, out, in, y, x]")
    ok(np.abs(h.taps[-1] - taps_of("conv2", 100)[:5]).max() < 1e-6, "the newest filters in space")
    ok(np.abs(h.filters() - taps_of("conv2", 100)[:5]).max() < 1e-6, "filters() are the newest")
    ok(np.abs(h.filters(59) - taps_of("conv2", 50)[:5]).max() < 1e-6, "filters(59) are those of step 50")
    ok(np.abs(h.filters(50, "spectrum") - np.fft.rfft2(taps_of("conv2", 50)[:5], norm="ortho")).max() < 1e-6,
       "filters in the spectrum")
    ok(h.hoyer.shape == (11,) and h["energy"].shape == (11, 4, 3) and h.kernel == (4, 5), "statistics by name")
    ok("first snapshot is at step 0" in (raises(LookupError, h.filters, -1) or ""), "a step before the first is an error")
    ok("conv1, conv2" in (raises(KeyError, r.history, "conv9") or ""), "an unknown layer names those that are there")
    ok(raises(AttributeError, getattr, h, "nonsense"), "an unknown data set is an AttributeError")
    try:
        import h5netcdf  # noqa: F401
        import xarray  # noqa: F401

        ok(h.dataset()["radial_power"].dims == ("step", "radius"), "dataset() is an xarray Dataset")
    except ImportError as missing:
        skip("dataset() is an xarray Dataset", missing)


def checkpoints(folder):
    found = halfspec.open(folder).checkpoints()
    ok([c.state["step"] for c in found] == [10, 20], "a run's checkpoints")
    c = halfspec.open(f"{folder}/ckpt/step-00000020.h5")
    ok(c.layers == ["conv1", "conv2", "fc1"] and c.state["optimizer"] == "momentum", "a checkpoint opens")
    for layer in ("conv1", "conv2"):
        ok(np.abs(c.taps(layer) - taps_of(layer, 20)).max() < 1e-14, f"{layer}: taps in double, whatever the arm")
    ok(sorted(c.parameters("conv1")) == ["coordinates", "weight"] and c.moments("fc1")["weight_m"].shape == (10, 11),
       "parameters and moments, axes left out")
    ok(raises(LookupError, c.taps, "fc1"), "dense layers have no filters")


def predictions(folder):
    p = halfspec.open(f"{folder}/predictions.h5")
    ok(p.logits.shape == (4, 3) and p.input.shape == (4, 2, 2, 1), "predictions open")
    ok(list(p.predicted) == [0, 1, 2, 1] and p.error == 0.25, "predicted class and error")


def refusals(folder):
    import h5py

    with h5py.File(f"{folder}/foreign.h5", "w") as file:
        file["x"] = 1
    ok("none of halfspec's" in (raises(ValueError, halfspec.open, f"{folder}/foreign.h5") or ""), "a foreign file is refused")
    with h5py.File(f"{folder}/foreign.h5", "a") as file:
        file.attrs["format"], file.attrs["format_version"] = "halfspec-run", "2.0"
    ok("newer" in (raises(ValueError, halfspec.open, f"{folder}/foreign.h5") or ""), "a newer format is refused")
    ok(raises(OSError, halfspec.open, f"{folder}/absent.h5"), "a missing file is an OSError")
    done = module(f"{folder}/absent")
    ok(done.returncode == 65 and "Traceback" not in done.stderr and "absent" in done.stderr,
       "python3 -m halfspec says what is missing")


# ---- figures -----------------------------------------------------------------------------------------------------------------------


def pixels_of(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(float)


def figures(folder):
    try:
        import matplotlib  # noqa: F401
        from matplotlib.image import imread
    except ImportError:
        skip("figures", "python3-matplotlib is not installed")
        return
    f, r = halfspec.figures, halfspec.open(folder)

    loss = f.loss_curves(r)
    top, middle, bottom = loss.axes
    line = next(line for line in top.lines if line.get_label() == "training loss")
    ok(np.array_equal(line.get_xdata(), r.train["step"]) and np.array_equal(line.get_ydata(), r.train["loss"]),
       "the loss curve is the loss")
    ok([a.get_ylabel() for a in loss.axes] == ["loss (nat)", "error (%)", "learning rate"] and bottom.get_xlabel() == "step",
       "axes are labelled with units")
    error = next(line for line in middle.lines if line.get_label() == "top-1 error")
    ok(np.allclose(error.get_ydata(), 90 * np.exp(-np.arange(10, 101, 10) / 30)), "errors are shown in percent")
    ok(any(line.get_linestyle() == ":" and line.get_xdata()[0] == 40 for line in top.lines), "a second start is marked")
    ok(top.get_yscale() == "log", "a loss over decades is drawn on a logarithmic axis")

    h = r.history("conv2")
    strip = f.film_strip(h, filters=4, snapshots=6)
    space, spectrum = strip.axes[:2]
    shown = np.ma.filled(space.images[0].get_array(), np.nan)
    ok(shown.shape == (4 * 5 + 1, 6 * 6 + 1), "the film strip has a row a filter and a column a snapshot")
    first, last = taps_of("conv2", 0)[0, 0], taps_of("conv2", 100)[3, 0]
    ok(np.allclose(shown[1:5, 1:6], first, atol=1e-6) and np.allclose(shown[16:20, 31:36], last, atol=1e-6),
       "first tile: filter 0 at the start; last tile: filter 3 at the end")
    ok(np.isnan(shown[0]).all() and np.isnan(shown[:, 6]).all(), "tiles have borders")
    want = np.log10(np.abs(np.fft.fftshift(np.fft.fft2(taps_of("conv2", 100)[3, 0], norm="ortho"))))
    right = np.ma.filled(spectrum.images[0].get_array(), np.nan)[16:20, 31:36]
    far = want > right.max() - 2  # deeper is cut off
    ok(far.any() and np.allclose(right[far], want[far], atol=1e-4), "beside it: log10 |X|, zero frequency in the middle")
    ok([t.get_text() for t in space.get_xticklabels()] == ["0", "20", "40", "60", "80", "100"], "columns carry their steps")

    heat = f.radial_heat_map(h)
    names = [a.get_title() for a in heat.axes if a.get_title()]
    ok(names == ["conv2: power of the filters", "conv2: power of the gradient"],
       "the heat map shows what was kept, and no empty panel")
    image = np.asarray(heat.axes[0].images[0].get_array())
    ok(np.allclose(image, np.log10(h.radial_power.T), atol=1e-5), "the heat map is the radial power")

    for figure, name in ((loss, "loss"), (strip, "film strip"), (heat, "heat map"), (f.sparsity(r), "sparsity")):
        p = pixels_of(figure)
        ink = (np.abs(p - 255).max(-1) > 8).mean()
        ok(p.std() > 10 and 0.01 < ink < 0.95, f"{name}: drawn, {100 * ink:.0f} % of the pixels are not paper")

    out = f"{folder}/figures"
    done = module(folder, "-o", out)
    files = sorted(os.listdir(out)) if os.path.isdir(out) else []
    want = ["filters_conv1", "filters_conv2", "loss", "radial_conv1", "radial_conv2", "sparsity"]
    ok(done.returncode == 0 and files == [name + ".png" for name in want],
       "python3 -m halfspec RUN -o DIR draws all")
    note("" if done.returncode == 0 else done.stderr)
    ok(files and all(imread(f"{out}/{name}").std() > 0.02 for name in files), "no figure is blank")


if __name__ == "__main__":
    run([tables, histories, checkpoints, predictions, refusals, figures])
