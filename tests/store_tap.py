"""store_tap.py - for the tests in Python: TAP lines, a scratch directory, the sample files. Not a test."""

import os
import shutil
import subprocess
import sys
import tempfile
import traceback

os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # the source tree stays as it is
BUILD = os.path.dirname(os.path.abspath(os.environ.get("HALFSPEC", "./halfspec")))
SAMPLE = os.path.join(BUILD, "t_store_sample")
count = failed = 0


def ok(good, text):
    global count, failed
    count += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {count} - {text}", flush=True)
    return bool(good)


def skip(text, why):
    global count
    count += 1
    print(f"ok {count} - {text} # SKIP {why}", flush=True)


def note(text):
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def run(tests):
    """Call every test with a directory of sample files; an exception is a failure, not the end."""
    folder = tempfile.mkdtemp(prefix="hs-store-")
    try:
        done = subprocess.run([SAMPLE, folder], capture_output=True, text=True)
        if not ok(done.returncode == 0, "the sample files are written"):
            note(done.stdout + done.stderr)
        for test in tests:
            try:
                test(folder)
            except Exception:
                ok(False, test.__name__)
                note(traceback.format_exc())
    finally:
        shutil.rmtree(folder)
    print(f"1..{count}")
    sys.exit(failed > 0)


def program(*words):
    """Exit status and output of the sample program; a death by signal is negative."""
    done = subprocess.run([SAMPLE, *words], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr
