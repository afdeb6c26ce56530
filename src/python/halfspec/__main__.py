"""python3 -m halfspec RUN -o DIR: draw every figure of a run."""

import argparse
import sys


def main(argv=None):
    what = "Draw the figures of a run: loss and error, filters in space and in the spectrum over time, power by frequency, sparsity."
    parser = argparse.ArgumentParser(prog="python3 -m halfspec", description=what)
    parser.add_argument("run", help="run directory or run.h5")
    parser.add_argument("-o", "--output", default="figures", help="directory for the figures (default: %(default)s)")
    arguments = parser.parse_args(argv)
    try:
        from . import figures
        from .run import Run

        for file in figures.draw_all(Run(arguments.run), arguments.output):
            print(file)
    except ImportError as error:
        print(f"halfspec: error: {error}; try `apt-get install python3-h5py python3-matplotlib`", file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError, LookupError) as error:
        print(f"halfspec: error: {error}", file=sys.stderr)
        return 65
    return 0


if __name__ == "__main__":
    sys.exit(main())
