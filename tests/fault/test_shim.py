"""The shim itself: faults come where they are asked for, and a cut leaves only what a disk may."""
# run.sh: slow
import errno
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness
from sweeps import SHIM

# Two sectors synced, then 40 sectors that are not: the file's name is safe or not as the test says.
WRITER = """
import os, sys
path, safe_name = sys.argv[1], sys.argv[2] == "safe"
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
os.write(fd, b"a" * 1024)
os.fsync(fd)
if safe_name:
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
for i in range(40):
    os.pwrite(fd, bytes([65 + i]) * 512, 1024 + 512 * i)
os.pwrite(fd, b"B" * 512, 512)
os.close(fd)
os.rename(path, path + ".new")
"""


class Shim(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.path, self.log = self.folder / "out", self.folder / "log"

    def python(self, code, *args, **settings):
        """Run code over self.path with the shim in front."""
        env = {**os.environ, "LD_PRELOAD": str(SHIM), "PS_SHIM_PATH": str(self.path), "PS_SHIM_LOG": str(self.log),
               **{f"PS_SHIM_{name.upper()}": str(value) for name, value in settings.items()}}
        return subprocess.run([sys.executable, "-c", code, str(self.path), *args], env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False, timeout=60)

    def calls(self):
        return [line.split() for line in self.log.read_text().splitlines()]

    def test_counts(self):
        self.assertEqual(self.python(WRITER, "safe").returncode, 0)
        kinds = [call[1] for call in self.calls()]
        self.assertEqual(kinds, ["open", "write", "sync", "sync"] + ["write"] * 41 + ["close", "rename"])
        self.assertEqual([int(call[0]) for call in self.calls()], list(range(1, 48)))
        self.assertEqual(self.calls()[1][2:], [str(self.path), "1024"])
        self.assertEqual(self.calls()[3][2], str(self.folder))

    def test_other_files_are_left_alone(self):
        done = self.python("import os, sys; os.close(os.open(sys.argv[1][:-3] + 'put', os.O_CREAT | os.O_WRONLY))",
                           mode="full", at=1)
        self.assertEqual((done.returncode, self.log.exists()), (0, True), done.stderr)
        self.assertEqual(self.calls(), [])

    def test_every_kind_can_fail(self):
        wanted = {1: "open", 2: "write", 3: "sync", 4: "sync", 46: "close", 47: "rename"}
        for at, kind in wanted.items():
            for name in ("ENOSPC", "EIO", "EDQUOT"):
                for left in self.folder.iterdir():
                    left.unlink()
                done = self.python(WRITER, "safe", mode="fail", at=at, errno=getattr(errno, name))
                self.assertEqual(done.returncode, 1, kind)
                self.assertIn(f"[Errno {getattr(errno, name)}]", done.stderr)
                self.assertEqual(self.calls()[-1][1], kind)

    def test_once_or_from_then_on(self):
        code = ("import os, sys\nfd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)\n"
                "for i in range(6):\n  try: os.write(fd, b'x'); print('y', end='')\n"
                "  except OSError: print('n', end='')\nos.close(fd); os.unlink(sys.argv[1])")
        self.assertEqual(self.python(code, mode="fail", at=3, errno=28).stdout, "ynyyyy")
        full = self.python(code, mode="full", at=3, errno=errno.ENOSPC)
        self.assertEqual((full.stdout, full.returncode), ("ynnnnn", 0))  # which it can still remove
        gone = self.python(code, mode="full", at=3, errno=errno.EIO)
        self.assertEqual((gone.stdout, gone.returncode), ("ynnnnn", 1))

    def test_counted_among_some(self):
        for settings, call in ((dict(kind="sync", at=2), 4), (dict(kind="write", file="", at=3), 6),
                               (dict(kind="sync", file="folder", at=1), 4), (dict(file=".new", at=1), 47)):
            for left in self.folder.iterdir():
                left.unlink()
            self.assertEqual(self.python(WRITER, "safe", mode="fail", **settings).returncode, 1)
            self.assertEqual(len(self.calls()), call, settings)
        self.assertEqual(self.python(WRITER, "safe", mode="fail", kind="mkdir", at=1).returncode, 0)

    def test_short(self):
        code = ("import os, sys\nfd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)\n"
                "print(os.write(fd, b'x' * 100), os.pwrite(fd, b'y' * 100, 50), os.writev(fd, [b'z' * 60, b'u' * 40]))")
        self.assertEqual(self.python(code, mode="short", at=2).stdout, "50 100 100\n")
        self.path.unlink()
        self.assertEqual(self.python(code, mode="short", at=4).stdout, "100 100 50\n")

    def test_a_cut_keeps_what_was_synced(self):
        """And of the rest leaves this and that, all of which comes to pass."""
        seen = {"kept": 0, "lost": 0, "garbage": 0, "zeros": 0, "renamed": 0, "overwritten": 0}
        for seed in range(60):
            for left in self.folder.iterdir():
                left.unlink()
            done = self.python(WRITER, "safe", mode="crash", at=47, seed=seed)
            self.assertEqual(done.returncode, 137, done.stderr)
            new = self.path.with_name("out.new")
            self.assertNotEqual(new.exists(), self.path.exists())
            seen["renamed"] += new.exists()
            left = (new if new.exists() else self.path).read_bytes()
            self.assertEqual(left[:512], b"a" * 512)
            seen["overwritten"] += left[512:1024] == b"B" * 512
            for i in range(40):
                sector = left[1024 + 512 * i:][:512]
                what = ("lost" if not sector else "kept" if sector == bytes([65 + i]) * 512
                        else "zeros" if not any(sector) else "garbage")
                seen[what] += 1
        for what, times in seen.items():
            self.assertGreater(times, 3, f"{what} in {seen}")
        self.assertLess(seen["renamed"], 57)

    def test_a_name_that_was_not_synced_may_be_lost(self):
        there = 0
        for seed in range(20):
            for left in self.folder.iterdir():
                left.unlink()
            self.assertEqual(self.python(WRITER, "unsafe", mode="crash", at=10, seed=seed).returncode, 137)
            there += self.path.exists()
        self.assertTrue(0 < there < 20, there)

    def test_a_cut_is_the_same_for_the_same_seed(self):
        found = set()
        for _ in range(3):
            self.python(WRITER, "safe", mode="crash", at=40, seed=7)
            found.add(self.path.read_bytes())
            self.path.unlink()
        self.assertEqual(len(found), 1)

    def test_names_are_undone_backwards(self):
        """A replaced file comes back, and so does a removed one; a folder whose making was not synced goes."""
        code = ("import os, sys\np = sys.argv[1]\n"
                "def put(name, text):\n  fd = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)\n"
                "  os.write(fd, text); os.fsync(fd); os.close(fd)\n"
                "def safe(): d = os.open(os.path.dirname(p), os.O_RDONLY); os.fsync(d); os.close(d)\n"
                "put(p + '.a', b'old'); put(p + '.part', b'new'); safe()\n"
                "os.rename(p + '.part', p + '.a'); os.mkdir(p + '.rows'); put(p + '.rows/0', b'row')\n"
                "os.unlink(p + '.a')\n"
                "os.close(os.open(p + '.last', os.O_CREAT | os.O_WRONLY))")
        states = set()
        for seed in range(60):
            for left in (self.path.with_name("out.rows") / "0", *self.folder.glob("out*")):
                if left.is_dir():
                    left.rmdir()
                elif left.exists():
                    left.unlink()
            done = self.python(code, mode="crash", at=18, seed=seed)
            self.assertEqual(done.returncode, 137, done.stderr)
            at = {path.name: path.read_bytes() if path.is_file() else sorted(p.name for p in path.iterdir())
                  for path in self.folder.glob("out*")}
            states.add(repr(sorted(at.items())))
        made = [{"out.a": b"old", "out.part": b"new"}, {"out.a": b"new"}, {"out.a": b"new", "out.rows": []},
                {"out.a": b"new", "out.rows": ["0"]}, {"out.rows": ["0"]}, {"out.rows": ["0"], "out.last": b""}]
        self.assertEqual(states, {repr(sorted(state.items())) for state in made})


@unittest.skipUnless(SHIM.exists(), f"no {SHIM}; make check builds it")
class Present(unittest.TestCase):
    """Under the program itself."""

    def test_sees_the_run(self):
        with tempfile.TemporaryDirectory() as folder:
            log = f"{folder}/log"
            job = harness.ROOT / "tests" / "golden" / "base.job.json"
            done = harness.run("run", job, "-q", "-o", f"{folder}/out.h5", env={
                "LD_PRELOAD": str(SHIM), "PS_SHIM_PATH": f"{folder}/out.h5", "PS_SHIM_LOG": log,
                "ASAN_OPTIONS": "verify_asan_link_order=0"})
            self.assertEqual(done.returncode, 0, done.stderr)
            kinds = {line.split()[1] for line in pathlib.Path(log).read_text().splitlines()}
            self.assertLessEqual({"open", "write", "sync", "close", "rename", "unlink"}, kinds)


if __name__ == "__main__":
    harness.main()
