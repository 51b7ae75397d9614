"""Each write, sync, rename and so on fails, is cut short, or is the last before the power goes; then it runs again."""
# run.sh: slow
import collections
import errno
import os
import pathlib
import random
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness
import sweeps

SEED = int(os.environ.get("PS_SEED", "1"))
TRIED = 30  # of each mode, halved, unless all are
SLOW = 1.0  # seconds of a run, as of a sanitized one: then fewer are tried


def place(path):
    """Which of the files it is: out.h5, .part, .journal, .rows/, or the folder."""
    name = path.rpartition("out.h5")[2]
    return ".rows/" if name.startswith(".rows/") else name if "out.h5" in path else "folder"


class Io(unittest.TestCase):
    """A small sweep alone, in several waves."""

    @classmethod
    def setUpClass(cls):
        if not sweeps.SHIM.exists():
            raise unittest.SkipTest(f"no {sweeps.SHIM}; make check builds it")
        cls.sweep = sweeps.small()
        with tempfile.TemporaryDirectory() as folder:
            done, cls.calls = cls.disturb(folder)
            assert done.returncode == 0, done.stderr
            assert cls.sweep.wrong(folder) == "", "not even undisturbed, under the shim"
        of = collections.Counter((kind, place(path)) for _, kind, path, _ in cls.calls)
        print(", ".join(f"{n} {kind} of {where}" for (kind, where), n in sorted(of.items())), flush=True)
        assert of["write", ".rows/"], "no rows in flight were saved"

    @classmethod
    def disturb(cls, folder, mode="", at=0, error=0, among=None):
        """A run with that fault, counted among calls of a kind and a file, or all; returns it and the calls it made."""
        among = {"PS_SHIM_KIND": among[0], "PS_SHIM_FILE": among[1]} if among else {}
        with tempfile.NamedTemporaryFile("r") as log:
            sanitizer = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
            done = cls.sweep.run(folder, env={
                "LD_PRELOAD": str(sweeps.SHIM), "ASAN_OPTIONS": sanitizer, "PS_SHIM_PATH": f"{folder}/out.h5",
                "PS_SHIM_LOG": log.name, "PS_SHIM_MODE": mode, "PS_SHIM_AT": str(at), "PS_SHIM_ERRNO": str(error),
                "PS_SHIM_SEED": str(SEED * 1000003 + at), **among})
            return done, [line.split() for line in log.read().splitlines()]

    def chosen(self, mode, kinds):
        """((kind, file), which of them): all, or one of every other group, others in each mode, and some evenly."""
        groups = collections.defaultdict(list)
        for _, kind, path, _ in self.calls:
            if not kinds or kind in kinds:
                group = kind, place(path)
                groups[group].append((group, len(groups[group]) + 1))
        calls = sum(groups.values(), [])
        if sweeps.ALL:
            return calls
        dice = random.Random(f"{mode} {SEED}")
        every = 2 if self.sweep.seconds < SLOW else 6
        few = {dice.choice(group) for group in dice.sample(list(groups.values()), 1 + len(groups) // every)}
        return sorted(few | {calls[i - 1] for i in sweeps.strided(len(calls), max(3, TRIED // every - len(few)))})

    def try_all(self, mode, errors=("EIO",), kinds=None, statuses=(0, 1)):
        """Each chosen call, with the errors in turn, or with each of them."""
        chosen = self.chosen(mode, kinds)
        cases = [(mode, *call, error) for call in chosen for error in errors] if sweeps.ALL else [
            (mode, *call, errors[i % len(errors)]) for i, call in enumerate(chosen)]
        reached = []

        def check(case, folder):
            _, group, number, error = case
            done, calls = self.disturb(folder, mode, number, getattr(errno, error), group)
            came = sum((kind, place(path)) == group for _, kind, path, _ in calls) >= number
            reached.append(came)
            if done.returncode not in (statuses if came else (0,)):
                return f"exit status {done.returncode}: {done.stderr[-800:]}"
            complaint = sweeps.explained(done.stderr) if done.returncode == 1 else ""
            return complaint or self.sweep.wrong_after(folder)

        complaints = sweeps.each(cases, check)
        self.assertEqual(complaints, [], sweeps.summary(complaints))
        self.assertGreater(sum(reached), len(cases) * 3 // 4, "most faults never came")

    def test_once(self):
        self.try_all("fail", ("EIO", "ENOSPC", "EDQUOT"))

    def test_from_then_on(self):
        self.try_all("full", ("ENOSPC", "EIO"))

    def test_short_writes(self):
        """Nobody notices."""
        self.try_all("short", kinds=("write",), statuses=(0,))

    def test_power_cuts(self):
        self.try_all("crash", statuses=(137,))

    def test_power_cuts_in_a_row(self):
        """What a cut has left is gone on with, and cut again."""
        def check(number, folder):
            dice = random.Random(SEED * 1000 + number)
            for _ in range(3):
                done, _ = self.disturb(folder, "crash", dice.randint(1, len(self.calls)))
                if done.returncode not in (0, 137):  # less may be left to do than calls were made at first
                    return f"exit status {done.returncode}: {done.stderr[-800:]}"
            return self.sweep.wrong_after(folder)

        complaints = sweeps.each(range(200 if sweeps.ALL else 4), check)
        self.assertEqual(complaints, [], sweeps.summary(complaints))


if __name__ == "__main__":
    harness.main()
