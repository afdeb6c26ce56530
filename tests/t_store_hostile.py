"""t_store_hostile.py - files from elsewhere: links and storage outside the file, unknown filters and types, absurd sizes, wrong
labels, damage. Every one is refused with a message and exit code 65, never followed, never a crash. And good sets are read
whatever their layout. TAP."""

import os
import random
import shutil
import sys

import h5py
import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from store_tap import note, ok, program, run

LABELS = np.arange(12) % 3


def pixels():
    return (np.arange(12 * 4 * 5 * 3) % 251).astype(np.uint8).reshape(12, 4, 5, 3)


# ---- data sets ---------------------------------------------------------------------------------------------------------------------


def good_sets(folder):
    path = f"{folder}/good.h5"

    def plain(f):
        f["images"], f["labels"] = pixels(), LABELS

    def chunked(f):
        f.create_dataset("train_images", data=pixels(), chunks=(5, 4, 5, 3), compression="gzip", shuffle=True, fletcher32=True)
        f["train_labels"] = LABELS.astype(np.uint8)

    def groups(f):
        f["train/images"], f["train/labels"] = pixels().astype(np.float32), LABELS
        f["test/images"], f["test/labels"] = pixels(), LABELS + 4

    def grey(f):
        f["images"], f["labels"] = pixels()[..., 0].astype(np.float64), LABELS.astype(np.int8)

    def told(f):
        plain(f)
        f.attrs["classes"] = 10

    for make, classes in ((plain, 3), (chunked, 3), (groups, 7), (grey, 3), (told, 10)):
        with h5py.File(path, "w") as f:
            make(f)
        code, text = program("read", path)
        ok(code == 0 and f"read: ok  {classes} classes" in text, f"a good set: {make.__name__}")
        note("" if code == 0 else text)
        code, text = program("check", path)
        ok(code == 0 and "sound HDF5 data set" in text, f"check reads it: {make.__name__}")
    with h5py.File(path, "r+") as f:
        f["labels"][7] = 99  # beyond the attribute that tells the number of classes
    code, text = program("check", path)
    ok(code == 65 and "`classes` is 10" in text, "check refuses a set with a label out of range, and says so")


def hostile_sets(folder):
    path, secret = f"{folder}/bad.h5", f"{folder}/secret"
    with open(secret, "wb") as f:
        f.write(b"s3cret" * 1000)
    with h5py.File(f"{folder}/other.h5", "w") as f:
        f["images"], f["labels"] = pixels(), LABELS

    def labels(f, values=LABELS):
        f["labels"] = values

    def external_link(f):
        f["images"] = h5py.ExternalLink(f"{folder}/other.h5", "images")
        labels(f)

    def external_label_link(f):
        f["images"], f["labels"] = pixels(), h5py.ExternalLink(f"{folder}/other.h5", "labels")

    def external_group(f):
        f["train"] = h5py.ExternalLink(f"{folder}/other.h5", "/")

    def soft_link(f):
        f["real"], f["images"] = pixels(), h5py.SoftLink("/real")
        labels(f)

    def external_storage(f):
        f.create_dataset("images", (12, 4, 5, 3), np.uint8, external=[(secret, 0, 720)])
        labels(f)

    def virtual(f):
        layout = h5py.VirtualLayout((12, 4, 5, 3), np.uint8)
        layout[:] = h5py.VirtualSource(f"{folder}/other.h5", "images", (12, 4, 5, 3))
        f.create_virtual_dataset("images", layout)
        labels(f)

    def huge(f):
        f.create_dataset("images", (2**40, 2**10, 2**10, 4), np.uint8, chunks=(1, 64, 64, 4))
        labels(f)

    def overflow(f):
        f.create_dataset("images", (2**31, 2**31, 2, 2), np.float64, chunks=(1, 64, 1, 1))
        labels(f)

    def unwritten(f):
        f.create_dataset("images", (2**24, 28, 28, 1), np.uint8, chunks=(1, 28, 28, 1))
        f.create_dataset("labels", (2**24,), np.uint8, chunks=(64,))

    def huge_chunk(f):
        f.create_dataset("images", (2**14, 2**7, 2**7, 1), np.uint8, chunks=(2**14, 2**7, 2**7, 1))
        labels(f)

    def scaleoffset(f):
        f.create_dataset("images", data=pixels(), chunks=(1, 4, 5, 3), scaleoffset=8)
        labels(f)

    def lzf(f):
        f.create_dataset("images", data=pixels(), chunks=(1, 4, 5, 3), compression="lzf")
        labels(f)

    def texts(f):
        f["images"], f["labels"] = pixels(), np.array(["cat"] * 12, dtype=h5py.string_dtype())

    def compound(f):
        f["images"] = np.zeros((12, 4, 5, 3), [("a", "u1"), ("b", "u1")])
        labels(f)

    def complex_images(f):
        f["images"] = np.zeros((12, 4, 5, 3), np.complex64)
        labels(f)

    def references(f):
        f.create_dataset("images", (12, 4, 5, 3), h5py.ref_dtype)
        labels(f)

    def named_type(f):
        f["t"] = np.dtype("u1")
        f.create_dataset("images", data=pixels(), dtype=f["t"])
        labels(f)

    def images_group(f):
        f.create_group("images")
        labels(f)

    def wide_integers(f):
        f["images"] = pixels().astype(np.int32)
        labels(f)

    def flat(f):
        f["images"] = pixels().reshape(12, -1)
        labels(f)

    def six_axes(f):
        f["images"] = pixels().reshape(12, 2, 2, 5, 3, 1)
        labels(f)

    def scalar(f):
        f["images"] = 5
        labels(f)

    def empty(f):
        f["images"], f["labels"] = pixels()[:0], LABELS[:0]

    def fewer_labels(f):
        f["images"] = pixels()
        labels(f, LABELS[:-1])

    def negative(f):
        f["images"] = pixels()
        labels(f, LABELS - 1)

    def wide_labels(f):
        f["images"] = pixels()
        labels(f, LABELS + 2**40)

    def float_labels(f):
        f["images"] = pixels()
        labels(f, LABELS + 0.5)

    def classes_attribute(f):
        f["images"] = pixels()
        labels(f)
        f.attrs["classes"] = 2

    def not_a_number(f):
        f["images"] = np.full((12, 4, 5, 3), np.nan, np.float32)
        labels(f)

    def no_labels(f):
        f["images"] = pixels()

    def nothing(f):
        f["pictures"] = pixels()

    for make in (external_link, external_label_link, external_group, soft_link, external_storage, virtual, huge, overflow,
                 unwritten, huge_chunk, scaleoffset, lzf, texts, compound, complex_images, references, named_type, images_group,
                 wide_integers, flat, six_axes, scalar, empty, fewer_labels, negative, wide_labels,
                 float_labels, classes_attribute, not_a_number, no_labels, nothing):
        with h5py.File(path, "w", libver=("earliest", "v110")) as f:
            make(f)
        code, text = program("read", path)
        said = [line for line in text.splitlines() if line.startswith(("data: bad input", "read: bad input")) and path in line]
        ok(code == 65 and said, f"refused: {make.__name__.replace('_', ' ')}")
        note(text if code != 65 or not said else said[0].replace(folder, ""))


def not_hdf5(folder):
    path = f"{folder}/junk.h5"
    signature = b"\x89HDF\r\n\x1a\n"
    for name, content in (("empty", b""), ("text", b"hello" * 100), ("signature alone", signature),
                          ("signature and noise", signature + os.urandom(4000))):
        with open(path, "wb") as f:
            f.write(content)
        code, text = program("read", path)
        ok(code == 65 and "not a readable HDF5 file" in text, f"refused: {name}")
        note("" if code == 65 else text)
    code, text = program("read", folder)
    ok(code == 65, "refused: a directory")
    code, text = program("read", f"{folder}/is-not-there.h5")
    ok(code == 65, "refused: a file that is not there")


# ---- checkpoints ---------------------------------------------------------------------------------------------------------------------


def hostile_checkpoints(folder):
    source, path = f"{folder}/ckpt/step-00000010.h5", f"{folder}/evil.h5"

    def soft_layer(f):
        f.move("model/conv1", "model/hidden")
        f["model/conv1"] = h5py.SoftLink("/model/hidden")

    def external_model(f):
        f.move("model", "hidden")
        f["model"] = h5py.ExternalLink(source, "model")

    def external_weight(f):
        del f["model/conv1/coordinates"]
        f["model/conv1/coordinates"] = h5py.ExternalLink(source, "/model/conv1/coordinates")

    def lying_kernel(f):
        f["model/conv1"].attrs["kernel"] = np.array([300000, 300000], np.int32)

    def negative_kernel(f):
        f["model/conv1"].attrs["kernel"] = np.array([-3, -3], np.int32)

    def unknown_arm(f):
        f["model/conv1"].attrs["arm"] = np.bytes_("wavelet")

    def variable_arm(f):
        f["model/conv1"].attrs["arm"] = "spectral"

    def huge_coordinates(f):
        del f["model/conv1/coordinates"]
        f["model/conv1"].create_dataset("coordinates", (2**30, 2**20, 9), np.float32, chunks=(64, 64, 9))

    def hidden_chunk(f):
        shape = f["model/conv1/coordinates"].shape
        del f["model/conv1/coordinates"]
        f["model/conv1"].create_dataset("coordinates", shape, np.float32, chunks=(1, 1, 9), fletcher32=True)[1:] = 1

    def state_missing(f):
        del f["state"]

    def step_as_text(f):
        f["state"].attrs["step"] = "ten"

    def other_format(f):
        f.attrs["signature"] = np.bytes_("halfspec-run 1.0")

    def newer_format(f):
        f.attrs["signature"] = np.bytes_("halfspec-checkpoint 2.0")

    for make in (soft_layer, external_model, external_weight, lying_kernel, negative_kernel, unknown_arm, variable_arm,
                 huge_coordinates, hidden_chunk, state_missing, step_as_text, other_format, newer_format):
        shutil.copy(source, path)
        with h5py.File(path, "r+") as f:
            make(f)
        code, text = program("read", path)
        ok(code == 65 and "checkpoint: bad input" in text, f"refused: checkpoint with {make.__name__.replace('_', ' ')}")
        note(text.splitlines()[0].replace(folder, "") if text else code)


# ---- what check must find ---------------------------------------------------------------------------------------------------------------


def planted_faults(folder):
    path = f"{folder}/planted.h5"

    def broken_symmetry(f):
        d = f["history/conv2/half_spectrum"]
        x = d[:]
        x[3, 1, 1, 1, 0] = np.nextafter(x[3, 1, 1, 1, 0].real, np.float32(9)) + 1j * x[3, 1, 1, 1, 0].imag
        d[:] = x

    def imaginary_mean(f):
        d = f["history/conv1/half_spectrum"]
        x = d[:]
        x[0, 0, 0, 0, 0] += 1e-7j
        d[:] = x

    def lost_scale(f):
        d = f["train/loss"]
        d.dims[0].detach_scale(f["train/step"])

    def short_column(f):
        f["train/lr"].resize((50,))

    def steps_backwards(f):
        f["train/step"][5] = 1

    def soft_outside_plots(f):
        f["extra"] = h5py.SoftLink("/train")

    def external(f):
        f["extra"] = h5py.ExternalLink("other.h5", "/")

    def dangling_plot(f):
        del f["train/loss_data"]

    def wrong_axis(f):
        f["plots/loss"].attrs["axes"] = np.array(["nothing"], object)

    def no_signal(f):
        del f["plots/lr"].attrs["signal"]

    def unchecked(f):
        f.create_dataset("eval/extra", data=np.arange(10.0), chunks=(10,))

    def no_history(f):
        del f["history"]

    for make, word in ((broken_symmetry, "Hermitian"), (imaginary_mean, "Hermitian"), (lost_scale, "no dimension scale"),
                       (short_column, "another length"), (steps_backwards, "do not grow"), (soft_outside_plots, "outside /plots"),
                       (external, "another file"), (dangling_plot, "NXdata"), (wrong_axis, "NXdata"), (no_signal, "signal"), (unchecked, "Fletcher32"), (no_history, "history")):
        shutil.copy(f"{folder}/run.h5", path)
        with h5py.File(path, "r+") as f:
            make(f)
        code, text = program("check", path)
        ok(code == 65 and word in text, f"check finds: {make.__name__.replace('_', ' ')}")
        note(text.replace(folder, ""))


def flipped_run(folder):
    """A flip in data that a chunk's checksum covers is found by check."""
    seed = int(os.environ.get("HS_TEST_SEED", random.randrange(2**31)))
    note(f"HS_TEST_SEED={seed}")
    draw = random.Random(seed)
    path = f"{folder}/flipped.h5"
    data = bytearray(open(f"{folder}/run.h5", "rb").read())
    with h5py.File(f"{folder}/run.h5") as f:
        spots = []
        for name in ("train/loss", "history/conv2/half_spectrum", "history/conv1/energy", "eval/error_top1"):
            d = f[name].id
            spots += [(d.get_chunk_info(i).byte_offset, d.get_chunk_info(i).size) for i in range(d.get_num_chunks())]
    missed = 0
    for _ in range(25):
        start, size = draw.choice(spots)
        at, bit = start + draw.randrange(size), 1 << draw.randrange(8)
        data[at] ^= bit
        with open(path, "wb") as f:
            f.write(data)
        code, text = program("check", path)
        missed += code != 65
        data[at] ^= bit
    ok(missed == 0, "check finds each of 25 bits flipped in stored chunks")


def truncated(folder):
    for name in ("run.h5", "ckpt/step-00000010.h5"):
        data = open(f"{folder}/{name}", "rb").read()
        bad = 0
        for share in (0.999, 0.9, 0.5, 0.1, 0.001):
            with open(f"{folder}/cut.h5", "wb") as f:
                f.write(data[:int(len(data) * share)])
            bad += program("check", f"{folder}/cut.h5")[0] != 65
        ok(bad == 0, f"{name} cut at 99.9, 90, 50, 10 and 0.1 percent is refused")


if __name__ == "__main__":
    run([good_sets, hostile_sets, not_hdf5, hostile_checkpoints, planted_faults, flipped_run, truncated])
