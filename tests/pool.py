"""pool.py - run tests side by side, keep their outputs apart, and print one total.

    pool.py [--quick] [TEST...]          from the repository's root; run.sh sets the environment

A test is a program that ends in a line "N passed, N failed[, N skipped]".  A test that ends without that line, or
runs longer than TEST_SECONDS, has failed.  The output of a failed test is shown when it ends.  Marks in the first
lines of a test's source:

    run.sh: slow           starts first, and is left out of --quick
    run.sh: quick NAME...  but these of its cases are in --quick (Class or Class.test)
    run.sh: alone          runs when no other test does

Environment: PATCHSWEEP, UNIT, TEST_SECONDS (900), TEST_GRACE (10: seconds to end in), PS_JOBS (tests at a time; one
more than there are cores).
"""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

UNIT = pathlib.Path(os.environ["UNIT"])
SECONDS = float(os.environ.get("TEST_SECONDS", "900"))
JOBS = int(os.environ.get("PS_JOBS", "0")) or len(os.sched_getaffinity(0)) + 1
SCRIPTS = ("cli", "mpi", "fault", "readers", "golden")
TOTAL = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
GRACE = float(os.environ.get("TEST_GRACE", "10"))  # seconds between SIGTERM and SIGKILL
NEWS = 60        # seconds between two lines about tests that are still running
SHOWN = 60       # lines of a failed test's output


class Test:
    """A program with a name, and what became of it."""

    def __init__(self, name, command, source):
        self.name, self.command = name, [str(word) for word in command]
        with open(source, encoding="utf-8", errors="replace") as file:
            head = file.read(2000)
        self.slow, self.alone = ("run.sh: " + mark in head for mark in ("slow", "alone"))
        quick = re.search("run.sh: quick (.*)", head)
        self.quick_cases = quick.group(1).split() if quick else []

    def start(self, folder):
        """In a session of its own, so that one signal reaches the test and its children."""
        self.folder, self.begun, self.told_to_end = folder, time.monotonic(), None
        folder.mkdir()
        self.log = (folder / "log").open("w+b")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        start_new_session=True, env={**os.environ, "TMPDIR": str(folder)})

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def ended(self):
        """Whether it has; first tell it to where its time is up."""
        now = time.monotonic()
        if self.process.poll() is None:
            if not self.told_to_end and now - self.begun > SECONDS:
                self.end(f"took more than {SECONDS:.0f} s")
            elif self.told_to_end and now - self.told_to_end > GRACE:
                self.signal(signal.SIGKILL)
            return False
        return True

    def end(self, why):
        self.told_to_end = time.monotonic()
        self.log.write(f"# {why}\n".encode())
        self.log.flush()
        self.signal(signal.SIGTERM)

    def words(self):
        self.log.flush()
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def result(self):
        """Passed, failed, skipped; prints its line, and what it said where it failed."""
        self.signal(signal.SIGKILL)  # children that it left behind
        words, status = self.words(), self.process.returncode
        totals = TOTAL.findall(words)
        passed, failed, skipped = (int(n or 0) for n in totals[-1]) if totals else (0, 0, 0)
        if not totals or self.told_to_end or (status and not failed):
            failed += 1
        print(f"{self.name:34} {passed:4} passed, {failed} failed{f', {skipped} skipped' if skipped else ''}"
              f"  ({time.monotonic() - self.begun:.0f} s)")
        if failed:
            print(f"# {self.name}: exit status {status}")
            print("\n".join("#   " + line for line in words.splitlines()[-SHOWN:]))
        sys.stdout.flush()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return passed, failed, skipped


def script(path):
    return Test(str(path).removeprefix("tests/").removesuffix(".py"), [sys.executable, path], path)


def all_tests():
    """In the order in which they stand in the tree."""
    found = [Test(f"unit/{path.stem}", [UNIT / path.stem], path) for path in sorted(pathlib.Path("tests/unit").glob("test_*.c"))]
    for path in sorted(pathlib.Path("tests/fuzz").glob("fuzz_*.c")):
        target = path.stem.removeprefix("fuzz_")
        found.append(Test(f"fuzz/{target}", [UNIT / path.stem, f"tests/fuzz/corpus/{target}"], path))
    for folder in SCRIPTS:
        found += map(script, sorted(pathlib.Path("tests", folder).glob("test_*.py")))
    return found


def chosen(words):
    """The tests that the command line asks for."""
    tests = all_tests()
    if words[:1] == ["--quick"]:
        tests, words = [test for test in tests if not test.slow or test.quick_cases], words[1:]
        for test in tests:
            test.command += test.quick_cases
    if not words:
        return tests
    by_name = {test.name: test for test in tests}
    found = []
    for word in words:
        name = word.removeprefix("tests/").removesuffix(".py").removesuffix(".c")
        path = pathlib.Path(word)
        if name in by_name:
            found.append(by_name[name])
        elif path.is_file():
            found.append(script(path))
        else:
            near = [known for known in by_name if word.rpartition("/")[2].removesuffix(".py") in known]
            sys.exit(f"no test '{word}'" + (f"; did you mean {', '.join(near)}?" if near else ""))
    return found


def news(running):
    """What long tests are at."""
    for test in running:
        lines = test.words().splitlines()
        said = f": {lines[-1][:90]}" if lines else ""
        print(f"# {test.name}, {(time.monotonic() - test.begun) / 60:.0f} min{said}", flush=True)


def run(tests, folder):
    """Start what may start, until all have ended; returns the three sums."""
    waiting = sorted(tests, key=lambda test: (test.alone, not test.slow))
    running, sums, number, told = [], [0, 0, 0], 0, time.monotonic()
    try:
        while waiting or running:
            while waiting and len(running) < JOBS and not (running and (waiting[0].alone or running[0].alone)):
                test = waiting.pop(0)
                test.start(folder / str(number))
                running.append(test)
                number += 1
            for test in [test for test in running if test.ended()]:
                running.remove(test)
                sums = [a + b for a, b in zip(sums, test.result())]
            if time.monotonic() - told > NEWS:
                news(running)
                told = time.monotonic()
            time.sleep(0.02)
    except KeyboardInterrupt:
        for test in running:
            test.end("interrupted")
        while not all([test.ended() for test in running]):
            time.sleep(0.02)
        for test in running:
            test.signal(signal.SIGKILL)
        print("interrupted", flush=True)
        sys.exit(130)
    return sums


def interrupted(*_):
    """Once: whoever is impatient must not leave anything behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    tests = chosen(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="ps-", ignore_cleanup_errors=True) as folder:
        passed, failed, skipped = run(tests, pathlib.Path(folder))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(failed > 0 or passed == 0)


if __name__ == "__main__":
    main()
