"""The result file in the hands of h5py, xarray, netCDF4, ncdump and h5dump.

test_results (tests/unit) writes the files: two pairs with awkward tokens, grids with a cell that is
not done, activations of each type.  What it put in is spelled out here once more.
"""
import contextlib
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

UNIT = harness.ROOT / os.environ.get("UNIT", "build/release/tests")
L, T, D = 6, 12, 4
PAIR, GRID = "einstein-swift", "einstein-swift/resid_post/denoise"
TOKENS = ["<|begin_of_text|>", " Albert", "\ufffd", "\u2400", '"quoted"', "\n", "\x1b[31m", "\x9b5m", "\U0001f600",
          "\u05e9\u05dc\u05d5\u05dd", " <b>&\ufffe\u202e", ""]
COLUMNS = ["score", "degenerate", "logit_answer", "answer_rank", "done"]
ENGINES = ("h5netcdf", "netcdf4")

folder = tempfile.TemporaryDirectory()
path = os.path.join(folder.name, "result.h5")


def setUpModule():
    """Have the C test write its files."""
    subprocess.run([UNIT / "test_results", path], check=True, stdout=subprocess.DEVNULL)


def score(layer, position):
    """What test_results.c calls score_at; NaN where it says "not done"."""
    if (layer, position) == (0, 1):
        return math.nan
    if (layer, position) == (2, 4):
        return -0.25
    if (layer, position) == (3, 1):
        return 1.2
    early = 0.9 * (1 - layer / (L - 1)) if 0 < position < 3 else 0
    return early + (layer / (L - 1) if position == T - 1 else 0)


def state(layer, position, i):
    """Element i of an activation; the last layer was never written."""
    return math.nan if layer == L - 1 else layer * 100 + position + i * 0.125


@contextlib.contextmanager
def strict():
    """Warnings are failures: xarray warns where an axis has no scale."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def tree(name, engine):
    """The whole file as xarray sees it."""
    import xarray
    return xarray.open_datatree(name, engine=engine)


class H5py(unittest.TestCase):
    """Names, types, values, and what stands beside them."""

    def setUp(self):
        try:
            import h5py
        except ImportError:
            self.skipTest("no h5py")
        self.file = h5py.File(path, "r")
        self.addCleanup(self.file.close)

    def test_order(self):
        self.assertEqual(list(self.file), [PAIR, "pair0001", "run"])
        self.assertEqual(list(self.file[GRID]), ["layer", "position", "token", *COLUMNS, "d_model", "patched_final"])

    def test_attributes(self):
        root = self.file.attrs
        self.assertEqual([root["format"], root["format_version"], root["Conventions"]],
                         ["patchsweep-results", "1.0", "CF-1.10"])
        self.assertEqual([root["empty"], root["broken"]], ["", "caf\ufffd"])
        pair = self.file[PAIR].attrs
        self.assertEqual(pair["clean_prompt"], "Albert \u00e9 and a \u2400 NUL")
        self.assertEqual([pair["answer_id"], pair["clean_logit_answer"]], [42, 17.25])
        wrong = []
        self.file.visititems(lambda name, item: wrong.extend(
            f"{name}: {key}" for key, value in item.attrs.items()
            if isinstance(value, bytes) and key not in ("CLASS", "NAME")))  # these are the scales' own
        self.assertEqual(wrong, [])

    def test_strings(self):
        import h5py
        for name in ("token_clean", "token_corrupt", "token_piece_clean", "token_piece_corrupt", "role", "span"):
            info = h5py.check_string_dtype(self.file[PAIR][name].dtype)
            self.assertEqual((info.encoding, info.length), ("utf-8", None), name)
        self.assertEqual(list(self.file[PAIR]["token_clean"].asstr()[:]), TOKENS)
        self.assertEqual(list(self.file[GRID]["token"].asstr()[:]), TOKENS)

    def test_every_axis_has_a_scale(self):
        import h5py
        seen = []

        def check(name, item):
            if isinstance(item, h5py.Dataset) and not item.is_scale:
                axes = [[scale.name.rsplit("/", 1)[1] for scale in dim.values()] for dim in item.dims]
                self.assertTrue(all(len(axis) == 1 for axis in axes), name)
                seen.append((name.rsplit("/", 1)[1], *(axis[0] for axis in axes)))
        self.file.visititems(check)
        for wanted in (("score", "layer", "position"), ("token_clean", "position"), ("busy_seconds", "rank"),
                       ("patched_final", "layer", "position", "d_model"),
                       ("clean_resid_post", "layer", "position", "d_model")):
            self.assertIn(wanted, seen)

    def test_values(self):
        grid = self.file[GRID]
        for l in range(L):
            for t in range(T):
                seen, wanted = grid["score"][l, t], score(l, t)
                self.assertTrue(seen == wanted or (math.isnan(seen) and math.isnan(wanted)), (l, t, seen))
        self.assertEqual([grid["answer_rank"][0, 1], grid["answer_rank"][1, 0]], [-1, T])
        self.assertEqual([grid["done"][0, 1], grid["done"][0, 0]], [0, 1])
        types = [str(grid[name].dtype) for name in COLUMNS]
        self.assertEqual(types, ["float64", "uint8", "float64", "int32", "uint8"])
        self.assertEqual(list(grid["patched_final"][2, 3]), [1, 2, 3, 4])
        self.assertTrue(math.isnan(grid["patched_final"][0, 0, 0]))
        self.assertEqual(list(self.file["run/busy_seconds"]), [1, 2, 3])

    def test_storage(self):
        grid = self.file[GRID]["score"]
        self.assertEqual((grid.chunks, grid.compression, grid.shuffle, grid.fletcher32), ((L, T), "gzip", True, True))
        rows = self.file[PAIR]["activations/clean_resid_post"]
        self.assertEqual((rows.chunks, rows.compression, rows.fletcher32), ((1, T, D), None, True))
        self.assertTrue(math.isnan(grid.fillvalue))

    def test_activations(self):
        import h5py
        for suffix, step in (("", 0), (".f16", 2.0 ** -3), (".bf16", 2)):
            with h5py.File(path + suffix) as file:
                for which in ("clean", "corrupt"):
                    rows = file[f"{PAIR}/activations/{which}_resid_post"][:].astype("f8")
                    for l in range(L):
                        for t in range(T):
                            for i in range(D):
                                seen, wanted = rows[l, t, i], state(l, t, i)
                                self.assertTrue(abs(seen - wanted) <= step or math.isnan(seen) and math.isnan(wanted),
                                                (suffix, l, t, i, seen))

    def test_checksum(self):
        import h5py
        broken = os.path.join(folder.name, "broken.h5")
        data = bytearray(pathlib.Path(path).read_bytes())
        data[self.file[GRID]["score"].id.get_chunk_info(0).byte_offset + 5] ^= 1
        pathlib.Path(broken).write_bytes(data)
        with h5py.File(broken) as file, self.assertRaises(OSError):
            file[GRID]["score"][:]
        done = harness.run("show", "--pair", PAIR, "--site", "resid_post", "--direction", "denoise", broken)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("cannot read dataset", done.stderr)

    def test_same_bytes(self):
        again = os.path.join(folder.name, "again.h5")
        subprocess.run([UNIT / "test_results", again], check=True, stdout=subprocess.DEVNULL)
        self.assertEqual(pathlib.Path(path).read_bytes(), pathlib.Path(again).read_bytes())


class Xarray(unittest.TestCase):
    """open_datatree, with either engine, without a warning."""

    def setUp(self):
        try:
            import h5netcdf  # noqa: F401
            import netCDF4  # noqa: F401
            import xarray  # noqa: F401
        except ImportError as error:
            self.skipTest(f"no {error.name}")

    def each_engine(self, name=path):
        """Tree by tree, closed behind each."""
        for engine in ENGINES:
            with self.subTest(engine=engine), strict(), tree(name, engine) as whole:
                yield whole

    def test_grid(self):
        for whole in self.each_engine():
            grid = whole[GRID].to_dataset()
            self.assertEqual(dict(grid.sizes), {"layer": L, "position": T, "d_model": D})
            self.assertEqual(set(grid.coords), {"layer", "position", "token"})
            self.assertEqual(grid.score.dims, ("layer", "position"))
            self.assertIn(grid.token.dtype.kind, "OTU")
            self.assertEqual([str(token) for token in grid.token.values], TOKENS)
            self.assertEqual(float(grid.score[3, 1]), 1.2)
            self.assertTrue(math.isnan(float(grid.score[0, 1])))
            self.assertTrue(math.isnan(float(grid.answer_rank[0, 1])))  # masked by _FillValue
            self.assertEqual(grid.attrs["site"], "resid_post")
            self.assertIsInstance(grid.score.attrs["long_name"], str)

    def test_no_phony_dimension(self):
        for whole in self.each_engine():
            for node in whole.subtree:
                self.assertLessEqual(set(node.sizes), {"layer", "position", "d_model", "rank"}, node.path)

    def test_select_and_frame(self):
        for whole in self.each_engine():
            grid = whole[GRID].to_dataset()
            self.assertEqual(float(grid.score.sel(layer=2, position=4)), -0.25)
            self.assertEqual(grid.score.transpose("position", "layer").shape, (T, L))

    def test_activations(self):
        for whole in self.each_engine():
            rows = whole[f"{PAIR}/activations"].clean_resid_post
            self.assertEqual(rows.dims, ("layer", "position", "d_model"))
            self.assertEqual([float(x) for x in rows[1, 2]], [state(1, 2, i) for i in range(D)])
            self.assertIn("token_clean", rows.coords)

    def test_bf16(self):
        for whole in self.each_engine(path + ".bf16"):
            self.assertEqual(float(whole[f"{PAIR}/activations"].clean_resid_post[1, 2, 0]), 102)

    def test_f16(self):
        # h5netcdf alone: netCDF4 1.7 crashes on any 16-bit float, h5py's own too.
        with strict(), tree(path + ".f16", "h5netcdf") as whole:
            self.assertEqual(float(whole[f"{PAIR}/activations"].clean_resid_post[1, 2, 0]), 102)


class NetCDF(unittest.TestCase):
    """netCDF's own library reads the file, and may add to it."""

    def setUp(self):
        try:
            import netCDF4  # noqa: F401
        except ImportError:
            self.skipTest("no netCDF4")

    def test_append(self):
        import netCDF4
        copy = os.path.join(folder.name, "append.h5")
        shutil.copy(path, copy)
        with netCDF4.Dataset(copy, "a") as file:
            grid = file[GRID]
            grid.createVariable("mine", "f4", ("layer", "position"))[:] = 1
            grid["score"][0, 0] = 0.5
            file.comment = "added"
        with netCDF4.Dataset(copy) as file:
            self.assertEqual([float(file[GRID]["mine"][5, 11]), float(file[GRID]["score"][0, 0])], [1, 0.5])
            self.assertEqual(file.comment, "added")


class Tools(harness.Tools):
    """The command line tools of netCDF and HDF5."""

    def test_ncdump(self):
        text = self.out("ncdump", "-h", path)
        self.assertNotIn("phony", text)
        self.assertIn("double score(layer, position) ;", text)
        self.assertIn("string token(position) ;", text)
        self.assertIn("float clean_resid_post(layer, position, d_model) ;", text)
        self.assertNotIn("float d_model", text)  # a dimension, no variable

    def test_h5dump(self):
        self.assertIn("(2,0): 0, 0.54, 0.54, 0, -0.25,", self.out("h5dump", "-d", f"/{GRID}/score", path))
        self.out("h5dump", "-H", path)
        self.out("h5dump", "-H", path + ".bf16")


def group_of(whole, pair, site, direction):
    """A grid in a tree of any reader."""
    return whole[f"/{pair}/{site}/{direction}"]


class Sweeps(unittest.TestCase):
    """What `run` leaves, rather than a unit test: every reader sees the same scores."""

    SHAPES = {"base": {"one": (2, 11), "zero-denominator": (2, 9)},
              "five-layer": {"template-a": (5, 12), "template-b": (5, 12)}}

    def setUp(self):
        try:
            import h5netcdf  # noqa: F401
            import h5py
            import netCDF4  # noqa: F401
            import xarray  # noqa: F401
        except ImportError as error:
            self.skipTest(f"no {error.name}")
        self.h5py = h5py

    def sweep(self, name):
        """Run a golden job; the file's name."""
        out = os.path.join(folder.name, f"{name}.h5")
        done = harness.run("run", harness.ROOT / "tests" / "golden" / f"{name}.job.json", "-o", out, "-q")
        self.assertEqual(done.returncode, 0, done.stderr)
        return out

    def grids(self, name):
        """Every (pair, site, direction) of a job, and its shape."""
        return [((pair, site, direction), shape) for pair, shape in self.SHAPES[name].items()
                for site in ("resid_pre", "mlp_out", "resid_post") for direction in ("denoise", "noise")]

    def check_h5py(self, out, name):
        scores = {}
        with self.h5py.File(out) as file:
            for at, shape in self.grids(name):
                grid = group_of(file, *at)
                self.assertEqual(grid["score"].shape, shape)
                self.assertEqual([dim[0].name.rsplit("/", 1)[1] for dim in grid["score"].dims], ["layer", "position"])
                scores[at] = grid["score"][()]
                self.assertTrue((grid["done"][()] == 1).all())
            wrong = []
            file.visititems(lambda at, item: wrong.extend(
                f"{at}: {key}" for key, value in item.attrs.items()
                if isinstance(value, bytes) and key not in ("CLASS", "NAME")))
            self.assertEqual(wrong + [key for key, value in file.attrs.items() if isinstance(value, bytes)], [])
            for pair in self.SHAPES[name]:
                for text in ("token_clean", "token_corrupt", "role"):
                    self.assertEqual(self.h5py.check_string_dtype(file[pair][text].dtype).encoding, "utf-8")
        return scores

    def check_xarray(self, out, scores):
        for engine in ENGINES:
            with self.subTest(engine=engine), strict(), tree(out, engine) as whole:
                for at, wanted in scores.items():
                    grid = group_of(whole, *at)
                    self.assertEqual(grid.score.dims, ("layer", "position"))
                    self.assertEqual(grid.score.values.tobytes(), wanted.tobytes())
                    self.assertEqual(grid.patched_final.dims, ("layer", "position", "d_model"))
                    self.assertTrue(all(isinstance(token, str) for token in grid.token.values))
                    self.assertIsInstance(grid.attrs["site"], str)
                for node in whole.subtree:
                    self.assertLessEqual(set(node.sizes), {"layer", "position", "d_model", "rank"}, node.path)

    def check_netcdf(self, out, scores):
        import netCDF4
        with netCDF4.Dataset(out, "a") as file:
            self.assertEqual(file.format, "patchsweep-results")  # the attribute, not the library's word
            for at, wanted in scores.items():
                grid = file["/".join(at)]
                self.assertEqual(grid["score"][:].filled(math.nan).tobytes(), wanted.tobytes())
                self.assertEqual(grid["token"].dtype, str)
            file.comment = "added"

    def check_tool(self, *command):
        harness.needs(command[0])
        done = subprocess.run([*command, self.sweep("base")], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("phony", done.stdout)

    def check_all(self, name):
        out = self.sweep(name)
        scores = self.check_h5py(out, name)
        self.assertEqual(len(scores), 12)
        self.check_xarray(out, scores)
        self.check_netcdf(out, scores)  # changes the file
        with self.h5py.File(out) as file:
            for at, wanted in scores.items():
                self.assertEqual(group_of(file, *at)["score"][()].tobytes(), wanted.tobytes())

    def test_ncdump(self):
        self.check_tool("ncdump", "-h")

    def test_h5dump(self):
        self.check_tool("h5dump", "-H")

    def test_base(self):
        self.check_all("base")

    def test_five_layer(self):
        self.check_all("five-layer")


if __name__ == "__main__":
    harness.main()
