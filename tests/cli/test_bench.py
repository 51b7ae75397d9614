"""`bench`: rates that are rates, shapes that are found, a sweep that is run; and what it refuses."""
# run.sh: slow
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

SIMILARITY = harness.ROOT / "data" / "similarity-model"


def bench(*args, **more):
    return harness.run("bench", "--no-disk", "--quick", *args, **more)


class Rates(unittest.TestCase):
    def test_json(self):
        done = harness.run("bench", "--quick", "--json", "--read", SIMILARITY / "model.safetensors")
        self.assertEqual(done.returncode, 0, done.stderr)
        rates = json.loads(done.stdout)
        self.assertGreater(rates["products"]["fp32"]["gflops"], 1)
        self.assertGreater(rates["products"]["fp32_openblas"]["gflops"], 1)
        self.assertGreater(rates["memory_gbytes"], 0.1)
        self.assertGreater(rates["disk_gbytes"], 0)

    def test_text(self):
        done = bench()
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ("processor", "fp32", "OpenBLAS", "bf16", "memory"):
            self.assertIn(word, done.stdout)

    def test_rate_is_of_computed_cells(self):
        """As `run` counts: free cells cost nothing, and would make the rate depend on where prompts differ."""
        done = bench("--shape", SIMILARITY, "--synthetic")
        computed = int(re.search(r"(\d+) computed", done.stdout)[1])
        seconds, rate = re.search(r"fp32: (\S+) s, (\S+) cells/s", done.stdout).groups()
        self.assertAlmostEqual(float(seconds) * float(rate) / computed, 1, delta=0.02)

    def test_file_of_its_own_goes(self):
        with tempfile.TemporaryDirectory() as folder:
            done = harness.run("bench", "--quick", cwd=folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("disk", done.stdout)
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])


class Shapes(unittest.TestCase):
    def shape(self, *args, **more):
        done = bench("--json", "--shape", *args, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["shape"]

    def test_1b(self):
        """The design's figures: 12,131 token-layers, 1.5 TFLOP with the head's."""
        shape = self.shape("llama-3.2-1b")
        self.assertEqual((shape["cells"], shape["computed"]), (448, 210))
        self.assertAlmostEqual(shape["weights"] / 1.2358e9, 1, places=3)
        self.assertAlmostEqual(shape["flops"] / 1.43e12, 1, places=1)
        self.assertGreater(shape["naive_flops"] / shape["flops"], 15)

    def test_70b(self):
        shape = self.shape("llama-3.3-70b")
        self.assertAlmostEqual(shape["weights"] / 70.55e9, 1, places=3)
        self.assertGreaterEqual(shape["ranks"]["8"], 0.98)
        self.assertGreaterEqual(shape["ranks"]["64"], 0.82)
        self.assertIn("512", shape["ranks"])
        self.assertGreater(shape["useful_ranks"], 64)

    def test_from_any_folder(self):
        """Names of shapes are found beside the program: in the checkout, and installed anywhere."""
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(self.shape("llama-3.2-1b", cwd=folder)["cells"], 448)
            bin_folder, shapes = pathlib.Path(folder, "bin"), pathlib.Path(folder, "share", "patchsweep", "shapes")
            bin_folder.mkdir()
            shapes.mkdir(parents=True)
            shutil.copy(harness.PATCHSWEEP, bin_folder / "patchsweep")
            shutil.copy(harness.ROOT / "data" / "shapes" / "llama-3.2-1b.json", shapes / "moved.json")
            done = subprocess.run([bin_folder / "patchsweep", "bench", "--quick", "--no-disk", "--json", "--shape", "moved"],
                                  cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            shutil.copy(shapes / "moved.json", shapes / "also.json")
            done = subprocess.run([bin_folder / "patchsweep", "bench", "--shape", "nowhere"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, text=True)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertTrue(done.stderr.endswith("one of our shapes: also, moved\n"), done.stderr)

    def test_long_prompts_cost_their_cells(self):
        short, long = (self.shape("llama-3.2-1b", "--tokens", t, "--first-difference", t - 14) for t in (28, 161))
        self.assertEqual(short["computed"], long["computed"])
        self.assertLess(long["flops"], 3 * short["flops"])

    def test_model_directory_and_file(self):
        for path in (SIMILARITY, SIMILARITY / "config.json"):
            self.assertEqual(self.shape(path)["cells"], 8 * 28)

    def test_synthetic(self):
        for ranks in (0, 2):
            shape = self.shape(SIMILARITY, "--synthetic", "--pairs", 2, ranks=ranks)
            self.assertGreater(shape["synthetic_seconds"]["fp32"], 0)

    def test_words(self):
        done = bench("--shape", SIMILARITY, "--synthetic")
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ("efficiency", "cells/s", "work more than they wait", "run here with random weights, fp32"):
            self.assertIn(word, done.stdout)

    def test_rate_is_of_computed_cells(self):
        """As `run` counts: free cells cost nothing, and would make the rate depend on where prompts differ."""
        done = bench("--shape", SIMILARITY, "--synthetic")
        computed = int(re.search(r"(\d+) computed", done.stdout)[1])
        seconds, rate = re.search(r"fp32: (\S+) s, (\S+) cells/s", done.stdout).groups()
        self.assertAlmostEqual(float(seconds) * float(rate) / computed, 1, delta=0.02)


class Refused(unittest.TestCase):
    def refuse(self, *args, words):
        done = bench(*args)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn(words, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_shape(self):
        self.refuse("--shape", "llama-9", words="llama-3.2-1b")
        self.refuse("--shape", harness.ROOT / "README.md", words="README.md")

    def test_tokens(self):
        self.refuse("--shape", "llama-3.2-1b", "--tokens", 4, words="cannot differ")
        self.refuse("--tokens", 0, words="--tokens")

    def test_synthetic_without_shape(self):
        self.refuse("--synthetic", words="--shape")

    def test_synthetic_too_large(self):
        self.refuse("--shape", "llama-3.3-70b", "--synthetic", words="GB are free")

    def test_word(self):
        self.refuse("fast", words="fast")

    def test_file(self):
        done = harness.run("bench", "--quick", "--read", "/nonexistent")
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nonexistent", done.stderr)


if __name__ == "__main__":
    harness.main()
