"""kill -9 of a rank or of mpirun at random instants, then again, until the run is through: the same bits."""
# run.sh: slow
import os
import pathlib
import random
import sys
import tempfile
import threading
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
WAVE_ROWS = (900, 6000, 100000)  # many waves, a few, one


class Tally:
    """What became of the kills; counted by many threads."""

    def __init__(self):
        self.kills = self.too_late = self.in_sweep = self.resumed = self.runs = 0
        self.lock = threading.Lock()

    def count(self, **more):
        with self.lock:
            for name, n in more.items():
                setattr(self, name, getattr(self, name) + n)

    def __str__(self):
        return (f"{self.kills} kills, {self.in_sweep} of them in the sweep, {self.too_late} more came too late; "
                f"{self.runs} runs were completed, {self.resumed} of them resumed")


class Kill(unittest.TestCase):
    """A sweep in several waves on three ranks."""

    @classmethod
    def setUpClass(cls):
        job = harness.ROOT / "jobs" / "similarity-many.json"
        cls.sweep = sweeps.Sweep(job, "--set", "patched_final=true", "--set", "layers=[0,2,5]",
                                 "--set", 'sites=["resid_post","mlp_out"]')
        cls.seconds = {}
        for rows in WAVE_ROWS:
            with tempfile.TemporaryDirectory() as folder:
                begun = time.monotonic()
                status, said = ranks.finish(cls.start(folder, 3, rows), HANGS)
                cls.seconds[rows] = time.monotonic() - begun
                assert status == 0, said
                assert cls.sweep.wrong(folder) == "", cls.sweep.wrong(folder)
        cls.tally = Tally()
        print(f"PS_SEED={SEED}, undisturbed",
              ", ".join(f"{s:.2f} s in waves of {rows} rows" for rows, s in cls.seconds.items()), flush=True)
        cls.enough = time.monotonic() + ENOUGH
        cls.complaints = sweeps.each(range(KILLS), cls.until_through)
        print(cls.tally, flush=True)

    @classmethod
    def start(cls, folder, n, rows):
        return ranks.start([*cls.sweep.command, "--wave-rows", rows], folder, n)

    @classmethod
    def until_through(cls, number, folder):
        """Kill one to four runs, then let one be; returns what is wrong in the end.  Nothing after enough kills."""
        if cls.tally.kills >= KILLS or time.monotonic() > cls.enough:
            return ""
        dice, n = random.Random(f"{SEED} {number}"), 3
        for _ in range(dice.choice((1, 2, 4))):
            rows = dice.choice(WAVE_ROWS)
            run = cls.start(folder, n, rows)
            try:
                complaint, through = cls.kill_one(run, n, cls.seconds[rows], dice)
            finally:
                run.clean_up()
            if complaint:
                return complaint
            if through:
                break
            n = dice.randint(1, 4)
        status, said = ranks.finish(cls.start(folder, n, dice.choice(WAVE_ROWS)), HANGS)
        cls.tally.count(runs=1, resumed="resum" in said)
        return cls.sweep.wrong(folder) if status == 0 else f"exit status {status} in the end: {said}"

    @classmethod
    def kill_one(cls, run, n, seconds, dice):
        """Let it run for a while, most often into the sweep, then kill; returns a complaint or "", and whether it was
        through before."""
        victim = dice.choice((0, dice.randrange(n), None))
        if dice.random() < 0.75:
            run.wait_for("cells to compute", HANGS)
            seconds /= 2
        time.sleep(dice.uniform(0, seconds))
        if not run.kill(victim):
            if run.mpirun.poll() is None:  # its ranks were not there yet: mpirun is
                victim = None
                run.kill(victim)
            else:
                cls.tally.count(too_late=1)
                return "" if run.mpirun.returncode == 0 else f"failed on its own: {run.words()}", True
        begun = time.monotonic()
        gone = run.all_gone(GONE)
        seconds = time.monotonic() - begun
        said = run.words()
        through = "patchsweep: wrote " in said
        cls.tally.count(kills=1, in_sweep="cells to compute" in said and not through)
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
        self.assertGreater(self.tally.resumed, 0, self.tally)


if __name__ == "__main__":
    harness.main()
