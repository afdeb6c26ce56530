"""Pack a folder of images into one HDF5 file for `data = hdf5:FILE`.

    halfspec pack FOLDER -o set.h5 [--size HxW] [--channels 1|3] [--test SHARE] [--seed N] [--compress]
    python3 -m halfspec.pack ...                                              the same

FOLDER holds one directory per class (FOLDER/cat/1.png), or FOLDER/train and FOLDER/test with one directory per class each. The file holds

    images, labels              uint8 [N,H,W,C], int64 [N]      training part, class after class (training shuffles)
    test_images, test_labels    the same, if there is a test part
    attributes: format, format_version, classes, class_names, software

Classes are numbered in the order of their names. Equal input gives equal bytes. Needs Pillow, NumPy and h5py.
"""

import argparse
import contextlib
import errno
import hashlib
import os
import sys
import tempfile

FORMAT, FORMAT_VERSION = "halfspec data set", 1
ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pnm"}
SIDE_MAX = 65535  # what the reader accepts
GREY = {"1", "L", "LA"}
EIGHT_BITS = GREY | {"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"}


class PackError(Exception):
    """Something is wrong with the input; the text says what and what to try."""


def _directories(folder):
    try:
        return sorted(e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise PackError(f"{folder}: {error.strerror}; a directory with one directory per class is needed") from None


def _images(folder, names):
    """([(path, label)], what was left out) of all classes, in the order of their names."""
    found, left_out = [], []
    for label, name in enumerate(names):
        place = os.path.join(folder, name)
        entries = sorted(os.scandir(place), key=lambda e: e.name) if os.path.isdir(place) else []
        for entry in entries:
            if entry.is_file() and os.path.splitext(entry.name)[1].lower() in ENDINGS:
                found.append((entry.path, label))
            elif not entry.name.startswith("."):
                left_out.append(entry.path)
    return found, left_out


def _is_held_out(path, folder, share, seed):
    """By a hash of the relative name: adding an image moves no other one to the other part."""
    name = os.path.relpath(path, folder).replace(os.sep, "/")
    digest = hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def find(folder, test=0.0, seed=1):
    """(class names, {part: [(path, label)]}, files left out); part is "train" or "test"."""
    names = _directories(folder)
    if "train" in names and not set(names) - {"train", "test"}:
        if test:
            raise PackError(f"{folder}: has a train directory already; --test is for folders without one")
        parts = [part for part in ("train", "test") if part in names]
        classes = _directories(os.path.join(folder, "train"))
        found = {part: _images(os.path.join(folder, part), classes) for part in parts}
        for part in parts:
            unknown = sorted(set(_directories(os.path.join(folder, part))) - set(classes))
            if unknown:
                raise PackError(f"{folder}/{part}/{unknown[0]}: this class has no directory in {folder}/train")
        lists = {part: images for part, (images, _) in found.items()}
        left_out = [path for _, paths in found.values() for path in paths]
    else:
        classes = names
        images, left_out = _images(folder, classes)
        held = {path for path, _ in images if test and _is_held_out(path, folder, test, seed)}
        lists = {"train": [i for i in images if i[0] not in held]}
        if test:
            lists["test"] = [i for i in images if i[0] in held]
    if not classes:
        raise PackError(f"{folder}: holds no directories; put the images of each class into one of its own")
    for part, images in lists.items():
        if not images:
            raise PackError(f"{folder}: no image for the {part} part; files must end in {', '.join(sorted(ENDINGS))}")
    for label in sorted(set(range(len(classes))) - {label for _, label in lists["train"]}):
        raise PackError(f"{folder}: class {classes[label]} has no training image; add some or remove its directory")
    return classes, lists, left_out


@contextlib.contextmanager
def _opened(path):
    """The image; whatever Pillow has against it (it reads piece by piece, so at any time) becomes a PackError."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            yield image
    except Image.UnidentifiedImageError:
        raise PackError(f"{path}: not a readable image; remove or replace it") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PackError(f"{path}: damaged image ({error}); remove or replace it") from None


def _survey(images):
    """Size (height, width) and channels from the headers; every image must have the same size."""
    size, channels, first = None, 1, None
    for path, _ in images:
        with _opened(path) as image:
            if image.mode not in EIGHT_BITS:
                raise PackError(f"{path}: pixels of mode {image.mode} have more than 8 bits; convert it first")
            if image.mode not in GREY:
                channels = 3
            shown = image.size if image.getexif().get(0x0112, 1) < 5 else image.size[::-1]
        if size is None:
            size, first = shown, path
        elif size and shown != size:
            size = ()  # two sizes: legal only if all are resized
            first = f"{path} is {shown[0]} x {shown[1]}, {first} is not"
    return (size[::-1] if size else None), channels, first


def _pixels(path, size, channels):
    import numpy as np
    from PIL import Image, ImageOps

    with _opened(path) as image:
        image = ImageOps.exif_transpose(image).convert("L" if channels == 1 else "RGB")
        if image.size != size[::-1]:
            image = image.resize(size[::-1], Image.BICUBIC)
        return np.asarray(image, dtype=np.uint8).reshape(size + (channels,))


def _write_part(file, prefix, images, size, channels, compress, progress):
    import numpy as np

    shape = (len(images),) + size + (channels,)
    sample = size[0] * size[1] * channels
    # Samples are read in random order: whole images per chunk, few of them; without compression no chunks at all.
    storage = {}
    if compress:
        rows = min(len(images), max(1, 65536 // sample))
        storage = dict(chunks=(rows,) + size + (channels,), compression="gzip", fletcher32=True)
    pixels = file.create_dataset(prefix + "images", shape, np.uint8, track_times=False, **storage)
    for axis, name in enumerate(("sample", "y", "x", "channel")):
        pixels.dims[axis].label = name
    file.create_dataset(prefix + "labels", data=np.array([label for _, label in images], np.int64), track_times=False)
    block = max(1, (1 << 24) // sample)
    for at in range(0, len(images), block):
        part = images[at:at + block]
        pixels[at:at + len(part)] = np.stack([_pixels(path, size, channels) for path, _ in part])
        if progress:
            progress(prefix + "images", at + len(part), len(images))


def _write(name, classes, lists, size, channels, compress, progress):
    import h5py
    import numpy as np

    with h5py.File(name, "w") as file:  # track_order would bring the time of creation with it
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = np.int64(FORMAT_VERSION)
        file.attrs["classes"] = np.int64(len(classes))
        file.attrs["class_names"] = np.array([c.encode("utf-8", "replace") for c in classes])
        file.attrs["software"] = "halfspec pack"
        for part, images in lists.items():
            _write_part(file, "" if part == "train" else "test_", images, size, channels, compress, progress)


def pack(folder, output, size=None, channels=None, test=0.0, seed=1, compress=False, progress=None):
    """Pack FOLDER into the file OUTPUT, which appears whole or not at all. SIZE (height, width) resizes; without it all images must
    have one size. CHANNELS: 1 or 3, default 1 if all are grey. TEST: share held out as test part. PROGRESS(part, done, total).
    Returns a dictionary: classes, size, channels, train, test, left_out."""
    if not 0 <= test < 1:
        raise PackError(f"--test {test}: a share of at least 0 and under 1 is needed")
    classes, lists, left_out = find(folder, test, seed)
    found, needed, where = _survey([image for images in lists.values() for image in images])
    if size is None and found is None:
        raise PackError(f"{where}; give --size HxW to resize all")
    size, channels = tuple(size or found), channels or needed
    if max(size) > SIDE_MAX or min(size) < 1:
        raise PackError(f"images of {size[0]} x {size[1]} pixels: sides of 1 to {SIDE_MAX} can be packed; give another --size")
    directory = os.path.dirname(os.path.abspath(output))
    handle, temporary = tempfile.mkstemp(prefix=".pack-", suffix=".h5", dir=directory)
    try:
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(handle, 0o666 & ~mask)
        _write(temporary, classes, lists, size, channels, compress, progress)
        os.fsync(handle)
        os.replace(temporary, output)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(handle)
    return {"classes": classes, "size": size, "channels": channels, "train": len(lists["train"]), "test": len(lists.get("test", ())),
            "left_out": left_out}


def _size(text):
    parts = text.lower().split("x")
    if len(parts) not in (1, 2) or not all(p.isdigit() and 0 < int(p) <= SIDE_MAX for p in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size; try 32 or 32x48 (height x width)")
    return int(parts[0]), int(parts[-1])


def _parser():
    parser = argparse.ArgumentParser(prog="halfspec pack", description="Pack a folder of images, one directory per class, into one HDF5 file.")
    parser.add_argument("folder", metavar="FOLDER")
    parser.add_argument("-o", "--output", metavar="FILE", required=True)
    parser.add_argument("--size", type=_size, metavar="HxW", help="resize every image to this height and width")
    parser.add_argument("--channels", type=int, choices=(1, 3), help="1 grey, 3 colour (default: 1 if all images are grey)")
    parser.add_argument("--test", type=float, default=0.0, metavar="SHARE", help="hold this share out as test part (default 0)")
    parser.add_argument("--seed", type=int, default=1, help="which images are held out (default 1)")
    parser.add_argument("--compress", action="store_true", help="smaller file, slower to read")
    return parser


def _show(part, done, total):
    print(f"\r{part}: {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def main(argv=None):
    """The command; returns its exit code: 0, 2 usage, 65 bad input, 74 input/output."""
    options = _parser().parse_args(argv)
    try:
        import h5py  # noqa: F401
        import numpy  # noqa: F401
        import PIL  # noqa: F401
    except ImportError as error:
        print(f"halfspec: error: {error}; try `apt-get install python3-pil python3-h5py python3-numpy`", file=sys.stderr)
        return 2
    try:
        told = pack(options.folder, options.output, options.size, options.channels, options.test, options.seed, options.compress,
                    _show if sys.stderr.isatty() else None)
    except PackError as error:
        print(f"halfspec: error: {error}", file=sys.stderr)
        return 65
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno in errno.errorcode else str(error)
        print(f"halfspec: error: {options.output}: cannot be written: {reason}", file=sys.stderr)
        return 74
    if told["left_out"]:
        print(f"halfspec: warning: {len(told['left_out'])} files or directories are no images and were left out, first {told['left_out'][0]}",
              file=sys.stderr)
    height, width = told["size"]
    print(f"{options.output}: {len(told['classes'])} classes, {told['train']} training and {told['test']} test images of "
          f"{height} x {width} x {told['channels']}; use it with data=hdf5:{options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
