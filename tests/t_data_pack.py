"""t_data_pack.py - folders of images become HDF5 sets: content, parts, sizes, what is refused, and nothing half-written. TAP."""

import os
import subprocess
import sys
import tempfile

tests = 0


def ok(good, text):
    global tests
    tests += 1
    print(f"{'ok' if good else 'not ok'} {tests} - {text}")


try:
    import h5py
    import numpy as np
    from PIL import Image
except ImportError as missing:
    print(f"1..0 # SKIP {missing}")
    sys.exit(0)

source = os.environ.get("srcdir", ".")
sys.path.insert(0, os.path.join(source, "src", "python"))
module = os.path.join(source, "src", "python", "halfspec", "pack.py")
random = np.random.default_rng(7)


def draw(path, height, width, mode="RGB"):
    """A random image, losslessly; returns its pixels."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pixels = random.integers(0, 256, (height, width) if mode == "L" else (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels, mode).save(path)
    return pixels.reshape(height, width, -1)


def run(*words):
    done = subprocess.run([sys.executable, module, *words], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def refused(code, words, *parts):
    got, text = run(*words)
    ok(got == code and all(p in text for p in parts) and "Traceback" not in text, f"exit {code}: {' '.join(parts)}")
    if got != code:
        print(f"# exit {got}: {text}")


def test_content(scratch):
    folder, out = f"{scratch}/a", f"{scratch}/a.h5"
    want = {}
    for label, name in enumerate(("apple", "bee", "cat")):
        for i in range(3 + label):
            want[(name, i)] = (draw(f"{folder}/{name}/{i:02}.png", 5, 7), label)
    with open(f"{folder}/bee/notes.txt", "w") as notes:
        notes.write("no image")
    code, text = run(folder, "-o", out)
    ok(code == 0 and "3 classes, 12 training and 0 test images of 5 x 7 x 3" in text and "notes.txt" in text, "a folder per class is packed")
    with h5py.File(out) as file:
        ok(file["images"].dtype == np.uint8 and file["images"].shape == (12, 5, 7, 3) and file["labels"].dtype == np.int64, "types and shapes")
        ok(file.attrs["classes"] == 3 and [n.decode() for n in file.attrs["class_names"]] == ["apple", "bee", "cat"], "classes by name")
        good = all((file["images"][k] == pixels).all() and file["labels"][k] == label for k, (pixels, label) in enumerate(want.values()))
        ok(good and "test_images" not in file, "pixels and labels, in order")
    again = f"{scratch}/again.h5"
    run(folder, "-o", again)
    with open(out, "rb") as one, open(again, "rb") as two:
        ok(one.read() == two.read(), "equal input gives equal bytes")
    code, _ = run(folder, "-o", f"{scratch}/small.h5", "--compress")
    with h5py.File(out) as plain, h5py.File(f"{scratch}/small.h5") as small:
        ok(code == 0 and small["images"].compression == "gzip" and (small["images"][:] == plain["images"][:]).all(), "compressed: the same pixels")


def test_grey_and_size(scratch):
    folder, out = f"{scratch}/g", f"{scratch}/g.h5"
    pixels = draw(f"{folder}/x/1.png", 4, 4, "L")
    draw(f"{folder}/y/1.png", 4, 4, "L")
    run(folder, "-o", out)
    with h5py.File(out) as file:
        ok(file["images"].shape == (2, 4, 4, 1) and (file["images"][0] == pixels).all(), "grey images have one channel")
    run(folder, "-o", out, "--channels", "3")
    with h5py.File(out) as file:
        ok(file["images"].shape == (2, 4, 4, 3) and (file["images"][0] == pixels).all(), "--channels 3 repeats grey")
    draw(f"{folder}/y/2.png", 6, 8)
    refused(65, (folder, "-o", f"{scratch}/none.h5"), "2.png is 8 x 6", "--size")
    code, _ = run(folder, "-o", out, "--size", "3x5")
    with h5py.File(out) as file:
        ok(code == 0 and file["images"].shape == (3, 3, 5, 3), "--size makes them equal; one colour image makes all colour")


def test_parts(scratch):
    folder, out = f"{scratch}/p", f"{scratch}/p.h5"
    for name in ("a", "b"):
        for i in range(60):
            draw(f"{folder}/{name}/{i}.png", 2, 2)
    run(folder, "-o", out, "--test", "0.25")
    with h5py.File(out) as file:
        count, held = len(file["labels"]), len(file["test_labels"])
        every = np.concatenate([file["images"][:], file["test_images"][:]]).reshape(120, -1)
        ok(count + held == 120 and 15 <= held <= 45 and len(np.unique(every, axis=0)) == 120, "--test: disjoint and complete")
    folder = f"{scratch}/q"
    draw(f"{folder}/train/a/1.png", 2, 2)
    draw(f"{folder}/train/b/1.png", 2, 2)
    pixels = draw(f"{folder}/test/b/1.png", 2, 2)
    code, _ = run(folder, "-o", out)
    with h5py.File(out) as file:
        ok(code == 0 and file["test_labels"][:].tolist() == [1] and (file["test_images"][0] == pixels).all(), "train and test directories")
    draw(f"{folder}/test/c/1.png", 2, 2)
    refused(65, (folder, "-o", out), "test/c", "no directory")


def test_refused(scratch):
    out = f"{scratch}/r.h5"
    refused(65, (f"{scratch}/nowhere", "-o", out), "nowhere", "one directory per class")
    os.makedirs(f"{scratch}/empty")
    refused(65, (f"{scratch}/empty", "-o", out), "holds no directories")
    os.makedirs(f"{scratch}/bare/a")
    refused(65, (f"{scratch}/bare", "-o", out), "no image")
    draw(f"{scratch}/bad/a/1.png", 9, 9)
    draw(f"{scratch}/bad/b/1.png", 9, 9)
    with open(f"{scratch}/bad/b/1.png", "r+b") as file:
        file.truncate(200)
    refused(65, (f"{scratch}/bad", "-o", out), "b/1.png", "damaged")
    with open(f"{scratch}/bad/b/1.png", "w") as file:
        file.write("hello")
    refused(65, (f"{scratch}/bad", "-o", out), "b/1.png", "not a readable image")
    Image.fromarray(np.full((9, 9), 1000, np.uint16)).save(f"{scratch}/bad/b/1.png")
    refused(65, (f"{scratch}/bad", "-o", out), "b/1.png", "8 bits")
    refused(2, (f"{scratch}/bad", "-o", out, "--size", "0x3"), "not a size")
    refused(2, (f"{scratch}/bad",), "-o")
    os.unlink(f"{scratch}/bad/b/1.png")
    refused(65, (f"{scratch}/bad", "-o", out), "class b has no training image")
    os.rmdir(f"{scratch}/bad/b")
    refused(74, (f"{scratch}/bad", "-o", f"{scratch}/no/such/place.h5"), "cannot be written", "No such file")
    left = [name for name in os.listdir(scratch) if name.endswith(".h5") or name.startswith(".")]
    ok(left == [], f"nothing half-written is left ({left})")


def test_is_read(scratch):
    """The program opens what was packed, both parts."""
    program = os.environ.get("HALFSPEC", "")
    if not os.access(program, os.X_OK):
        ok(True, "the program opens a packed set # SKIP no program")
        return
    for name in ("a", "b", "c"):
        for part, count in (("train", 5), ("test", 2)):
            for i in range(count):
                draw(f"{scratch}/f/{part}/{name}/{i}.png", 8, 10)
    out = f"{scratch}/f.h5"
    with open(f"{scratch}/c.conf", "w") as conf:
        conf.write(f"data = hdf5:{out}\nnet = C4k3 R GA F3\nbatch = 5\nepochs = 1\nrun = {scratch}/run\nthreads = 1\n")
    for extra in ((), ("--compress",)):
        run(f"{scratch}/f", "-o", out, *extra)
        done = subprocess.run([program, "train", f"{scratch}/c.conf", "--dry-run"], capture_output=True, text=True)
        ok(done.returncode == 0 and "15" in done.stdout and "6" in done.stdout, f"the program opens a packed set {' '.join(extra)}")
        if done.returncode:
            print(f"# {done.stderr}")
    with open(out, "r+b") as file:
        file.truncate(os.path.getsize(out) - 100)
    done = subprocess.run([program, "train", f"{scratch}/c.conf", "--dry-run"], capture_output=True, text=True)
    ok(done.returncode == 65 and "f.h5" in done.stderr, "and refuses one that was cut short")


for test in (test_is_read, test_content, test_grey_and_size, test_parts, test_refused):
    with tempfile.TemporaryDirectory() as directory:
        test(directory)
print(f"1..{tests}")
