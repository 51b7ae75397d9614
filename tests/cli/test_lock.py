"""One run an output: a live holder is waited for or named, a dead one replaced, and nothing is left behind."""
import fcntl
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

SHIM = pathlib.Path(os.environ.get("UNIT", "build/release/tests")).absolute() / "shim.so"
JOB = harness.ROOT / "jobs" / "similarity.json"


class Lock(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.scratch.name)
        self.out, self.lock = self.folder / "o.h5", self.folder / "o.h5.lock"

    def tearDown(self):
        self.scratch.cleanup()

    def run_job(self):
        return harness.run("run", JOB, "-o", self.out)

    def held(self, host=None, pid=1, job="-"):
        self.lock.write_text(f"host {host or socket.gethostname()} pid {pid} job {job} since 2026-01-02T03:04:05Z\n",
                             encoding="utf-8")

    def assert_done(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["o.h5"])

    def test_nothing_is_left(self):
        self.assert_done(self.run_job())

    def test_refused_jobs_leave_nothing(self):
        done = harness.run("run", JOB, "-o", self.out, "--set", "layers=[99]")
        self.assertEqual(done.returncode, 2)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_of_another_host(self):
        """A living one, as a shared flock() tells: it is not waited for."""
        self.held(host="node17", pid=4711, job="99")
        with self.lock.open() as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            done = self.run_job()
        self.assertEqual(done.returncode, 2)
        for word in ("node17", "4711", "Slurm job 99", "2026-01-02T03:04:05Z", "o.h5.lock"):
            self.assertIn(word, done.stderr)
        self.assertTrue(self.lock.exists())

    @unittest.skipUnless(SHIM.exists(), "no shim.so; make check builds it")
    def test_of_an_earlier_start_of_the_same_slurm_job(self):
        """Without flock() the words decide: a job that was started over, perhaps elsewhere, is not in its own way; another
        job, or a later start, is."""
        sanitizer = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
        for job, wanted in (("99", 0), ("99+1", 0), ("98", 2), ("99+2", 2), ("99+3", 2), ("9", 2), ("-", 2)):
            self.held(host="node17", pid=4711, job=job)
            done = harness.run("run", JOB, "-o", self.out, "--force",
                               env={"SLURM_JOB_ID": "99", "SLURM_RESTART_COUNT": "2", "LD_PRELOAD": str(SHIM),
                                    "PS_SHIM_FLOCK": "none", "ASAN_OPTIONS": sanitizer})
            self.assertEqual(done.returncode, wanted, (job, done.stderr))
            self.lock.unlink(missing_ok=True)

    def test_of_a_process_that_is_gone(self):
        self.held(pid=2 ** 22 + 1)
        done = self.run_job()
        self.assert_done(done)
        self.assertIn("is gone", done.stderr)

    def test_waits_for_one_on_its_way_out(self):
        self.held(pid=os.getpid())
        holder = self.lock.open()
        fcntl.flock(holder, fcntl.LOCK_EX)
        let_go = threading.Timer(1.5, holder.close)
        let_go.start()
        start = time.monotonic()
        done = self.run_job()
        let_go.join()
        self.assertGreater(time.monotonic() - start, 1)
        self.assertIn("waiting", done.stderr)
        self.assert_done(done)

    def test_after_a_kill(self):
        """A killed run's lock is no hindrance to the next."""
        job = harness.ROOT / "jobs" / "similarity-many.json"
        process = subprocess.Popen([harness.PATCHSWEEP, "run", job, "-o", self.out, "-q"], cwd=harness.ROOT,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            if self.lock.exists() and self.lock.read_bytes():
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertTrue(self.lock.exists())
        done = self.run_job()
        self.assert_done(done)
        self.assertIn("is gone", done.stderr)

    def test_after_a_power_cut(self):
        """A run that took a dead one's place had not synced its own line: anything may stand behind the first."""
        self.held(pid=2 ** 22 + 1)
        line = self.lock.read_bytes()
        for rest in (b"\x93\x00\xffhost \x01", bytes(97), os.urandom(97), b"host node17 pid", b"\n"):
            self.lock.write_bytes(line + rest)
            done = harness.run("run", JOB, "-o", self.out, "--force")
            self.assert_done(done)
            self.assertIn(f"process {2 ** 22 + 1}", done.stderr)

    def test_last_line_counts(self):
        """The earlier ones stay, so that a power cut leaves a line by which the file is ours."""
        self.held(pid=2 ** 22 + 1)
        earlier = self.lock.read_bytes()
        self.held(pid=2 ** 22 + 2)
        self.lock.write_bytes(20 * earlier + self.lock.read_bytes())
        done = self.run_job()
        self.assert_done(done)
        self.assertIn(f"process {2 ** 22 + 2}", done.stderr)

    def test_dead_holder_keeps_its_line(self):
        self.held(pid=2 ** 22 + 1)
        line = self.lock.read_bytes()
        job = harness.ROOT / "jobs" / "similarity-many.json"
        process = subprocess.Popen([harness.PATCHSWEEP, "run", job, "-o", self.out, "-q"], cwd=harness.ROOT,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            if len(self.lock.read_bytes()) > len(line):
                break
            time.sleep(0.01)
        process.kill()
        process.wait()
        self.assertTrue(self.lock.read_bytes().startswith(line + b"host "))
        self.assertIn(f"process {process.pid}", self.run_job().stderr)

    def test_two_at_once(self):
        """Of two that start together, one waits and then finds the result, or is refused; the file is whole."""
        command = [harness.PATCHSWEEP, "run", JOB, "-o", self.out, "-q"]
        processes = [subprocess.Popen(command, cwd=harness.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                      text=True) for _ in range(3)]
        for process in processes:
            _, said = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, said)
        self.assertEqual(harness.run("inspect", "--verify", self.out).returncode, 0)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["o.h5"])


if __name__ == "__main__":
    harness.main()
