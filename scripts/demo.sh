#!/bin/sh
# demo.sh - from a fresh checkout to a heat map: set up, build, sweep the embedded model, draw.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh
make -j"$(nproc)"
. scripts/mpi_env.sh
mpirun --oversubscribe -n 2 ./patchsweep run jobs/similarity.json -o similarity.h5 --force
./patchsweep show --pair einstein-swift similarity.h5
