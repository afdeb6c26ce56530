# shellcheck shell=sh disable=SC2034
# setup.sh - for quickstart.sh and quickcheck.sh (`. jobs/setup.sh` from the top of the source tree): from a bare Debian to a built program.
# POSIX shell, asks nothing, can be run again: what is there already is left alone.
#
#   install_packages NAME...   what is missing, by apt-get, as root or through sudo
#   build_program [OPTION...]  bootstrap, configure OPTIONs, make, out of tree in $build
#   allow_root                 Open MPI starts ranks for root only if told so
: "${build:=build}"

say() { printf '\n== %s\n' "$*"; }
give_up() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        DEBIAN_FRONTEND=noninteractive "$@"
    elif command -v sudo > /dev/null && sudo -n true 2> /dev/null; then
        sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
    else
        give_up "these packages are missing and cannot be installed without root or a sudo that asks nothing:
  $missing
Have them installed (apt-get install -y --no-install-recommends ...), then run this again."
    fi
}

install_packages() {
    missing=
    command -v dpkg-query > /dev/null || { say "not a Debian: please have these or their like installed: $*"; return 0; }
    for package in "$@"; do
        case $(dpkg-query -W -f '${Status}' "$package" 2> /dev/null) in
        *" installed") ;;
        *) missing="$missing $package" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    say "installing$missing"
    as_root apt-get update -qq || give_up "apt-get update failed: is there a network?"
    # shellcheck disable=SC2086  # a list of words
    as_root apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 $missing > "${TMPDIR:-/tmp}/halfspec-apt.$$" 2>&1 ||
        { tail -n 20 "${TMPDIR:-/tmp}/halfspec-apt.$$" >&2; rm -f "${TMPDIR:-/tmp}/halfspec-apt.$$"; give_up "apt-get install failed"; }
    rm -f "${TMPDIR:-/tmp}/halfspec-apt.$$"
}

build_packages="gcc g++ libc6-dev make autoconf automake libtool pkg-config libopenmpi-dev openmpi-bin libhdf5-dev libfftw3-dev libopenblas-dev
    zlib1g-dev dataset-fashion-mnist"

cores() { nproc 2> /dev/null || echo 1; }

build_program() {
    # Once is enough: after a change of configure.ac or a makefile, make itself brings both up to date.
    if [ ! -x configure ] || [ ! -f Makefile.in ]; then
        say "bootstrap"
        ./bootstrap > bootstrap.log 2>&1 || { cat bootstrap.log >&2; give_up "bootstrap failed"; }
        rm -f bootstrap.log
    fi
    mkdir -p "$build"
    if [ ! -f "$build/Makefile" ] || [ "$*" != "$(cat "$build/options" 2> /dev/null)" ]; then
        say "configure (in $build)"
        (cd "$build" && ../configure "$@") > "$build/configure.out" 2>&1 || { tail -n 30 "$build/configure.out" >&2; give_up "configure failed; see $build/config.log"; }
        sed -n '/^------/,$p' "$build/configure.out"
        printf '%s' "$*" > "$build/options"
    fi
    say "make"
    make -C "$build" -j"$(cores)" -s || give_up "make failed"
}

allow_root() {
    [ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
}
