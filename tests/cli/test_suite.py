"""run.sh itself: totals, failures that are shown, tests that hang, tests alone, and an interruption that leaves nothing."""
# run.sh: slow
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

RUN = harness.ROOT / "tests" / "run.sh"


class Suite(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def script(self, name, code, mark=""):
        path = self.folder / f"{name}.py"
        path.write_text(f"# {mark}\nimport os, sys, time\n{code}\n", encoding="utf-8")
        return path

    def start(self, *args, **env):
        return subprocess.Popen([RUN, *map(str, args)], env={**os.environ, "PYTHON": sys.executable, **env}, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def run_sh(self, *args, **env):
        """Exit status and lines."""
        process = self.start(*args, **env)
        words, _ = process.communicate(timeout=60)
        return process.returncode, words.splitlines()

    def test_totals(self):
        status, lines = self.run_sh(self.script("a", "print('2 passed, 0 failed')"),
                                    self.script("b", "print('9 passed, 9 failed'); print('3 passed, 0 failed, 1 skipped')"))
        self.assertEqual((status, lines[-1]), (0, "5 passed, 0 failed, 1 skipped"))
        self.assertEqual(len(lines), 3)

    def test_no_skips_no_word(self):
        self.assertEqual(self.run_sh(self.script("a", "print('2 passed, 0 failed')"))[1][-1], "2 passed, 0 failed")

    def test_failures_are_shown(self):
        good = self.script("good", "print('said by good'); print('1 passed, 0 failed')")
        bad = self.script("bad", "print('said by bad'); print('1 passed, 2 failed'); sys.exit(1)")
        status, lines = self.run_sh(good, bad)
        self.assertEqual((status, lines[-1]), (1, "2 passed, 2 failed"))
        self.assertIn("#   said by bad", lines)
        self.assertNotIn("said by good", "\n".join(lines))

    def test_what_ends_wrongly_has_failed(self):
        for code in ("print('nothing said')", "print('3 passed, 0 failed'); sys.exit(1)", "os.abort()",
                     "print('3 passed, 0 failed, and more')", "print('x 3 passed, 0 failed')"):
            status, lines = self.run_sh(self.script("wrong", code))
            self.assertEqual(status, 1, code)
            self.assertRegex(lines[-1], r"^[03] passed, 1 failed$", code)

    def test_nothing_passed(self):
        self.assertEqual(self.run_sh(self.script("none", "print('0 passed, 0 failed, 2 skipped')"))[0], 1)

    def test_a_test_that_hangs(self):
        """Is ended with its children, though it shields itself."""
        child = self.folder / "child"
        code = (f"import signal, subprocess\nsignal.signal(signal.SIGTERM, lambda *_: None)\n"
                f"child = subprocess.Popen(['sleep', '600'])\nopen({str(child)!r}, 'w').write(str(child.pid))\n"
                "print('1 passed, 0 failed', flush=True)\nwhile True: time.sleep(1)")
        status, lines = self.run_sh(self.script("hangs", code), TEST_SECONDS="1", TEST_GRACE="1")
        self.assertEqual((status, lines[-1]), (1, "1 passed, 1 failed"))
        self.assertIn("took more than 1 s", "\n".join(lines))
        self.assert_gone(int(child.read_text()))

    def assert_gone(self, pid):
        for _ in range(200):
            try:
                state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                return
            if state == "Z":
                return
            time.sleep(0.02)
        self.fail(f"process {pid} is still there")

    def test_side_by_side_and_alone(self):
        """Two meet; the one that asks for the machine meets nobody."""
        code = f"""
os.chdir({str(self.folder)!r})
me = os.path.basename(__file__)
open(me + '.there', 'w').close()
for _ in range(400):
    time.sleep(0.005)
    others = {{name for name in os.listdir() if name.endswith('.there')}} - {{me + '.there'}}
    if others:
        break
open(me + '.met', 'w').write(' '.join(others))
time.sleep(0.5)
os.unlink(me + '.there')
print('1 passed, 0 failed')
"""
        lonely = self.script("lonely", code, "run.sh: alone")
        both = [self.script(name, code) for name in ("one", "two")]
        status, lines = self.run_sh(lonely, *both, PS_JOBS="3")
        self.assertEqual((status, lines[-1]), (0, "3 passed, 0 failed"))
        self.assertEqual({path.name: path.read_text() for path in self.folder.glob("*.met")},
                         {"lonely.py.met": "", "one.py.met": "two.py.there", "two.py.met": "one.py.there"})

    def test_an_interruption_ends_all(self):
        """All that run.sh started, and nothing else."""
        bystander = subprocess.Popen(["sleep", "600"])
        self.addCleanup(lambda: (bystander.kill(), bystander.wait()))
        code = ("import subprocess\nchild = subprocess.Popen(['sleep', '600'])\n"
                "open(__file__ + '.pid', 'w').write(f'{os.getpid()} {child.pid} ')\nchild.wait()")
        scripts = [self.script(name, code) for name in ("one", "two", "three")]
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start(*scripts, PS_JOBS="2")
            pids = []
            while len(pids) < 4:
                time.sleep(0.02)
                pids = [int(pid) for path in self.folder.glob("*.pid") for pid in path.read_text().split()]
            process.send_signal(number)
            words, _ = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 130)
            self.assertIn("interrupted", words)
            for pid in pids:
                self.assert_gone(pid)
            for path in self.folder.glob("*.pid"):
                path.unlink()
        self.assertIsNone(bystander.poll())

    def test_names(self):
        status, lines = self.run_sh("unit/test_crc", "fuzz/job")
        self.assertEqual(status, 0, lines)
        self.assertEqual([re.split(r"\s+", line)[0] for line in sorted(lines[:2])], ["fuzz/job", "unit/test_crc"])
        status, lines = self.run_sh("unit/test_crcs")
        self.assertEqual((status, lines), (1, ["no test 'unit/test_crcs'"]))
        status, lines = self.run_sh("test_crc")
        self.assertEqual((status, lines), (1, ["no test 'test_crc'; did you mean unit/test_crc?"]))


if __name__ == "__main__":
    harness.main()
