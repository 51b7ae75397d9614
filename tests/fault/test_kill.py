"""kill -9 of a rank or of mpirun at random instants, then again, until the run is through: the same bits."""
import os
import pathlib
import random
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness
import ranks
import sweeps

KILLS = int(os.environ.get("PS_KILLS", "20"))
ENOUGH = float("inf") if "PS_KILLS" in os.environ else 150  # seconds: sanitized, a run takes ten times as long
SEED = int(os.environ.get("PS_SEED", str(int(time.time()))))
GONE = 10   # seconds that the ranks of a killed run have
HANGS = 120
MEMORY = (11, 12, 300)  # MiB a rank: many waves, a few, one


class Tally:
    """What became of the kills."""

    def __init__(self):
        self.kills = self.too_late = self.in_sweep = self.continued = self.runs = 0

    def __str__(self):
        return (f"{self.kills} kills, {self.in_sweep} of them in the sweep, {self.too_late} more came too late; "
                f"{self.runs} runs were completed, {self.continued} of them resumed")


class Kill(unittest.TestCase):
    """A sweep in several waves on three ranks."""

    @classmethod
    def setUpClass(cls):
        job = harness.ROOT / "jobs" / "similarity-many.json"
        cls.sweep = sweeps.Sweep(job, "--set", "patched_final=true", "--set", "layers=[0,2,5]",
                                 "--set", 'sites=["resid_post","mlp_out"]')
        cls.seconds = {}
        for memory in MEMORY:
            with tempfile.TemporaryDirectory() as folder:
                begun = time.monotonic()
                status, said = ranks.finish(cls.start(folder, 3, memory), HANGS)
                cls.seconds[memory] = time.monotonic() - begun
                assert status == 0, said
                assert cls.sweep.wrong(folder) == "", cls.sweep.wrong(folder)
        cls.tally = Tally()
        cls.dice = random.Random(SEED)
        print(f"PS_SEED={SEED}, undisturbed", ", ".join(f"{s:.2f} s in {m} MiB" for m, s in cls.seconds.items()),
              flush=True)
        cls.complaints = []
        end = time.monotonic() + ENOUGH
        while cls.tally.kills < KILLS and time.monotonic() < end:
            with tempfile.TemporaryDirectory() as folder:
                complaint = cls.until_through(folder)
                cls.complaints += [f"{cls.tally}: {complaint}"] if complaint else []
        print(cls.tally, flush=True)

    @classmethod
    def start(cls, folder, n, memory):
        return ranks.start([*cls.sweep.command, "--memory", f"{memory * n}M"], folder, n)

    @classmethod
    def until_through(cls, folder):
        """One to four runs killed, then one that is not; returns what is wrong in the end."""
        n = 3
        for _ in range(cls.dice.choice((1, 2, 4))):
            memory = cls.dice.choice(MEMORY)
            run = cls.start(folder, n, memory)
            try:
                complaint, through = cls.kill_one(run, n, cls.seconds[memory])
            finally:
                run.clean_up()
            if complaint:
                return complaint
            if through:
                break
            n = cls.dice.randint(1, 4)
        status, said = ranks.finish(cls.start(folder, n, cls.dice.choice(MEMORY)), HANGS)
        cls.tally.runs += 1
        cls.tally.continued += "resum" in said
        return cls.sweep.wrong(folder) if status == 0 else f"exit status {status} in the end: {said}"

    @classmethod
    def kill_one(cls, run, n, seconds):
        """Let it run for a while, most often into the sweep, then kill; returns a complaint or "", and whether it was
        through before."""
        victim = cls.dice.choice((0, cls.dice.randrange(n), None))
        if cls.dice.random() < 0.75:
            run.wait_for("cells to compute", HANGS)
            seconds /= 2
        time.sleep(cls.dice.uniform(0, seconds))
        if not run.kill(victim):
            if run.mpirun.poll() is None:  # its ranks were not there yet: mpirun is
                victim = None
                run.kill(victim)
            else:
                cls.tally.too_late += 1
                return "" if run.mpirun.returncode == 0 else f"failed on its own: {run.words()}", True
        begun = time.monotonic()
        gone = run.all_gone(GONE)
        seconds = time.monotonic() - begun
        said = run.words()
        through = "patchsweep: wrote " in said
        cls.tally.kills += 1
        cls.tally.in_sweep += "cells to compute" in said and not through
        who = "mpirun" if victim is None else f"rank {victim} of {n}"
        if not gone:
            return f"after a kill of {who}, processes were there for {seconds:.1f} s; {said}", False
        if run.mpirun.returncode == 0 and not through:
            return f"status 0 after a kill of {who}: {said}", False
        return "", False

    def test_same_bits(self):
        self.assertEqual(self.complaints, [], sweeps.summary(self.complaints))

    def test_kills_came_in_time(self):
        """The test would show nothing if they were all too early or too late."""
        self.assertGreater(self.tally.in_sweep, self.tally.kills // 10, self.tally)

    def test_runs_were_resumed(self):
        self.assertGreater(self.tally.continued, 0, self.tally)


if __name__ == "__main__":
    harness.main()
