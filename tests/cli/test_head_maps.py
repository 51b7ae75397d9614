"""show, plot and inspect on sites that have heads: which cells are drawn, and what tables say of them.

test_head_results (tests/unit) writes the file; readers/test_head_results.py compares its numbers.
"""
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

UNIT = harness.ROOT / os.environ.get("UNIT", "build/release/tests")
SVG = "{http://www.w3.org/2000/svg}"
HEADER = ["pair", "site", "direction", "layer", "position", "token_clean", "token_corrupt", "role", "score",
          "logit_answer", "answer_rank", "done"]

folder = tempfile.TemporaryDirectory()
path = os.path.join(folder.name, "heads.h5")


def setUpModule():
    """Have the C test write its file."""
    subprocess.run([UNIT / "test_head_results", path], check=True, stdout=subprocess.DEVNULL)


def tearDownModule():
    folder.cleanup()


def run(*args):
    """A command, which must succeed; what it prints."""
    done = harness.run(*args)
    assert done.returncode == 0, done.stderr
    return done.stdout


def column(name, metric="score"):
    """A grid's numbers."""
    with h5py.File(path) as file:
        return file["one"][name][metric][()]


def farthest(values, base):
    """Of [layer, head, position] at each layer and position the value farthest from base."""
    away = numpy.where(numpy.isnan(values), -1, abs(values - base))
    return numpy.take_along_axis(values, away.argmax(axis=1)[:, None], axis=1)[:, 0]


def digit(value):
    """A score as a heat map without colours shows it."""
    if math.isnan(value):
        return "."
    return "-" if value < -0.0005 else str(min(9, max(0, math.floor(value * 10))))


class Drawing(unittest.TestCase):
    """Maps of characters."""

    def rows(self, *args):
        """Rows of the one map that is drawn: label, cells."""
        text = run("show", path, "--color", "never", *args)
        self.assertEqual(text.count("highest at"), 1)
        return re.findall(r'^ *(head \d+|#\d+|".*") (\S(?: \S)*)$', text, re.M), text

    def check(self, rows, labels, values):
        """values: [layer, row]."""
        self.assertEqual([label for label, _ in rows], labels)
        for row, (_, cells) in enumerate(rows):
            self.assertEqual(cells.split(), [digit(value) for value in values[:, row]])

    TOKENS = ['"<s>"', '" Albert"', '" Einstein"', '"?"', '":"']

    def test_heads_down(self):
        rows, text = self.rows("--site", "q")
        self.check(rows, [f"head {h}" for h in range(4)], column("q/denoise"))
        self.assertIn("one  q  denoise  (3 layers, 4 heads)\n", text)
        self.assertIn("highest at layer 2, head 3; 1 of 12 cells not done\n", text)

    def test_key_value_heads(self):
        rows, text = self.rows("--site", "k")
        self.check(rows, ["head 0", "head 1"], column("k/denoise"))
        self.assertIn("(3 layers, 2 key/value heads)\n", text)

    def test_farthest_head(self):
        for direction, base in (("denoise", 0), ("noise", 1)):
            name = f"pattern_by_pos/{direction}"
            rows, text = self.rows("--site", "pattern_by_pos", "--direction", direction)
            self.check(rows, self.TOKENS, farthest(column(name), base))
            self.assertIn("(3 layers, 4 heads, 5 tokens)", text)
            self.assertIn(f"farthest from the unpatched run's, {base};", text)
            self.assertNotIn("not done", text)  # another head is done there

    def test_farthest_head_of_another_metric(self):
        """From the baseline that stands in the file, 10 or 11: not from 0."""
        values = farthest(column("pattern_by_pos/denoise", "logit_answer"), 10)
        _, text = self.rows("--site", "pattern_by_pos", "--direction", "denoise", "--metric", "logit_answer")
        self.assertIn(f"logit_answer: {values.min():.4g} to {values.max():.4g}, ", text)
        self.assertIn("unpatched run's, 10;", text)
        self.assertLess(values.min(), 9.5)

    def test_one_head(self):
        for head in range(4):
            rows, text = self.rows("--site", "pattern_by_pos", "--direction", "noise", "--head", str(head))
            self.check(rows, self.TOKENS, column("pattern_by_pos/noise")[:, head])
            self.assertIn(f"(3 layers, head {head} of 4, 5 tokens)", text)
            self.assertNotIn("farthest", text)
        rows, text = self.rows("--site", "q", "--head", "2")
        self.check(rows, ["head 2"], column("q/denoise")[:, 2:3])

    def test_head_leaves_out_grids_without_it(self):
        shown = lambda head: re.findall(r"^one  (\S+)  ", run("show", path, "--head", head), re.M)
        self.assertEqual(shown("1"), ["q", "k", "z", "z", "v_by_pos", "pattern_by_pos", "pattern_by_pos"])
        self.assertEqual(shown("3"), ["q", "z", "z", "pattern_by_pos", "pattern_by_pos"])

    def test_refusals(self):
        for words, args in ((["no head 4", "heads 0 to 3"], ["--head", "4"]),
                            (["no head 2", "heads 0 to 1"], ["--head", "2", "--site", "k"]),
                            (["no head -1"], ["--head", "-1"]), (["'x'", "whole number"], ["--head", "x"]),
                            (["has heads", "leave it out"], ["--head", "0", "--site", "resid_post"]),
                            (["'q_by_pos'", "it has 'resid_post', 'q'"], ["--site", "q_by_pos"])):
            for command in ("show", "plot"):
                done = harness.run(command, path, *args)
                self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), done.stderr)
                for word in words:
                    self.assertIn(word, done.stderr)


class Strange(unittest.TestCase):
    """Grids that do not fit their axes: one line, exit status 2."""

    def refuse(self, words, edit):
        copy = os.path.join(folder.name, "strange.h5")
        shutil.copy(path, copy)
        with h5py.File(copy, "a") as file:
            edit(file["one"])
        for command in (["show"], ["show", "--csv"], ["show", "--json"], ["plot"], ["inspect"], ["show", "--head", "0"]):
            done = harness.run(command[0], copy, *command[1:], *([] if command[0] == "inspect" else ["--site", "q"]))
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), (command, done.stdout, done.stderr))
            self.assertIn(words, done.stderr)

    def replace(self, pair, shape):
        """Another score, which takes no space."""
        del pair["q/denoise/score"]
        pair["q/denoise"].create_dataset("score", shape=shape, dtype="f8", chunks=(1,) * len(shape) if all(shape) and shape else None)

    def test_missing_coordinate(self):
        self.refuse("is no grid of numbers", lambda pair: pair["q/denoise"].pop("head"))

    def test_superfluous_coordinate(self):
        self.refuse("is no grid of numbers", lambda pair: pair["q/denoise"].create_dataset("position", data=[0, 1, 2]))

    def test_shapes(self):
        for shape in ((), (3,), (3, 4, 5), (3, 4, 5, 2), (3, 4, 5, 2, 2), (0, 4), (200000, 4), (60000, 60000)):
            with self.subTest(shape=shape):
                self.refuse("is no grid of numbers", lambda pair: self.replace(pair, shape))

    def test_other_length(self):
        def lengthen(pair):
            self.replace(pair, (3, 4, 6))
            pair["q/denoise"].create_dataset("position", data=list(range(6)))
        self.refuse("does not hold a text for each position", lengthen)


class Tables(unittest.TestCase):
    """CSV and JSON agree with h5py."""

    def table(self, *args):
        """Header and rows."""
        rows = csv.DictReader(io.StringIO(run("show", path, "--csv", *args)))
        return rows.fieldnames, list(rows)

    def check(self, rows):
        with h5py.File(path) as file:
            for row in rows:
                grid = file["one"][row["site"]][row["direction"]]
                names = [dim[0].name.rsplit("/", 1)[1] for dim in grid["score"].dims]
                self.assertEqual([row[name] == "" for name in ("layer", "head", "position")],
                                 [name not in names for name in ("layer", "head", "position")])
                for name in ("token_clean", "token_corrupt", "role"):
                    wanted = file["one"][name].asstr()[int(row["position"])] if row["position"] else ""
                    self.assertEqual(row[name], wanted)
                for name in HEADER[8:]:
                    value = grid[name][tuple(int(row[axis]) for axis in names)]
                    none = value != value or (name == "answer_rank" and value == -1)
                    self.assertEqual(row[name], "" if none else f"{value:.9g}")

    def test_csv(self):
        header, rows = self.table()
        self.assertEqual(header, HEADER[:4] + ["head"] + HEADER[4:])
        self.assertEqual(len(rows), 3 * (5 + 4 + 2 + 4 + 4 + 10 + 20 + 20))
        self.check(rows)

    def test_csv_without_heads_is_as_it_was(self):
        header, rows = self.table("--site", "resid_post")
        self.assertEqual((header, len(rows)), (HEADER, 15))

    def test_csv_of_one_head(self):
        header, rows = self.table("--head", "3")
        self.assertIn("head", header)
        self.assertEqual({row["head"] for row in rows}, {"3"})
        self.assertEqual(len(rows), 3 * (1 + 1 + 1 + 5 + 5))
        self.check(rows)

    def test_json(self):
        grids = json.loads(run("show", path, "--json"))
        self.assertEqual(len(grids), 8)
        with h5py.File(path) as file:
            for grid in grids:
                group = file["one"][grid["site"]][grid["direction"]]
                self.assertEqual(grid["axes"], list(group.attrs["axes"]))
                sizes = {"layer": grid["layers"], "head": grid.get("heads"), "position": grid["positions"]}
                self.assertEqual(tuple(sizes[axis] for axis in grid["axes"]), group["score"].shape)
                self.assertEqual("heads" in grid, "head" in grid["axes"])
                self.assertEqual(len(grid["token_clean"]), 5)
                for name in ("score", "logit_answer", "done"):
                    seen = numpy.array(grid["columns"][name], dtype=float)
                    numpy.testing.assert_allclose(seen, group[name][()], rtol=1e-8, equal_nan=True)

    def test_json_of_one_head(self):
        for grid in json.loads(run("show", path, "--json", "--head", "1", "--metric", "score")):
            values = column(f"{grid['site']}/{grid['direction']}")
            self.assertEqual((grid["head"], grid["heads"]), (1, values.shape[1]))
            self.assertEqual(grid["axes"], ["layer", "position"][:values.ndim - 1])
            numpy.testing.assert_allclose(numpy.array(grid["columns"]["score"], dtype=float), values[:, 1], rtol=1e-8)

    def test_inspect(self):
        self.assertIn("one  v_by_pos  denoise  3 layers x 2 key/value heads x 5 positions  score", run("inspect", path))
        grids = json.loads(run("inspect", path, "--json"))["grids"]
        sizes = [{key: value for key, value in grid.items() if key.startswith("n_")} for grid in grids]
        self.assertEqual(sizes[0], {"n_layers": 3, "n_positions": 5})
        self.assertEqual(sizes[1], {"n_layers": 3, "n_heads": 4})
        self.assertEqual(sizes[5], {"n_layers": 3, "n_kv_heads": 2, "n_positions": 5})


class Plot(unittest.TestCase):
    """The SVG."""

    def plot(self, *args):
        """Texts, and what each cell says, row by row."""
        root = ElementTree.fromstring(run("plot", path, *args))
        for text in root.iter(SVG + "text"):
            for at, size in (("x", "width"), ("y", "height")):
                if text.get(at):
                    self.assertTrue(0 <= float(text.get(at)) <= float(root.get(size)), text.text)
        cells = [rect.find(SVG + "title").text for rect in root.iter(SVG + "rect") if rect.get("class") == "cell"]
        return [text.text for text in root.iter(SVG + "text")], cells

    def test_heads_down(self):
        texts, cells = self.plot("--site", "z", "--direction", "noise")
        for word in ("one, z, noise", "Head", "Layer", "head 0", "head 3"):
            self.assertIn(word, texts)
        self.assertEqual(len(cells), 12)
        self.assertTrue(cells[7].startswith("head 2, layer 1\nscore: "), cells[7])

    def test_farthest_head(self):
        values = column("pattern_by_pos/denoise")
        texts, cells = self.plot("--site", "pattern_by_pos", "--direction", "denoise")
        self.assertIn("one, pattern_by_pos, denoise, head of largest change", texts)
        self.assertIn("Token", texts)
        for i, cell in enumerate(cells):
            position, layer = divmod(i, 3)
            where, first = cell.split("\n")[:2]
            head = int(re.search(r", head (\d), layer", where)[1])
            self.assertIn(f", position {position}, head {head}, layer {layer}", where)
            self.assertEqual(first, f"score: {farthest(values, 0)[layer, position]:.6g}")
            self.assertEqual(first, f"score: {values[layer, head, position]:.6g}")

    def test_one_head(self):
        values = column("pattern_by_pos/denoise")
        texts, cells = self.plot("--site", "pattern_by_pos", "--direction", "denoise", "--head", "1")
        self.assertIn("one, pattern_by_pos, denoise, head 1", texts)
        self.assertEqual(cells[5].split("\n")[:2], ['" Albert" (corrupt: " Taylor"), position 1, head 1, layer 2',
                                                    f"score: {values[2, 1, 1]:.6g}"])
        texts, cells = self.plot("--site", "q", "--head", "2")
        self.assertIn("one, q, denoise, head 2", texts)
        self.assertEqual(len(cells), 3)


if __name__ == "__main__":
    harness.main()
