"""Whole sweeps on stores that only the backend's operations can access: the same bits on one rank and on three."""
# run.sh: slow
# run.sh: quick Sweeps.test_base
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import h5py

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import bits
import harness

UNIT = pathlib.Path(os.environ.get("UNIT", "build/release/tests")).absolute()
UNMAPPED = str(UNIT / "patchsweep-unmapped")
GOLDEN = harness.ROOT / "tests" / "golden"
MANY = harness.ROOT / "jobs" / "similarity-many.json"
STOPPED = 75


class Case(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.out = pathlib.Path(self.scratch.name) / "o.h5"

    def go(self, program, job, *options, **more):
        """Run to the end; returns the datasets."""
        done = harness.run("run", job, "-o", self.out, "-q", "--force", *options, program=program, timeout=300, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        with h5py.File(self.out) as file:
            self.assertEqual("unmapped" in file["run"].attrs["products"], program == UNMAPPED)
        return bits.datasets(self.out)

    def compare(self, job, *options, ranks=(0, 3)):
        wanted = self.go(harness.PATCHSWEEP, job, *options)
        for n in ranks:
            self.go(UNMAPPED, job, *options, ranks=n)
            self.assertEqual(bits.difference(self.out, wanted), "", f"{job} on {n} ranks")


class Sweeps(Case):
    def test_base(self):
        self.compare(GOLDEN / "base.job.json")

    def test_every_golden_job(self):
        """On one rank; on three as well those of most layers."""
        for job in sorted(GOLDEN.glob("*.job.json")):
            with self.subTest(job.name):
                self.compare(job, ranks=(0, 3) if job.name.startswith("five-layer") else (0,))

    def test_bf16(self):
        if harness.run("run", GOLDEN / "base.job.json", "-o", self.out, "--set", "precision=bf16").returncode:
            self.skipTest("no bfloat16 products on this machine")
        self.compare(GOLDEN / "base.job.json", "--set", "precision=bf16")

    def test_waves_and_panels(self):
        self.compare(GOLDEN / "five-layer.job.json", "--wave-rows", 100, "--panel-rows", 20, ranks=(3,))


class Resume(Case):
    """Rows in flight are saved from stores of one kind and restored to stores of another."""

    options = ("--set", 'sites=["resid_post","mlp_out"]', "--set", 'directions=["noise"]', "--set", 'metrics=["logit_answer"]',
               "--set", "patched_final=true")

    def interrupt(self, program, ranks):
        """Stop a run after it has saved rows."""
        command = [program, "run", MANY, "-o", self.out, *self.options]
        command = ["mpirun", "--oversubscribe", "-n", str(ranks), *command] if ranks else command
        env = harness.environment(ranks, OMP_NUM_THREADS="1", PS_SAVE_ALWAYS="1")
        with subprocess.Popen(command, cwd=harness.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env=env) as process:
            while process.poll() is None and not list(self.out.parent.glob("o.h5.rows/?.*")):
                time.sleep(0.01)
            process.send_signal(signal.SIGUSR1)
            said = process.stderr.read()
        self.assertEqual(process.returncode, STOPPED, said)
        self.assertFalse(self.out.exists())

    def check(self, first, second, ranks):
        wanted = self.go(harness.PATCHSWEEP, MANY, *self.options)
        self.out.unlink()
        self.interrupt(first, ranks[0])
        done = harness.run("run", MANY, "-o", self.out, *self.options, program=second, ranks=ranks[1], timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("under way before layer", done.stderr)
        self.assertEqual(bits.difference(self.out, wanted), "")

    def test_saved_from_unmapped(self):
        self.check(UNMAPPED, harness.PATCHSWEEP, (3, 0))

    def test_restored_to_unmapped(self):
        self.check(harness.PATCHSWEEP, UNMAPPED, (0, 3))

    def test_alone(self):
        self.check(UNMAPPED, UNMAPPED, (0, 0))


class Broadcasts(unittest.TestCase):
    def test_unit_on_ranks(self):
        done = subprocess.run(["mpirun", "--oversubscribe", "-n", "3", UNIT / "test_stores"], cwd=harness.ROOT, check=False,
                              env=harness.environment(3), timeout=120, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(done.stdout.count("3 passed, 0 failed"), 3, done.stdout)


if __name__ == "__main__":
    harness.main()
