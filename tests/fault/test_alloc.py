"""Each allocation fails in turn: a line that says so and status 1, or no harm done; never a signal, never a hang."""
# run.sh: slow
import json
import pathlib
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness
import ranks
import sweeps

GONE = 10  # seconds in which all ranks must be gone
ONE_WAVE = 100000  # more rows than the sweep has


class Alone(unittest.TestCase):
    """One rank, without a launcher."""

    def check(self, sweep, n, folder):
        """What is wrong with a run whose n-th allocation fails; keeps n where it was noticed."""
        done = sweep.run(folder, env={"PS_FAIL_ALLOC": str(n)})
        if done.returncode == 0:
            self.unnoticed.add(n)
            return sweep.wrong(folder)
        if done.returncode != 1:
            return f"exit status {done.returncode}: {done.stderr[-1500:]}"
        if "out of memory" not in done.stderr:
            return f"does not say what failed: {done.stderr[-500:]}"
        return sweeps.explained(done.stderr) or sweep.wrong_after(folder)

    def try_all(self, sweep, count):
        """Powers of two until none is noticed; then evenly up to there, or all."""
        self.unnoticed = set()
        powers = [1 << i for i in range(20)]
        complaints, last = [], None
        for n in powers:
            with tempfile.TemporaryDirectory() as folder:
                complaint = self.check(sweep, n, folder)
            complaints += [f"{n}: {complaint}"] if complaint else []
            if n in self.unnoticed and n > 100:
                last = n
                break
        self.assertIsNotNone(last, "allocations without end")
        tried = [n for n in sweeps.strided(last, count) if n not in powers]
        complaints += sweeps.each(tried, lambda n, folder: self.check(sweep, n, folder))
        print(f"{len(tried)} of about {last} allocations, {len(self.unnoticed)} of them unnoticed", flush=True)
        self.assertEqual(complaints, [], sweeps.summary(complaints))
        self.assertLess(len(self.unnoticed), len(tried) * 3 // 4, "most of the failures were not noticed")

    def test_token_ids(self):
        self.try_all(sweeps.small(), 24)

    def test_texts(self):
        """With a tokenizer, a template, a file of pairs, of which two are enough."""
        jobs = harness.ROOT / "jobs"
        with tempfile.TemporaryDirectory() as folder:
            job = json.loads((jobs / "similarity-many.json").read_text(encoding="utf-8"))
            job |= {"model": str(jobs / job["model"]), "layers": [1], "positions": [-1], "pairs_file": "pairs.jsonl"}
            lines = (jobs / "similarity-many.jsonl").read_text(encoding="utf-8").splitlines(True)
            (pathlib.Path(folder) / "pairs.jsonl").write_text("".join(lines[:2]), encoding="utf-8")
            self.try_all(sweeps.Sweep(harness.write_json(f"{folder}/job.json", job)), 16)


class AmongRanks(unittest.TestCase):
    """One rank of three has no memory: nobody waits for it."""

    def test_all_go(self):
        sweep, noticed = sweeps.small(), 0
        for victim in (0, 1):
            for n in range(40, 1200, 40 if sweeps.ALL else 380):
                with tempfile.TemporaryDirectory() as folder:
                    begun = time.monotonic()
                    run = ranks.start([*sweep.command, "--wave-rows", ONE_WAVE], folder, 3, (victim, "PS_FAIL_ALLOC", n))
                    status, said = ranks.finish(run, GONE)
                    what = f"rank {victim}, allocation {n}: {said}"
                    self.assertLess(time.monotonic() - begun, GONE, what)
                    self.assertIn(status, (0, 1), what)
                    self.assertEqual("out of memory" in said, status == 1, what)
                    noticed += status == 1
                    self.assertEqual(sweep.wrong_after(folder), "", what)
        self.assertGreater(noticed, 3)

    def test_trial_goes(self):
        """As of a sweep, so of the one that bench makes up."""
        noticed = 0
        for n in range(40, 1200, 40 if sweeps.ALL else 120):
            run = ranks.start(["bench", "--quick", "--no-disk", "--shape", harness.ROOT / "data" / "similarity-model", "--synthetic"],
                              None, 3, (1, "PS_FAIL_ALLOC", n))
            status, said = ranks.finish(run, 60)
            self.assertEqual("out of memory" in said, status == 1, f"allocation {n}: status {status}: {said}")
            noticed += status == 1
        self.assertGreater(noticed, 0)


if __name__ == "__main__":
    harness.main()
