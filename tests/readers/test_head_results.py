"""Grids of heads in the hands of h5py, xarray, netCDF4, ncdump and h5dump: [layer, head] and [layer, head, position].

test_head_results (tests/unit) writes the file; what it put in is spelled out here once more.
"""
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

UNIT = harness.ROOT / os.environ.get("UNIT", "build/release/tests")
L, H, KV, T, D = 3, 4, 2, 5, 2
GRIDS = {"resid_post/denoise": (L, T), "q/denoise": (L, H), "k/denoise": (L, KV), "z/denoise": (L, H), "z/noise": (L, H),
         "v_by_pos/denoise": (L, KV, T), "pattern_by_pos/denoise": (L, H, T), "pattern_by_pos/noise": (L, H, T)}
ENGINES = ("h5netcdf", "netcdf4")

folder = tempfile.TemporaryDirectory()
path = os.path.join(folder.name, "heads.h5")


def setUpModule():
    """Have the C test write its file."""
    subprocess.run([UNIT / "test_head_results", path], check=True, stdout=subprocess.DEVNULL)


def tearDownModule():
    folder.cleanup()


def axes(name):
    """The names of a grid's axes."""
    if name.startswith("resid"):
        return ["layer", "position"]
    return ["layer", "head"] + ["position"] * ("by_pos" in name)


def score(name, place):
    """What test_head_results.c calls score_of; NaN in the first cell."""
    at = dict(zip(axes(name), place))
    layer, head, position = at["layer"], at.get("head", 0), at.get("position", 0)
    if not any(place):
        return math.nan
    effect = (-0.9 if (head + position) % 4 == 0 else 0.1 * (head + 1)) * (layer + 1) / L
    return 1 - effect if name.endswith("/noise") else effect


class H5py(unittest.TestCase):
    """Names, values, scales."""

    def setUp(self):
        try:
            import h5py
            import numpy
        except ImportError as error:
            self.skipTest(f"no {error.name}")
        self.numpy = numpy
        self.file = h5py.File(path, "r")
        self.addCleanup(self.file.close)

    def test_values(self):
        for name, shape in GRIDS.items():
            seen = self.file["one"][name]["score"][()]
            wanted = self.numpy.array([score(name, at) for at in self.numpy.ndindex(shape)]).reshape(shape)
            self.numpy.testing.assert_array_equal(seen, wanted, name)

    def test_axes(self):
        for name, shape in GRIDS.items():
            grid = self.file["one"][name]
            for column in ("score", "logit_answer", "answer_rank", "done"):
                self.assertEqual([dim[0].name.rsplit("/", 1)[1] for dim in grid[column].dims], axes(name), name)
            self.assertEqual(list(grid.attrs["axes"]), axes(name))
            for axis, n in zip(axes(name), shape):
                self.assertEqual(list(grid[axis]), list(range(n)))
            self.assertEqual("token" in grid, "position" in axes(name))
            self.assertEqual(grid["score"].attrs.get("coordinates"), "token" if "position" in axes(name) else None)

    def test_whose_heads(self):
        for name, words in (("q/denoise", "query head, from 0"), ("k/denoise", "key/value head, from 0"),
                            ("z/noise", "query head, from 0"), ("v_by_pos/denoise", "key/value head, from 0"),
                            ("pattern_by_pos/denoise", "query head, from 0")):
            self.assertEqual(self.file["one"][name]["head"].attrs["long_name"], words)

    def test_final_rows(self):
        for name in ("z/denoise", "pattern_by_pos/denoise"):
            final = self.file["one"][name]["patched_final"]
            self.assertEqual([dim[0].name.rsplit("/", 1)[1] for dim in final.dims], [*axes(name), "d_model"])
            self.assertEqual(final.shape, (*GRIDS[name], D))
            self.assertEqual(final.chunks, (1, *GRIDS[name][1:], D))
            rows = final[1].reshape(-1, D)
            self.assertTrue((rows == self.numpy.arange(len(rows))[:, None]).all())
            self.assertTrue(self.numpy.isnan(final[0]).all() and self.numpy.isnan(final[2]).all())

    def test_chunks(self):
        """A layer a chunk where there is a third axis, and few chunks elsewhere."""
        self.assertEqual(self.file["one/q/denoise/score"].chunks, (L, H))
        self.assertEqual(self.file["one/pattern_by_pos/denoise/score"].chunks, (1, H, T))

    def test_aliases(self):
        self.assertIn("blocks.{layer}.attn.hook_z", self.file["one/z/denoise"].attrs["site_aliases"])
        self.assertIn("hook_pattern", self.file["one/pattern_by_pos/noise"].attrs["site_aliases"])


class Xarray(unittest.TestCase):
    """Datasets and trees, without a warning."""

    def setUp(self):
        try:
            import h5netcdf  # noqa: F401
            import netCDF4  # noqa: F401
            import xarray
        except ImportError as error:
            self.skipTest(f"no {error.name}")
        self.xarray = xarray

    def check(self, name, grid):
        """A grid by name, however it was opened."""
        self.assertEqual(list(grid.score.dims), axes(name))
        self.assertEqual(grid.score.shape, GRIDS[name])
        wanted = {axis: GRIDS[name][i] - 1 for i, axis in enumerate(axes(name))}
        self.assertEqual(float(grid.score.sel(**wanted)), score(name, list(wanted.values())))
        self.assertEqual("token" in grid.coords, "position" in wanted)
        self.assertLessEqual({*axes(name)}, set(grid.coords))  # a tree's grids have the pair's positions too

    def test_datasets(self):
        for engine in ENGINES:
            for name in GRIDS:
                with self.subTest(engine=engine, grid=name), warnings.catch_warnings():
                    warnings.simplefilter("error")
                    with self.xarray.open_dataset(path, group=f"one/{name}", engine=engine) as grid:
                        self.check(name, grid)

    def test_tree(self):
        for engine in ENGINES:
            with self.subTest(engine=engine), warnings.catch_warnings():
                warnings.simplefilter("error")
                with self.xarray.open_datatree(path, engine=engine) as whole:
                    for name in GRIDS:
                        self.check(name, whole[f"one/{name}"].to_dataset())
                    for node in whole.subtree:
                        self.assertLessEqual(set(node.sizes), {"layer", "head", "position", "d_model", "rank"}, node.path)
                    z = whole["one/z/denoise"].to_dataset()
                    self.assertEqual(z.patched_final.dims, ("layer", "head", "d_model"))
                    self.assertEqual(float(z.patched_final.sel(layer=1, head=3)[0]), 3)


class Tools(harness.Tools):
    """The command line tools of netCDF and HDF5."""

    def test_ncdump(self):
        text = self.out("ncdump", "-h", path)
        self.assertNotIn("phony", text)
        self.assertIn("double score(layer, head) ;", text)
        self.assertIn("double score(layer, head, position) ;", text)
        self.assertIn("float patched_final(layer, head, position, d_model) ;", text)

    def test_h5dump(self):
        self.assertIn("(0,0): NaN,", self.out("h5dump", "-d", "/one/q/denoise/score", path).replace("nan", "NaN"))
        self.out("h5dump", "-H", path)

    def test_verify(self):
        done = harness.run("inspect", "--verify", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^attributes_verified +(true|yes)$")


if __name__ == "__main__":
    harness.main()
