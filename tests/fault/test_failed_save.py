"""A save that fails leaves the last good snapshot alone: a later save that is cut short does not cost it."""
import errno
import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness
import sweeps

JOB = harness.ROOT / "tests" / "golden" / "five-layer.job.json"
SEEDS = 6  # of what a power cut leaves


class FailedSave(unittest.TestCase):
    """One wave of five layers, saved before each: the second save fails, the power goes during the third."""

    @classmethod
    def setUpClass(cls):
        if not sweeps.SHIM.exists():
            raise unittest.SkipTest(f"no {sweeps.SHIM}; make check builds it")
        cls.sweep = sweeps.Sweep(JOB, "--set", 'sites=["mlp_out"]')
        assert cls.sweep.waves == 1

    def disturb(self, folder, seed):
        """The run; the writes of rows are numbered, one a save."""
        sanitizer = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
        return self.sweep.run(folder, env={
            "LD_PRELOAD": str(sweeps.SHIM), "ASAN_OPTIONS": sanitizer, "PS_SHIM_PATH": f"{folder}/out.h5",
            "PS_SHIM_KIND": "write", "PS_SHIM_FILE": ".rows/", "PS_SHIM_MODE": "fail", "PS_SHIM_AT": "2",
            "PS_SHIM_ERRNO": str(errno.ENOSPC), "PS_SHIM_CUT_AT": "3", "PS_SHIM_SEED": str(seed)})

    def test_first_snapshot_serves(self):
        for seed in range(1, SEEDS + 1):
            with self.subTest(seed=seed), tempfile.TemporaryDirectory() as folder:
                done = self.disturb(folder, seed)
                self.assertEqual(done.returncode, 137, done.stderr)
                self.assertIn("rows in flight are not saved: rank 0: cannot write", done.stderr)
                done = self.sweep.run(folder)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("under way before layer 1", done.stderr)
                self.assertNotIn("cannot be used", done.stderr)
                self.assertEqual(self.sweep.wrong(folder), "")


if __name__ == "__main__":
    harness.main()
