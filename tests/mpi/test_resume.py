"""A run that is stopped goes on where it was; one that must not is refused, and says why; a run checks itself."""
# run.sh: slow
# run.sh: quick Stop.test_usr1_to_mpirun Refused.test_job Checks.test_in_the_file
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import h5py
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import bits
import harness

JOB = harness.ROOT / "jobs" / "similarity-many.json"
SITES = ("--set", 'sites=["resid_post","mlp_out"]', "--set", 'directions=["noise"]', "--set", 'metrics=["logit_answer"]',
         "--set", "patched_final=true")
STOPPED = 75


class Case(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.scratch.name)
        self.out, self.journal = self.folder / "o.h5", self.folder / "o.h5.journal"

    def tearDown(self):
        self.scratch.cleanup()

    def go(self, *options, job=JOB, **more):
        env = {"PS_SAVE_ALWAYS": "1", "OMP_NUM_THREADS": "1", **more.pop("env", {})}
        return harness.run("run", job, "-o", self.out, "-q", *options, env=env, **more)

    def assert_done(self, done, wanted=None):
        """It is through, nothing but the result is left, and that is as wanted."""
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(path.name for path in self.folder.glob("o.h5*")), ["o.h5"])
        self.assertEqual(harness.run("inspect", "--verify", self.out).returncode, 0)
        if wanted is not None:
            self.assertEqual(bits.difference(self.out, wanted), "")


class Stop(Case):
    """Told to stop, in whatever way."""

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            done = harness.run("run", JOB, "-o", f"{folder}/o.h5", "-q", *SITES)
            assert done.returncode == 0, done.stderr
            cls.wanted = bits.datasets(f"{folder}/o.h5")

    def start(self, ranks, *options):
        """A run whose sweep has begun: its process."""
        command = [harness.PATCHSWEEP, "run", JOB, "-o", self.out, "-q", *SITES, *options]
        command = ["mpirun", "--oversubscribe", "-n", str(ranks), *command] if ranks else command
        process = subprocess.Popen(command, cwd=harness.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   env=harness.environment(ranks, OMP_NUM_THREADS="1", PS_SAVE_ALWAYS="1"))
        self.addCleanup(lambda: (process.poll() is None and process.kill(), process.wait(), process.stderr.close()))
        said = []
        for line in process.stderr:
            said.append(line)
            if "cells to compute" in line:
                return process
        self.fail("".join(said))

    def stop(self, number, ranks, again):
        """One signal in the middle; then on other ranks to the end."""
        process = self.start(ranks)
        for _ in range(1000):
            if list(self.folder.glob("o.h5.rows/?.*")):
                break
            time.sleep(0.01)
        process.send_signal(number)
        said = process.stderr.read()
        self.assertEqual(process.wait(timeout=60), STOPPED, said)
        self.assertIn(f"stopped by {number.name}", said)
        self.assertFalse(self.out.exists())
        done = self.go(*SITES, ranks=again)
        self.assertIn("under way before layer", done.stderr)
        self.assert_done(done, self.wanted)
        with h5py.File(self.out) as file:
            self.assertEqual(file.attrs["history"].count("patchsweep run"), 2)

    def test_usr1_to_mpirun(self):
        self.stop(signal.SIGUSR1, 3, 2)

    def test_term_alone(self):
        self.stop(signal.SIGTERM, 0, 3)

    def test_int_alone(self):
        self.stop(signal.SIGINT, 0, 0)

    def test_a_second_signal_stops_at_once(self):
        """Here while the run waits for a lock, which it would do for 15 seconds."""
        lock = self.folder / "o.h5.lock"
        lock.write_text(f"host {os.uname().nodename} pid {os.getpid()} job - since 2026-01-02T03:04:05Z\n")
        with lock.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            process = subprocess.Popen([harness.PATCHSWEEP, "run", JOB, "-o", self.out], cwd=harness.ROOT, text=True,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            while "waiting" not in (line := process.stderr.readline()):
                self.assertTrue(line)
            process.send_signal(signal.SIGUSR1)
            time.sleep(1.2)
            self.assertIsNone(process.poll())
            begun = time.monotonic()
            process.send_signal(signal.SIGUSR1)
            self.assertEqual(process.wait(timeout=60), STOPPED)
            self.assertLess(time.monotonic() - begun, 5)
            process.stderr.close()

    def test_max_hours(self):
        """Before any layer, when the time is up by then; what there is comes to the same in the end."""
        done = self.go(*SITES, "--max-hours", "0.000001", ranks=2)
        self.assertEqual(done.returncode, STOPPED, done.stderr)
        self.assertIn("--max-hours", done.stderr)
        self.assert_done(self.go(*SITES), self.wanted)

    def test_slurm_says_when(self):
        done = self.go(*SITES, env={"SLURM_JOB_END_TIME": str(int(time.time()) + 20)})
        self.assertEqual(done.returncode, STOPPED, done.stderr)
        self.assertIn("Slurm", done.stderr)
        done = self.go(*SITES, env={"SLURM_JOB_END_TIME": str(int(time.time()) + 3600)})
        self.assert_done(done, self.wanted)

    def test_smaller_waves(self):
        """A wave that was under way is resumed as several."""
        process = self.start(0)
        while len(list(self.folder.glob("o.h5.rows/?.*"))) < 2:
            time.sleep(0.01)
        process.kill()
        process.wait()
        done = self.go(*SITES, "--wave-rows", 1000)
        self.assertIn("under way before layer", done.stderr)
        self.assertNotIn("in 1 waves", done.stderr)
        self.assert_done(done, self.wanted)

    def test_rows_that_are_damaged(self):
        """Of two generations the older one serves."""
        process = self.start(0)
        while len(list(self.folder.glob("o.h5.rows/?.*"))) < 2:
            time.sleep(0.01)
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.wait(timeout=60), STOPPED)
        newest = max(self.folder.glob("o.h5.rows/?.*"), key=lambda path: path.stat().st_mtime_ns)
        data = bytearray(newest.read_bytes())
        data[len(data) // 2] ^= 1
        newest.write_bytes(data)
        done = self.go(*SITES)
        self.assertIn("is not what was saved", done.stderr)
        self.assertIn("under way before layer", done.stderr)
        self.assert_done(done, self.wanted)

    def test_rows_that_cannot_be_saved(self):
        """Are a pity, and no more."""
        for generation in ("0.0", "1.0"):  # folders in the place of files
            (self.folder / "o.h5.rows" / generation).mkdir(parents=True)
        (self.folder / "o.h5.rows" / ".patchsweep").touch()  # the folder is ours
        done = self.go(*SITES, ranks=2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("not saved: rank 0: ", done.stderr)
        self.assertEqual(bits.difference(self.out, self.wanted), "")

    def test_rows_that_are_gone(self):
        """Without its rows a wave begins anew, saying so."""
        self.start(0).kill()
        while not self.journal.exists():
            time.sleep(0.01)
        process = self.start(0)
        while len(list(self.folder.glob("o.h5.rows/?.*"))) < 2:
            time.sleep(0.01)
        process.kill()
        process.wait()
        shutil.rmtree(self.folder / "o.h5.rows")
        done = self.go(*SITES)
        self.assertIn("cannot be used", done.stderr)
        self.assert_done(done, self.wanted)


class Refused(Case):
    """A journal of another run, or one that is damaged."""

    def setUp(self):
        super().setUp()
        self.model = self.folder / "model"
        shutil.copytree(harness.ROOT / "data" / "similarity-model", self.model)
        self.set = ("--set", f"model={self.model}")
        stopped = self.go(*self.set, "--max-hours", "0.000001")
        self.assertEqual(stopped.returncode, STOPPED, stopped.stderr)
        self.before = self.journal.read_bytes()

    def refuse(self, *words, options=(), job=JOB):
        done = self.go(*self.set, *options, job=job)
        self.assertEqual(done.returncode, 2, done.stderr)
        line = done.stderr.splitlines()[-1]
        for word in words:
            self.assertIn(word, line)
        self.assertEqual(self.journal.read_bytes(), self.before)

    def test_job(self):
        self.refuse("its job has", "--force", options=("--set", "layers=[1]"))

    def test_precision(self):
        self.refuse("its job has", "precision", options=("--set", "precision=bf16"))

    def test_weights(self):
        path = self.model / "model.safetensors"
        data = bytearray(path.read_bytes())
        data[-100] ^= 1
        path.write_bytes(data)
        self.refuse("weights model.safetensors")

    def test_config(self):
        path = self.model / "config.json"
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        self.refuse("its config has")

    def test_tokenizer(self):
        path = self.model / "tokenizer.json"
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        self.refuse("its tokenizer has")

    def edit(self, kind, word, new):
        """Write `new` over `word` in the journal's last record of that kind, checksums and all."""
        data, at, found = bytearray(self.before), 8, None
        while data[at:at + 4] == b"Pfrm":
            size = int.from_bytes(data[at + 8:at + 16], "little")
            end = at + 32 + (size + 7) // 8 * 8
            if int.from_bytes(data[at + 4:at + 8], "little") == kind:
                found = (at, end)
            at = end
        at, end = found
        begin = data.index(word, at + 32, end)
        data[begin:begin + len(word)] = new
        data[at + 24:at + 28] = bits.crc32c(data[at + 32:end]).to_bytes(4, "little")
        data[at + 28:at + 32] = bits.crc32c(data[at:at + 28]).to_bytes(4, "little")
        self.journal.write_bytes(data)

    def test_program(self):
        """Another revision of the program goes on, and so does another build, with a warning that names both."""
        version = harness.run("--version").stdout.split()[1]
        self.edit(1, b"program: 0", b"program: 9")
        self.assertNotIn("was begun with", self.go(*self.set, "--max-hours", "0.000001").stderr)
        self.edit(2, b"ARCH=", b"MARK=")
        done = self.go(*self.set)
        line = next(line for line in done.stderr.splitlines() if "was begun with" in line)
        self.assertIn(f"resumes with patchsweep {version}", line)
        self.assertIn("MARK=", line)
        self.assertIn("last bits may differ", line)
        self.assert_done(done)

    def test_build_that_is_not_known(self):
        """A journal of a version that noted no build."""
        self.edit(2, b"build: ", b"BUILD: ")
        done = self.go(*self.set)
        self.assertIn("is unknown", done.stderr)
        self.assert_done(done)

    def test_force_starts_over(self):
        done = self.go(*self.set, "--set", "layers=[1]", "--force")
        self.assertNotIn("resuming", done.stderr)
        self.assert_done(done)

    def test_torn_tail(self):
        self.journal.write_bytes(self.before[:-40])
        said = harness.run("inspect", self.journal)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertIn("torn tail", said.stdout)
        done = self.go(*self.set)
        self.assertIn("torn", done.stderr)
        self.assert_done(done)

    def test_damage(self):
        data = bytearray(self.before)
        data[100] ^= 1
        self.journal.write_bytes(data)
        self.before = bytes(data)
        self.refuse("damaged at byte 8", "--repair")
        self.assertEqual(harness.run("inspect", self.journal).returncode, 2)
        repaired = harness.run("inspect", self.journal, "--repair")
        self.assertEqual(repaired.returncode, 0, repaired.stderr)
        self.assertIn("cut_bytes", repaired.stdout)
        self.assert_done(self.go(*self.set))

    def test_repair_of_a_journal_in_use(self):
        lock = self.folder / "o.h5.lock"
        lock.write_text("host elsewhere pid 1 job 7 since 2026-01-02T03:04:05Z\n")
        self.journal.write_bytes(self.before[:-40])
        with lock.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            done = harness.run("inspect", self.journal, "--repair")
        self.assertEqual(done.returncode, 2)
        self.assertIn("elsewhere", done.stderr)

    def test_no_journal(self):
        self.journal.write_text("something else that is longer than a few bytes\n")
        self.before = self.journal.read_bytes()
        self.refuse("not a patchsweep journal")


class Checks(Case):
    """What a run finds out about itself, in the file and on stderr."""

    def test_in_the_file(self):
        self.assert_done(self.go(*SITES, "--set", "layers=[0,3]"))
        with h5py.File(self.out) as file:
            run = file["run"].attrs
            self.assertEqual(run["checks"], 3 * 20)
            self.assertEqual((run["checks_failed"], run["values_not_finite"]), (0, 0))
            self.assertLess(run["checks_worst"], 1e-4)
            if run["same_bits"]:
                self.assertEqual(run["checks_worst"], 0)

    def test_values_that_are_not_finite(self):
        """An infinite weight in the final norm: every cell's logits are lost, and the first is named."""
        model = self.folder / "model"
        shutil.copytree(harness.ROOT / "data" / "similarity-model", model)
        path = model / "model.safetensors"
        data = bytearray(path.read_bytes())
        size = int.from_bytes(data[:8], "little")
        header = data[8:8 + size].decode()
        begin = header.index("model.norm.weight")
        offsets = header[header.index("data_offsets", begin):].split("[")[1].split("]")[0].split(",")
        dtype = header[begin:].split('"dtype":"')[1].split('"')[0]
        at = 8 + size + int(offsets[0])
        infinite = {"F32": numpy.float32(numpy.inf).tobytes(), "F16": numpy.float16(numpy.inf).tobytes(),
                    "BF16": b"\x80\x7f"}[dtype]
        data[at:at + len(infinite)] = infinite
        path.write_bytes(data)
        for ranks in (0, 2):  # two compare their values too
            done = self.go("--set", f"model={model}", "--force", job=harness.ROOT / "jobs" / "similarity.json", ranks=ranks)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("not finite", done.stderr)
            self.assertIn("layer", done.stderr)
            self.assertIn("weights", done.stderr)
            self.assertNotIn("failed", done.stderr)
            with h5py.File(self.out) as file:
                run = file["run"].attrs
                self.assertGreater(run["values_not_finite"], 100)
                self.assertEqual((run["checks_failed"], run["checks_blind"]), (0, run["checks"]))
                self.assertIn("not finite", run["warning"])
        self.assertIn("not finite", harness.run("show", self.out).stderr)


if __name__ == "__main__":
    harness.main()
