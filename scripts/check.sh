#!/bin/sh
# check.sh - install what is missing, build, and run every test.  Works from a fresh checkout.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh --tests
make -j"$(nproc)"
exec make -j"$(nproc)" check
