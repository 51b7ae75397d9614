"""What a message says of a likely mistake: where it was looked, what the file is, what to write instead."""
import json
import os
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

MODEL = harness.ROOT / "data" / "similarity-model"
# Without a launcher these keep Open MPI from starting a daemon, which takes longer than a refusal.
ALONE = {"OMPI_MCA_ess_singleton_isolated": "1", "OMPI_MCA_btl": "self", "OMPI_MCA_pml": "ob1", "OMP_NUM_THREADS": "1"}


def good_job(**keys):
    return {"model": str(MODEL), "template": "Q: Who is like {subject}? Brad Pitt, Isaac Newton, Michael Jackson.\nA:",
            "pairs": [{"id": "p", "clean": {"subject": "Albert Einstein"}, "corrupt": {"subject": "Michael Jackson"},
                       "answer": " Isaac", "foil": " Michael"}], **keys}


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def refuse(self, job, *words, options=(), cwd=harness.ROOT, without=(), env=None):
        path = self.folder / "job.json"
        path.write_text(job if isinstance(job, str) else json.dumps(job), encoding="utf-8")
        done = harness.run("run", path, "-q", "-o", self.folder / "o.h5", *options, cwd=cwd, env={**ALONE, **(env or {})})
        self.assertEqual(done.returncode, 2, done.stderr)
        lines = done.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        for word in words:
            self.assertIn(word, lines[0])
        for word in without:
            self.assertNotIn(word, lines[0])


class Models(Case):
    def test_gguf(self):
        (self.folder / "m.gguf").write_bytes(b"GGUF\3\0\0\0" + bytes(100))
        self.refuse(good_job(model="m.gguf"), "is a GGUF file", "scripts/gguf_to_hf.py")
        (self.folder / "m.bin").write_bytes(bytes(100))
        self.refuse(good_job(model="m.bin"), "is a file", without=("GGUF",))

    def test_where_it_was_looked_for(self):
        """A relative name is one beside the job file; the folder of that name where the user stands is named."""
        models = self.folder / "models"
        shutil.copytree(MODEL, models / "x")
        for name in ("./x", "x"):
            self.refuse(good_job(), "relative to the job file", str(self.folder), os.path.realpath(models / "x"),
                        options=("--set", f"model={name}"), cwd=models, env={"HF_HUB_CACHE": str(self.folder)})
        self.refuse(good_job(model="./y"), "relative to the job file", f"{self.folder}/./y")

    def cached(self, config=None):
        """A cache that has this much of org/model."""
        cache = self.folder / "hub"
        if config is not None:
            folder = cache / "models--org--model" / "snapshots" / ("0" * 40)
            folder.mkdir(parents=True)
            (cache / "models--org--model" / "refs").mkdir()
            (cache / "models--org--model" / "refs" / "main").write_text("0" * 40)
            harness.write_json(folder / "config.json", config)
        return {"HF_HUB_CACHE": str(cache)}

    def test_download_names_what_is_supported(self):
        self.refuse(good_job(model="org/model"), "hf download org/model", "LlamaForCausalLM", env=self.cached())

    def test_unsupported_family_is_not_asked_for(self):
        """Where config.json is in the cache and the weights are not."""
        env = self.cached({"architectures": ["MptForCausalLM"]})
        self.refuse(good_job(model="org/model"), "MptForCausalLM", "LlamaForCausalLM", without=("hf download",), env=env)
        done = harness.run("inspect", "org/model", env={**ALONE, **env})
        self.assertIn("MptForCausalLM", done.stderr)
        self.assertNotIn("hf download", done.stderr)

    def test_supported_family_is_asked_for(self):
        env = self.cached({"architectures": ["LlamaForCausalLM"]})
        self.refuse(good_job(model="org/model"), "hf download org/model", env=env)


class Jobs(Case):
    def test_pairs_file_as_job(self):
        pair = json.dumps(good_job()["pairs"][0])
        for text in (pair, f"{pair}\n", f"{pair}\n{pair}\n", f"{pair}\r\n{pair}"):
            self.refuse(text, "job.json", "file of pairs", "pairs_file")
        self.refuse(json.dumps(good_job()) + "\n{}", "text after", without=("pairs_file",))
        self.refuse('{"clean_promt": "x"}', "unknown key", without=("pairs_file",))

    def test_suggestions_are_near(self):
        self.refuse(good_job(sites=["attn_in"]), "'attn_in'", "resid_pre", without=("did you mean",))
        self.refuse(good_job(sites=["mlp_uot"]), "did you mean 'mlp_out'")


class Spaces(Case):
    """An answer without the space that belongs in front: said in the table, before anything is computed."""

    def table(self, answer, prompt="A:", **keys):
        job = good_job(template=f"Q: Who is like {{subject}}?\n{prompt}")
        job["pairs"][0].update({"answer": answer, **keys})
        path = harness.write_json(self.folder / "job.json", job)
        done = harness.run("run", path, "-o", self.folder / "o.h5", "--max-hours", "0.0000001", "--force", env=ALONE)
        self.assertEqual(done.returncode, 75, done.stderr)
        return done.stderr.partition("patchsweep:")[0]

    def test_named(self):
        said = self.table("Isaac")
        self.assertIn("# answer: ", said)
        self.assertIn("answer: no space in front; write ' Isaac' for the token 612", said)
        said = self.table(" Isaac", foil="Michael")
        self.assertIn("foil: no space in front; write ' Michael'", said)
        self.assertNotIn("answer: no space", said)

    def test_not_where_none_belongs(self):
        for answer, prompt in ((" Isaac", "A:"), ("Isaac", "A: "), ("Isaac", "A: \\\""), ("Isaac", "A=("), (".", "A")):
            self.assertNotIn("no space in front", self.table(answer, prompt))


if __name__ == "__main__":
    harness.main()
