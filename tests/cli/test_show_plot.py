"""show and plot: the numbers are the file's, the colours matplotlib's, and no token steers a terminal."""
import csv
import io
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

import h5py
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

JOB = harness.ROOT / "tests" / "golden" / "base.job.json"
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = ["<|begin_of_text|>", "\x1b[31mred", "line\nfeed\r", "\u202eright to left", "\"quoted\", 'so'", "<&]]>",
           "\x07\x08\x7f", "\u009b5m", "\ufffe\uffff", "\u2028\u2066", "日本 é 😀"]
# Reset of the environment that a terminal's owner may have set.
PLAIN = {"NO_COLOR": "", "COLUMNS": "", "COLORTERM": "", "TERM": "xterm"}

folder = tempfile.TemporaryDirectory()
result = pathlib.Path(folder.name) / "base.h5"


def setUpModule():
    """One result for all cases."""
    done = harness.run("run", JOB, "-o", result, "-q")
    if done.returncode:
        raise RuntimeError(done.stderr)


def tearDownModule():
    folder.cleanup()


def edited(name, edit):
    """A copy of the result, changed by edit(file)."""
    path = pathlib.Path(folder.name) / name
    shutil.copy(result, path)
    with h5py.File(path, "a") as file:
        edit(file)
    return path


def rename_tokens(file):
    """Pair `one` gets tokens from a stranger."""
    pair = file["one"]
    for name in ("token_clean", "token_corrupt"):
        pair[name][...] = numpy.array([HOSTILE[t % len(HOSTILE)] for t in range(len(pair[name]))], dtype=object)
    pair.attrs["clean_predicts"] = "\x1b[31mred\n"


def only(path, *args, env=None):
    """show, which must succeed: every byte it writes, for a token may hold a carriage return."""
    done = subprocess.run([harness.PATCHSWEEP, "show", path, *args], env={**os.environ, **PLAIN, **(env or {})},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def on_terminal(*args, env=None, columns=100):
    """What show writes to a terminal of that width."""
    return harness.on_terminal("show", *args, env={**PLAIN, **(env or {})}, columns=columns).decode()


def without_colours(text):
    """Drop the sequences that show itself writes: backgrounds, and the reset."""
    return re.sub(r"\x1b\[(0|48;5;\d+|48;2;\d+;\d+;\d+)m", "", text)


def steering(text):
    """What is left in a text that could steer a terminal or reorder a line."""
    return re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]", text)


class Colour(unittest.TestCase):
    """Escape sequences go where they are wanted."""

    def test_none_into_a_pipe(self):
        self.assertNotIn("\x1b", only(result))

    def test_always(self):
        self.assertIn("\x1b[48;5;", only(result, "--color", "always"))
        self.assertIn("\x1b[48;5;", only(result, "--color", "always", env={"NO_COLOR": "1"}))
        self.assertIn("\x1b[48;2;", only(result, "--color=always", env={"COLORTERM": "truecolor"}))

    def test_terminal(self):
        self.assertIn("\x1b[48;5;", on_terminal(result))
        self.assertNotIn("\x1b", on_terminal(result, "--color", "never"))
        self.assertNotIn("\x1b", on_terminal(result, env={"NO_COLOR": "1"}))
        self.assertNotIn("\x1b", on_terminal(result, env={"TERM": "dumb"}))

    def test_rows_end_without_colour(self):
        for line in only(result, "--color", "always").splitlines():
            if "\x1b" in line:
                self.assertGreater(line.rindex("\x1b[0m"), line.rindex("\x1b[48"))


class Drawing(unittest.TestCase):
    """The map as characters."""

    def test_headline(self):
        lines = only(result, "--pair", "one", "--site", "resid_post", "--direction", "denoise").splitlines()
        with h5py.File(result) as file:
            score = file["one/resid_post/denoise/score"][()]
            clean = file["one"].attrs["clean_logit_answer"]
        layer, position = numpy.unravel_index(score.argmax(), score.shape)
        self.assertEqual(lines[0], "one  resid_post  denoise  (2 layers, 11 tokens)")
        self.assertIn(f"{clean:.9g}", lines[1])
        self.assertIn(f"score: {score.min():.4g} to {score.max():.4g}, "
                      f"highest at layer {layer}, position {position}", lines[3])

    def test_digits(self):
        text = only(result, "--pair", "one", "--site", "resid_post", "--direction", "noise")
        with h5py.File(result) as file:
            score = file["one/resid_post/noise/score"][()]
        rows = re.findall(r"^ *#(\d+) (\S(?: \S)*)$", text, re.M)
        self.assertEqual(len(rows), score.shape[1])
        for position, cells in rows:
            wanted = ["-" if s < -0.0005 else str(min(9, max(0, math.floor(s * 10)))) for s in score[:, int(position)]]
            self.assertEqual(cells.split(), wanted)

    def test_every_grid(self):
        self.assertEqual(len(re.findall(r"\(2 layers, \d+ tokens\)$", only(result), re.M)), 12)
        self.assertEqual(len(re.findall(r"\(2 layers, \d+ tokens\)$", only(result, "--pair", "one"), re.M)), 6)

    def test_not_done(self):
        def undo(file):
            file["one/resid_pre/denoise/score"][1, 3] = numpy.nan
        text = only(edited("undone.h5", undo), "--pair", "one", "--site", "resid_pre", "--direction", "denoise")
        self.assertRegex(text, r"(?m)^ *#3 \S \.$")
        self.assertIn("1 of 22 cells not done", text)

    def test_metric(self):
        text = only(result, "--pair", "one", "--metric", "kl")
        self.assertIn("kl: 0 to ", text)

    def test_width(self):
        wide = on_terminal(result, "--pair", "one", "--color", "never", columns=40)
        self.assertRegex(wide, r"(?m)^ *#0 \S \S\r?$")
        narrow = only(result, "--pair", "one", env={"COLUMNS": "9"})
        self.assertRegex(narrow, r"(?m)^ *#0 \S\S$")


class Refusals(unittest.TestCase):
    """A name that is not there: one line, the nearest name, exit status 2."""

    def refuse(self, words, *args):
        for command in ("show", "plot"):
            done = harness.run(command, *args)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)

    def test_names(self):
        self.refuse(["'onw'", "'one'"], result, "--pair", "onw")
        self.refuse(["'resid_pots'", "'resid_post'"], result, "--site", "resid_pots")
        self.refuse(["'denoize'", "'denoise'"], result, "--direction", "denoize")
        self.refuse(["'logit_foli'", "'logit_foil'"], result, "--metric", "logit_foli")
        self.refuse(["'zzzzzzzz'", "'resid_pre'", "'mlp_out'"], result, "--site", "zzzzzzzz")

    def test_files(self):
        self.refuse(["no-such.h5"], "no-such.h5")
        self.refuse(["base.job.json"], JOB)
        self.refuse(["one result file"])

    def test_words(self):
        done = harness.run("show", result, "--color", "allways")
        self.assertEqual(done.returncode, 2)
        self.assertIn("'always'", done.stderr)
        self.assertEqual(harness.run("show", result, "--csv", "--json").returncode, 2)

    def test_full_disk(self):
        with open("/dev/full", "w") as full:
            for command in (["show"], ["show", "--csv"], ["plot"]):
                done = subprocess.run([harness.PATCHSWEEP, *command, result], stdout=full,
                                      stderr=subprocess.PIPE, check=False)
                self.assertEqual(done.returncode, 1, done.stderr)


class Tables(unittest.TestCase):
    """CSV and JSON agree with h5py."""

    def check_csv(self, path):
        rows = list(csv.DictReader(io.StringIO(only(path, "--csv"), newline="")))
        with h5py.File(path) as file:
            names = [name for name, item in file["one/resid_post/denoise"].items()
                     if isinstance(item, h5py.Dataset) and item.ndim == 2]
            self.assertEqual(list(rows[0]), ["pair", "site", "direction", "layer", "position", "token_clean",
                                             "token_corrupt", "role", *names])
            self.assertEqual((names[0], names[-1]), ("score", "done"))
            self.assertEqual(len(rows), 6 * 2 * (11 + 9))
            for row in rows:
                pair = file[row["pair"]]
                grid, at = pair[row["site"]][row["direction"]], (int(row["layer"]), int(row["position"]))
                for name in ("token_clean", "token_corrupt", "role"):
                    self.assertEqual(row[name], pair[name].asstr()[at[1]])
                for name in names:
                    value = grid[name][at]
                    self.assertEqual(row[name], "" if value != value else f"{value:.9g}")

    def test_csv(self):
        self.check_csv(result)

    def test_csv_of_hostile_tokens(self):
        self.check_csv(edited("hostile-csv.h5", rename_tokens))

    def test_csv_on_a_terminal(self):
        """A file gets tokens as they are; a terminal no byte that would move its cursor or colour."""
        path = edited("hostile-tty.h5", rename_tokens)
        self.assertIn("\x1b", only(path, "--csv"))
        seen = on_terminal(path, "--csv").replace("\r\n", "\n")
        for control in ("\x1b", "\r", "\u202e", "\x7f"):
            self.assertNotIn(control, seen)

    def test_csv_not_done(self):
        def undo(file):
            file["one/resid_pre/denoise/score"][1, 3] = numpy.nan
        self.check_csv(edited("undone-csv.h5", undo))

    def test_csv_of_pairs_without_a_foil(self):
        def forget(file):
            for site in ("resid_pre", "mlp_out", "resid_post"):
                for direction in ("denoise", "noise"):
                    del file[f"one/{site}/{direction}/logit_foil"]
        rows = list(csv.DictReader(io.StringIO(only(edited("foil.h5", forget), "--csv"), newline="")))
        names = list(rows[0])
        self.assertEqual(names.index("logit_foil"), names.index("logit_answer") + 1)
        for row in rows:
            self.assertEqual(row["logit_foil"] == "", row["pair"] == "one")

    def check_json(self, path):
        grids = json.loads(only(path, "--json"))
        self.assertEqual(len(grids), 12)
        with h5py.File(path) as file:
            for grid in grids:
                pair = file[grid["pair"]]
                group = pair[grid["site"]][grid["direction"]]
                self.assertEqual((grid["layers"], grid["positions"]), group["score"].shape)
                for name in ("token_clean", "token_corrupt", "role"):
                    self.assertEqual(grid[name], list(pair[name].asstr()[()]))
                self.assertIn("kl", grid["columns"])
                for name, values in grid["columns"].items():
                    values = numpy.array(values, dtype=float)  # null becomes NaN
                    numpy.testing.assert_allclose(values, group[name][()], rtol=1e-8, equal_nan=True)

    def test_json(self):
        self.check_json(result)

    def test_json_of_hostile_tokens(self):
        def edit(file):
            rename_tokens(file)
            file["one/resid_pre/denoise/score"][1, 3] = numpy.nan
        self.check_json(edited("hostile-json.h5", edit))

    def test_one_column(self):
        grids = json.loads(only(result, "--json", "--pair", "one", "--metric", "kl"))
        self.assertEqual([list(grid["columns"]) for grid in grids], [["kl"]] * 6)
        self.assertTrue(only(result, "--csv", "--metric", "kl").startswith(
            "pair,site,direction,layer,position,token_clean,token_corrupt,role,kl\n"))


class Plot(unittest.TestCase):
    """The SVG."""

    def plot(self, path, *args):
        """The document and its cells."""
        done = harness.run("plot", path, *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(steering(done.stdout), [])
        root = ElementTree.fromstring(done.stdout)
        return root, [rect for rect in root.iter(SVG + "rect") if rect.get("class") == "cell"], done

    def test_cells(self):
        root, cells, done = self.plot(result, "--pair", "one", "--site", "resid_post", "--direction", "noise")
        self.assertEqual(len(cells), 2 * 11)
        self.assertEqual(done.stderr, "")
        self.assertIn("position 3, layer 1", cells[7].find(SVG + "title").text)
        texts = [text.text for text in root.iter(SVG + "text")]
        for word in ("Layer", "Token", "Normalized Score", "0", "0.2", "0.4", "0.6", "0.8", "1", "#10"):
            self.assertIn(word, texts)

    def test_first_of_several(self):
        root, _, done = self.plot(result)
        self.assertIn("drawing pair 'one', site 'resid_pre', direction 'denoise'", done.stderr)
        self.assertIn("12 grids", done.stderr)
        self.assertIn("one, resid_pre, denoise", [text.text for text in root.iter(SVG + "text")])

    def test_title_and_metric(self):
        root, _, _ = self.plot(result, "--title", "<a & b>\x1b", "--metric", "kl")
        texts = [text.text for text in root.iter(SVG + "text")]
        self.assertIn("<a & b>\\x1b", texts)
        self.assertIn("kl", texts)

    def test_output(self):
        path = pathlib.Path(folder.name) / "figure.svg"
        done = harness.run("plot", result, "-o", path)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertEqual(ElementTree.parse(path).getroot().tag, SVG + "svg")
        self.assertFalse(path.with_name("figure.svg.part").exists())
        self.assertEqual(harness.run("plot", result, "-o", folder.name + "/no/such.svg").returncode, 2)

    def test_colours_of_matplotlib(self):
        try:
            import matplotlib
        except ImportError:
            self.skipTest("no matplotlib")
        scale = numpy.linspace(-0.2, 1.2, 22).reshape(2, 11)

        def ramp(file):
            file["one/resid_pre/denoise/score"][...] = scale
        _, cells, _ = self.plot(edited("ramp.h5", ramp), "--pair", "one", "--site", "resid_pre",
                                "--direction", "denoise")
        purples = matplotlib.colormaps["Purples"]
        for i, cell in enumerate(cells):  # row by row: a token's layers
            position, layer = divmod(i, 2)
            wanted = [255 * c for c in purples(min(1.0, max(0.0, scale[layer, position])))[:3]]
            seen = [int(cell.get("fill")[c:c + 2], 16) for c in (1, 3, 5)]
            numpy.testing.assert_allclose(seen, wanted, atol=1)

    def test_not_done(self):
        def undo(file):
            file["one/resid_pre/denoise/score"][...] = numpy.nan
        _, cells, _ = self.plot(edited("undone-svg.h5", undo), "--pair", "one")
        self.assertEqual({cell.get("fill") for cell in cells}, {"url(#not-done)"})
        self.assertIn("score: not done", cells[0].find(SVG + "title").text)


class Hostile(unittest.TestCase):
    """Tokens from a stranger's file."""

    @classmethod
    def setUpClass(cls):
        cls.path = edited("hostile.h5", rename_tokens)

    def test_show(self):
        for color in ("never", "always"):
            text = only(self.path, "--color", color)
            self.assertEqual(steering(without_colours(text)), [])
            for shown in ("\\x1b[31mred", "line\\nfeed\\x0d", "\\u{202e}", "<&]]>", "日本 é 😀"):
                self.assertIn(shown, text)

    def test_rows_stay_rows(self):
        text = only(self.path, "--pair", "one", "--site", "resid_post", "--direction", "noise", env={"COLUMNS": "60"})
        self.assertEqual(len(text.splitlines()), 4 + 1 + 1 + 11 + 2)

    def test_plot(self):
        done = harness.run("plot", self.path, "--pair", "one")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(steering(done.stdout), [])
        self.assertNotRegex(done.stdout, "[\ufffe\uffff]")
        root = ElementTree.fromstring(done.stdout)
        labels = [text.text for text in root.iter(SVG + "text")]
        self.assertIn('"<&]]>"', labels)
        self.assertIn('"\ufffd\ufffd"', labels)
        self.assertEqual(sum(rect.get("class") == "cell" for rect in root.iter(SVG + "rect")), 2 * 11)


if __name__ == "__main__":
    harness.main()
