"""Sites of heads: the same bits on any ranks and in any waves; stopped and resumed; what does not fit is told in one line."""
# run.sh: slow
# run.sh: quick Ranks.test_base Refused
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import bits
import harness

GOLDEN = harness.ROOT / "tests" / "golden"
JOB = harness.ROOT / "jobs" / "similarity-many.json"
SITES = '["resid_pre","q","k","v","z","pattern","q_by_pos","k_by_pos","v_by_pos","z_by_pos","pattern_by_pos"]'
SOME = ("--set", 'sites=["k","pattern","z_by_pos"]', "--set", 'directions=["noise"]', "--set", 'metrics=["logit_answer"]',
        "--set", "heads=[0,1]", "--set", "patched_final=true")
STOPPED = 75


class Case(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)
        self.out = self.folder / "o.h5"

    def go(self, job, *options, ranks=0, **env):
        return harness.run("run", job, "-o", self.out, "-q", *options, ranks=ranks, env={"OMP_NUM_THREADS": "1", **env})


class Ranks(Case):
    def compare(self, fixture):
        wanted = None
        for ranks, options in ((0, ()), (2, ()), (3, ("--wave-rows", 100)), (0, ("--panel-rows", 12)), (0, ("--wave-rows", 60))):
            done = self.go(GOLDEN / f"{fixture}.job.json", "--force", "--set", f"sites={SITES}", *options, ranks=ranks)
            self.assertEqual(done.returncode, 0, done.stderr)
            wanted = wanted or bits.datasets(self.out)
            self.assertEqual(bits.difference(self.out, wanted), "", f"{ranks} ranks {options}")
        grids = sum(name.endswith("/score") for name in wanted)
        self.assertTrue(grids > 0 and grids % (2 * 11) == 0, grids)

    def test_base(self):
        self.compare("base")

    def test_one_key_head(self):
        self.compare("mqa-f16-sharded")


class Resume(Case):
    def stop(self, number, ranks, again):
        """One signal once a snapshot is complete (the second, 0.*, has begun); then on other ranks to the end."""
        done = self.go(JOB, *SOME)
        self.assertEqual(done.returncode, 0, done.stderr)
        wanted = bits.datasets(self.out)
        self.out.unlink()
        command = [harness.PATCHSWEEP, "run", JOB, "-o", self.out, "-q", *SOME]
        command = ["mpirun", "--oversubscribe", "-n", str(ranks), *command] if ranks else command
        process = subprocess.Popen(command, cwd=harness.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   env=harness.environment(ranks, OMP_NUM_THREADS="1", PS_SAVE_ALWAYS="1"))
        self.addCleanup(lambda: (process.poll() is None and process.kill(), process.wait(), process.stderr.close()))
        while process.poll() is None and not list(self.folder.glob("o.h5.rows/0.*")):
            time.sleep(0.01)
        process.send_signal(number)
        said = process.stderr.read()
        process.wait(timeout=60)
        self.assertFalse(self.out.exists(), said)
        done = self.go(JOB, *SOME, ranks=again)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("under way before layer", done.stderr)
        self.assertEqual(bits.difference(self.out, wanted), "")
        self.assertEqual(sorted(path.name for path in self.folder.glob("o.h5*")), ["o.h5"])

    def test_stopped_on_three_ranks(self):
        self.stop(signal.SIGUSR1, 3, 2)

    def test_killed_alone(self):
        self.stop(signal.SIGKILL, 0, 3)


class Refused(Case):
    """Before any weights are read: exit status 2, one line."""

    def refuse(self, *options, says):
        done = self.go(GOLDEN / "base.job.json", *options)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(says, done.stderr)
        self.assertFalse(self.out.exists())

    def test_heads(self):
        self.refuse("--set", 'sites=["z"]', "--set", "heads=[4]", says="heads of 'z': 4 is past the last (3); there are 4")
        self.refuse("--set", 'sites=["z","k"]', "--set", "heads=[2]", says="heads of 'k': 2 is past the last (1); there are 2")

    def test_heads_of_rows(self):
        """Heads are nothing to a site of rows."""
        done = self.go(GOLDEN / "base.job.json", "--set", "heads=[40]")
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    harness.main()
