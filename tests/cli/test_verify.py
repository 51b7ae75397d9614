"""`inspect --verify`: a whole file passes; one flipped byte in any dataset's data is found, and named."""
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


class Verify(unittest.TestCase):
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

    def test_whole(self):
        done = harness.run("inspect", "--verify", "--json", self.result)
        self.assertEqual(done.returncode, 0, done.stderr)
        with h5py.File(self.result) as file:
            n = []
            file.visititems(lambda name, item: n.append(name) if isinstance(item, h5py.Dataset) else None)
        self.assertEqual(json.loads(done.stdout)["verified"], len(n))

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


if __name__ == "__main__":
    harness.main()
