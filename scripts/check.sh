#!/bin/sh
# check.sh - from a fresh checkout to a tested build: set up, build, run every test.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh --tests
make -j"$(nproc)"
exec make -j"$(nproc)" check
