"""Writing the result is part of the run: it hears signals and the time limit, and a restart resumes it."""
# run.sh: slow
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import h5py

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import bits
import harness

PAIRS = 150
STOPPED = 75
OPTIONS = ("--set", "patched_final=true", "--set", 'activations=["corrupt"]', "--set", 'activation_dtype="bf16"')


def make_job(path):
    """Many short prompts for a tiny model: more to write than to compute."""
    pairs = []
    for i in range(PAIRS):
        clean = [1 + (i * 7 + t * 13) % 150 for t in range(8)]
        corrupt = [*clean[:3], 1 + clean[3] % 150, *clean[4:]]
        pairs.append({"id": f"p{i}", "clean_ids": clean, "corrupt_ids": corrupt, "answer_id": i % 150, "foil_id": (i + 1) % 150})
    return harness.write_json(path, {"model": str(harness.ROOT / "tests/fixtures/models/base"), "pairs": pairs})


class Publish(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.job = make_job(pathlib.Path(scratch.name) / "job.json")
        done = harness.run("run", cls.job, "-o", f"{scratch.name}/o.h5", "-q", *OPTIONS)
        assert done.returncode == 0, done.stderr
        cls.wanted = bits.datasets(f"{scratch.name}/o.h5")
        with h5py.File(f"{scratch.name}/o.h5") as file:
            cls.root = dict(file.attrs)

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.out, self.kept = self.folder / "o.h5", self.folder / "o.h5.rows/result.part"

    def go(self, *options, **more):
        return harness.run("run", self.job, "-o", self.out, "-q", *OPTIONS, *options, **more)

    def interrupt(self, number=signal.SIGUSR1, ranks=0, quiet=("-q",)):
        """A run that is told to stop when it has begun to write; how far it was."""
        command = [harness.PATCHSWEEP, "run", self.job, "-o", self.out, *quiet, *OPTIONS]
        command = ["mpirun", "--oversubscribe", "-n", str(ranks), *command] if ranks else command
        process = subprocess.Popen(command, cwd=harness.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   env=harness.environment(ranks, OMP_NUM_THREADS="1"))
        self.addCleanup(lambda: (process.poll() is None and process.kill(), process.wait(), process.stderr.close()))
        part = self.folder / "o.h5.part"
        while process.poll() is None and self.size(part) < 200000:
            time.sleep(0.002)
        process.send_signal(number)
        said = process.stderr.read()
        self.assertEqual(process.wait(timeout=100), STOPPED, said)
        self.assertIn(f"stopped by {number.name} while ", said)
        self.assertFalse(self.out.exists() or part.exists())
        self.assertTrue(self.kept.exists())
        self.said = said
        return self.progress(said)

    def size(self, path):
        """Bytes of a file, 0 where there is none: a run tries that it can write its name, and removes it at once."""
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return 0

    def progress(self, said):
        """How far it says that it came: pairs written, or as many read back."""
        found = re.search(rf"while (writing the result|reading the result back): (\d+) of {PAIRS} pairs are (written|checked);", said)
        self.assertTrue(found, said)
        return int(found[2]) + (PAIRS if found[3] == "checked" else 0)

    def assert_done(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["o.h5"])
        verified = harness.run("inspect", "--verify", self.out)
        self.assertEqual(verified.returncode, 0, verified.stderr)
        self.assertIn("attributes_verified yes", verified.stdout)
        self.assertEqual(bits.difference(self.out, self.wanted), "")
        with h5py.File(self.out) as file:
            self.assertEqual(set(file.attrs), set(self.root))
            self.assertEqual(list(file), [*(f"p{i}" for i in range(PAIRS)), "run"])

    def test_signal(self):
        """It resumes where it was, without computing anything or loading weights."""
        step = self.interrupt()
        self.assertGreater(step, 0)
        done = self.go()
        self.assertNotIn("cannot be used", done.stderr)
        self.assertNotIn("of weights loaded", done.stderr)
        self.assert_done(done)
        with h5py.File(self.out) as file:
            self.assertEqual(file.attrs["history"].count("patchsweep run"), 2)

    def test_keeping_has_progress(self):
        """All of the unfinished file is read when it is kept, and again when it is taken up, with progress."""
        self.interrupt(quiet=())
        self.assertRegex(self.said, r"(?s)stopped by SIGUSR1 while .*\n.*keep the unfinished result done in ")
        done = harness.run("run", self.job, "-o", self.out, *OPTIONS)
        self.assertIn("check the unfinished result done in ", done.stderr)
        self.assert_done(done)

    def test_signal_to_ranks(self):
        self.interrupt(ranks=2)
        self.assert_done(self.go(ranks=3))

    def test_deadline(self):
        """A limit below anything's time still makes a step in every session."""
        step = self.interrupt(signal.SIGTERM)
        for _ in range(3):
            done = self.go("--max-hours", "1e-9")
            self.assertEqual(done.returncode, STOPPED, done.stderr)
            self.assertIn("stopped by --max-hours", done.stderr)
            self.assertEqual(self.progress(done.stderr), step + 1)
            step += 1
        done = self.go("--max-hours", "1e-9", ranks=2)
        self.assertEqual(done.returncode, STOPPED, done.stderr)
        self.assert_done(self.go())

    def test_slurms_end(self):
        self.interrupt()
        done = self.go(env={"SLURM_JOB_END_TIME": str(int(time.time()))})
        self.assertEqual(done.returncode, STOPPED, done.stderr)
        self.assertIn("the end of the Slurm job", done.stderr)
        self.assert_done(self.go())

    def test_changed_meanwhile(self):
        """An unfinished file that is not as it was left is written anew, and that is said."""
        for change in (lambda data: data[:9999] + bytes([data[9999] ^ 1]) + data[10000:], lambda data: b"", None):
            self.interrupt()
            if change:
                self.kept.write_bytes(change(self.kept.read_bytes()))
            else:
                self.kept.unlink()
            done = self.go()
            self.assertIn("cannot be used", done.stderr)
            self.assert_done(done)
            self.out.unlink()

    def test_signal_while_checking(self):
        """What was left is checked before it is used.  A signal by then leaves it where it is, untouched."""
        step = self.interrupt()
        before = self.kept.stat()
        process = subprocess.Popen([harness.PATCHSWEEP, "run", self.job, "-o", self.out, *OPTIONS], cwd=harness.ROOT,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=harness.environment(), bufsize=0,
                                   pipesize=4096)  # less than the table of pairs
        self.addCleanup(lambda: (process.poll() is None and process.kill(), process.wait(), process.stderr.close()))
        process.stderr.read(1)  # it writes the table, and waits for the pipe: signals are caught, the check is to come
        process.send_signal(signal.SIGUSR1)
        said = process.stderr.read().decode()
        self.assertEqual(process.wait(timeout=100), STOPPED, said)
        self.assertEqual(self.progress(said), step)
        after = self.kept.stat()
        self.assertEqual((after.st_ino, after.st_ctime_ns), (before.st_ino, before.st_ctime_ns))  # it was not renamed
        self.assert_done(self.go())

    def test_killed_while_resuming(self):
        """What a kill leaves of a file that was taken up again is not trusted."""
        self.interrupt()
        command = [harness.PATCHSWEEP, "run", self.job, "-o", self.out, "-q", *OPTIONS]
        with subprocess.Popen(command, cwd=harness.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and self.kept.exists():
                time.sleep(0.002)
            process.kill()
        if not self.out.exists():
            done = self.go()
            self.assertIn("cannot be used", done.stderr)
            self.assert_done(done)

    def test_times(self):
        seconds = {name: float(self.root[f"{name}_seconds"]) for name in ("load", "sweep", "publish", "total")}
        self.assertGreater(seconds["publish"], 0)
        self.assertGreaterEqual(seconds["total"], seconds["sweep"] + seconds["publish"])

    def test_terminal(self):
        """Nothing is printed behind a line of progress."""
        master, slave = pty.openpty()
        command = [harness.PATCHSWEEP, "run", self.job, "-o", self.out, *OPTIONS]
        seen = b""
        with subprocess.Popen(command, cwd=harness.ROOT, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"}) as process:
            os.close(slave)
            while True:
                try:
                    block = os.read(master, 65536)
                except OSError:
                    break
                if not block:
                    break
                seen += block
        os.close(master)
        self.assertEqual(process.returncode, 0)
        shown = re.findall(rb"\r(?:publish|sweep) [^\r\n]*?left(?:\x1b\[K)?([^\r]?[^\r]?)", seen)
        self.assertEqual(set(shown) - {b""}, set(), seen[-2000:])
        self.assertIn(b"publish done in", seen)


if __name__ == "__main__":
    harness.main()
