"""Results that are damaged, or were made to trap a reader: every command ends within a time, by itself, with one line.

PS_FLIPS flips of a bit are tried (default 60), the same ones each time.
"""
# run.sh: slow
import os
import pathlib
import random
import shutil
import sys
import tempfile
import unittest

import h5py

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

MODEL = harness.ROOT / "tests" / "fixtures" / "models" / "base"
COMMANDS = (["show"], ["show", "--csv"], ["plot"], ["inspect"], ["inspect", "--verify"], ["inspect", "--identity"])
FLIPS = int(os.environ.get("PS_FLIPS", "60"))


class Damaged(unittest.TestCase):
    """A small result, mostly made of what HDF5 notes for itself."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.job = harness.write_json(cls.folder / "job.json", {
            "model": str(MODEL), "pairs": [{"id": "p", "clean_ids": [1, 2, 3, 4], "corrupt_ids": [1, 5, 3, 4], "answer_id": 7,
                                            "foil_id": 8}]})
        cls.result = cls.folder / "whole.h5"
        done = harness.run("run", cls.job, "-o", cls.result, "-q")
        assert done.returncode == 0, done.stderr

    def copy(self, name="copy.h5"):
        path = self.folder / name
        shutil.copy(self.result, path)
        return path

    def refused(self, path, words):
        """By every command, and by a run whose output it would be."""
        for command in COMMANDS:
            done = harness.run(*command, path, timeout=60)
            self.assertEqual((done.returncode, done.stdout), (2, ""), command)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertRegex(done.stderr, words)
        for ranks in (0, 2):
            done = harness.run("run", self.job, "-o", path, "-q", ranks=ranks, timeout=100)
            self.assertEqual(done.returncode, 2)
            self.assertIn("is not a result of this job", done.stderr)

    def test_identity(self):
        done = harness.run("inspect", "--identity", self.result)
        self.assertEqual(done.returncode, 0)
        with h5py.File(self.result) as file:
            self.assertEqual(done.stdout, file.attrs["identity"])
        done = harness.run("run", self.job, "-o", self.result, "-q")
        self.assertEqual(done.returncode, 0)
        self.assertIn("holds this job's result already", done.stderr)

    def test_cycle(self):
        path = self.copy()
        with h5py.File(path, "a") as file:
            file["p/resid_post/again"] = file["p"]
        self.refused(path, "no tree")

    def test_links_to_the_root(self):
        path = self.copy()
        with h5py.File(path, "a") as file:
            for i in range(300):
                file[f"root{i}"] = file["/"]
        self.refused(path, "no tree")

    def test_second_name(self):
        path = self.copy()
        with h5py.File(path, "a") as file:
            file["p/copy"] = file["p/token_clean"]
        self.refused(path, "no tree")

    def test_deep(self):
        path = self.copy()
        with h5py.File(path, "a") as file:
            file.create_group("/".join(["deep"] * 2000))
        self.refused(path, "deeper")

    def test_flips(self):
        whole, path = self.result.read_bytes(), self.folder / "flipped.h5"
        dice = random.Random(1)
        ends = {}
        for _ in range(FLIPS):
            at = dice.randrange(8 * len(whole))
            flipped = bytearray(whole)
            flipped[at // 8] ^= 1 << at % 8
            path.write_bytes(flipped)
            done = harness.run("inspect", "--verify", path, timeout=300)
            self.assertIn(done.returncode, (0, 1, 2), f"bit {at}: {done.stderr}")
            if "Sanitizer" not in done.stderr:  # whose report has more; a child's C library may say why it aborts
                ours = [line for line in done.stderr.splitlines() if line.startswith("patchsweep: ")]
                self.assertEqual(len(ours), int(done.returncode != 0), f"bit {at}: {done.stderr}")
            ends[done.returncode] = ends.get(done.returncode, 0) + 1
        print(f"# of {FLIPS} flips: exit statuses {ends}")


if __name__ == "__main__":
    harness.main()
