"""t_store_files.py - other people's programs read our files: h5py, xarray with two engines, h5dump; and the files keep the
rules of NeXus and netCDF. TAP."""

import os
import shutil
import subprocess
import sys

import h5py
import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from store_tap import note, ok, program, run, skip

SHAPE = {"conv1": (3, 3, 1, 4), "conv2": (4, 5, 3, 6)}  # kh, kw, in, out


def taps_of(layer, step):
    """The formula of t_store_sample.c, [out, in, y, x]."""
    kh, kw, inner, outer = SHAPE[layer]
    q = np.arange(outer * inner).reshape(outer, inner, 1, 1)
    y, x = np.arange(kh).reshape(-1, 1), np.arange(kw)
    return np.cos(0.7 * q + 1.3 * y - 0.4 * x + 0.01 * step + int(layer[-1]) - 1)


def all_nodes(file):
    nodes = []
    file.visititems(lambda name, node: nodes.append((name, node)))
    return nodes


def run_filters(folder):
    with h5py.File(f"{folder}/run.h5") as file:
        for layer in SHAPE:
            group = file["history"][layer]
            half, steps, kernel = group["half_spectrum"], group["step"][:], tuple(group.attrs["kernel"])
            ok(half.dtype == np.complex64 and list(steps) == list(range(0, 101, 10)),
               f"{layer}: complex64 half spectra at steps 0, 10, .. 100, cut and resumed")
            taps = np.fft.irfft2(half[:], s=kernel, norm=group.attrs["fft_norm"])
            want = np.stack([taps_of(layer, s) for s in steps])[:, :5]
            ok(np.abs(taps - want).max() < 1e-6, f"{layer}: numpy.fft.irfft2 of them gives the taps")
            again = np.fft.rfft2(want, norm="ortho")
            ok(np.abs(half[:] - again).max() < 1e-6, f"{layer}: numpy.fft.rfft2 of the taps gives them")
            every = np.stack([taps_of(layer, s) for s in steps])
            full = np.abs(np.fft.fft2(every, norm="ortho"))
            energy = np.fft.fftshift((full**2).mean(axis=(1, 2)), axes=1)[..., :kernel[1] // 2 + 1]
            ok(np.allclose(group["energy"][:], energy, rtol=1e-5, atol=1e-6),
               f"{layer}: energy is the mean |X|^2, rows as numpy.fft.fftshift orders them")
            ok(list(group["ky_centered"]) == list(np.fft.fftshift(np.fft.fftfreq(kernel[0]) * kernel[0]).round().astype(int)),
               f"{layer}: axis ky_centered")
            ok(list(group["ky"]) == list((np.fft.fftfreq(kernel[0]) * kernel[0]).round().astype(int)), f"{layer}: axis ky")
            flat = full.reshape(len(steps), -1)
            n = flat.shape[1]
            hoyer = (np.sqrt(n) - flat.sum(1) / np.sqrt((flat**2).sum(1))) / (np.sqrt(n) - 1)
            ok(np.allclose(group["hoyer"][:], hoyer, atol=1e-5), f"{layer}: Hoyer sparsity of all moduli")
            ok(np.allclose(group["l1_spectral"][:], flat.sum(1), rtol=1e-5), f"{layer}: spectral L1")
            ok(np.allclose(group["l1_spatial"][:], np.abs(every).sum((1, 2, 3, 4)), rtol=1e-5), f"{layer}: spatial L1")
            ok(np.allclose(group["radial_power"][:].sum(1), (flat**2).sum(1) / (every.shape[1] * every.shape[2]), rtol=1e-5),
               f"{layer}: Parseval over rings")
            small = (flat < group["frac_small"].attrs["threshold"] * flat.max(1, keepdims=True)).mean(1)
            ok(np.allclose(group["frac_small"][:], small, atol=1.5 / n), f"{layer}: share of small moduli")
            gini = [1 - 2 * ((np.sort(f) / f.sum()) * (n - np.arange(n) - 0.5) / n).sum() for f in flat]
            ok(np.allclose(group["gini"][:], gini, atol=1e-5), f"{layer}: Gini index")
            ok((group["hist_spatial"][:].sum(1) == n).all(), f"{layer}: a histogram counts every tap")
            ok(np.isnan(group["grad_norm"][0]) and group["grad_norm"][1] > 0, f"{layer}: what a snapshot lacks is NaN")


def run_tables(folder):
    with h5py.File(f"{folder}/run.h5") as file:
        step = file["train/step"][:]
        ok(step.dtype == np.int64 and list(step) == list(range(1, 101)), "/train: steps 1 .. 100, none twice")
        ok(np.allclose(file["train/loss"][:], 2.3 * np.exp(-step / 20), rtol=1e-14, atol=0), "/train/loss in double")
        ok(list(file["eval/step"]) == list(range(10, 101, 10)), "/eval")
        ok(list(file["layers/name"].asstr()) == ["conv1", "conv2", "fc1"], "/layers")
        plan = file["plan"]
        ok(list(plan["name"].asstr()) == ["conv1", "fft1", "conv2"] and list(plan["engine"].asstr()) == ["direct", "", "fft 8x8"] and
           list(plan["channels"]) == [4, 4, 6], "/plan: the last one written, whole")
        ok(np.allclose(plan["backward"][:], [2e-3, 4e-3, 6e-3]) and np.isnan(plan["measured"][0]) and plan["measured"][2] == 2.5e-3 and
           plan.attrs["peak_bytes"] == 1.1e6 and plan.attrs["capacity"] == 32, "/plan: times and facts; NaN where nobody knows")
        ok(list(file["provenance/segments/step"]) == [0, 40], "/provenance/segments: one row a start")
        about = file["provenance"].attrs
        ok(about["notation"] == "C4k3 R C6k4x5 \u00e9 F10" and about["world_size"] == 2 and list(about["hosts"]) == ["n1", "n2"],
           "/provenance: UTF-8 texts, numbers, hosts")
        ok(all(isinstance(file.attrs[n], str) for n in ("format", "format_version", "creator", "NX_class", "default")),
           "root attributes are texts")


def checkpoint_content(folder):
    for step, real in ((10, np.float32), (20, np.float64)):
        with h5py.File(f"{folder}/ckpt/step-{step:08d}.h5") as file:
            model = file["model"]
            eps = np.finfo(real).eps
            one = model["conv1/weight"]
            ok(one.dtype == (np.complex64 if real == np.float32 else np.complex128) and one.shape == (4, 1, 3, 2),
               f"{real.__name__}: spectral filters as a half spectrum")
            ok(np.abs(np.fft.irfft2(one[:], s=(3, 3), norm="ortho") - taps_of("conv1", step)).max() < 20 * eps,
               f"{real.__name__}: irfft2 gives the taps")
            ok(np.abs(model["conv2/weight"][:] - taps_of("conv2", step)).max() < 50 * eps,
               f"{real.__name__}: spatial filters as their taps")
            ok(np.array_equal(model["conv2/coordinates"][:].reshape(6, 3, 4, 5), model["conv2/weight"][:]),
               f"{real.__name__}: coordinates [out, in, T] are the taps, exactly")
            ok(np.array_equal(model["fc1/weight"][:], np.arange(110).reshape(11, 10).T),
               f"{real.__name__}: dense weights [out, in]")
            ok(np.array_equal(file["optimizer/fc1/weight_m"][:], -(396.0 + np.arange(110)).reshape(11, 10).T),
               f"{real.__name__}: moments in the same order")
            ok(file["state"].attrs["step"] == step and file["optimizer"].attrs["name"] == "momentum", f"{real.__name__}: state")


def rules(folder):
    for name in ("run.h5", "ckpt/step-00000010.h5", "predictions.h5"):
        with h5py.File(f"{folder}/{name}") as file:
            wrong, plain, grown = [], 0, []
            for where, node in all_nodes(file):
                if not isinstance(node, h5py.Dataset):
                    continue
                plain += 1
                if node.chunks is None or not (node.fletcher32 or h5py.check_string_dtype(node.dtype)):
                    wrong.append(f"{where}: not chunked with a checksum")
                if node.dtype.kind in "iufc" and node.dtype.byteorder == ">":
                    wrong.append(f"{where}: big-endian")
                if str(node.attrs.get("units", "")) in ("seconds", "minutes", "hours", "days"):
                    wrong.append(f"{where}: units that xarray would turn into time spans")
                if not h5py.h5ds.is_scale(node.id):
                    for axis, dim in enumerate(node.dims):
                        if len(dim) != 1 or len(dim[0]) != node.shape[axis]:
                            wrong.append(f"{where}: axis {axis} has no scale of its length")
                if node.id.get_create_plist().get_obj_track_times():
                    grown.append(where)
            ok(plain > 5 and not wrong, f"{name}: checksums, byte order, units, a scale on every axis of {plain} data sets")
            note("\n".join(wrong))
            ok(not grown, f"{name}: no times in objects")
            both = h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED
            groups = [file["/"]] + [node for _, node in all_nodes(file) if isinstance(node, h5py.Group)]
            ok(all(g.id.get_create_plist().get_link_creation_order() == both for g in groups),
               f"{name}: creation order is tracked")
    with h5py.File(f"{folder}/run.h5") as file:
        loss = file["train/loss"].id.get_create_plist()
        packed = [file["history/conv1"][n].compression for n in ("half_spectrum", "energy")]
        ok(packed == ["gzip", "gzip"] and file["train/loss"].compression is None and loss.get_nfilters() == 1,
           "histories are packed, tables are not")


def nxdata(folder):
    with h5py.File(f"{folder}/run.h5") as file:
        ok(file.attrs["NX_class"] == "NXroot" and file[file.attrs["default"]].attrs["NX_class"] == "NXdata",
           "the root leads to a plot")
        wrong = []
        for name in file["plots"]:
            plot = file["plots"][name]
            soft = all(isinstance(plot.get(child, getlink=True), h5py.SoftLink) for child in plot)
            signal = plot.attrs["signal"]
            if not soft or not isinstance(signal, str) or "/" in signal or signal not in plot:
                wrong.append(f"{name}: signal must be a scalar text naming a child; children are soft links")
                continue
            axes = list(plot.attrs["axes"])
            if [len(plot[a]) for a in axes] != list(plot[signal].shape) or any(plot[a].ndim != 1 for a in axes):
                wrong.append(f"{name}: axes do not fit the signal")
            if any(plot[a].shape != plot[signal].shape for a in plot.attrs.get("auxiliary_signals", [])):
                wrong.append(f"{name}: auxiliary signals do not fit the signal")
            if any(np.any(np.diff(plot[a][:]) <= 0) for a in axes):
                wrong.append(f"{name}: an axis is not ascending, viewers would mislabel it")
        ok(len(file["plots"]) == 4 + 2 * 5 and not wrong, f"{len(file['plots'])} NXdata groups keep the rules")
        note("\n".join(wrong))


def xarray_engines(folder):
    try:
        import xarray
    except ImportError:
        skip("xarray", "python3-xarray is not installed")
        return
    for engine, module in (("h5netcdf", "h5netcdf"), ("netcdf4", "netCDF4")):
        try:
            __import__(module)
        except ImportError:
            skip(f"xarray with {engine}", f"{module} is not installed")
            continue
        for group, dims in (("train", {"step": 100}), ("eval", {"step": 10}), ("layers", {"index": 3}), ("plan", {"index": 3}), ("plots/loss", {"step": 100}),
                            ("plots/conv2_filters", {"step": 11}), ("history/conv2", {"step": 11, "ky": 4, "kx": 3, "radius": 4})):
            with xarray.open_dataset(f"{folder}/run.h5", group=group, engine=engine) as data:
                good = all(data.sizes.get(n) == size for n, size in dims.items())
                ok(good and all(d in data.coords for d in dims), f"xarray with {engine} reads {group} with its coordinates")
        with xarray.open_dataset(f"{folder}/run.h5", group="train", engine=engine) as data:
            ok(data["elapsed"].dtype == np.float64 and float(data["elapsed"][-1]) == 100.0,
               f"{engine}: elapsed stays a number of seconds")
        with xarray.open_dataset(f"{folder}/ckpt/step-00000010.h5", group="model/conv2", engine=engine) as data:
            ok(data["weight"].dims == ("out_channel", "in_channel", "y", "x"), f"{engine} reads a checkpoint")
    with xarray.open_dataset(f"{folder}/run.h5", group="history/conv2", engine="h5netcdf") as data:
        ok(data["half_spectrum"].dtype == np.complex64, "h5netcdf gives complex64")


def h5dump(folder):
    if not shutil.which("h5dump"):
        skip("h5dump", "hdf5-tools is not installed")
        return
    for name in ("run.h5", "ckpt/step-00000010.h5", "predictions.h5"):
        done = subprocess.run(["h5dump", f"{folder}/{name}"], capture_output=True, text=True)
        ok(done.returncode == 0 and "GROUP" in done.stdout and not done.stderr, f"h5dump reads all of {name}")


def own_check(folder):
    for name in ("run.h5", "ckpt/step-00000010.h5", "ckpt/step-00000020.h5", "predictions.h5"):
        code, text = program("check", f"{folder}/{name}")
        ok(code == 0 and "sound" in text, f"check finds nothing in {name}")
        note("" if code == 0 else text)


if __name__ == "__main__":
    run([run_filters, run_tables, checkpoint_content, rules, nxdata, xarray_engines, h5dump, own_check])
