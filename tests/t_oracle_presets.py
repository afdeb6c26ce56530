"""t_oracle_presets.py - every preset with its own widths on tiny maps, `cpu` in float32 (and the small ones on `ref` in double) against the PyTorch
oracle, which writes the networks out by itself from the paper's description. TAP."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "oracle"))
import cases

PRESETS = [  # preset, keys, (samples, h, w, c, classes)
    ("paper-sp M=2 k=3", {"optimizer": "momentum", "momentum": 0.95, "lr": "1e-4"}, (3, 8, 8, 3, 4)),
    ("deep k=3", {"optimizer": "momentum", "lr": "5e-5"}, (3, 6, 6, 3, 4)),
    ("deep-conv k=3", {"optimizer": "momentum", "lr": "5e-4", "param": "spatial"}, (3, 6, 6, 3, 4)),
    ("generic k=3", {"lr": "3e-4", "l2": 1e-3}, (3, 6, 6, 3, 4)),
    ("generic k=5", {"lr": "3e-4"}, (3, 6, 6, 3, 4)),
    ("seed-mnist", {"optimizer": "adam", "lr": "2e-4", "init": "truncated", "init.std": 0.01, "init.bias": 0.1, "l1.spectral": 1,
                    "l1.spectral.conv2": 2.3, "penalty.reduction": "mean", "l1.step": "subgradient"}, (4, 12, 12, 1, 10)),
]
SMALL = ("paper-sp M=2 k=3", "seed-mnist")
LONG = [("paper-sp M=6 k=3", {"optimizer": "momentum", "momentum": 0.95, "lr": "1e-4"}, (3, 16, 16, 3, 10)),
        ("paper-sp M=3 k=5", {"lr": "3e-4"}, (3, 16, 16, 3, 10)), ("deep k=5", {"lr": "3e-4"}, (3, 8, 8, 3, 10)),
        ("deep-conv k=5", {"lr": "3e-4"}, (3, 8, 8, 3, 10))]

cases.need_torch()
for text, keys, shape in PRESETS + (LONG if os.environ.get("HS_TEST_LONG") else []):
    cases.case(f"{text}, cpu", text, keys, "fp32", shape)
    if text in SMALL:
        cases.case(f"{text}, ref in double", text, keys, "double", shape)
cases.finish()
