#!/bin/sh
# setup.sh - install the packages that patchsweep needs and that are missing, on Debian or Ubuntu.
#
#   scripts/setup.sh           libraries and tools to build and run
#   scripts/setup.sh --tests   ... and .venv with the Python packages that the tests use (no torch)
#
# Run it as root or as a user with sudo.  On other systems install: Open MPI, OpenBLAS, HDF5 (the serial
# build), cJSON, PCRE2, utf8proc, a C11 compiler with OpenMP, make, pkg-config; for precision bf16 also oneDNN.
set -eu
cd "$(dirname "$0")/.."

packages="gcc libc6-dev make pkg-config openmpi-bin libopenmpi-dev libhdf5-dev libcjson-dev
libpcre2-dev libutf8proc-dev"
test_packages="python3 python3-venv netcdf-bin hdf5-tools ncurses-bin"

missing() {
    for package in "$@"; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed' ||
            printf '%s ' "$package"
    done
}

install_packages() {
    wanted=$(missing "$@")
    [ -n "$wanted" ] || return 0
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    echo "setup: installing $wanted" >&2
    $root apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends $wanted >&2
}

# Any OpenBLAS will do.  If there is none, install the one that uses OpenMP, whose threads it shares with us.
openblas() {
    command -v pkg-config >/dev/null && pkg-config --exists openblas || echo libopenblas-openmp-dev
}

# Needed for precision bf16 only.  Debian packages it for amd64.
onednn() {
    [ -e /usr/include/oneapi/dnnl/dnnl.h ] || [ "$(dpkg --print-architecture)" != amd64 ] || echo libdnnl-dev
}

readers() {
    [ -x .venv/bin/python ] || python3 -m venv .venv
    .venv/bin/python -c 'import h5py, xarray, h5netcdf, netCDF4, tokenizers, jsonschema' 2>/dev/null ||
        .venv/bin/python -m pip install -q -r tests/requirements.txt >&2
}

# shellcheck disable=SC2046,SC2086
install_packages $packages $(openblas) $(onednn)
if [ "${1:-}" = --tests ]; then
    # shellcheck disable=SC2086
    install_packages $test_packages
    readers
fi
