#!/bin/sh
# run.sh - every test of the tree, one total.
#
#   PATCHSWEEP=./patchsweep UNIT=build/release/tests tests/run.sh [SCRIPT...]
#
# A test is a program (unit tests built from tests/unit, replays of tests/fuzz's corpora, scripts in tests/cli, tests/mpi,
# tests/fault, tests/readers, tests/golden) that ends in a line "N passed, N failed[, N skipped]".  One
# that ends without, or takes over TEST_SECONDS, has failed.  What a test says is shown when it fails.
# Scripts that are named are run instead of all.
set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/mpi_env.sh
PATCHSWEEP=${PATCHSWEEP:-./patchsweep}
UNIT=${UNIT:-build/release/tests}
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
export PATCHSWEEP UNIT PYTHON
export LSAN_OPTIONS="suppressions=$PWD/tests/lsan.supp:print_suppressions=0"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0

count() { # WORD: the number in front of it in the last such line
    sed -n "s/^\([0-9]* passed, .*\)/\1/p" "$log" | tail -n 1 | sed -n "s/.*\b\([0-9][0-9]*\) $1.*/\1/p"
}

run() { # NAME COMMAND...
    name=$1
    shift
    start=$(date +%s)
    timeout -k 10 "${TEST_SECONDS:-300}" "$@" >"$log" 2>&1 </dev/null
    rc=$?
    p=$(count passed) f=$(count failed) s=$(count skipped)
    if [ -z "$p" ] || { [ $rc -ne 0 ] && [ "${f:-0}" = 0 ]; }; then
        f=$((${f:-0} + 1))
    fi
    passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0})) skipped=$((skipped + ${s:-0}))
    printf '%-34s %4d passed, %d failed%s  (%d s)\n' "$name" "${p:-0}" "${f:-0}" \
        "${s:+, $s skipped}" $(($(date +%s) - start))
    if [ "${f:-0}" != 0 ]; then
        echo "# $name: exit status $rc"
        sed 's/^/#   /' "$log" | tail -n 60
    fi
}

if [ $# = 0 ]; then
    for test in "$UNIT"/test_*; do
        case $test in *.d | *.o) continue ;; esac
        run "unit/$(basename "$test")" "$test"
    done
    for test in "$UNIT"/fuzz_*; do
        target=$(basename "$test" | sed s/^fuzz_//)
        run "fuzz/$target" "$test" "tests/fuzz/corpus/$target"
    done
    set -- tests/cli/test_*.py tests/mpi/test_*.py tests/fault/test_*.py tests/readers/test_*.py \
        tests/golden/test_*.py
fi
for test; do
    [ -e "$test" ] && run "${test#tests/}" "$PYTHON" "$test"
done
if [ "$skipped" = 0 ]; then
    echo "$passed passed, $failed failed"
else
    echo "$passed passed, $failed failed, $skipped skipped"
fi
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
