"""What comes from outside: signals, limits, descriptors that are closed, a standard output that is full."""
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import bits
import harness

JOB = harness.ROOT / "jobs" / "similarity.json"
MANY = harness.ROOT / "jobs" / "similarity-many.json"
MODEL = harness.ROOT / "data" / "similarity-model"
SERIAL = harness.ROOT / "build" / "release-serial" / "patchsweep"
STOPPED = 75
# Without a launcher these keep Open MPI from starting a daemon; and its files from a limit on their size.
ENV = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1",
       "OMPI_MCA_ess_singleton_isolated": "1", "OMPI_MCA_btl": "self", "OMPI_MCA_pml": "ob1", "PMIX_MCA_gds": "hash"}


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.out = self.folder / "o.h5"

    def go(self, *args, program=harness.PATCHSWEEP, env=None, **more):
        return subprocess.run([program, *map(str, args)], cwd=harness.ROOT, env={**ENV, **(env or {})}, timeout=120,
                              text=True, check=False, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more})

    def error(self, done):
        """The program's own last words: Open MPI's may follow."""
        lines = [line for line in done.stderr.splitlines() if line.startswith("patchsweep: error: ")]
        self.assertEqual(len(lines), 1, done.stderr)
        return lines[0]

    def assert_whole(self, wanted=None):
        self.assertEqual(sorted(os.listdir(self.folder)), ["o.h5"])
        self.assertEqual(self.go("inspect", "--verify", self.out).returncode, 0)
        if wanted:
            self.assertEqual(bits.difference(self.out, wanted), "")


class Signals(Case):
    def start(self, *launcher):
        process = subprocess.Popen([*launcher, harness.PATCHSWEEP, "run", MANY, "-q", "-o", self.out], cwd=harness.ROOT,
                                   env={**ENV, "PS_SAVE_ALWAYS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, text=True,
                                   preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))  # under nohup too
        self.addCleanup(lambda: (process.poll() is None and process.kill(), process.wait(), process.stderr.close()))
        for line in process.stderr:
            if "cells to compute" in line:
                return process
        return self.fail("no sweep")

    def test_hup_stops(self):
        """As the end of a terminal's session does; the same command line resumes."""
        process = self.start()
        process.send_signal(signal.SIGHUP)
        said = process.stderr.read()
        self.assertEqual(process.wait(timeout=60), STOPPED, said)
        self.assertIn("stopped by SIGHUP", said)
        done = self.go("run", MANY, "-q", "-o", self.out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("resuming", done.stderr)
        self.assert_whole()

    def test_hup_under_nohup(self):
        """Who has it ignored means it."""
        process = self.start("nohup")
        process.send_signal(signal.SIGHUP)
        said = process.stderr.read()
        self.assertEqual(process.wait(timeout=60), 0, said)
        self.assert_whole()


class Limits(Case):
    """RLIMIT_FSIZE as a full disk: no signal ends the run, and a line says what could not be written."""

    def limited(self, most, *options, env=None):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        return self.go("run", MANY, "-q", "-o", self.out, *options, env=env, preexec_fn=limit)

    def test_journal(self):
        """Which is the end; what is in it is resumed from."""
        done = self.limited(1 << 18)
        self.assertEqual(done.returncode, 1, done.stderr)
        line = self.error(done)
        for word in ("o.h5.journal", "File too large", "free some space"):
            self.assertIn(word, line)
        done = self.go("run", MANY, "-q", "-o", self.out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("resuming", done.stderr)
        self.assert_whole()

    def test_snapshot(self):
        """Which is a warning."""
        done = self.limited(4 << 20, "--set", "activations=[]", "--set", "patched_final=false",
                            env={"PS_SAVE_ALWAYS": "1"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("warning: rows in flight are not saved", done.stderr)
        self.assertIn("File too large", done.stderr)
        self.assert_whole()

    def test_result(self):
        """Which leaves the journal: the next run has nothing to compute."""
        stopped = self.go("run", MANY, "-q", "-o", self.out, "--max-hours", "0.0000001")
        self.assertEqual(stopped.returncode, STOPPED)
        done = self.limited(5 << 20)  # the journal takes less, the result more
        self.assertEqual(done.returncode, 1, done.stderr)
        line = self.error(done)
        for word in ("error: result", "o.h5", "File too large"):
            self.assertIn(word, line)
        self.assertEqual(sorted(p for p in os.listdir(self.folder) if p != "o.h5.rows"), ["o.h5.journal"])
        done = self.go("run", MANY, "-q", "-o", self.out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(" 0 cells to compute", done.stderr)
        self.assert_whole()

    def test_plot(self):
        self.assertEqual(self.go("run", JOB, "-q", "-o", self.out).returncode, 0)
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        done = self.go("plot", self.out, "-o", self.folder / "f.svg", preexec_fn=limit)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("File too large", done.stderr)
        self.assertEqual(os.listdir(self.folder), ["o.h5"])


class Descriptors(Case):
    """Closed at start: no file of ours gets the number of a standard one."""

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            done = harness.run("run", JOB, "-q", "-o", f"{folder}/o.h5")
            assert done.returncode == 0, done.stderr
            cls.wanted = bits.datasets(f"{folder}/o.h5")

    def closed(self, program):
        """With each set of them closed a run ends well; stopped and resumed too, which reads the journal back."""
        for closing in (">&- 2>&-", "<&- >&- 2>&-", "<&-", "2>&-"):
            for options, status in (("--max-hours 0.0000001", STOPPED), ("", 0)):
                line = f"exec {program} run {JOB} -o {self.out} {options} {closing}"
                done = self.go("-c", line, program="bash")
                self.assertEqual(done.returncode, status, (closing, done.stderr))
            self.assert_whole(self.wanted)
            self.out.unlink()

    def test_closed(self):
        self.closed(harness.PATCHSWEEP)

    @unittest.skipUnless(SERIAL.exists(), "no build without MPI; 'make MPI=0' makes one")
    def test_closed_without_mpi(self):
        self.closed(SERIAL)


class Reader(Case):
    """A run looks at the result that is there in a process of its own, which others may end."""

    def end_reader(self, number):
        """A run whose reader is sent a signal; tried until that comes in time."""
        for _ in range(50):
            process = subprocess.Popen([harness.PATCHSWEEP, "run", JOB, "-q", "-o", self.out], cwd=harness.ROOT, env=ENV,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            self.addCleanup(process.stderr.close)
            children, sent = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children"), False
            while process.poll() is None and not sent:
                try:
                    for child in children.read_text(encoding="ascii").split():
                        if b"--identity" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes():
                            os.kill(int(child), number)
                            sent = True
                except (FileNotFoundError, ProcessLookupError):
                    pass
            said = process.stderr.read()
            if process.wait() != 0:
                return process.returncode, said
        return self.fail("the reader was never met")

    @unittest.skipUnless(pathlib.Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists(), "/proc does not list children")
    def test_ended(self):
        done = self.go("run", JOB, "-q", "-o", self.out)
        self.assertEqual(done.returncode, 0, done.stderr)
        status, said = self.end_reader(signal.SIGTERM)
        self.assertEqual(status, STOPPED, said)
        self.assertIn("stopped by SIGTERM while", said)
        status, said = self.end_reader(signal.SIGKILL)
        self.assertEqual(status, 1, said)
        self.assertIn("was killed", said)
        self.assertNotIn("--force", said)
        self.assert_whole()


class ClosedStdout(Case):
    """A command whose output is its purpose fails, in one line; so does one that a child process does."""

    def test_fails(self):
        done = self.go("run", JOB, "-q", "-o", self.out)
        self.assertEqual(done.returncode, 0, done.stderr)
        for command in ("--help", f"tokenize --model {MODEL} abc", f"show --csv {self.out}", f"inspect {self.out}"):
            done = self.go("-c", f"exec {harness.PATCHSWEEP} {command} >&-", program="bash")
            self.assertEqual(done.returncode, 1, (command, done.stderr))
            self.error(done)


class Stdout(Case):
    """A full one: every command fails, in one line."""

    def test_full(self):
        done = self.go("run", JOB, "-q", "-o", self.out)
        self.assertEqual(done.returncode, 0, done.stderr)
        commands = [["--help"], ["--version"], ["run", "--keys"], ["run", "--help"], ["show", "--help"],
                    ["tokenize", "--model", MODEL, "a b c"], ["tokenize", "--model", MODEL, "--json", "a b c"],
                    ["show", self.out], ["show", "--csv", self.out], ["show", "--json", self.out], ["plot", self.out],
                    ["inspect", self.out], ["inspect", MODEL], ["inspect", "--json", MODEL], ["bench", "--help"]]
        for command in commands:
            self.assertEqual(self.go(*command).returncode, 0, command)
            with open("/dev/full", "w", encoding="utf-8") as full:
                done = self.go(*command, stdout=full)
            self.assertEqual(done.returncode, 1, (command, done.stderr))
            lines = [line for line in done.stderr.splitlines() if "error: " in line]
            self.assertEqual(len(lines), 1, (command, done.stderr))

    def test_run(self):
        """The result is there all the same."""
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = self.go("run", JOB, "-q", "-o", self.out, stdout=full)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("standard output", done.stderr)
        self.assert_whole()

    def test_mistakes_stay_mistakes(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            self.assertEqual(self.go("run", stdout=full).returncode, 2)


if __name__ == "__main__":
    harness.main()
