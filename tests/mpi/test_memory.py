"""--memory bounds what the ranks of a node hold together; too little of it is refused, with what is needed."""
# run.sh: slow
# run.sh: quick Memory.test_panels_of_a_million_rows
import json
import pathlib
import random
import re
import sys
import tempfile
import unittest

import h5py

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import bits
import harness

MODEL = harness.ROOT / "tests" / "fixtures" / "models" / "base"
PAIRS, TOKENS, VOCABULARY = 6, 150, 160
MIB = 1 << 20
MORE = 10 * MIB  # than the smallest waves need: several times less than one wave of all cells takes
TOLERANCE = 32 * MIB  # and a tenth: what libraries allocate is estimated


def sanitized():
    """Whether the program's memory is a sanitizer's."""
    return b"__asan_init" in pathlib.Path(harness.PATCHSWEEP).read_bytes()


class Memory(unittest.TestCase):
    """Long prompts, all cells, three sites, both directions."""

    @classmethod
    def setUpClass(cls):
        dice = random.Random(1)
        pairs = []
        for number in range(PAIRS):
            clean = [dice.randrange(VOCABULARY) for _ in range(TOKENS)]
            corrupt = [token if at != TOKENS // 4 else (token + 1) % VOCABULARY for at, token in enumerate(clean)]
            pairs.append({"id": f"p{number}", "clean_ids": clean, "corrupt_ids": corrupt, "answer_id": number,
                          "foil_id": number + 1})
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.job = harness.write_json(cls.folder / "job.json", {
            "model": str(MODEL), "pairs": pairs, "sites": ["resid_pre", "mlp_out", "resid_post"],
            "directions": ["denoise", "noise"]})
        done = harness.run("run", cls.job, "-o", cls.folder / "all.h5", "-q")
        assert done.returncode == 0, done.stderr
        cls.wanted = bits.datasets(cls.folder / "all.h5")
        with h5py.File(cls.folder / "all.h5") as file:
            assert file["run"].attrs["waves"] == 1

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def needed(self, ranks):
        """Bytes of the smallest waves, as a refusal names them."""
        done = harness.run("run", self.job, "-o", self.folder / "no.h5", "-q", "--memory", "1M", ranks=ranks)
        self.assertEqual(done.returncode, 2, done.stderr)
        lines = [line for line in done.stderr.splitlines() if line.startswith("patchsweep: error: ")]
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertRegex(lines[0], r"1\.0 MiB of memory is too little for \d ranks? on a node")
        self.assertIn("give more with --memory", lines[0])
        self.assertEqual(list(self.folder.glob("no.h5*")), [])
        whole = float(re.search(r"the smallest waves need ([\d.]+) MiB", lines[0])[1])
        parts = [float(number) / (1 if unit == "MiB" else 1024)
                 for number, unit in re.findall(r"([\d.]+) (MiB|KiB)", re.search(r"\((.*)\)", lines[0])[1])]
        self.assertLess(abs(whole - sum(parts)), 0.25 * whole, lines[0])  # small parts are left out
        return int(whole * MIB)

    def test_bound(self):
        for ranks in (1, 2, 4):
            with self.subTest(ranks=ranks):
                self.check(ranks, self.needed(ranks) + MORE)

    def test_panels_of_a_million_rows(self):
        """A panel has no more rows than the rank's largest wave, and counts as any memory does."""
        self.check(2, self.needed(2) + MORE, "--panel-rows", 1000000)

    def check(self, ranks, memory, *options):
        """A run stays within its memory, takes several waves for it, and comes to the same."""
        done = harness.run("run", self.job, "-o", self.folder / "o.h5", "-q", "--force", "--memory", memory, *options,
                           ranks=ranks)
        self.assertEqual(done.returncode, 0, done.stderr)
        with h5py.File(self.folder / "o.h5") as file:
            peaks = file["run/peak_memory_bytes"][()]
            waves, same_bits = file["run"].attrs["waves"], file["run"].attrs["same_bits"]
        print(f"{ranks} ranks, {memory / MIB:.1f} MiB: {[round(float(p) / MIB, 1) for p in peaks]}, {waves} waves", flush=True)
        self.assertEqual(peaks.shape, (ranks,))
        self.assertGreater(waves, 1)
        self.assertGreater(peaks.min(), 4 * MIB)
        if not sanitized():
            self.assertLess(peaks.sum(), 1.1 * memory + TOLERANCE)
        if same_bits:
            self.assertEqual(bits.difference(self.folder / "o.h5", self.wanted), "")


if __name__ == "__main__":
    harness.main()
