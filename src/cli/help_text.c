/* help_text.c - the topics of `halfspec help` that are prose: net, data, files, codes. */
#include "cli.h"

const char cli_text_net[] =
    "Networks are written from left to right, one word a layer, e.g.  net = C16k5 R SP14 C32k5 R SP7 F128 R F10\n"
    "The data set gives the input's shape; softmax cross-entropy follows the last layer, whose width must be the number of classes.\n"
    "\n"
    "  C96k3       convolution with 96 filters of 3x3 taps; k5x3 for an oblong one\n"
    "              braces change one layer: C96k3{param=spatial, embed=band, boundary=periodic, stride=2, bias=no, engine=fft, flip=yes}\n"
    "  R  T        ReLU, tanh\n"
    "  MR ST       on the spectrum: modReLU max(|z| + b, 0) z/|z|, and soft threshold max(|z| - |b|, 0) z/|z|\n"
    "  SP14        spectral pooling to 14 x 14; SP27x20 to other sides; SP*0.85 to floor(0.85 H) x floor(0.85 W)   {norm=unitary|mean}\n"
    "  FD          frequency dropout: random low-pass filters while training   {alpha=0.3, beta=0.15, draw=batch|sample|rank}\n"
    "  M3s2 A2s2   max and average pooling, window 3 (2), stride 2\n"
    "  GA          average over the whole map\n"
    "  F1024       fully connected\n"
    "  D0.5        dropout: half of the numbers\n"
    "  BN          batch normalisation over the batch of all ranks\n"
    "  (C32k3 R)*4 the same layers four times, each with its own filters\n"
    "  [C32k3 R C32k3] R     a residual block: its input is added to its output\n"
    "\n"
    "Convolutions and windows give ceil(H / stride) rows; (k-1)/2 cells lie in front of the map, one more behind it if k is even.\n"
    "What braces do not say comes from keys: param, embed, boundary, conv.engine, pool.norm, fd.alpha, ... (`halfspec help keys`).\n"
    "\n"
    "Filters are learned in the coordinates of param:\n"
    "  spatial        the taps themselves\n"
    "  spectral       k*k orthonormal real numbers of the half spectrum; real filters by construction, no projection\n"
    "  half-raw       real and imaginary parts of an unnormalised half transform, as numpy.fft.rfft2 numbers them\n"
    "  full-complex   all bins, with the symmetry left free\n"
    "  rotation       a random orthogonal basis: the control\n"
    "  spectral3d     orthonormal, with the input channels transformed too\n"
    "The initial filters are the same in every arm. Layers are named by kind and number: conv1, conv2, fc1, bn1; so lr.conv2 = 1e-4.\n"
    "\n"
    "Presets stand for networks of the literature and are written out when they are used:\n"
    "  paper-sp M=6 k=3 gamma=0.85    deep k=5    deep-conv k=3    generic k=3    seed-mnist\n";

const char cli_text_data[] =
    "  data = fashion-mnist            Debian's package dataset-fashion-mnist, or the directory in $HALFSPEC_DATA\n"
    "  data = idx:DIR                  train-images-idx3-ubyte and its three companions, gzip or plain\n"
    "  data = cifar10:DIR              data_batch_1.bin ... test_batch.bin\n"
    "  data = cifar100:DIR[:coarse]    train.bin, test.bin; coarse takes the 20 superclasses\n"
    "  data = hdf5:FILE                uint8 or float images [N,H,W,C] and integer labels [N]\n"
    "  data = synthetic:N,H,W,C,classes    made from the seed, for trying things out; N/5 test samples, at most 65536\n"
    "\n"
    "Which sample stands where in which batch depends on seed, epoch and position alone, never on the number of ranks.\n"
    "data.validation = 0.1 holds a tenth of the training set out and evaluates on it. Normalisation and augmentation: data.* and augment.* of\n"
    "`halfspec help keys`.\n";

const char cli_text_files[] =
    "A run writes into the directory of the key run, whole files or nothing:\n"
    "  config                    the resolved configuration; can be given to train\n"
    "  log.jsonl                 one JSON object a line: losses, rates, norms\n"
    "  run.h5                    /train, /eval, /layers, /history (spectra of filters over time), /plots; HDF5, reads in h5py, xarray, h5web\n"
    "  ckpt/step-00001200.h5     checkpoints: the newest ones and the best\n"
    "  ckpt/MANIFEST             step, bytes, SHA-256 and error of each\n"
    "`halfspec info RUN` shows them, `halfspec check RUN` validates them.\n";

const char cli_text_codes[] =
    "   0  done\n"
    "   1  a fault of the program, or out of memory\n"
    "   2  command line or configuration\n"
    "  65  an input file is missing, damaged or of the wrong kind\n"
    "  74  reading or writing failed: disk full, permission\n"
    "  75  stopped early in good order with a checkpoint; start the same command again\n"
    "  76  nothing moved for longer than the key watchdog allows\n"
    "  77  ranks that must agree do not\n"
    "  78  loss or gradient is not finite\n";
