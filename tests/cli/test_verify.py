"""`inspect --verify`: a whole file passes; one flipped byte in any dataset's data is found, and named."""
# run.sh: slow
# run.sh: quick Attributes
import json
import pathlib
import sys
import tempfile
import unittest

import h5py

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import bits
import harness

JOB = harness.ROOT / "jobs" / "similarity.json"


def data_places(path):
    """(dataset, offset in the file, bytes) of everything that datasets store."""
    places = []
    with h5py.File(path) as file:
        def visit(name, item):
            if not isinstance(item, h5py.Dataset) or item.dtype.kind == "O":
                return  # strings lie in a heap, whose addresses h5py does not tell
            if item.chunks is None:
                if item.id.get_offset() is not None:
                    places.append((name, item.id.get_offset(), item.id.get_storage_size()))
                return
            for i in range(item.id.get_num_chunks()):
                chunk = item.id.get_chunk_info(i)
                places.append((name, chunk.byte_offset, chunk.size))
        file.visititems(visit)
    return places


class Swept(unittest.TestCase):
    """A result, and copies of it with a byte changed."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.result = cls.folder / "whole.h5"
        done = harness.run("run", JOB, "-o", cls.result, "-q", "--set", "patched_final=true")
        assert done.returncode == 0, done.stderr
        cls.bytes = cls.result.read_bytes()

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def damaged(self, offset, value):
        path = self.folder / "damaged.h5"
        path.write_bytes(self.bytes[:offset] + bytes([value]) + self.bytes[offset + 1:])
        return harness.run("inspect", "--verify", path)


class Verify(Swept):
    """Values of datasets."""

    def test_whole(self):
        done = harness.run("inspect", "--verify", "--json", self.result)
        self.assertEqual(done.returncode, 0, done.stderr)
        with h5py.File(self.result) as file:
            n = []
            file.visititems(lambda name, item: n.append(name) if isinstance(item, h5py.Dataset) else None)
        seen = json.loads(done.stdout)
        self.assertEqual((seen["verified"], seen["attributes_verified"]), (len(n), True))

    def test_sums_are_crc32c_of_the_values(self):
        """As another program would work them out, bit by bit."""
        with h5py.File(self.result) as file:
            pair = file["einstein-swift"]
            score = pair["resid_post/denoise/score"]
            self.assertEqual(score.attrs["crc32c"], f"{bits.crc32c(score[()].tobytes()):08x}")
            tokens = pair["token_clean"]
            joined = b"".join(text + b"\0" for text in tokens[()])
            self.assertEqual(tokens.attrs["crc32c"], f"{bits.crc32c(joined):08x}")

    def test_flipped_bytes(self):
        places = data_places(self.result)
        self.assertGreater(len({name for name, _, _ in places}), 15)
        seen = set()
        for name, offset, size in places:
            if (name, "twice") in seen:
                continue  # two places of each dataset
            seen.add((name, "twice") if name in seen else name)
            at = offset + size // 2
            done = self.damaged(at, self.bytes[at] ^ 0x10)
            self.assertEqual(done.returncode, 2, f"{name}: {done.stdout}")
            self.assertIn(name.rsplit("/", 1)[-1], done.stderr)
            self.assertIn("damaged", done.stderr)

    def test_flipped_token(self):
        kept = (9).to_bytes(8, "little") + b" Einstein"  # as a heap keeps a string: its length, then the bytes
        done = self.damaged(self.bytes.index(kept) + 10, ord("a"))
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("token", done.stderr)

    def test_flipped_header(self):
        """A small dataset lies in its object's header."""
        with h5py.File(self.result) as file:
            ids = file["einstein-swift/token_id_corrupt"][()].tobytes()
        self.assertEqual(self.bytes.count(ids), 1)
        done = self.damaged(self.bytes.index(ids) + 8, self.bytes[self.bytes.index(ids) + 8] ^ 1)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("token_id_corrupt", done.stderr)


def places(data, wanted):
    """Every place of a text in a file."""
    at = data.find(wanted)
    while at >= 0:
        yield at
        at = data.find(wanted, at + 1)


def sum_of_attributes(group, item):
    """attributes_crc32c as another program would work it out, from what digest.h says of it."""
    total = 0
    for name in item.attrs:
        attr, value = item.attrs.get_id(name), item.attrs[name]
        if name in ("crc32c", "attributes_crc32c"):
            continue
        count = attr.shape[0] if attr.shape else 0
        if name == "DIMENSION_LIST":
            kind, body = "links", b"".join(group[row[0]].name.rsplit("/", 1)[1].encode() + b"\0" for row in value)
        elif name == "REFERENCE_LIST":
            kind, body = "links", b"".join(group[row[0]].name.rsplit("/", 1)[1].encode() + b"\0" +
                                           int(row[1]).to_bytes(4, "little") for row in value)
        elif attr.dtype.kind in "OS":
            texts = [value] if count == 0 else list(value)
            kind, body = "text", b"".join((t.encode() if isinstance(t, str) else bytes(t)) + b"\0" for t in texts)
        else:
            kind, body = f"{attr.dtype.kind}{attr.dtype.itemsize}", value.tobytes()
        total += bits.crc32c(b"\0".join((name.encode(), kind.encode(), str(count).encode(), body)))
    return f"{total & 0xffffffff:08x}"


class Attributes(Swept):
    """Prompts, baselines, the job and the identity are attributes: their checksums find what is not as it was written."""

    def test_sums(self):
        """Of the root, groups, scales with users and without values, rows and grids."""
        with h5py.File(self.result) as file:
            for name in ("/", "run", "einstein-swift", "einstein-swift/layer", "einstein-swift/position",
                         "einstein-swift/token_clean", "einstein-swift/resid_post", "einstein-swift/resid_post/denoise",
                         "einstein-swift/resid_post/denoise/d_model", "einstein-swift/resid_post/denoise/answer_rank",
                         "einstein-swift/resid_post/denoise/patched_final"):
                item = file[name]
                self.assertEqual(item.attrs["attributes_crc32c"], sum_of_attributes(item.parent, item), name)

    def test_flipped_texts(self):
        """In the heap, where no checksum of HDF5's own covers them: every place of each."""
        with h5py.File(self.result) as file:
            pair = file["einstein-swift"].attrs
            texts = [pair["clean_prompt"], pair["corrupt_prompt"], pair["answer_token"], file.attrs["job"], file.attrs["identity"],
                     file.attrs["history"], file["run"].attrs["processor"],
                     file["einstein-swift/resid_post/denoise"].attrs["site_aliases"], "activation patching sweep"]
        n = 0
        for text in texts:
            found = list(places(self.bytes, text.encode() + b"\0" if len(text) % 8 else text.encode()))
            self.assertTrue(found, text)
            for at in found:
                done = self.damaged(at + len(text) // 2, self.bytes[at + len(text) // 2] ^ 1)
                self.assertEqual(done.returncode, 2, f"{text}: {done.stdout}")
                self.assertRegex(done.stderr, "damaged|not from 'patchsweep run'")
                n += 1
        self.assertGreaterEqual(n, len(texts))

    def test_flipped_numbers(self):
        with h5py.File(self.result) as file:
            pair = file["einstein-swift"].attrs
            numbers = [pair[name].tobytes() for name in ("clean_logit_answer", "corrupt_logit_answer", "corrupt_kl")]
            numbers.append(file.attrs["total_seconds"].tobytes())
        for number in numbers:
            found = list(places(self.bytes, number))
            self.assertTrue(found)
            for at in found:
                self.assertEqual(self.damaged(at + 3, self.bytes[at + 3] ^ 4).returncode, 2)

    def edited(self, edit):
        path = self.folder / "edited.h5"
        path.write_bytes(self.bytes)
        with h5py.File(path, "a") as file:
            edit(file)
        return harness.run("inspect", "--verify", "--json", path)

    def test_edits_are_named(self):
        """Whoever adds to a file, or changes it, learns which object differs."""
        for edit in (lambda file: file["einstein-swift"].attrs.create("mine", 1),
                     lambda file: file["einstein-swift"].attrs.modify("clean_logit_answer", 1.0),
                     lambda file: file["einstein-swift"].attrs.__delitem__("answer_token"),
                     lambda file: file["einstein-swift"].attrs.__delitem__("attributes_crc32c")):
            done = self.edited(edit)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, "group '/einstein-swift'")

    def test_links_of_scales(self):
        def swap(file):
            ids = file["einstein-swift/token_id_clean"]
            ids.attrs["DIMENSION_LIST"] = file["einstein-swift/role"].attrs["DIMENSION_LIST"]
        self.assertEqual(self.edited(swap).returncode, 0)  # which leads to the same scale

        def turn(file):
            users = file["einstein-swift/position"].attrs["REFERENCE_LIST"]
            users[0], users[1] = users[1].copy(), users[0].copy()
            file["einstein-swift/position"].attrs["REFERENCE_LIST"] = users
        self.assertIn("'/einstein-swift/position'", self.edited(turn).stderr)

    def test_older_file(self):
        """Without checksums of attributes: datasets are verified, and the answer says that attributes are not."""
        def strip(file):
            del file.attrs["attributes_crc32c"]
            file.visititems(lambda name, item: item.attrs.__delitem__("attributes_crc32c"))
        done = self.edited(strip)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(json.loads(done.stdout)["attributes_verified"])


if __name__ == "__main__":
    harness.main()
