"""-o never destroys what is no result, and what the user has under the names beside it stays as it is."""
# run.sh: slow
# run.sh: quick Place Beside Other Journal Identity Hosts.test_flock_decides
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

MODEL = harness.ROOT / "data" / "similarity-model"
TEMPLATE = "Q: Which of the following entities has a profession in common with {subject}? {entities}.\nA:"
SHIM = pathlib.Path(os.environ.get("UNIT", "build/release/tests")).absolute() / "shim.so"
PRECIOUS = "precious\n"
STOPPED = 75
# Without a launcher these keep Open MPI from starting a daemon, which takes longer than the run.
ALONE = {"OMP_NUM_THREADS": "1", "OMPI_MCA_ess_singleton_isolated": "1", "OMPI_MCA_btl": "self", "OMPI_MCA_pml": "ob1"}
MARKER = ".patchsweep"
SUFFIXES = (".lock", ".journal", ".part", ".rows")


def good_job():
    return {"model": str(MODEL), "template": TEMPLATE, "fill": {"entities": "Brad Pitt, Isaac Newton, Michael Jackson"},
            "pairs": [{"id": "p", "clean": {"subject": "Albert Einstein"}, "corrupt": {"subject": "Taylor Swift"},
                       "answer": " Isaac", "foil": " Michael"}]}


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.job = harness.write_json(self.folder / "job.json", good_job())
        self.out = self.folder / "o.h5"

    def beside(self, suffix):
        return self.folder / f"o.h5{suffix}"

    def go(self, *options, env=None):
        return harness.run("run", self.job, "-q", *(() if "-o" in options else ("-o", self.out)), *options,
                           timeout=60, cwd=self.folder, env={**ALONE, **(env or {})})

    def stop(self, *options):
        """A run that is stopped before its first layer: a journal stays."""
        done = self.go("--max-hours", "0.000001", *options)
        self.assertEqual(done.returncode, STOPPED, done.stderr)

    def assert_refused(self, done, *words):
        self.assertEqual(done.returncode, 2, done.stderr)
        lines = done.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        for word in words:
            self.assertIn(word, lines[0])
        self.assertEqual(done.stdout, "")

    def assert_done(self, done, left=("job.json", "o.h5")):
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(os.listdir(self.folder)), sorted(left))
        self.assertEqual(harness.run("inspect", "--verify", self.out).returncode, 0)


def kinds():
    """What may stand at a name: how it is made there, what a message calls it, whether it is still there."""
    def bind(path):
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    return {"a FIFO": (os.mkfifo, stat.S_ISFIFO), "a socket": (bind, stat.S_ISSOCK),
            "a character device": (lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3)), stat.S_ISCHR),
            "a symbolic link": (lambda path: os.symlink("nowhere", path), stat.S_ISLNK)}


class Place(Case):
    """The output's own name."""

    def test_no_regular_file(self):
        for name, (make, is_kind) in kinds().items():
            try:
                make(self.out)
            except PermissionError:  # a device wants root
                continue
            for force in ((), ("--force",)):
                self.assert_refused(self.go(*force), name, "o.h5", "-o")
                self.assertTrue(is_kind(os.lstat(self.out).st_mode))
                self.assertEqual(sorted(os.listdir(self.folder)), ["job.json", "o.h5"])
            self.out.unlink()

    def test_link_to_a_result(self):
        """Is refused too, and neither the link nor the result changes."""
        self.assert_done(self.go())
        os.rename(self.out, self.folder / "real.h5")
        self.out.symlink_to("real.h5")
        before = (self.folder / "real.h5").read_bytes()
        for force in ((), ("--force",)):
            self.assert_refused(self.go(*force), "a symbolic link")
            self.assertTrue(self.out.is_symlink())
            self.assertEqual((self.folder / "real.h5").read_bytes(), before)

    def test_regular_file(self):
        """Is replaced with --force, and refused without."""
        self.out.write_text(PRECIOUS)
        self.assert_refused(self.go(), "not a result of this job", "--force")
        self.assertEqual(self.out.read_text(), PRECIOUS)
        self.assert_done(self.go("--force"))

    def test_empty_name(self):
        self.assert_refused(self.go("-o", ""), "empty", "-o")
        done = harness.run("run", self.job, "-q", "--set", "output=", cwd=self.folder)
        self.assert_refused(done, "output")
        self.assertEqual(os.listdir(self.folder), ["job.json"])

    def test_long_names(self):
        """Are refused before the model is looked at; the longest that fits works."""
        most = os.pathconf(self.folder, "PC_NAME_MAX")
        job = harness.write_json(self.folder / "other.json", {**good_job(), "model": "no/model"})
        for n in range(most - 7, most + 1):
            done = harness.run("run", job, "-q", "-o", self.folder / ("x" * (n - 3) + ".h5"))
            self.assert_refused(done, f"{n} bytes", str(most - 8), "-o")
        job.unlink()
        self.out = self.folder / ("x" * (most - 11) + ".h5")
        self.assert_done(self.go("-o", self.out), ("job.json", self.out.name))

    def test_came_during_the_run(self):
        """A file that takes the output's name while the run is under way is not replaced; the work is kept."""
        process = subprocess.Popen([harness.PATCHSWEEP, "run", harness.ROOT / "jobs" / "similarity-many.json", "-q", "-o",
                                    self.folder / "m.h5"], cwd=harness.ROOT, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "cells to compute" in line:
                break
        (self.folder / "m.h5").write_text(PRECIOUS)
        said = process.stderr.read()
        process.stderr.close()
        self.assertNotEqual(process.wait(timeout=60), 0)
        self.assertIn("m.h5", said)
        self.assertEqual((self.folder / "m.h5").read_text(), PRECIOUS)
        self.assertTrue((self.folder / "m.h5.journal").exists())
        self.assertFalse((self.folder / "m.h5.part").exists())

    def test_plot(self):
        """Draws into regular files alone as well."""
        self.assert_done(self.go())
        figure = self.folder / "f.svg"
        for name, (make, is_kind) in kinds().items():
            try:
                make(figure)
            except PermissionError:
                continue
            self.assert_refused(harness.run("plot", self.out, "-o", figure), name)
            self.assertTrue(is_kind(os.lstat(figure).st_mode))
            figure.unlink()
        (self.folder / "f.svg.part").write_text(PRECIOUS)
        self.assert_refused(harness.run("plot", self.out, "-o", figure), "f.svg.part")
        self.assertEqual((self.folder / "f.svg.part").read_text(), PRECIOUS)
        self.assert_refused(harness.run("plot", self.out, "-o", ""), "empty")


class Beside(Case):
    """The names beside it."""

    def test_files_of_the_user(self):
        """Short or long, they stay as they are, with and without --force."""
        for suffix in SUFFIXES:
            for text in ("hi", "h\u00e9!", PRECIOUS, PRECIOUS * 1000):
                path = self.beside(suffix)
                path.write_text(text, encoding="utf-8")
                for force in ((), ("--force",)):
                    self.assert_refused(self.go(*force), f"o.h5{suffix}", "-o")
                    self.assertEqual(path.read_text(encoding="utf-8"), text)
                    self.assertEqual(sorted(os.listdir(self.folder)), sorted(["job.json", path.name]))
                path.unlink()
        self.assert_done(self.go())

    def test_no_regular_files(self):
        """A FIFO is not waited for, a link not followed: not to a file, nor to where none is yet."""
        target = self.folder / "precious"
        for suffix in SUFFIXES:
            for name, (make, is_kind) in kinds().items():
                try:
                    make(self.beside(suffix))
                except PermissionError:
                    continue
                for force in ((), ("--force",)):
                    self.assert_refused(self.go(*force), name, f"o.h5{suffix}")
                    self.assertTrue(is_kind(os.lstat(self.beside(suffix)).st_mode))
                self.beside(suffix).unlink()
                self.assertFalse((self.folder / "nowhere").exists())
            for text in (PRECIOUS, "", "hi"):
                target.write_text(text)
                self.beside(suffix).symlink_to("precious")
                for force in ((), ("--force",)):
                    self.assert_refused(self.go(*force), "a symbolic link", f"o.h5{suffix}")
                    self.assertEqual(target.read_text(), text)
                self.beside(suffix).unlink()
            target.unlink()

    def test_links_of_a_run_under_way(self):
        """What replaces the part's name, or a snapshot's, while the run computes is neither followed nor removed."""
        out, target = self.folder / "m.h5", self.folder / "precious"
        target.write_text(PRECIOUS)
        process = subprocess.Popen([harness.PATCHSWEEP, "run", harness.ROOT / "jobs" / "similarity-many.json", "-q", "-o", out],
                                   cwd=harness.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "cells to compute" in line:
                break
        (self.folder / "m.h5.part").symlink_to("precious")
        said = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(timeout=60), 1, said)
        self.assertIn("m.h5.part", said)
        self.assertEqual(target.read_text(), PRECIOUS)
        self.assertTrue((self.folder / "m.h5.part").is_symlink())
        self.assertFalse(out.exists())

    def make_rows(self, marked):
        """The folder of rows, with the marker of ours or without."""
        self.beside(".rows").mkdir()
        if marked:
            (self.beside(".rows") / MARKER).touch()
        return self.beside(".rows")

    def test_folder_of_the_user(self):
        """A folder without our marker is his: its files stay, also those named as parts are, also beside a dead run's lock."""
        rows = self.make_rows(marked=False)
        names = ("0.0", "1.0", "2024.12", "result.part")
        dead = f"host {socket.gethostname()} pid {2 ** 22 + 1} job - since 2026-01-02T03:04:05Z\n"
        for lock in (False, True):
            for name in names:
                (rows / name).write_text(PRECIOUS)
                for options in ((), ("--force",)):
                    if lock:
                        self.beside(".lock").write_text(dead)
                    done = self.go(*options, env={"PS_SAVE_ALWAYS": "1"})
                    self.assertEqual(done.returncode, 2, done.stderr)
                    said = [line for line in done.stderr.splitlines() if "taking over" not in line]
                    self.assertEqual(len(said), 1, done.stderr)
                    for word in ("o.h5.rows'", MARKER, "move it away", "-o"):
                        self.assertIn(word, said[0])
                    self.assertEqual((rows / name).read_text(), PRECIOUS)
                    self.assertEqual(self.beside(".lock").exists(), lock)
                (rows / name).unlink()
        rows.rmdir()
        self.assert_done(self.go())

    def test_empty_folder(self):
        """Is taken to be ours: a power cut may leave it of a folder that was to get its marker."""
        self.make_rows(marked=False)
        self.assert_done(self.go(env={"PS_SAVE_ALWAYS": "1"}))

    def test_folder_of_rows(self):
        """With the marker, files with the names of parts are ours, whatever is in them; other files are not, nor are links."""
        rows = self.make_rows(marked=True)
        (self.folder / "precious").write_text(PRECIOUS)
        for name in ("0.0", "0.7", "1.3", "result.part"):
            (rows / name).write_bytes(bytes(range(99)))
        for name in ("2024.12", "01.0", "notes"):
            (rows / name).write_text(PRECIOUS)
        (rows / "1.0").symlink_to("../precious")
        os.mkfifo(rows / "0.1")
        done = self.go("--force", env={"PS_SAVE_ALWAYS": "1"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("not saved", done.stderr)
        self.assertEqual(sorted(os.listdir(rows)), ["0.1", "01.0", "1.0", "2024.12", "notes"])
        for path in (rows / "2024.12", rows / "01.0", rows / "notes", self.folder / "precious"):
            self.assertEqual(path.read_text(), PRECIOUS)

    def test_marker(self):
        """It is there while anything of ours is, and goes with the folder."""
        self.stop()
        self.assertEqual(os.listdir(self.beside(".rows")), [MARKER])
        self.assert_done(self.go())

    def test_rows_of_an_older_version(self):
        """Which made no marker: one line says so, and its journal resumes once they are gone."""
        self.stop()
        (self.beside(".rows") / MARKER).unlink()
        (self.beside(".rows") / "0.0").write_bytes(b"psrows1\n" + bytes(24))
        self.assert_refused(self.go(), "o.h5.rows'", "move it away")
        shutil.rmtree(self.beside(".rows"))
        self.assert_done(self.go())

    def test_rows_through_a_link(self):
        """The folder itself, swapped for a link while the run is under way."""
        rows, other = self.beside(".rows"), self.folder / "other"
        self.stop()
        shutil.rmtree(rows)
        other.mkdir()
        (other / "0.0").write_text(PRECIOUS)
        rows.symlink_to("other")
        self.assert_refused(self.go(env={"PS_SAVE_ALWAYS": "1"}), "a symbolic link")
        self.assertEqual((other / "0.0").read_text(), PRECIOUS)

    def test_part_of_a_killed_run(self):
        """Does not block the next one: beside the lock of a dead run, it is that run's.  A job that is refused does not
        change that."""
        self.stop()
        self.beside(".part").write_bytes(b"\x89HDF\r\n\x1a\nhalf of a result")
        self.assert_refused(self.go(), "o.h5.part")
        self.beside(".lock").write_text(f"host {socket.gethostname()} pid {2 ** 22 + 1} job - since 2026-01-02T03:04:05Z\n")
        refused = self.go("--set", "layers=[99]")
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assert_done(self.go())

    def test_what_a_power_cut_leaves(self):
        """Of a lock's line, of a journal's first bytes and of a snapshot: no text, or nothing."""
        for lock in (b"", bytes(60), b"ho" + bytes(58), b"host thi"):
            self.beside(".lock").write_bytes(lock)
            self.assert_done(self.go("--force"))
        self.beside(".lock").write_text(f"host {socket.gethostname()} pid {2 ** 22 + 1} job - since 2026-01-02T03:04:05Z\n")
        self.beside(".journal").write_bytes(b"\x01\x02\x03\x04\x05\x06\x07\x08")
        (self.make_rows(marked=True) / "0.0").write_bytes(bytes(16))
        self.assert_done(self.go("--force"))
        self.out.unlink()
        for begun in (b"", b"psj", b"psjrnl1\n"):  # of a run that could not go on, which let go of its lock
            self.beside(".journal").write_bytes(begun)
            self.assert_done(self.go())
            self.out.unlink()


class Other(Case):
    """Another job's result or journal."""

    def other(self):
        return self.folder / "other.json"

    def setUp(self):
        super().setUp()
        harness.write_json(self.other(), {**good_job(), "layers": [1]})
        self.assertEqual(self.go().returncode, 0)

    def go_other(self, *options):
        return harness.run("run", self.other(), "-q", "-o", self.out, *options, timeout=60, cwd=self.folder, env=ALONE)

    def test_forced_run_is_resumed(self):
        done = self.go_other("--force", "--max-hours", "0.000001")
        self.assertEqual(done.returncode, STOPPED, done.stderr)
        self.assertIn("again without --force to resume", done.stderr)
        done = self.go_other()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("resuming", done.stderr)
        self.assertIn("already", self.go_other().stderr)

    def test_journal_of_another_job_stays(self):
        done = self.go_other("--force", "--max-hours", "0.000001")
        self.assertEqual(done.returncode, STOPPED, done.stderr)
        done = self.go()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("another job's", done.stderr)
        self.assertTrue(self.beside(".journal").exists())

    def test_foreign_binary_lock(self):
        self.beside(".lock").write_bytes(bytes(range(200, 256)))
        self.assert_refused(self.go(), "o.h5.lock")
        self.beside(".lock").write_text(f"host {socket.gethostname()} pid {2 ** 22 + 1} job - since 2026-01-02T03:04:05Z\n")
        self.assertEqual(self.go().returncode, 0)


class Journal(Case):
    """A journal that loses its name is missed at the next sync."""

    def disturb(self, act):
        out = self.folder / "m.h5"
        process = subprocess.Popen([harness.PATCHSWEEP, "run", harness.ROOT / "jobs" / "similarity-many.json", "-q", "-o", out,
                                    "--set", 'sites=["resid_pre","resid_post","mlp_out"]', "--wave-rows", "400"],
                                   cwd=harness.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, "PS_SAVE_ALWAYS": "1"})
        for line in process.stderr:
            if "cells to compute" in line:
                break
        act(self.folder / "m.h5.journal")
        said = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(timeout=60), 1, said)
        self.assertFalse(out.exists())
        return said

    def test_removed(self):
        said = self.disturb(pathlib.Path.unlink)
        self.assertIn("removed", said)
        self.assertNotIn("result", said)  # it never came to publishing

    def test_replaced(self):
        def replace(path):
            (self.folder / "new").write_text(PRECIOUS)
            os.rename(self.folder / "new", path)
        said = self.disturb(replace)
        self.assertIn("replaced", said)
        self.assertEqual((self.folder / "m.h5.journal").read_text(), PRECIOUS)


class Hosts(Case):
    """Whose lock it is."""

    def hold(self, host="node17", pid=4711):
        self.beside(".lock").write_text(f"host {host} pid {pid} job 99 since 2026-01-02T03:04:05Z\n")

    def test_flock_decides(self):
        """A lock that is free has no living holder, whatever host it names."""
        self.stop()
        self.hold()
        done = self.go()
        self.assert_done(done)
        for word in ("node17", "4711", "is free", "resuming"):
            self.assertIn(word, done.stderr)

    @unittest.skipUnless(SHIM.exists(), "no shim.so; make check builds it")
    def test_without_flock_the_words_decide(self):
        sanitizer = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
        env = {"LD_PRELOAD": str(SHIM), "PS_SHIM_FLOCK": "none", "ASAN_OPTIONS": sanitizer}
        self.hold()
        self.assert_refused(self.go(env=env), "node17", "4711", "o.h5.lock")
        self.hold(socket.gethostname(), os.getppid())
        done = self.go(env=env)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.hold(socket.gethostname(), 2 ** 22 + 1)
        self.assert_done(self.go(env=env))


class Identity(Case):
    """Whose result or journal it is."""

    def edit(self, **keys):
        harness.write_json(self.job, {**good_job(), **keys})

    def test_output_key_does_not_count(self):
        """Neither for a resume nor for a complete result."""
        self.edit(output="a.h5")
        self.stop()
        self.edit(output="b.h5")
        done = self.go()
        self.assert_done(done)
        self.assertIn("resuming", done.stderr)
        self.edit()
        self.assertIn("already", self.go().stderr)

    def test_key_and_values_are_named(self):
        self.assert_done(self.go())
        cases = (({"layers": [1, 2]}, 'layers: "all", and this one\'s has [1,2]'),
                 ({"score": "logit_diff"}, 'score: "logit", and this one\'s has "logit_diff"'))
        for keys, words in cases:
            self.edit(**keys)
            self.assert_refused(self.go(), words)
        pair = good_job()["pairs"][0]
        self.edit(pairs=[{**pair, "foil": " Brad"}])
        self.assert_refused(self.go(), "in pair 'p'", 'foil: " Michael"', '" Brad"')
        self.edit(pairs=[pair, {**pair, "id": "q"}])
        self.assert_refused(self.go(), "no pair 'q'")
        self.edit(pairs=[{**pair, "id": "q"}])
        self.assert_refused(self.go(), "'p'", "'q'")

    def test_of_a_journal(self):
        self.stop()
        self.edit(sites=["mlp_out"])
        self.assert_refused(self.go(), 'sites: ["resid_post"], and this one\'s has ["mlp_out"]', "--force")


if __name__ == "__main__":
    harness.main()
