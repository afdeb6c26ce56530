"""t_train_kills.py - runs that are killed, stopped and told to save at random moments, one rank or all or their launcher, and started again until
they are done: the end must be bit for bit that of a run which nobody disturbed, tables and history too; nobody is left behind, and nothing is in
the way of the next start. Part of make check-long. HS_TEST_SEED repeats, HS_TEST_COUNT says how many disturbances (60). TAP."""

import os
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hostile as h  # noqa: E402

NETS = ["C4k3 R SP5 C6k3 R F4", "C3k3 BN R M2s2 D0.3 F4", "[C2k3 T C2k2] GA F4", "C4k3{boundary=periodic} R SP4 FD F4", "F4"]
TRAINING = [["optimizer=adam"], ["optimizer=momentum", "lr=0.01", "lr.warmup=7"],
            ["optimizer=sgd", "lr=0.05", "lr.schedule=plateau", "lr.patience=1"],
            ["optimizer=adamw", "l1.spectral=1e-3"], ["optimizer=nesterov", "lr=0.01", "augment.shift=1", "clip=1"]]
STEPS = 36
COMMON = ["data=synthetic:96,8,8,2,4", "batch=20", f"max-steps={STEPS}", "epochs=1000", "log-every=1", "eval-every=5", "checkpoint.every=1",
          "history.every=1", "threads=1", "progress=none", "eval.limit=10", "watchdog=60"]


def draw_case(r, folder):
    """(words, ranks): what is trained, and by how many."""
    ranks = r.choice([1, 1, 1, 2, 2, 3, 4])
    keys = COMMON + [f"net={r.choice(NETS)}", f"device={r.choice(['ref', 'cpu'])}", f"seed={r.randint(0, 9)}"] + r.choice(TRAINING)
    if r.random() < 0.3:
        keys.append(r.choice(["checkpoint.every=7", "checkpoint.every=epoch", "checkpoint.keep=1", "history.filters=all", "data.prefetch=no"]))
    return keys, ranks


def disturb(r, job, mark, log):
    """One thing goes wrong. Returns what, and whether the job may end in any way at all because of it."""
    found = h.processes(mark)
    ranks, launcher = [p for p, is_rank in found if is_rank], [p for p, is_rank in found if not is_rank]
    kind = r.choice(["KILL one", "KILL one", "KILL all", "KILL launcher", "TERM", "INT", "USR1", "USR2", "USR1 USR2"])
    if kind == "KILL launcher" and not launcher:
        kind = "KILL all"
    targets = launcher if kind == "KILL launcher" else ranks + launcher if kind == "KILL all" else [r.choice(ranks)] if ranks else []
    for name in [w for w in kind.split() if w.isupper()]:
        for process in targets:
            try:
                os.kill(process, getattr(signal, "SIG" + name))
            except ProcessLookupError:
                pass
    return kind, "KILL" in kind


def check_left(run, mark, what):
    """After every end: nobody there, every file sound."""
    import h5py

    good = h.wait_gone(mark)
    said = [] if good else [f"left behind: {h.processes(mark)}"]
    names = os.listdir(f"{run}/ckpt") if os.path.isdir(f"{run}/ckpt") else []
    for path in [f"{run}/run.h5"] + [f"{run}/ckpt/{p}" for p in names if p.endswith(".h5") and p[0] != "."]:
        if not os.path.exists(path):
            continue
        try:
            with h5py.File(path) as f:
                f.visit(lambda name: None)
        except OSError as why:
            good = False
            said.append(f"{path}: {why}")
    if os.path.exists(f"{run}/run.h5"):
        code, text = h.call(1, "check", run)
        good = good and code == 0
        said += [] if code == 0 else [text]
    if not good:
        h.note(f"{what}: " + "\n".join(said))
    return good


def one_case(r, folder, number, left):
    """A run disturbed up to LEFT times until it is done; returns how often."""
    keys, ranks = draw_case(r, folder)
    whole, run = f"{folder}/whole-{number}", f"{folder}/run-{number}"
    begin = time.monotonic()
    code, said = h.call(ranks, "train", f"{folder}/none.conf", f"run={whole}", *keys)
    length = time.monotonic() - begin
    if not h.ok(code == 0, f"{number}: {ranks} ranks, undisturbed in {length:.1f} s: {' '.join(keys[12:])}"):
        h.note(said)
        return 1
    mark, times, good, done, story = f"run={run}", 0, True, False, []
    while good and not done:
        job = h.begin(ranks, "train", f"{folder}/none.conf", mark, *keys)
        kind, any_end = "nothing", False
        if times < min(left, 8):
            time.sleep(r.uniform(0.0, 1.05 * length))
            at = h.newest(run)
            kind, any_end = disturb(r, job, mark, story)
            times += 1
            story.append(f"{kind} at step {at}")
        code, said = h.end(job)
        # A signal that comes before main holds or catches it ends the process; what INT and TERM do before and after training is up to the launcher.
        died = code in (-15, -2, 143, 130, 1) and kind in ("TERM", "INT") or code in (-10, -12, 138, 140) and "ranks: " not in said
        allowed = code in (0, 75) or any_end or died
        good = code is not None and allowed and not h.LOUD.search(said)
        if "launcher" in kind and r.random() < 0.5:  # started again while ranks of the old job may still live: waits for them
            story[-1] += ", hasty"
        else:
            good = good and check_left(run, mark, kind)
        if not good:
            h.note(f"{kind}: exit {code}\n{said}")
        done = code == 0
    same = good and h.digest_state(whole) == h.digest_state(run)
    tables = good and h.digest_tables(whole) == h.digest_tables(run)
    h.ok(good, f"{number}: {', '.join(story) or 'nothing happened'}: every start ended as it should")
    h.ok(same, f"{number}: parameters, moments and state are bit-equal")
    h.ok(tables, f"{number}: tables, history and log too")
    left_over = [p for top in (run, f"{run}/ckpt") if os.path.isdir(top) for p in os.listdir(top) if p == "lock" or p.endswith(".tmp")]
    h.ok(not left_over, f"{number}: no lock, no temporary ({left_over})")
    return max(times, 1)


seed, r, wanted = h.draws(60)
h.note(f"HS_TEST_SEED={seed} HS_TEST_COUNT={wanted}")
with h.Scratch() as folder:
    open(f"{folder}/none.conf", "w").close()
    total = number = 0
    while total < wanted:
        number += 1
        total += one_case(r, folder, number, wanted - total)
    h.note(f"{total} disturbances of {number} runs")
h.finish()
