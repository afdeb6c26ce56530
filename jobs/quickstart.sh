#!/bin/sh
# quickstart.sh - from a bare Debian 12 to a trained spectral network, in one command:
#
#     sh jobs/quickstart.sh
#
# Installs what is missing, builds out of tree in build/, and trains jobs/fashion.conf (Fashion-MNIST, 60,000 real images) on two ranks for one
# and a half minutes on two cores. Run it again and it goes on from the last checkpoint, or says that the run is done. RUN=DIR chooses another place.
set -eu
cd "$(dirname "$0")/.."
. jobs/setup.sh
run=${RUN:-run/fashion}

# shellcheck disable=SC2086  # a list of words
install_packages $build_packages
build_program --disable-werror
allow_root

say "training $run with 2 ranks (stop it with Ctrl-C: it saves a checkpoint, and the same command goes on from there)"
code=0
mpirun --oversubscribe -n 2 "$build/halfspec" train jobs/fashion.conf run="$run" || code=$?
case $code in
0) ;;
75) echo "stopped early with a checkpoint; the same command goes on"; exit 75 ;;
*) exit "$code" ;;
esac

say "test error of the newest checkpoint"
"$build/halfspec" eval "$run"
cat << END

RUN is $run: config, log.jsonl, run.h5 (losses, filters over time), ckpt/ (checkpoints).
Next:
  $build/halfspec info $run/run.h5                     what the file holds
  $build/halfspec train jobs/fashion.conf run=$run-long epochs=24     longer: does it help?
  $build/halfspec train jobs/fashion.conf run=$run-l1 l1.spectral=1e-4     sparse spectra
  PYTHONPATH=src/python python3 -m halfspec $run -o figures   loss curves and filter strips (python3-h5py python3-matplotlib)
  $build/halfspec help                                 every command and key
END
