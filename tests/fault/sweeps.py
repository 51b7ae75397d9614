"""sweeps.py - a small sweep to disturb, what it must come to, and many of them at once."""
import concurrent.futures
import itertools
import os
import pathlib
import subprocess
import tempfile
import time

import h5py

import harness
from bits import datasets, difference

ALL = os.environ.get("PS_FAULTS") == "all"
SHIM = pathlib.Path(os.environ.get("UNIT", "build/release/tests")).absolute() / "shim.so"
HANGS = 120  # seconds, of runs that take a fraction of one
NEWS = 30    # seconds between two lines that say how far it is


class Sweep:
    """A job with options, run undisturbed once."""

    def __init__(self, job, *options):
        self.command = ["run", job, "-q", *options]
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            done = self.run(folder)
            self.seconds = time.monotonic() - begun
            assert done.returncode == 0, done.stderr
            self.wanted = datasets(f"{folder}/out.h5")
            with h5py.File(f"{folder}/out.h5") as file:
                self.waves = int(file["run"].attrs["waves"])

    def run(self, folder, *options, env=None):
        """Alone, into out.h5 of `folder`."""
        with tempfile.TemporaryDirectory() as scratch:  # Open MPI's: runs at the same time must not share it
            return harness.run(*self.command, *options, "-o", f"{folder}/out.h5", timeout=HANGS,
                               env={"OMP_NUM_THREADS": "1", "PS_SAVE_ALWAYS": "1", "TMPDIR": scratch, **(env or {})})

    def wrong(self, folder):
        """What is not as an undisturbed run leaves it; "" if all is."""
        left = sorted(path.name for path in pathlib.Path(folder).iterdir())
        if left != ["out.h5"]:
            return f"the folder holds {left}"
        verified = harness.run("inspect", "--verify", f"{folder}/out.h5")
        if verified.returncode:
            return f"inspect --verify: {verified.stderr}"
        return difference(f"{folder}/out.h5", self.wanted)

    def wrong_after(self, folder, *options):
        """The same of a run without any fault, in a folder that a disturbed one has left."""
        try:
            done = self.run(folder, *options)
        except subprocess.TimeoutExpired:
            return "hangs when run again"
        if done.returncode:
            return f"exit status {done.returncode} when run again: {done.stderr[-500:]}"
        return self.wrong(folder)


def small():
    """Six waves, activations, patched_final, and a fraction of a second."""
    sweep = Sweep(harness.ROOT / "tests" / "golden" / "five-layer.job.json", "--set", 'sites=["mlp_out"]',
                  "--wave-rows", 100)
    assert sweep.waves == 6, sweep.waves
    return sweep


def explained(stderr):
    """What is wrong with the words of a run that ended with status 1; "" if it says why, in one line."""
    lines = [line for line in stderr.splitlines() if line.startswith("patchsweep: ") and "error: " in line]
    if len(lines) != 1:
        return f"{len(lines)} lines of explanation: {stderr[-500:]}"
    return f"explains nothing: {lines[0]}" if lines[0].endswith(": Success") else ""


def strided(n, count):
    """1 .. n, or about `count` of them, the first and the last among them."""
    if ALL or n <= count:
        return list(range(1, n + 1))
    return sorted({1 + round(i * (n - 1) / (count - 1)) for i in range(count)})


def each(items, check):
    """check(item, folder) for every one, some at a time, each in a folder of its own; returns the complaints."""
    items = list(items)
    begun, done = time.monotonic(), itertools.count(1)
    told = [begun]

    def one(item):
        with tempfile.TemporaryDirectory() as folder:
            try:
                complaint = check(item, folder)
            except subprocess.TimeoutExpired:
                complaint = "hangs"
        if complaint:
            print(f"{item}: {complaint}", flush=True)  # now: all of them may take an hour
        n = next(done)
        if time.monotonic() - told[0] > NEWS:
            told[0] = time.monotonic()
            print(f"{n} of {len(items)}, {time.monotonic() - begun:.0f} s", flush=True)
        return f"{item}: {complaint}" if complaint else ""

    with concurrent.futures.ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        return [complaint for complaint in pool.map(one, items) if complaint]


def summary(complaints):
    """A few of them, and how many."""
    return f"{len(complaints)} went wrong:\n" + "\n".join(complaints[:12])
