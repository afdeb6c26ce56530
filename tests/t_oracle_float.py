"""t_oracle_float.py - the program on `cpu` in float32 against the PyTorch oracle in float64: 20 steps of every layer, optimizer and penalty show the same
losses to 1e-5. TAP."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "oracle"))
import cases
import lists

cases.need_torch()
for name, net, config, extra in lists.layers() + lists.training():
    cases.case(name, net, config, "fp32", **extra)
cases.finish()
