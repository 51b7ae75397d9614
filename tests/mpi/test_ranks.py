"""The same job on 1, 2, 3, 5 and 7 ranks: the same scores; bad input: one line, quickly, on one rank."""
# run.sh: slow
# run.sh: quick Ranks.test_base Report BadInput
import pathlib
import sys
import tempfile
import time
import unittest

import h5py
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness
from bits import datasets, difference

GOLDEN = harness.ROOT / "tests" / "golden"


def assert_same_bits(path, wanted, why):
    """Every dataset of `path` is `wanted`'s, bit by bit, as the file itself promises."""
    assert not difference(path, wanted), f"{difference(path, wanted)} with {why}"
    with h5py.File(path) as file:
        assert file["run"].attrs["same_bits"] == 1, why


class Ranks(unittest.TestCase):
    """Scores do not depend on how many ranks shared the work."""

    precision = "fp32"

    def run_job(self, job, out, *options, **more):
        return harness.run("run", job, "-o", out, "--set", f"precision={self.precision}", "--set", "backend=cpu",
                           *options, **more)

    def compare(self, fixture):
        """All rank counts against one rank without a launcher, whatever kernels OpenBLAS is made to use."""
        with tempfile.TemporaryDirectory() as folder:
            out = f"{folder}/o.h5"
            job = GOLDEN / f"{fixture}.job.json"
            for ranks, kernels in ((0, ""), (1, ""), (2, ""), (3, ""), (5, ""), (7, ""), (0, "Haswell"), (3, "Haswell")):
                env = {"OPENBLAS_CORETYPE": kernels} if kernels else {}
                done = self.run_job(job, out, "-q", "--force", ranks=ranks, env=env)
                self.assertEqual(done.returncode, 0, done.stderr)
                if (ranks, kernels) == (0, ""):
                    wanted = datasets(out)
                    self.assertGreater(sum("score" in name for name in wanted), 0)
                assert_same_bits(out, wanted, f"{ranks} ranks {kernels}")

    def test_base(self):
        self.compare("base")

    def test_five_layer(self):
        self.compare("five-layer")

    def test_panels(self):
        """Nor on how many rows go through a product together."""
        with tempfile.TemporaryDirectory() as folder:
            job = harness.ROOT / "jobs" / "similarity.json"
            for rows in (0, 29, 100):
                self.assertEqual(self.run_job(job, f"{folder}/{rows}.h5", "--panel-rows", rows).returncode, 0)
            for rows in (29, 100):
                assert_same_bits(f"{folder}/{rows}.h5", datasets(f"{folder}/0.h5"), f"panels of {rows} rows")

    def test_memory(self):
        """Nor on how many waves a job takes; too little memory is refused before any wave."""
        with tempfile.TemporaryDirectory() as folder:
            job = harness.ROOT / "jobs" / "similarity-many.json"
            for name, options in (("one", ("--memory", "2G")), ("many", ("--wave-rows", 300))):
                done = self.run_job(job, f"{folder}/{name}.h5", *options)
                self.assertEqual(done.returncode, 0, done.stderr)
            with h5py.File(f"{folder}/one.h5") as one, h5py.File(f"{folder}/many.h5") as many:
                self.assertEqual(one["run"].attrs["waves"], 1)
                self.assertGreater(many["run"].attrs["waves"], 3)
            assert_same_bits(f"{folder}/many.h5", datasets(f"{folder}/one.h5"), "many waves")
            refused = self.run_job(job, f"{folder}/no.h5", "--memory", "1M")
            self.assertEqual(refused.returncode, 2)
            self.assertIn("--memory", refused.stderr)
            self.assertIn("--memory", harness.run("run", job, "--memory", "much").stderr)


class OpenBlas(unittest.TestCase):
    """Its products are another opinion on ours: the same to float32's resolution."""

    def test_agrees(self):
        with tempfile.TemporaryDirectory() as folder:
            job = harness.ROOT / "jobs" / "similarity.json"
            for backend in ("cpu", "openblas"):
                done = harness.run("run", job, "-o", f"{folder}/{backend}.h5", "--set", f"backend={backend}")
                self.assertEqual(done.returncode, 0, done.stderr)
            name = "einstein-swift/resid_post/denoise/logit_answer"
            own, theirs = (datasets(f"{folder}/{backend}.h5")[name] for backend in ("cpu", "openblas"))
            numpy.testing.assert_allclose(own, theirs, rtol=0, atol=1e-6 * 20)  # of the largest logit


class RanksBf16(Ranks):
    """Nor with products of bfloat16 operands, where this machine has them; elsewhere it says what to do."""

    precision = "bf16"

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            done = harness.run("run", GOLDEN / "base.job.json", "-o", f"{folder}/o.h5", "--set", "precision=bf16")
            if done.returncode:
                assert done.returncode == 2 and "use fp32" in done.stderr, done.stderr
                raise unittest.SkipTest(done.stderr)
            with h5py.File(f"{folder}/o.h5") as file:
                assert file.attrs["precision"] == "bf16" and "oneDNN" in file["run"].attrs["products"]


class Report(unittest.TestCase):
    """What a file tells of the ranks that made it."""

    def test_ids_of_ranks_and_times(self):
        with tempfile.TemporaryDirectory() as folder:
            out = f"{folder}/o.h5"
            harness.run("run", GOLDEN / "base.job.json", "-o", out, ranks=3)
            with h5py.File(out) as file:
                self.assertEqual(file["run"].attrs["ranks"], 3)
                self.assertEqual(file["run/busy_seconds"].shape, (3,))
                self.assertEqual(len(file["run"].attrs["hosts"].split()), 3)


class BadInput(unittest.TestCase):
    """A mistake ends all ranks within seconds, with one line from one of them."""

    def refuse(self, *args, words):
        """Run on three ranks; returns nothing but must fail as promised."""
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "o.h5"
            start = time.monotonic()
            done = harness.run("run", *args, "-o", out, ranks=3, timeout=60)
            self.assertLess(time.monotonic() - start, 30)
            self.assertEqual(done.returncode, 2, done.stderr)
            lines = [line for line in done.stderr.splitlines() if "patchsweep:" in line]
            self.assertEqual(len(lines), 1, done.stderr)
            self.assertIn(words, lines[0])
            self.assertEqual(list(out.parent.iterdir()), [])

    def test_missing_job(self):
        self.refuse("no-such.json", words="no-such.json")

    def test_unknown_key(self):
        self.refuse(GOLDEN / "base.job.json", "--set", "sitse=[]", words="sitse")

    def test_missing_model(self):
        self.refuse(GOLDEN / "base.job.json", "--set", "model=no/model", words="no/model")

    def test_layer_past_the_last(self):
        self.refuse(GOLDEN / "base.job.json", "--set", "layers=[99]", words="99")


class SlurmStep(unittest.TestCase):
    """Tasks of a Slurm step that MPI cannot see would all write one file."""

    def start(self, **env):
        """A run as one of a step's four tasks."""
        with tempfile.TemporaryDirectory() as folder:
            return harness.run("run", GOLDEN / "base.job.json", "-o", f"{folder}/o.h5",
                               env={"SLURM_JOB_ID": "1", "SLURM_STEP_NUM_TASKS": "4", **env})

    def test_refused(self):
        """Without a launcher's variables; with those of one that this library does not speak to; with what MPI did not heed."""
        for env in ({}, {"PMI_RANK": "0", "PMI_SIZE": "4"}, {"OMPI_COMM_WORLD_SIZE": "4"}):
            done = self.start(**env)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("has 4 tasks", done.stderr)
            self.assertIn("--mpi=pmi", done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_one_task_is_fine(self):
        done = self.start(SLURM_STEP_NUM_TASKS="1")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_mpi_sees_counts(self):
        """Two ranks that a launcher of their own started within the step; and one, which it says is one."""
        for ranks in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                done = harness.run("run", GOLDEN / "base.job.json", "-o", f"{folder}/o.h5", ranks=ranks,
                                   env={"SLURM_STEP_NUM_TASKS": "4"})
                self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    harness.main()
