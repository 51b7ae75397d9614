"""Wrong weights never pass: another copy on one rank, a file that changed since, a node that computes something else."""
# run.sh: slow
# run.sh: quick Ranks.test_a_matrix BadMemory.test_one_of_two
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import bits
import harness

MODELS = harness.ROOT / "tests" / "fixtures" / "models"
SHIM = pathlib.Path(os.environ.get("UNIT", "build/release/tests")).absolute() / "shim.so"
HOST = os.uname().nodename
STOPPED = 75
WIDTH, D_MLP = 64, 192  # whole strips of any backend: a matrix is as large in memory as in its file
LAYERS = 4
MATRIX = "model.layers.2.mlp.down_proj.weight"
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH, "intermediate_size": D_MLP,
          "num_hidden_layers": LAYERS, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 128,
          "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
          "tie_word_embeddings": True}


class Tensors:
    """A safetensors file that can be changed in place."""

    def __init__(self, path):
        self.path = path
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            self.header, self.data = json.loads(file.read(size)), 8 + size

    def place(self, name):
        """(where it begins, its bytes)."""
        begin, end = self.header[name]["data_offsets"]
        return self.data + begin, end - begin

    def read(self, name):
        at, n = self.place(name)
        with self.path.open("rb") as file:
            file.seek(at)
            return numpy.frombuffer(file.read(n), numpy.float32)

    def write(self, name, values, first=0):
        with self.path.open("r+b") as file:
            file.seek(self.place(name)[0] + 4 * first)
            file.write(numpy.asarray(values, numpy.float32).tobytes())


def make_model(folder, vocab=128, layers=LAYERS):
    """A small model of random numbers in float32, its embedding behind everything else."""
    shapes = {"model.norm.weight": [WIDTH]}
    for layer in range(layers):
        of = f"model.layers.{layer}."
        shapes |= {of + "input_layernorm.weight": [WIDTH], of + "post_attention_layernorm.weight": [WIDTH],
                   of + "self_attn.q_proj.weight": [WIDTH, WIDTH], of + "self_attn.k_proj.weight": [WIDTH // 2, WIDTH],
                   of + "self_attn.v_proj.weight": [WIDTH // 2, WIDTH], of + "self_attn.o_proj.weight": [WIDTH, WIDTH],
                   of + "mlp.gate_proj.weight": [D_MLP, WIDTH], of + "mlp.up_proj.weight": [D_MLP, WIDTH],
                   of + "mlp.down_proj.weight": [WIDTH, D_MLP]}
    shapes["model.embed_tokens.weight"] = [vocab, WIDTH]
    header, at, random = {}, 0, numpy.random.default_rng(1)
    for name, shape in shapes.items():
        n = 4 * int(numpy.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + n]}
        at += n
    folder.mkdir()
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            values = random.standard_normal(shape, numpy.float32)
            file.write((values * 0.15 if len(shape) > 1 else 1 + values * 0.1).astype(numpy.float32).tobytes())
    harness.write_json(folder / "config.json", CONFIG | {"vocab_size": vocab, "num_hidden_layers": layers})


PAIRS = [{"id": "a", "clean_ids": [3, 9, 27, 81, 5, 15], "corrupt_ids": [3, 9, 28, 81, 5, 15], "answer_id": 7},
         {"id": "b", "clean_ids": [2, 4, 8, 16, 32, 64], "corrupt_ids": [2, 5, 8, 16, 32, 64], "answer_id": 11}]
JOB = {"model": "model", "pairs": PAIRS, "sites": ["resid_pre", "mlp_out"], "directions": ["denoise"],
       "metrics": ["logit_answer"]}


class Case(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.out, self.journal = self.folder / "o.h5", self.folder / "o.h5.journal"

    def assert_refused(self, done, *words):
        """Status 2, and one line that has the words."""
        self.assertEqual(done.returncode, 2, done.stderr)
        lines = [line for line in done.stderr.splitlines() if "error: " in line]
        self.assertEqual(len(lines), 1, done.stderr)
        for word in words:
            self.assertIn(word, lines[0])


class Ranks(Case):
    """The last rank has a copy of its own: each rank finds the model beside the job, in the folder where it runs."""

    model = None  # a folder to copy, or None for one that is made

    def setUp(self):
        super().setUp()
        for name in ("first", "other"):
            (self.folder / name).mkdir()
            harness.write_json(self.folder / name / "job.json", JOB)
        make_model(self.folder / "first" / "model")
        self.take(self.folder / "first" / "model")

    def take(self, model, **job):
        """The ranks run this model, a copy each."""
        for name in ("first", "other"):
            harness.write_json(self.folder / name / "job.json", JOB | job)
            if model != self.folder / name / "model":
                shutil.rmtree(self.folder / name / "model", ignore_errors=True)
                shutil.copytree(model, self.folder / name / "model")
        self.other = self.folder / "other" / "model"

    def go(self, *options, ranks=2):
        """All ranks but the last run in one folder, the last in the other one."""
        command = [harness.PATCHSWEEP, "run", "job.json", "-o", str(self.out), "-q", *options]
        words = ["mpirun", "--oversubscribe", "-n", str(ranks - 1), "env", "-C", str(self.folder / "first"), *command,
                 ":", "-n", "1", "env", "-C", str(self.folder / "other"), *command]
        return subprocess.run(words, env=harness.environment(ranks), timeout=120, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)

    def refuse(self, *words, ranks=2):
        self.assert_refused(self.go(ranks=ranks), f"rank {ranks - 1} on {HOST}", *words)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["first", "other"])

    def test_same_copies(self):
        done = self.go(ranks=3)
        self.assertEqual(done.returncode, 0, done.stderr)
        wanted = bits.datasets(self.out)
        self.assertEqual(harness.run("run", self.folder / "first" / "job.json", "-o", self.out, "--force").returncode, 0)
        self.assertEqual(bits.difference(self.out, wanted), "")

    def test_a_matrix(self):
        tensors = Tensors(self.other / "model.safetensors")
        tensors.write(MATRIX, tensors.read(MATRIX) * numpy.float32(1.05))
        for ranks in (2, 3):
            self.refuse(MATRIX, "model.safetensors", ranks=ranks)

    def test_one_number_of_a_matrix(self):
        tensors = Tensors(self.other / "model.safetensors")
        tensors.write(MATRIX, [0.25], first=1234)
        self.refuse(MATRIX, "model.safetensors")

    def test_a_norm(self):
        tensors = Tensors(self.other / "model.safetensors")
        tensors.write("model.layers.1.input_layernorm.weight", [1.5], first=WIDTH - 1)
        self.refuse("model.layers.1.input_layernorm.weight", "model.safetensors")

    def test_several_tensors(self):
        tensors = Tensors(self.other / "model.safetensors")
        for layer in range(LAYERS):
            tensors.write(f"model.layers.{layer}.self_attn.o_proj.weight", [9])
        self.refuse("model.layers.0.self_attn.o_proj.weight", "3 more")

    def test_another_width(self):
        shutil.rmtree(self.other)
        shutil.copytree(MODELS / "base", self.other)
        self.refuse("config.json")

    def test_no_config(self):
        (self.other / "config.json").unlink()
        self.refuse("config.json")

    def test_another_tokenizer(self):
        self.take(harness.ROOT / "data" / "similarity-model", pairs=PAIRS)
        with (self.other / "tokenizer.json").open("a", encoding="utf-8") as file:
            file.write("\n")
        self.refuse("tokenizer.json")
        (self.other / "tokenizer.json").unlink()
        self.refuse("there is no 'tokenizer.json'")

    def test_no_shard(self):
        self.take(MODELS / "mqa-f16-sharded")
        (self.other / "model-00003-of-00005.safetensors").unlink()
        self.refuse("model-00003-of-00005.safetensors")

    def test_a_shard(self):
        self.take(MODELS / "mqa-f16-sharded")
        path = self.other / "model-00003-of-00005.safetensors"
        data = bytearray(path.read_bytes())
        data[-5] ^= 1
        path.write_bytes(data)
        self.refuse("model.", path.name)


class LargeFile(Case):
    """A file above 64 MiB, of which only samples are read before it is loaded."""

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.model = pathlib.Path(scratch.name) / "model"
        make_model(cls.model, vocab=300_000)
        cls.tensors = Tensors(cls.model / "model.safetensors")
        cls.job = harness.write_json(cls.model.parent / "job.json", JOB)

    def go(self, *options, **more):
        return harness.run("run", self.job, "-o", self.out, "-q", *options, **more)

    @contextlib.contextmanager
    def changed(self, name, values, first=0):
        """A tensor is another one meanwhile."""
        before = self.tensors.read(name)
        self.tensors.write(name, values, first)
        try:
            yield
        finally:
            self.tensors.write(name, before)

    def test_a_result(self):
        self.assertEqual(self.go().returncode, 0)
        with h5py.File(self.out) as file:
            sums = dict(reversed(line.split()[:2]) for line in file["run"].attrs["weights_crc32c"].splitlines())
        self.assertEqual(len(sums), 2 + 9 * LAYERS)
        self.assertEqual(sums[MATRIX], f"{bits.crc32c(self.tensors.read(MATRIX).tobytes()):08x}")
        again = self.go()
        self.assertEqual((again.returncode, "holds this job's result already" in again.stderr), (0, True), again.stderr)
        for name in (MATRIX, "model.norm.weight", "model.layers.3.self_attn.k_proj.weight"):
            with self.changed(name, self.tensors.read(name)[::-1]):
                self.assert_refused(self.go(), "weights model.safetensors")

    def test_a_journal(self):
        stopped = self.go("--max-hours", "0.000001")
        self.assertEqual(stopped.returncode, STOPPED, stopped.stderr)
        before = self.journal.read_bytes()
        with self.changed(MATRIX, self.tensors.read(MATRIX)[::-1]):
            self.assert_refused(self.go(), "weights model.safetensors")
        with self.changed(MATRIX, [0.25], first=WIDTH * D_MLP // 6):  # between two samples
            for ranks in (0, 2):
                self.assert_refused(self.go(ranks=ranks), MATRIX, "model.safetensors", "--force")
                self.assertEqual(self.journal.read_bytes(), before)
        done = self.go()
        self.assertEqual(done.returncode, 0, done.stderr)


@unittest.skipUnless(SHIM.exists(), f"no {SHIM}; make check builds it")
class BadMemory(Case):
    """A matrix changes on one rank after all have compared theirs: the shim of tests/fault does it."""

    def setUp(self):
        super().setUp()
        make_model(self.folder / "model")
        self.job = harness.write_json(self.folder / "job.json", JOB)

    def start(self, ranks, bad, at, *options):
        """A run in which the first layer's matrix of rank `bad` changes at the at-th broadcast, of a rank alone at the
        at-th time that a file is synced."""
        command = [harness.PATCHSWEEP, "run", str(self.job), "-o", str(self.out), "-q", *map(str, options)]
        sanitizer = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
        spoiled = ["env", f"LD_PRELOAD={SHIM}", f"ASAN_OPTIONS={sanitizer}", f"PS_SPOIL_BYTES={4 * WIDTH * D_MLP}",
                   f"{'PS_SPOIL_AT' if ranks else 'PS_SPOIL_SYNC'}={at}", *command]
        words = ["mpirun", "--oversubscribe"]
        for rank in range(ranks):
            words += ([":"] if rank else []) + ["-n", "1", *(spoiled if rank == bad else command)]
        env = harness.environment(ranks) | ({} if ranks else {"PS_SAVE_ALWAYS": "1"})  # which syncs before every layer
        return subprocess.Popen(words if ranks else spoiled, env=env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def go(self, *args):
        with self.start(*args) as run:
            said = run.communicate(timeout=120)[1]
        return run.returncode, said

    def assert_marked(self, status, said, *words):
        """Status 1, and a result that says why, to each who reads it."""
        self.assertEqual(status, 1, said)
        self.assertEqual(sorted(path.name for path in self.folder.glob("o.h5*")), ["o.h5"])
        with h5py.File(self.out) as file:
            attrs = dict(file["run"].attrs)
        self.assertGreater(attrs["checks_failed"], 0)
        again = harness.run("run", self.job, "-o", self.out, "-q")
        self.assertEqual(again.returncode, 1, again.stderr)
        texts = [said, attrs["warning"], again.stderr]
        for command in (("show",), ("inspect",), ("plot", "-o", self.folder / "x.svg")):
            done = harness.run(*command, self.out)
            self.assertEqual(done.returncode, 0, done.stderr)
            texts.append(done.stderr)
        for text in texts:
            for word in ("self-checks failed", "do not trust", *words):
                self.assertIn(word, text)
        return attrs

    def test_one_of_two(self):
        status, said = self.go(2, 1, 1)
        self.assert_marked(status, said, f"rank 1 on {HOST}")
        self.assertIn("does not compute the same values", said)

    def test_the_first_of_three(self):
        """Two are of one mind: it is rank 0 that differs."""
        status, said = self.go(3, 0, 1)
        self.assert_marked(status, said, f"rank 0 on {HOST}")

    def test_in_a_later_wave(self):
        """Each wave has its check; those before are sound."""
        status, said = self.go(2, 1, 2 * LAYERS, "--wave-rows", 60)
        attrs = self.assert_marked(status, said, f"rank 1 on {HOST}")
        self.assertGreater(attrs["waves"], 3)
        self.assertEqual(attrs["checks"], 6 + attrs["waves"])

    def test_kept_over_a_resume(self):
        """The run is stopped behind the wave in which ranks differed, and goes on without the bad node."""
        pairs = [{**PAIRS[0], "id": f"p{i}", "answer_id": i} for i in range(100)]
        harness.write_json(self.job, JOB | {"pairs": pairs, "directions": ["denoise", "noise"]})
        with self.start(2, 1, 1, "--wave-rows", 30) as run:
            for line in run.stderr:
                if "does not compute" in line:
                    break
            run.send_signal(signal.SIGUSR1)
            said = run.communicate(timeout=120)[1]
        self.assertEqual(run.returncode, STOPPED, said)
        for _ in range(2):
            done = harness.run("run", self.job, "-o", self.out, "-q")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(f"rank 1 on {HOST}", done.stderr)

    def test_alone(self):
        """With one rank there is nobody to compare with; cells whose score is known show it."""
        status, said = self.go(0, 0, 9, "--wave-rows", 24)
        self.assert_marked(status, said)
        self.assertNotIn("rank", said[said.index("self-checks"):])


if __name__ == "__main__":
    harness.main()
