"""Which code it is, by what it was built and for what; a processor that lacks something ends every command in one line."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import h5py

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

# Of each level of x86-64, a set that the level below does not have; and an older processor that qemu can play.
LEVELS = {"x86-64-v2": ("sse4.2", "qemu64"), "x86-64-v3": ("avx2", "Nehalem"), "x86-64-v4": ("avx512f", "Haswell")}


def level():
    """The level that the program was built for, or None."""
    words = harness.run("--version").stdout.split()
    return next((word for word in words if word in LEVELS), None)


class Version(unittest.TestCase):
    def test_says_what_it_is(self):
        said = harness.run("--version").stdout
        self.assertRegex(said, r"^patchsweep \d+\.\d+\.\d+\S*, (gcc|clang) \d+[\d.]*\S*.*, ARCH=\S+: \S+")

    def test_has_the_revision(self):
        """A commit that git knows."""
        if not (harness.ROOT / ".git").exists() or not shutil.which("git"):
            self.skipTest("no git repository")
        found = re.match(r"\d+\.\d+\.\d+-\d+-g([0-9a-f]{7,})(-dirty-[0-9a-f]{8})?,$", harness.run("--version").stdout.split()[1])
        self.assertTrue(found)
        subprocess.run(["git", "-c", "safe.directory=*", "cat-file", "-e", f"{found[1]}^{{commit}}"], cwd=harness.ROOT, check=True)

    def test_edits_are_told_apart(self):
        """Builds of different changes to one commit have different versions, builds of the same one; no git, no revision."""
        if not shutil.which("git") or not shutil.which("make"):
            self.skipTest("no git, or no make")
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        shutil.copy(harness.ROOT / "Makefile", folder)
        edited = folder / "edited"

        def git(*words):
            subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=folder, check=True,
                           stdout=subprocess.DEVNULL)

        def version(text):
            """Its name, and when that was written."""
            edited.write_text(text)
            env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
            subprocess.run(["make", "-s", "SANITIZE=", "MPI=0", "ARCH=native", "build/release-serial/.version"], cwd=folder,
                           env=env, check=True)
            made = folder / "build/release-serial/.version"
            return made.read_text().strip(), made.stat().st_mtime_ns

        bare, _ = version("one")
        self.assertRegex(bare, r"^\d+\.\d+\.\d+$")
        git("init", "-q")
        git("add", "Makefile", "edited")
        git("commit", "-q", "-m", "one")
        self.assertRegex(version("one")[0], r"-1-g[0-9a-f]{7,}$")
        two = version("two")
        self.assertRegex(two[0], r"-1-g[0-9a-f]{7,}-dirty-[0-9a-f]{8}$")
        self.assertEqual(version("two"), two)  # nothing is compiled again
        self.assertNotEqual(version("three")[0], two[0])
        self.assertEqual(version("two")[0], two[0])
        git("tag", f"v{bare}")
        self.assertRegex(version("two")[0], rf"^{re.escape(bare)}-dirty-{two[0][-8:]}$")

    def test_is_in_the_result(self):
        with tempfile.TemporaryDirectory() as folder:
            done = harness.run("run", harness.ROOT / "tests" / "golden" / "base.job.json", "-o", f"{folder}/o.h5", "-q")
            self.assertEqual(done.returncode, 0, done.stderr)
            with h5py.File(f"{folder}/o.h5") as file:
                version, history = file.attrs["program_version"], file.attrs["history"]
        said = harness.run("--version").stdout.strip()
        self.assertTrue(said.startswith(f"patchsweep {version},"), (said, version))
        self.assertIn(f"build: {said}\n", history)


@unittest.skipUnless(level(), "built for the plainest processor, or for none of x86-64")
class LesserProcessor(unittest.TestCase):
    """Every command, and no command at all."""

    commands = (("--help",), (), ("--version",), ("run", "--help"), ("show", "x"), ("plot", "x"), ("tokenize", "--help"),
                ("inspect", "x"), ("bench", "--help"), ("nonsense",))

    def check(self, done, *words):
        self.assertEqual((done.returncode, done.stdout), (2, ""), done)
        said = [line for line in done.stderr.splitlines() if not line.startswith("qemu-")]
        self.assertEqual(len(said), 1, done.stderr)
        for word in ("patchsweep: error:", level(), *words):
            self.assertIn(word, said[0])

    def test_pretended(self):
        lacking = LEVELS[level()][0]
        below = {"x86-64-v2": "x86-64", "x86-64-v3": "x86-64-v2", "x86-64-v4": "x86-64-v3"}[level()]
        for command in self.commands:
            self.check(harness.run(*command, env={"PS_CPU_LACKS": lacking}), f"lacks {lacking}", f"make ARCH={below}'")

    def test_what_is_not_needed_may_lack(self):
        self.assertEqual(harness.run("--version", env={"PS_CPU_LACKS": "avx51,xvx2"}).returncode, 0)

    def test_emulated(self):
        """A real one, as far as qemu is: what is not there traps."""
        qemu = shutil.which("qemu-x86_64")
        if not qemu:
            self.skipTest("no qemu-x86_64")
        if b"__asan_init" in pathlib.Path(harness.PATCHSWEEP).read_bytes():
            self.skipTest("sanitizers want more address space than qemu has")
        for command in self.commands:
            done = subprocess.run([qemu, "-cpu", LEVELS[level()][1], harness.PATCHSWEEP, *command], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=120, check=False)
            self.check(done, "make ARCH=")


@unittest.skipUnless(shutil.which("make"), "no make")
class MissingTools(unittest.TestCase):
    """What is not installed is named, and the script that installs it."""

    def make(self, *args, **env):
        done = subprocess.run(["make", "-n", *args], cwd=harness.ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("scripts/setup.sh", done.stderr)
        return done.stderr

    def test_compiler(self):
        self.assertIn("not found: no-such-mpicc.", self.make("CC=no-such-mpicc"))

    def test_package(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertIn("libcjson", self.make(PKG_CONFIG_LIBDIR=folder, PKG_CONFIG_PATH=""))


class OtherBits(unittest.TestCase):
    """Products whose bits depend on their company are spoken of when the run begins."""

    def test_said(self):
        with tempfile.TemporaryDirectory() as folder:
            for backend in ("cpu", "openblas"):
                out = f"{folder}/{backend}.h5"
                done = harness.run("run", harness.ROOT / "tests" / "golden" / "base.job.json", "-o", out, "-q", "--set",
                                   f"backend={backend}")
                self.assertEqual(done.returncode, 0, done.stderr)
                with h5py.File(out) as file:
                    self.assertEqual("--set backend=cpu" in done.stderr, not file["run"].attrs["same_bits"], done.stderr)
                    self.assertTrue(file["run"].attrs["same_bits"] or backend != "cpu")


if __name__ == "__main__":
    harness.main()
