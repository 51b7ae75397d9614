"""harness.py - what the Python tests share: running the program, and one last line.

A test file holds unittest cases and ends in

    if __name__ == "__main__":
        harness.main()

which prints "N passed, N failed[, N skipped]", as the C tests do.
"""
import fcntl
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import termios
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PATCHSWEEP = str((ROOT / os.environ.get("PATCHSWEEP", "patchsweep")).absolute())
# Open MPI in containers and as root.  Tests start more ranks and threads than there are cores: whoever waits must
# leave its core to the others, or a run takes five times as long.
MPI = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "HWLOC_COMPONENTS": "-gl",
       "OMPI_MCA_mpi_yield_when_idle": "1", "OMP_WAIT_POLICY": "passive"}
# A rank without a launcher otherwise starts a daemon of Open MPI's, which takes longer than a small sweep.
ALONE = {"OMPI_MCA_ess_singleton_isolated": "1", "OMPI_MCA_btl": "self", "OMPI_MCA_pml": "ob1"}


def environment(ranks=0, **more):
    """The environment of a run on so many ranks; 0: without a launcher."""
    return {**MPI, **({} if ranks else ALONE), **os.environ, "OMP_NUM_THREADS": "1" if ranks else "2", **more}


def run(*args, ranks=0, env=None, cwd=ROOT, timeout=120, stdin="", program=None):
    """Run patchsweep, or another program, under mpirun where `ranks` is given.  Returns the finished process."""
    command = [program or PATCHSWEEP, *map(str, args)]
    if ranks:
        command = ["mpirun", "--oversubscribe", "-n", str(ranks), *command]
    done = subprocess.run(command, cwd=cwd, env=environment(ranks, **(env or {})), input=stdin, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          errors="surrogateescape", check=False)
    # Where /sys is not mounted (a bare chroot), Open MPI's hwloc says so on its own.
    done.stderr = "".join(line for line in done.stderr.splitlines(True) if not line.startswith("[hwloc/"))
    return done


def needs(program):
    """Skip the test where that program is not installed."""
    if not shutil.which(program):
        raise unittest.SkipTest(f"no {program}")


def on_terminal(*args, env=None, cwd=ROOT, columns=100):
    """What patchsweep writes to a terminal of that width, as bytes; it must succeed."""
    try:
        master, slave = os.openpty()
    except OSError as error:  # no /dev/pts in this container
        raise unittest.SkipTest(f"no terminal can be had: {error}") from None
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with subprocess.Popen([PATCHSWEEP, *map(str, args)], cwd=cwd, stdout=slave, env=environment(**(env or {}))) as process:
        os.close(slave)
        seen = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            seen += chunk
    os.close(master)
    assert process.returncode == 0
    return seen


class Tools(unittest.TestCase):
    """Tests of other programs' output."""

    def out(self, *command):
        """What a tool prints, if this machine has it."""
        needs(command[0])
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


def write_json(path, value):
    """Write `value` as JSON; returns the path."""
    path = pathlib.Path(path)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def main():
    """Run the calling file's cases, or those that the command line names (Class, Class.test), and print the counting line."""
    loader, module = unittest.defaultTestLoader, sys.modules["__main__"]
    suite = loader.loadTestsFromNames(sys.argv[1:], module) if sys.argv[1:] else loader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    passed = max(0, result.testsRun - failed - skipped)  # what setUpClass does counts as no test
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(failed > 0)
