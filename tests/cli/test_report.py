"""What a run says of pairs whose baselines leave the score without a meaning."""
import json
import pathlib
import shutil
import struct
import sys
import tempfile
import unittest

import h5py

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

BASE = harness.ROOT / "tests" / "fixtures" / "models" / "base"


def copy_embedding(model, of, to):
    """Give token `to` the embedding of token `of`: the two prompts then lead to the same states."""
    path = model / "model.safetensors"
    data = bytearray(path.read_bytes())
    n = struct.unpack("<Q", data[:8])[0]
    tensor = json.loads(data[8:8 + n])["model.embed_tokens.weight"]
    start, end = (8 + n + offset for offset in tensor["data_offsets"])
    row = (end - start) // tensor["shape"][0]
    data[start + to * row:start + (to + 1) * row] = data[start + of * row:start + (of + 1) * row]
    path.write_bytes(data)


class ZeroDenominator(unittest.TestCase):
    def test_is_said(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            shutil.copytree(BASE, folder / "model")
            copy_embedding(folder / "model", of=2, to=5)
            job = {"model": "model", "pairs": [{"id": "p", "clean_ids": [1, 2, 4], "corrupt_ids": [1, 5, 4], "answer_id": 3}]}
            (folder / "job.json").write_text(json.dumps(job))
            # OpenBLAS may give the same row other bits in another place: then the runs differ by a little.
            done = harness.run("run", folder / "job.json", "-o", folder / "o.h5", "-q", "--set", "backend=cpu")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("p: logit_answer is the same in the clean and the corrupt run; its scores are 0", done.stderr)
            self.assertNotIn("divided by", done.stderr)
            with h5py.File(folder / "o.h5") as file:
                grid = file["p/resid_post/denoise"]
                self.assertTrue((grid["degenerate"][()] == 1).all())
                self.assertTrue((grid["score"][()] == 0).all())


if __name__ == "__main__":
    harness.main()
