"""A rank dies while the others wait for it in the sweep: nobody stays, and the status says so."""
# run.sh: slow
import pathlib
import random
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness
import ranks

GONE = 10    # seconds
STARTS = 60


class DeadRank(unittest.TestCase):
    def die(self, victim):
        """Three ranks, of which one is killed at some time after the sweep began."""
        job = harness.ROOT / "jobs" / "similarity-many.json"
        command = ["run", job, "-q", "--set", 'sites=["resid_pre","mlp_out","resid_post"]',
                   "--set", 'directions=["denoise","noise"]']
        with tempfile.TemporaryDirectory() as folder:
            run = ranks.start(command, folder, 3)
            run.wait_for("cells to compute", STARTS)
            time.sleep(random.uniform(0, 0.3))
            there = run.kill(victim)
            status, said = ranks.finish(run, GONE)  # raises where a process stays
            self.assertTrue(there, f"rank {victim} was gone already; the others said: {said}")
            self.assertNotEqual(status, 0, said)
            self.assertNotIn("wrote", said)
            self.assertFalse((pathlib.Path(folder) / "out.h5").exists())

    def test_the_first(self):
        self.die(0)

    def test_another(self):
        self.die(1)

    def test_the_last(self):
        self.die(2)


if __name__ == "__main__":
    harness.main()
