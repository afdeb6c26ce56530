"""lists.py - what the oracle compares: networks that use every layer, and ways to train one."""

TWO = "C5k3 R C4k3{param=spatial} T SP4 F4"


def layers():
    """(name, network, keys, keywords of cases.case). Maps stay small: `ref` is plain loops."""
    wide = {"shape": (6, 9, 8, 3, 4)}
    found = [(f"param={arm}, {b}", "C5k3 R C6k4x3 T F4", {"param": arm, "boundary": b}, wide)
             for arm in ("spatial", "spectral", "half-raw", "full-complex", "rotation", "spectral3d") for b in ("zero", "periodic")]
    found += [
        ("even and oblong filters, strides", "C5k3{stride=2} R C6k4x1{stride=2,bias=no} T F4", {}, wide),
        ("periodic, strides, FFT engine", "C5k2x5{stride=2} R C6k4{engine=fft} T C5k3 R GA F4", {"boundary": "periodic"}, wide),
        ("true convolution", "C5k3 R C6k4x3{boundary=periodic} T GA F4", {"conv.flip": "yes"}, wide),
        ("band filters", "C5k3 R SP6 C5k4x3{stride=2} T F4", {"boundary": "periodic", "embed": "band"}, wide),
        ("spectral pooling, odd and even", "C5k3 R SP7x5 R C6k3 R SP4 R SP3x2 F4", {}, wide),
        ("spectral pooling, shares and means", "C5k3 T SP*0.7{norm=mean} T C6k3 T SP1 F4", {}, wide),
        ("spectral pooling, mean by key, even to even", "SP8x6 C5k3 T SP6x4 T SP4x4 F4", {"pool.norm": "mean"}, wide),
        ("max, average and global pooling", "C5k3 R M3s2 A2s1 C5k3 R M2s1 A3s2 M2 GA F4", {}, wide),
        ("batch normalisation, residual blocks", "C5k3 BN R [C5k3 BN R C5k3 BN] R M2 C8k3 BN T GA F4", {}, wide),
        ("repeat", "C5k3 ([BN R C5k3])*2 (C5k1 T)*2 F4", {"bn.momentum": 0.3, "bn.epsilon": 1e-3}, wide),
        ("frequency dropout", "C5k3 FD R C5k3 R FD SP5 FD F4", {"boundary": "periodic"}, {}),
        ("activations on spectra", "C5k3 MR C6k3 ST SP5 R F4", {"boundary": "periodic"}, wide),
        ("dense alone", "F8 BN T F4", {}, {}),
        ("initial values", "C5k3 R F4", {"init": "truncated", "init.std": 0.2, "init.bias": 0.1}, {}),
    ]
    return found


def training():
    """Every optimizer, penalty, schedule; clipping; rates of single layers."""
    ways = {
        "momentum": {"optimizer": "momentum", "momentum": 0.9},
        "Nesterov": {"optimizer": "nesterov", "momentum": 0.8},
        "Adam": {"optimizer": "adam", "lr": "0.01"},
        "Adam, full-complex": {"optimizer": "adam", "lr": "0.01", "param": "full-complex", "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-6},
        "Adam, half-raw": {"optimizer": "adam", "lr": "0.01", "param": "half-raw"},
        "Adam, rotation": {"optimizer": "adam", "lr": "0.01", "param": "rotation"},
        "Adam, spectral3d": {"optimizer": "adam", "lr": "0.01", "param": "spectral3d"},
        "Adam, second moment by modulus": {"optimizer": "adam", "lr": "0.01", "moment": "modulus"},
        "Adam, by modulus, full-complex": {"optimizer": "adam", "lr": "0.01", "moment": "modulus", "param": "full-complex"},
        "Adam, by modulus, spectral3d": {"optimizer": "adam", "lr": "0.01", "moment": "modulus", "param": "spectral3d"},
        "AdamW": {"optimizer": "adamw", "lr": "0.01", "decay": 0.1},
        "L2": {"l2": 0.02},
        "L2, raw coordinates": {"l2": 0.02, "param": "half-raw", "lr": "0.01"},
        "L2, full-complex": {"l2": 0.02, "param": "full-complex", "optimizer": "momentum", "lr": "0.02"},
        "spectral L1, prox": {"l1.spectral": 0.05},
        "spectral L1, subgradient": {"l1.spectral": 0.02, "l1.step": "subgradient"},
        "spectral L1 split, prox": {"l1.spectral": 0.05, "l1.kind": "split"},
        "spectral L1 split, subgradient": {"l1.spectral": 0.02, "l1.kind": "split", "l1.step": "subgradient"},
        "spectral L1, prox, Adam": {"l1.spectral": 0.3, "optimizer": "adam", "lr": "0.01"},
        "spectral L1, prox, full-complex": {"l1.spectral": 0.05, "param": "full-complex", "optimizer": "momentum", "lr": "0.02"},
        "spectral L1, prox, half-raw": {"l1.spectral": 0.05, "param": "half-raw", "lr": "0.01"},
        "spectral L1, prox, rotation": {"l1.spectral": 0.05, "param": "rotation"},
        "spectral L1, prox, spectral3d": {"l1.spectral": 0.05, "param": "spectral3d"},
        "spectral L1, subgradient, half-raw": {"l1.spectral": 0.02, "l1.step": "subgradient", "param": "half-raw", "lr": "0.01"},
        "spectral L1 of one layer": {"l1.spectral.conv2": 0.05, "l1.spectral": 0.01},
        "mean spectral L1, subgradient, Adam (the sketch)": {"l1.spectral": 2.3, "penalty.reduction": "mean", "l1.step": "subgradient", "optimizer": "adam", "lr": "0.01"},
        "spatial L1, prox": {"l1.spatial": 0.05},
        "spatial L1, subgradient": {"l1.spatial": 0.02, "l1.step": "subgradient"},
        "Sobolev, p = 1": {"sobolev": 0.02},
        "Sobolev, p = 0.5, mean": {"sobolev": 1.5, "sobolev.p": 0.5, "penalty.reduction": "mean"},
        "Sobolev, p = 2, full-complex": {"sobolev": 0.01, "sobolev.p": 2, "param": "full-complex", "optimizer": "momentum", "lr": "0.02"},
        "all penalties": {"l2": 0.01, "sobolev": 0.01, "l1.spectral": 0.02, "l1.spatial": 0.02, "l2.fc1": 0.1, "sobolev.conv2": 0},
        "clipping": {"clip": 0.5, "lr": "0.1", "l2": 0.01},
        "clipping, Adam": {"clip": 0.5, "optimizer": "adam", "lr": "0.01"},
        "rates of layers": {"lr.conv2": 0.01, "lr.fc1": 0, "optimizer": "momentum", "l1.spectral": 0.05},
        "steps at epochs": {"lr.schedule": "step", "lr.milestones": "5,12", "lr.factor": 0.3},
        "exponential": {"lr.schedule": "exponential", "lr.factor": 0.8},
        "cosine with warm-up": {"lr.schedule": "cosine", "lr.warmup": 4, "lr.minimum": 0.005},
        "warm-up alone": {"lr.warmup": 10, "optimizer": "adam", "lr": "0.02"},
        "reduce on plateau": {"lr.schedule": "plateau", "lr.patience": 2, "lr.factor": 0.5, "lr.minimum": 0.002, "optimizer": "adam", "lr": "0.05"},
    }
    return [(name, TWO if "param" not in keys else "C5k3 R C4k3x4 T SP4 F4", keys, {}) for name, keys in ways.items()]
