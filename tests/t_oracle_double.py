"""t_oracle_double.py - the program on `ref` in double against an independent PyTorch oracle: 20 steps of every layer, arm, optimizer, penalty and schedule
show the same losses to 1e-10. Weights and samples cross over through HDF5 files alone. TAP."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "oracle"))
import cases
import lists

cases.need_torch()
for name, net, config, extra in lists.layers() + lists.training():
    cases.case(name, net, config, "double", **extra)
cases.finish()
