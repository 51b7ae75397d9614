"""ranks.py - runs under mpirun that are to be killed: who is who, and none of them left behind."""
import atexit
import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import uuid

import harness

MARK = "PS_TEST_RUN"
LIVE = set()
# Gives one variable to one rank.
ONE_RANK = ('if [ "$OMPI_COMM_WORLD_RANK" = "$PS_TEST_RANK" ]; then export "$PS_TEST_SETTING"; fi; exec "$0" "$@"')


class Run:
    """An mpirun that was started, with all that it starts."""

    def __init__(self, mpirun, mark, said, scratch):
        self.mpirun, self.mark, self.said, self.scratch = mpirun, f"{MARK}={mark}".encode(), said, scratch
        LIVE.add(self)

    def processes(self):
        """{pid: rank}, rank None of mpirun itself and other helpers; the dead that nobody waited for are left out."""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError, ValueError, IndexError):
                variables = (entry / "environ").read_bytes().split(b"\0")
                if self.mark not in variables or (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                    continue
                ranks = [int(v.partition(b"=")[2]) for v in variables if v.startswith(b"OMPI_COMM_WORLD_RANK=")]
                found[int(entry.name)] = ranks[0] if ranks else None
        return found

    def kill(self, rank):
        """SIGKILL for a rank, or for mpirun where `rank` is None; False where it is not there (any more)."""
        if rank is None:
            if self.mpirun.poll() is not None:
                return False
            self.mpirun.kill()
            return True
        for pid, whose in self.processes().items():
            if whose == rank:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    return True
        return False

    def all_gone(self, seconds):
        """Whether every process is gone within so long."""
        end = time.monotonic() + seconds
        while self.mpirun.poll() is None or self.processes():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def clean_up(self):
        """End whatever is left; returns how many had to be."""
        left = list(self.processes())
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.mpirun.wait()
        self.scratch.cleanup()
        LIVE.discard(self)
        return len(left)

    def wait_for(self, words, seconds):
        """Until it has said that, or has ended, or so long."""
        end = time.monotonic() + seconds
        while words not in self.words() and self.mpirun.poll() is None and time.monotonic() < end:
            time.sleep(0.01)

    def words(self):
        """What was said on stderr so far."""
        self.said.seek(0)
        return self.said.read().decode(errors="replace")


def clean_up_all():
    """Nothing outlives the test, however it ends."""
    for run in list(LIVE):
        run.clean_up()


def terminated(*_):
    """unittest would take an exception for a test's."""
    clean_up_all()
    os._exit(143)


atexit.register(clean_up_all)
signal.signal(signal.SIGTERM, terminated)


def start(command, folder, n, setting=None, env=None):
    """`command` of patchsweep on n ranks, into out.h5 of `folder` if there is one; setting: (rank, name, value) of one
    rank's own."""
    mark, said, scratch = uuid.uuid4().hex, tempfile.TemporaryFile(), tempfile.TemporaryDirectory()
    environment = harness.environment(n, PS_SAVE_ALWAYS="1", **(env or {})) | {
        # Killed ranks leave their shared memory behind.
        MARK: mark, "TMPDIR": scratch.name, "OMPI_MCA_btl_vader_backing_directory": scratch.name}
    words = ["mpirun", "--oversubscribe", "-n", str(n)]
    if setting:
        environment |= {"PS_TEST_RANK": str(setting[0]), "PS_TEST_SETTING": f"{setting[1]}={setting[2]}"}
        words += ["sh", "-c", ONE_RANK]
    words += [harness.PATCHSWEEP, *map(str, command), *(["-o", f"{folder}/out.h5"] if folder else [])]
    mpirun = subprocess.Popen(words, cwd=harness.ROOT, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=said, start_new_session=True)
    return Run(mpirun, mark, said, scratch)


def finish(run, seconds):
    """Wait for all of a run's processes; returns its exit status and its words.  Raises where one stays."""
    gone = run.all_gone(seconds)
    left = run.clean_up()
    words = run.words()
    run.said.close()
    if not gone:
        raise AssertionError(f"{left} processes were still there after {seconds} s; they said: {words}")
    return run.mpirun.returncode, words
