"""Figures of a run. Every function returns a matplotlib Figure; with FILE it is also saved (PNG, PDF, SVG by the ending).

Figures are made without pyplot: nothing global, no display, safe in threads and in batch jobs."""

import os

import numpy as np

COLOURS = {"loss": "#1f5fa8", "loss_data": "#7fb0de", "error_top1": "#b5402a", "error_top5": "#e0a294", "lr": "#3c7d3c"}
POWERS = [("radial_power", "filters"), ("grad_radial_power", "gradient"), ("update_radial_power", "update"),
          ("momentum_radial_power", "momentum")]


def _figure(width, height):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure, file):
    if file:
        figure.savefig(file)
    return figure


# ---- curves --------------------------------------------------------------------------------------------------------------------


def loss_curves(run, file=None):
    """Loss, error and learning rate against the step; dotted lines where the program was started again."""
    train, evals, starts = run.train, run.eval, run.segments
    figure = _figure(7, 7)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": [3, 3, 1.4]})
    penalised = not np.array_equal(train["loss"], train["loss_data"])
    for name, label in (("loss", "training loss"), ("loss_data", "without penalties"))[:1 + penalised]:
        top.plot(train["step"], train[name], color=COLOURS[name], label=label, linewidth=1.2)
    if len(evals["step"]):
        top.plot(evals["step"], evals["loss"], "o-", color="black", markersize=3, linewidth=0.8, label="evaluation loss")
        for name, label in (("error_top1", "top-1 error"), ("error_top5", "top-5 error")):
            middle.plot(evals["step"], 100 * np.asarray(evals[name]), "o-", color=COLOURS[name], markersize=3, label=label)
    bottom.plot(train["step"], train["lr"], color=COLOURS["lr"])
    if _spread(train["loss"]) > 10:
        top.set_yscale("log")
    if _spread(train["lr"]) > 10:
        bottom.set_yscale("log")
    for axes, label in ((top, "loss (nat)"), (middle, "error (%)"), (bottom, "learning rate")):
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        for step in np.asarray(starts["step"])[1:]:
            axes.axvline(step, color="grey", linestyle=":", linewidth=0.8)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
    bottom.set_xlabel("step")
    top.set_title(run.provenance.get("notation") or os.path.dirname(run.path), fontsize=9)
    return _save(figure, file)


def _spread(values):
    """Largest over smallest of the finite positive values."""
    v = np.asarray(values, float)
    v = v[np.isfinite(v) & (v > 0)]
    return v.max() / v.min() if v.size else 1.0


def sparsity(run, file=None):
    """Hoyer sparsity and Gini index of every layer's spectrum against the step."""
    figure = _figure(7, 4)
    left, right = figure.subplots(1, 2, sharex=True)
    for layer in run.history_layers:
        history = run.history(layer)
        left.plot(history.step, history.hoyer, label=layer)
        right.plot(history.step, history.gini, label=layer)
    for axes, label in ((left, "Hoyer sparsity of |X|"), (right, "Gini index of |X|")):
        axes.set_ylabel(label)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
    return _save(figure, file)


# ---- filters -------------------------------------------------------------------------------------------------------------------


def tile(tiles, gap=1):
    """One image of TILES [rows, columns, h, w] with borders of NaN."""
    rows, columns, h, w = tiles.shape
    image = np.full((rows * (h + gap) + gap, columns * (w + gap) + gap), np.nan, float)
    for r in range(rows):
        for c in range(columns):
            image[gap + r * (h + gap):gap + r * (h + gap) + h, gap + c * (w + gap):gap + c * (w + gap) + w] = tiles[r, c]
    return image


def _chosen(count, most):
    """At most MOST of COUNT indices, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _strip(axes, figure, tiles, steps, map_name, limits, label):
    h, w = tiles.shape[2:]
    image = axes.imshow(tile(tiles), cmap=_colours(map_name), interpolation="nearest", vmin=limits[0], vmax=limits[1])
    axes.set_xticks([1 + c * (w + 1) + (w - 1) / 2 for c in range(len(steps))], [str(s) for s in steps], fontsize=7)
    axes.set_yticks([1 + r * (h + 1) + (h - 1) / 2 for r in range(len(tiles))], [str(r) for r in range(len(tiles))], fontsize=7)
    axes.tick_params(length=0)
    axes.set_xlabel("step")
    axes.set_ylabel("filter")
    figure.colorbar(image, ax=axes, shrink=0.8, label=label)


def _colours(name):
    import matplotlib

    colours = matplotlib.colormaps[name].copy()
    colours.set_bad("white")
    return colours


def film_strip(history, file=None, filters=8, snapshots=10):
    """How the first filters of a layer came about: one row a filter, one column a snapshot; in space on the left, log10 |X| on the
    right (zero frequency in the middle). Filters are those of the first in-channel."""
    at = _chosen(len(history.step), snapshots)
    steps, taps = history.step[at], history.taps[at][:, :filters, 0]  # [snapshot, filter, y, x]
    taps = np.swapaxes(taps, 0, 1)
    spectrum = np.fft.fftshift(np.abs(np.fft.fft2(taps, norm="ortho")), axes=(-2, -1))
    top = float(spectrum.max()) or 1.0
    largest = float(np.abs(taps).max()) or 1.0
    width = 1.5 + 0.55 * len(at)
    figure = _figure(2 * width, 1.2 + 0.55 * len(taps))
    left, right = figure.subplots(1, 2)
    _strip(left, figure, taps, steps, "RdBu_r", (-largest, largest), "tap")
    _strip(right, figure, np.log10(np.maximum(spectrum, 1e-4 * top)), steps, "magma", (np.log10(top) - 3, np.log10(top)), "log10 |X|")
    left.set_title(f"{history.layer}: filters in space", fontsize=9)
    right.set_title(f"{history.layer}: their spectrum", fontsize=9)
    return _save(figure, file)


# ---- frequencies ---------------------------------------------------------------------------------------------------------------


def radial_heat_map(history, file=None):
    """Power by |k| against the step: of the filters, and of gradient, update and momentum where they were kept."""
    steps = history.step
    shown = [(label, history[name].T) for name, label in POWERS]
    shown = [(label, power) for label, power in shown if np.isfinite(power).any()]
    figure = _figure(7, 0.8 + 1.9 * max(len(shown), 1))
    axes = figure.subplots(max(len(shown), 1), 1, sharex=True, squeeze=False)[:, 0]
    for a, (label, power) in zip(axes, shown):
        tiny = np.nanmax(power) * 1e-8 or 1e-30
        shades = np.log10(np.maximum(power, tiny))
        image = a.imshow(shades, aspect="auto", origin="lower", cmap=_colours("viridis"), interpolation="nearest")
        a.set_ylabel("|k|")
        a.set_yticks(range(power.shape[0]))
        a.set_title(f"{history.layer}: power of the {label}", fontsize=9)
        figure.colorbar(image, ax=a, label="log10 power")
    ticks = _chosen(len(steps), 8) if len(steps) else []
    axes[-1].set_xticks(ticks, [str(steps[t]) for t in ticks])
    axes[-1].set_xlabel("step")
    return _save(figure, file)


# ---- all of them ---------------------------------------------------------------------------------------------------------------


def draw_all(run, folder):
    """Every figure of RUN as PNG into FOLDER; returns the files."""
    os.makedirs(folder, exist_ok=True)
    files = []

    def put(name, draw, *what):
        files.append(os.path.join(folder, name + ".png"))
        draw(*what, files[-1])

    put("loss", loss_curves, run)
    histories = [run.history(layer) for layer in run.history_layers]
    histories = [h for h in histories if len(h.step)]
    if histories:
        put("sparsity", sparsity, run)
    for history in histories:
        if "half_spectrum" in history.names:
            put(f"filters_{history.layer}", film_strip, history)
        put(f"radial_{history.layer}", radial_heat_map, history)
    return files
