"""inspect: what it says of a model and of a result, as text and as JSON."""
import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

FIXTURES = harness.ROOT / "tests" / "fixtures" / "models"


class Inspect(unittest.TestCase):
    """The words are for people; the JSON is compared with the files."""

    def test_models(self):
        for folder in sorted(FIXTURES.iterdir()):
            with self.subTest(folder.name):
                config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
                done = harness.run("inspect", "--json", folder)
                self.assertEqual(done.returncode, 0, done.stderr)
                seen = json.loads(done.stdout)
                keys = ("n_layer", "n_embd", "n_head") if "n_embd" in config else (
                    "num_hidden_layers", "hidden_size", "num_attention_heads")
                self.assertEqual((seen["n_layers"], seen["d_model"], seen["n_heads"], seen["vocab"]),
                                 (*(config[key] for key in keys), config["vocab_size"]))
                self.assertIn(config["architectures"][0], harness.run("inspect", folder).stdout)

    def test_tensors(self):
        done = harness.run("inspect", "--tensors", FIXTURES / "mqa-f16-sharded")
        self.assertIn("model.embed_tokens.weight", done.stdout)
        self.assertIn("F16", done.stdout)

    def test_result(self):
        with tempfile.TemporaryDirectory() as folder:
            out = f"{folder}/o.h5"
            self.assertEqual(harness.run("run", "jobs/similarity.json", "-o", out, "-q").returncode, 0)
            seen = json.loads(harness.run("inspect", "--json", out).stdout)
            self.assertEqual(seen["format"], "patchsweep-results")
            self.assertIn("einstein-swift", harness.run("inspect", out).stdout)

    def test_neither(self):
        done = harness.run("inspect", "README.md")
        self.assertEqual(done.returncode, 2)
        self.assertIn("README.md", done.stderr)

    def refuse(self, command, path, *words):
        done = harness.run(command, path)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_file_that_is_not_there(self):
        """The name of a result or a journal is never taken for a model's."""
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder, "o.h5")
            self.refuse("inspect", out, f"there is no file '{out}'")
            self.refuse("inspect", f"{out}.journal", f"there is no file '{out}.journal'", "until the run has finished")
            out.touch()
            self.refuse("inspect", f"{out}.journal", f"its result is '{out}'")

    def test_journal_is_no_result(self):
        with tempfile.TemporaryDirectory() as folder:
            journal = pathlib.Path(folder, "o.h5.journal")
            journal.write_bytes(b"psjrnl1\n")
            for command in ("show", "plot"):
                self.refuse(command, journal, "journal of a run", "patchsweep inspect")


if __name__ == "__main__":
    harness.main()
