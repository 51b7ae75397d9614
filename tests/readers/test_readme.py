"""The README's analysis runs as it is printed, on a real result."""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness


class Readme(unittest.TestCase):
    """What a stranger copies must work."""

    def test_analysis(self):
        block = re.search(r"```python\n(.*?)```", (harness.ROOT / "README.md").read_text(encoding="utf-8"), re.S).group(1)
        self.assertLessEqual(len([line for line in block.splitlines() if line.strip()]), 12)
        with tempfile.TemporaryDirectory() as folder:
            done = harness.run("run", "jobs/similarity.json", "-o", f"{folder}/o.h5", "-q")
            self.assertEqual(done.returncode, 0, done.stderr)
            code = block + "\nprint(float(mean.sel(position='subject last')[0]), float(mean.sel(position='last')[-1]))\n"
            ran = subprocess.run([sys.executable, "-c", code, f"{folder}/o.h5"], cwd=folder, capture_output=True,
                                 text=True, check=False)
            self.assertEqual(ran.returncode, 0, ran.stderr)
            subject, last = map(float, ran.stdout.split())
            # Early on the answer stands on the subject's last token (but for the pair of namesakes), at the end
            # on the last position: exactly 1 in the last layer.
            self.assertGreater(subject, 0.7)
            self.assertAlmostEqual(last, 1, places=6)
            self.assertGreater((pathlib.Path(folder) / "roles.png").stat().st_size, 5000)

    def test_promised_path(self):
        with tempfile.TemporaryDirectory() as folder:
            out = f"{folder}/out.h5"
            self.assertEqual(harness.run("run", "jobs/similarity.json", "-o", out, ranks=2).returncode, 0)
            self.assertEqual(harness.run("show", out).returncode, 0)
            import h5py
            self.assertEqual(h5py.File(out)["/einstein-swift/resid_post/denoise/score"].shape, (8, 28))


class Trace(unittest.TestCase):
    """The default job shows a causal trace, on every pair."""

    def test_all_pairs(self):
        import h5py
        with tempfile.TemporaryDirectory() as folder:
            out = f"{folder}/out.h5"
            done = harness.run("run", "jobs/similarity-many.json", "-o", out, "-q")
            self.assertEqual(done.returncode, 0, done.stderr)
            with h5py.File(out) as file:
                pairs = [name for name in file if name != "run"]
                self.assertGreaterEqual(len(pairs), 20)
                for pair in pairs:
                    score = file[f"{pair}/resid_post/denoise/score"][()]
                    role, span = file[f"{pair}/role"].asstr()[()], file[f"{pair}/span"].asstr()[()]
                    last = [i for i, (r, s) in enumerate(zip(role, span)) if r == "subject" and s in ("last", "only")]
                    self.assertGreater(score[0, last[-1]], 0.9, pair)
                    self.assertGreater(score[-2, -1], 0.9, pair)
                    self.assertEqual(file[pair].attrs["clean_answer_rank"], 0, pair)


if __name__ == "__main__":
    harness.main()
