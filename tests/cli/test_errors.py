"""Mistakes of every kind: exit 2, one line that names file, place and remedy, no output touched.

Also what is nobody's mistake: a full disk, a kill.  Neither leaves half a file under the result's name.
"""
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

FIXTURES = harness.ROOT / "tests" / "fixtures" / "models"
MODEL = harness.ROOT / "data" / "similarity-model"
TEMPLATE = "Q: Which of the following entities has a profession in common with {subject}? {entities}.\nA:"


def good_job():
    """A job that runs; each case spoils it."""
    return {"model": str(MODEL), "template": TEMPLATE, "fill": {"entities": "Brad Pitt, Isaac Newton, Michael Jackson"},
            "pairs": [{"id": "p", "clean": {"subject": "Albert Einstein"}, "corrupt": {"subject": "Taylor Swift"},
                       "answer": " Isaac", "foil": " Michael"}]}


class Case(unittest.TestCase):
    """A folder of its own, and what must hold of a refusal."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def refuse(self, job, *words, args=()):
        """`run` must refuse `job`: a dict, or the text of the file."""
        path = self.folder / "job.json"
        path.write_text(job if isinstance(job, str) else json.dumps(job), encoding="utf-8")
        before = sorted(os.listdir(self.folder))
        done = harness.run("run", path, "-q", *(args or ("-o", self.folder / "o.h5")), timeout=30)
        self.assertEqual(done.returncode, 2, done.stderr)
        lines = done.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        for word in words:
            self.assertIn(word, lines[0])
        self.assertEqual(done.stdout, "")
        self.assertEqual(sorted(os.listdir(self.folder)), before)


class Jobs(Case):
    """The job file and its prompts."""

    def test_not_json(self):
        self.refuse("{", "job.json", "1:")

    def test_unknown_key(self):
        self.refuse({**good_job(), "layer": "all"}, "layer", "layers")

    def test_unequal_lengths(self):
        job = good_job()
        job["pairs"][0]["corrupt"] = {"subject": "Taylor"}
        self.refuse(job, "pairs[0]", "28", "27", "Einstein")

    def test_identical_rows(self):
        job = good_job()
        job["pairs"][0]["corrupt"] = job["pairs"][0]["clean"]
        self.refuse(job, "pairs[0]")

    def test_empty_answer(self):
        job = good_job()
        job["pairs"][0]["answer"] = ""
        self.refuse(job, "answer")

    def test_unfilled_placeholder(self):
        job = good_job()
        del job["fill"]
        self.refuse(job, "entities")

    def test_no_pairs(self):
        self.refuse({**good_job(), "pairs": []}, "pairs")

    def test_position_past_the_end(self):
        self.refuse({**good_job(), "positions": [28]}, "positions", "28")

    def test_unknown_precision(self):
        self.refuse({**good_job(), "precision": "fp16"}, "precision", "fp16", "fp32")

    def test_pairs_file_line(self):
        (self.folder / "many.jsonl").write_text(json.dumps(good_job()["pairs"][0]) + "\n{]\n", encoding="utf-8")
        job = {**good_job(), "pairs_file": "many.jsonl"}
        del job["pairs"]
        self.refuse(job, "many.jsonl:2")

    def test_id_past_the_vocabulary(self):
        self.refuse({"model": str(FIXTURES / "base"), "pairs": [
            {"clean_ids": [1, 2, 3], "corrupt_ids": [1, 2, 100000], "answer_id": 4}]}, "100000")


class Models(Case):
    """The model directory."""

    def spoil(self, fixture="base", config=None, weights=None):
        """A copy of a fixture with its config changed, or its weights' bytes."""
        model = self.folder / "model"
        shutil.copytree(FIXTURES / fixture, model)
        if config:
            text = json.loads((model / "config.json").read_text(encoding="utf-8"))
            text.update(config)
            harness.write_json(model / "config.json", text)
        if weights:
            path = model / "model.safetensors"
            path.write_bytes(weights(path.read_bytes()))
        return {"model": "model", "pairs": [{"clean_ids": [1, 2, 3], "corrupt_ids": [1, 5, 3], "answer_id": 4}]}

    def test_no_such_model(self):
        self.refuse({**good_job(), "model": "nobody/nothing"}, "nobody/nothing", "hf download")

    def test_zero_layers(self):
        self.refuse(self.spoil(config={"num_hidden_layers": 0}), "config.json", "num_hidden_layers")

    def test_heads_that_do_not_divide(self):
        self.refuse(self.spoil(config={"num_key_value_heads": 3}), "num_key_value_heads")

    def test_unknown_config_key(self):
        self.refuse(self.spoil(config={"sliding_window": 4096}), "sliding_window")

    def test_other_architecture(self):
        self.refuse(self.spoil(config={"architectures": ["MptForCausalLM"]}), "MptForCausalLM")

    def test_truncated_weights(self):
        self.refuse(self.spoil(weights=lambda data: data[:-100]), "model.safetensors")

    def test_layer_missing(self):
        self.refuse(self.spoil(config={"num_hidden_layers": 3}), "model.layers.2")

    def test_layer_too_many(self):
        self.refuse(self.spoil("five-layer", config={"num_hidden_layers": 4}), "model.layers.4")

    def test_wrong_shape(self):
        self.refuse(self.spoil(config={"intermediate_size": 40}), "mlp.gate_proj",
                    "has shape [48, 32], config.json implies [40, 32]")

    def test_wrong_shape_of_a_vector(self):
        def as_matrix(data):
            size = struct.unpack("<Q", data[:8])[0]
            header = json.loads(data[8:8 + size])
            header["model.norm.weight"]["shape"] = [32, 1]
            text = json.dumps(header).encode()
            return struct.pack("<Q", len(text)) + text + data[8 + size:]

        self.refuse(self.spoil(weights=as_matrix), "'model.norm.weight' has shape [32, 1], config.json implies [32]")

    def test_unsupported_type(self):
        def as_f64(data):
            size = struct.unpack("<Q", data[:8])[0]
            header = json.loads(data[8:8 + size])
            for tensor in header.values():
                if "dtype" in tensor:
                    tensor.update(dtype="F64", data_offsets=[2 * offset for offset in tensor["data_offsets"]])
            text = json.dumps(header).encode()
            return struct.pack("<Q", len(text)) + text + 2 * data[8 + size:]
        self.refuse(self.spoil(weights=as_f64), "F64")

    def test_no_tokenizer_for_text(self):
        job = good_job()
        job["model"] = str(FIXTURES / "base")
        self.refuse(job, "tokenizer.json")

    def test_more_tokens_than_embeddings_of_positions(self):
        ids = list(range(1, 34))
        self.refuse({"model": str(FIXTURES / "gpt2"), "pairs": [{"clean_ids": ids, "corrupt_ids": [50, *ids[1:]], "answer_id": 4}]},
                    "33 tokens", "embeddings of 32 positions")


class Outputs(Case):
    """Where the result goes."""

    def test_folder_missing(self):
        self.refuse(good_job(), "no/such", "-o", args=("-o", self.folder / "no" / "such" / "o.h5"))

    def test_folder_itself(self):
        self.refuse(good_job(), "-o", args=("-o", self.folder))

    def test_anothers_file(self):
        (self.folder / "o.h5").write_text("precious", encoding="utf-8")
        self.refuse(good_job(), "--force")
        self.assertEqual((self.folder / "o.h5").read_text(encoding="utf-8"), "precious")

    def test_complete_result_is_left_alone(self):
        path = harness.write_json(self.folder / "job.json", good_job())
        out = self.folder / "o.h5"
        self.assertEqual(harness.run("run", path, "-o", out).returncode, 0)
        before = out.stat().st_mtime_ns
        again = harness.run("run", path, "-o", out)
        self.assertEqual(again.returncode, 0)
        self.assertIn("already", again.stderr)
        self.assertEqual(out.stat().st_mtime_ns, before)
        other = harness.run("run", path, "-o", out, "--set", "sites=[\"mlp_out\"]")
        self.assertEqual(other.returncode, 2)
        self.assertEqual(harness.run("run", path, "-o", out, "--set", "sites=[\"mlp_out\"]", "--force").returncode, 0)

    def test_full_disk(self):
        """A file-size limit stands in for the disk: writing past it fails.  What was finished is not lost."""
        path = harness.write_json(self.folder / "job.json", {**good_job(), "activations": ["clean", "corrupt"]})
        command = f"trap '' XFSZ; ulimit -f 64; exec {harness.PATCHSWEEP} run {path} -o {self.folder}/o.h5 -q"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=harness.ROOT,
                              env={**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                                   "PMIX_MCA_gds": "hash"}, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("o.h5", done.stderr)
        self.assertFalse((self.folder / "o.h5").exists())
        again = harness.run("run", path, "-o", self.folder / "o.h5")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("resuming", again.stderr)
        self.assertEqual(sorted(os.listdir(self.folder)), ["job.json", "o.h5"])

    def test_killed(self):
        """Whenever it is killed, there is no file under the result's name, or a whole one."""
        path = harness.write_json(self.folder / "job.json", good_job())
        out = self.folder / "o.h5"
        for delay in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3):
            process = subprocess.Popen([harness.PATCHSWEEP, "run", path, "-o", out, "-q"], cwd=harness.ROOT,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            process.wait()
            if out.exists():
                self.assertEqual(harness.run("inspect", out).returncode, 0)
                out.unlink()
        self.assertEqual(harness.run("run", path, "-o", out).returncode, 0)
        self.assertEqual(sorted(os.listdir(self.folder)), ["job.json", "o.h5"])


class Plain(Case):
    """A job that asks for nothing but scores still has everything to read them by."""

    def test_show_of_the_smallest_job(self):
        job = {**good_job(), "metrics": ["logit_answer"], "layers": [0, -1]}
        path = harness.write_json(self.folder / "job.json", job)
        self.assertEqual(harness.run("run", path, "-o", self.folder / "o.h5").returncode, 0)
        for command in ("show", "plot", "inspect"):
            done = harness.run(command, self.folder / "o.h5")
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Einstein", harness.run("show", self.folder / "o.h5").stdout)

    def test_old_kernels_are_named(self):
        """A forced kernel older than the processor halves the speed: the run says so, and runs."""
        if "avx2" not in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"):
            self.skipTest("this processor has no newer kernels")
        path = harness.write_json(self.folder / "job.json", good_job())
        done = harness.run("run", path, "-o", self.folder / "o.h5", "--set", "backend=openblas",
                           env={"OPENBLAS_CORETYPE": "Sandybridge"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("unset OPENBLAS_CORETYPE", done.stderr)


class Usage(unittest.TestCase):
    """The command line."""

    def test_help_and_version(self):
        for args in (["--help"], ["--version"], *[[c, "--help"] for c in ("run", "show", "plot", "tokenize", "inspect")]):
            done = harness.run(*args)
            self.assertEqual((done.returncode, done.stderr), (0, ""), args)
            self.assertGreater(len(done.stdout), 10)

    def test_mistakes(self):
        for args, word in ((["rum"], "run"), (["run", "--otuput", "x"], "--output"), (["run"], "job"),
                           (["show"], "show"), (["tokenize", "x"], "--model"), (["inspect"], "inspect"),
                           (["run", "-o"], "-o"), (["run", "--panel-rows", "x", "j"], "x"),
                           (["run", "--panel-rows", "9223372036854775807", "j"], "use 1 to 1000000"),
                           (["run", "--wave-rows", "-1", "j"], "use 1 to")):
            done = harness.run(*args)
            self.assertEqual(done.returncode, 2, args)
            self.assertIn(word, done.stderr)
            self.assertEqual(done.stdout, "")

    def test_log_has_no_control_characters(self):
        done = harness.run("run", "jobs/similarity.json", "-o", os.path.join(tempfile.mkdtemp(), "o.h5"))
        self.assertEqual(done.returncode, 0)
        for text in (done.stdout, done.stderr):
            self.assertFalse([c for c in text if ord(c) < 32 and c != "\n"])


if __name__ == "__main__":
    harness.main()
