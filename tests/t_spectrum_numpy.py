# t_spectrum_numpy.py - derives the numbers of tests/spectrum_reference.h again with the numpy of this machine and compares every one.
import os
import re
import sys

sys.dont_write_bytecode = True  # the source tree may be read-only, and is not ours to fill
sys.path.insert(0, os.path.join(os.environ.get("srcdir", "."), "tests"))
import numpy as np

import make_spectrum_reference as reference

text = open(os.path.join(os.environ.get("srcdir", "."), "tests", "spectrum_reference.h")).read()
body = re.sub(r"/\*.*?\*/", "", text[text.index("reference_numbers[] = {") + 23:text.index("};")], flags=re.S)
stored = np.array([float(word) for word in body.replace(",", " ").split()])
print("# numpy %s" % np.__version__)
offset = cases = 0
for name, sides, values in reference.tables():
    cases += 1
    part = stored[offset:offset + len(values)]
    offset += len(values)
    good = len(part) == len(values) and np.abs(part - values).max() < 1e-12
    print("%s %d - %s %s" % ("ok" if good else "not ok", cases, name, sides))
cases += 1
print("%s %d - the table holds these numbers and no others" % ("ok" if offset == len(stored) else "not ok", cases))
print("1..%d" % cases)
