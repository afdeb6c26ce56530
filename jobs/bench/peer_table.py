#!/usr/bin/env python3
"""peer_table.py - the table of peer-cpu.sh from the lines it collected: medians over the rounds, ratio to the best mode of PyTorch.

    peer_table.py [--markdown] DIR     DIR holds head, ours and theirs, one JSON object a line
    peer_table.py --keep LABEL DIR     the modes of LABEL worth measuring again, comma-separated
"""
import argparse
import json
import os
import platform
import statistics


def lines(directory, name):
    with open(os.path.join(directory, name), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def modes_of(theirs, label):
    """{mode: [images a second of each round]}"""
    found = {}
    for row in theirs:
        if row["label"] == label:
            found.setdefault(row["mode"], []).append(row["img_per_s"])
    return found


def half_range(values):
    """Half of largest less smallest, in per cent of the median."""
    return 50 * (max(values) - min(values)) / statistics.median(values)


def row_of(ours, theirs, label):
    mine = [r["img_per_s"] for r in ours if r["label"] == label]
    modes = modes_of(theirs, label)
    best = max(modes, key=lambda m: statistics.median(modes[m]))
    pairs = [a / b for a, b in zip(mine, modes[best])]  # a round's two neighbours in time
    error = next((r["error"] for r in ours if r["label"] == label and "error" in r), None)
    return {
        "net": label,
        "halfspec img/s": f"{statistics.median(mine):.1f}",
        "+-%": f"{half_range(mine):.1f}",
        "PyTorch img/s": f"{statistics.median(modes[best]):.1f}",
        "+-% ": f"{half_range(modes[best]):.1f}",
        "best mode": best.replace("/eager", "").replace("/-", ""),
        "other modes": ", ".join(f"{m.replace('/eager', '').replace('/-', '')} {statistics.median(v):.1f}" for m, v in sorted(modes.items()) if m != best),
        "ratio": f"{statistics.median(mine) / statistics.median(modes[best]):.2f}",
        "by round": f"{min(pairs):.2f} to {max(pairs):.2f}",
        "error": "-" if error is None else f"{error:.1e}",
    }


def facts(directory, theirs):
    head = {r["name"]: r["value"] for r in lines(directory, "head")}
    one = theirs[0]
    said = {key: ", ".join(dict.fromkeys(str(row[key]) for row in theirs)) for key in ("batch", "dtype")}
    return [
        f"{head['program']}; {head['device']}",
        f"PyTorch {one['torch']}, {one['threads']} thread{'s' if one['threads'] > 1 else ''}; batch {said['batch']}; {said['dtype']}",
        f"{processor()}, {os.cpu_count()} cores; Linux {platform.release()}",
    ]


def show(rows, markdown):
    names = list(rows[0])
    if markdown:
        print("| " + " | ".join(names) + " |")
        print("|" + "---|" * len(names))
        for row in rows:
            print("| " + " | ".join(row.values()) + " |")
        return
    width = {n: max(len(n), *(len(r[n]) for r in rows)) for n in names}
    for row in [dict(zip(names, names)), *rows]:
        print("  ".join(row[n].ljust(width[n]) for n in names).rstrip())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--markdown", action="store_true")
    p.add_argument("--keep", metavar="LABEL")
    p.add_argument("--by", default="sh jobs/bench/peer-cpu.sh", metavar="COMMAND")
    p.add_argument("directory")
    options = p.parse_args()
    theirs = lines(options.directory, "theirs")
    if options.keep:
        medians = {m: statistics.median(v) for m, v in modes_of(theirs, options.keep).items()}
        print(",".join(m for m, v in medians.items() if v > 0.9 * max(medians.values())))
        return
    ours = lines(options.directory, "ours")
    compared = {r["label"] for r in theirs}
    rows = [row_of(ours, theirs, label) for label in dict.fromkeys(r["label"] for r in ours) if label in compared]
    if options.markdown:
        print(f"Whole training steps (forward, backward, Adam), images a second; made by `{options.by}`.\n")
        print("\n".join(f"- {fact}" for fact in facts(options.directory, theirs)) + "\n")
    else:
        print("\n".join(facts(options.directory, theirs)) + "\n")
    show(rows, options.markdown)


if __name__ == "__main__":
    main()
