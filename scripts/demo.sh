#!/bin/sh
# demo.sh - install what is missing, build, sweep the embedded model, and draw a heat map.  Works from a fresh checkout.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh
make -j"$(nproc)"
. scripts/mpi_env.sh
mpirun --oversubscribe -n 2 ./patchsweep run jobs/similarity.json -o similarity.h5 --force
./patchsweep show --pair einstein-swift similarity.h5
