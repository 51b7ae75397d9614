#!/bin/sh
# run.sh - run the tests, several at a time, and print one total.
#
#   PATCHSWEEP=./patchsweep UNIT=build/release/tests tests/run.sh [--quick] [TEST...]
#
# TEST is a name as run.sh prints it (unit/test_plan, fuzz/job, mpi/test_ranks) or a file; without any, all run.
# tests/README.md says what a test is; tests/pool.py runs them.
set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/mpi_env.sh
PATCHSWEEP=${PATCHSWEEP:-./patchsweep}
UNIT=${UNIT:-build/release/tests}
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
export PATCHSWEEP UNIT PYTHON
# Several tests share the cores: threads and ranks that wait must not spin.
export OMP_WAIT_POLICY=passive OMPI_MCA_mpi_yield_when_idle=1
export LSAN_OPTIONS="suppressions=$PWD/tests/lsan.supp:print_suppressions=0"
exec "$PYTHON" tests/pool.py "$@"
