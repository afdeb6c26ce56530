#!/usr/bin/env python3
"""scaling_plot.py - the figure of scaling.sh: time per image against batch, channels, map and filter, and where the planner changes its mind.

    scaling_plot.py FILE.csv FILE.png

Also prints, for each panel, how much faster the chosen engine's time per image grows from the first point to the last than the bound of its work does:
1 or less is what a machine kept equally busy would show.
"""
import csv
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend comes first)

TITLES = {"batch": "images in a batch", "channels": "channels in and out", "side": "side of the map", "filter": "side of the filter"}
COLOURS = {"direct": "tab:orange", "fft": "tab:blue"}


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        text = file.readlines()
    facts = [line[2:].strip() for line in text if line.startswith("# ")]
    rows = list(csv.DictReader(line for line in text if not line.startswith("#")))
    for row in rows:
        row["x"] = float(row["x"])
        row["us"] = 1e6 * float(row["seconds"]) / float(row["batch"])
        row["least"] = 1e6 * float(row["least_seconds"]) / float(row["batch"])
    return rows, facts


def crossings(chosen):
    """Between which x the choice changes."""
    return [(a["x"] * b["x"]) ** 0.5 for a, b in zip(chosen, chosen[1:]) if a["engine"] != b["engine"]]


def usual(rows):
    """What is the same in all panels but the one that varies it."""
    batch, channels, side, taps = (max((r[name] for r in rows), key=[r[name] for r in rows].count) for name in TITLES)
    return f"batch {batch}, {channels} channels, {side} x {side} map, {taps} x {taps} filter"


def draw_panel(axis, rows, name):
    for engine, colour in COLOURS.items():
        own = sorted((r for r in rows if r["engine"] == engine), key=lambda r: r["x"])
        axis.plot([r["x"] for r in own], [r["us"] for r in own], "o-", color=colour, markersize=3, label=engine)
        axis.plot([r["x"] for r in own], [r["least"] for r in own], ":", color=colour, linewidth=1, label=f"{engine}: bound of its work")
    chosen = sorted((r for r in rows if r["chosen"] == "yes"), key=lambda r: r["x"])
    axis.plot([r["x"] for r in chosen], [r["us"] for r in chosen], "o", mfc="none", mec="black", markersize=9, label="planner's choice")
    for i, x in enumerate(crossings(chosen)):
        axis.axvline(x, color="grey", linestyle="--", linewidth=1, label="crossover it found" if i == 0 else None)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    ticks = [r["x"] for r in chosen]
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks], fontsize=8)
    axis.minorticks_off()
    axis.set_xlabel(TITLES[name])
    axis.grid(True, alpha=0.3)
    return chosen


def report(name, chosen):
    first, last = chosen[0], chosen[-1]
    growth, bound = last["us"] / first["us"], last["least"] / first["least"]
    changes = ", ".join(f"{x:.3g}" for x in crossings(chosen)) or "none"
    right = sum(r["best"] for r in chosen)
    print(f"{name:9} {first['x']:g} to {last['x']:g}: time per image x {growth:.2f}, bound x {bound:.2f}, ratio {growth / bound:.2f}; "
          f"crossover: {changes}; the faster engine was chosen at {right} of {len(chosen)} points")


def main():
    rows, facts = read(sys.argv[1])
    panels = [name for name in TITLES if any(r["panel"] == name for r in rows)]
    figure, axes = plt.subplots(2, 2, figsize=(10, 7.5), sharey=True)
    for axis, name in zip(axes.flat, panels):
        own = [r for r in rows if r["panel"] == name]
        chosen = draw_panel(axis, own, name)
        for r in chosen:
            r["best"] = r["us"] <= min(o["us"] for o in own if o["x"] == r["x"])
        report(name, chosen)
    for axis in axes[:, 0]:
        axis.set_ylabel("µs per image, forward and backward")
    axes.flat[0].legend(fontsize=7)
    figure.suptitle(f"One convolution; what does not vary: {usual(rows)}\n" + "; ".join(facts), fontsize=9)
    figure.tight_layout()
    figure.savefig(sys.argv[2], dpi=110)


if __name__ == "__main__":
    main()
