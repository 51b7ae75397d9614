"""Files from strangers: whatever stands in them, no command writes what would steer a terminal.

Every byte that run, show, plot, inspect and tokenize write is looked at, refusals and results alike.  Into a file, CSV keeps a result's
texts as they are; everything else is printable always.
"""
# run.sh: slow
# run.sh: quick Jobs Models
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

import h5py
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

FIXTURES = harness.ROOT / "tests" / "fixtures" / "models"
MODEL = harness.ROOT / "data" / "similarity-model"
# A title, a colour, a bell, C1's CSI, an override of direction, ends of lines, DEL.
EVIL = "\x1b]0;gone\x07\x1b[31m\u009b2J\u202e\u2028\u2066\r\n\t\x7f\ufeff"
NAME = "\x1b[31m\u009b2J\u202ex\n\r"  # the same where it must be the name of a file
STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Case(unittest.TestCase):
    """A folder of its own, and runs whose every byte is looked at."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def say(self, *args, status=0, ranks=0, stdin=b""):
        """Run patchsweep on args, in the folder; both its outputs as they came, which must be harmless."""
        command = ["mpirun", "--oversubscribe", "-n", str(ranks)] if ranks else []
        env = harness.environment(ranks, OMP_NUM_THREADS="1")
        done = subprocess.run([*command, harness.PATCHSWEEP, *args], cwd=self.folder, env=env, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        for text in (done.stdout.decode(), done.stderr.decode()):  # which fails on what is not UTF-8
            self.assertEqual(STEERS.findall(text), [], text)
        return done.stdout.decode(), done.stderr.decode()

    def job(self, **changes):
        """A job that runs, with changes; returns its name."""
        job = {"model": str(MODEL), "layers": [0], "positions": [-1],
               "pairs": [{"id": "p", "clean_prompt": "Q: Who is Albert?\nA:", "corrupt_prompt": "Q: Who is Taylor?\nA:",
                          "answer": " Isaac", "foil": " Michael"}], **changes}
        harness.write_json(self.folder / "job.json", job)
        return "job.json"

    def pair(self, **changes):
        """The job's pair, with changes."""
        return [{"id": "p", "clean_prompt": "Who is Albert?", "corrupt_prompt": "Who is Taylor?", "answer": " Isaac", **changes}]

    def refuse(self, job, *args, ranks=0):
        """`run` must refuse the job with one line, and show the escape character as one can read it."""
        out, err = self.say("run", job, "-o", "o.h5", *args, status=2, ranks=ranks)
        self.assertEqual(out, "")
        self.assertRegex(err, r"\\x1b|\\u\{|\\n")
        if not ranks:
            self.assertEqual(err.count("\n"), 1, err)


class Jobs(Case):
    """What a job file says, and what stands on the command line."""

    def test_refusals(self):
        for name, changes in {
                "key": {EVIL: 1}, "key that is near": {"layer\x1b": 1}, "model": {"model": "no/" + EVIL},
                "site": {"sites": [EVIL]}, "score": {"score": EVIL}, "backend": {"backend": EVIL},
                "template": {"template": "{" + EVIL + "}"}, "fill": {"template": "{a}", "fill": {EVIL: "x"}},
                "fill's type": {"template": "{a}", "fill": {EVIL: 1}},
                "pairs_file": {"pairs_file": "no" + NAME}, "output": {"output": "/no/" + EVIL, "sites": [EVIL]},
                "pair's key": {"pairs": self.pair(**{EVIL: 1})}, "id": {"pairs": self.pair(id=EVIL)},
                "filler": {"template": "{a}", "pairs": [{"clean": {EVIL: "x"}, "corrupt": {"a": "y"}, "answer": "z"}]},
        }.items():
            with self.subTest(name):
                self.refuse(self.job(**changes))

    def test_prompts_of_unequal_length(self):
        self.refuse(self.job(pairs=self.pair(clean_prompt="Who is " + EVIL, corrupt_prompt="Who is \x1b?")))

    def test_lines_of_a_pairs_file(self):
        (self.folder / ("many" + NAME)).write_text("{\"\\u001b[2J\": 1}\n", encoding="utf-8")
        self.refuse(self.job(pairs_file="many" + NAME))

    def test_command_line(self):
        job = self.job()
        for word in (EVIL, EVIL + "=1", "score=" + EVIL):
            with self.subTest(word):
                self.refuse(job, "--set", word)
        for word in ("layers=" + EVIL, "sites=[\"" + EVIL):
            with self.subTest(word):
                self.say("run", job, "--set", word, status=2)
        for args in ([EVIL], ["run", "--" + EVIL], ["run", NAME], ["run", job, "-o", "/no/" + NAME], ["show", NAME],
                     ["show", "--color", EVIL, NAME], ["plot", NAME], ["inspect", NAME], ["tokenize", "-m", NAME, "x"]):
            with self.subTest(args):
                self.say(*args, status=2)
        self.say(b"run", b"no\xff\xc2.json", status=2)
        self.assertIn("not valid UTF-8", self.say("run", job, "--set", b"output=a\xff", status=2)[1])

    def test_ranks(self):
        self.refuse(self.job(**{EVIL: 1}), ranks=2)

    def test_accepted(self):
        """The prompts are EVIL, and so are the tokens of the result, the model's folder and the result's name."""
        shutil.copytree(MODEL, self.folder / NAME)
        pairs = self.pair(clean_prompt="Albert" + EVIL, corrupt_prompt="Taylor" + EVIL, answer="\x1b[1m", foil="\u009b")
        job = self.job(model=NAME, pairs=pairs, positions="all", score="logit_diff")
        result = "o" + NAME + ".h5"
        for ranks in (0, 2):
            out, err = self.say("run", job, "-o", result, "--force", ranks=ranks)
            self.assertIn("\\x1b", out)
            self.assertIn("\\x1b", err)
        self.assertIn("\\x1b", self.say("show", result)[0])
        self.assertIn("\\x1b", self.say("inspect", result)[0])
        shown = json.loads(self.say("show", "--json", result)[0])
        self.assertIn("\x1b", "".join(shown[0]["token_clean"]))  # as it is, to a program
        ElementTree.fromstring(self.say("plot", result)[0])
        self.say("plot", result, "-o", "p" + NAME + ".svg")
        ElementTree.parse(self.folder / ("p" + NAME + ".svg"))


class Models(Case):
    """What a model's folder says."""

    def setUp(self):
        super().setUp()
        self.model = self.folder / ("model" + NAME)
        shutil.copytree(FIXTURES / "base", self.model)

    def inspect(self, *args, status=0):
        out, err = self.say("inspect", self.model, *args, status=status)
        self.assertRegex(out + err, r"\\x1b|\\u001b")
        return out

    def header(self, header, data=b""):
        text = json.dumps(header).encode()
        (self.model / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)

    def test_folder(self):
        self.assertEqual(json.loads(self.inspect("--json"))["model"], str(self.model))

    def test_config(self):
        config = json.loads((self.model / "config.json").read_text(encoding="utf-8"))
        for key, value in ((EVIL, 1), ("hidden_act", EVIL), ("architectures", [EVIL]), ("model_type", EVIL),
                           ("rope_scaling", {"rope_type": EVIL}), ("rope_scaling", {EVIL: 1}), ("layer_types", [EVIL])):
            with self.subTest(key):
                harness.write_json(self.model / "config.json", {**config, key: value})
                self.inspect(status=2)

    def test_tensors(self):
        self.header({EVIL: {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}, b"x")
        self.inspect("--tensors")
        self.assertEqual(json.loads(self.inspect("--tensors", "--json"))["tensors"][0]["name"], EVIL)
        for entry in ({EVIL: 1}, {"a": {"dtype": EVIL}}, {"__metadata__": {EVIL: 1}}):
            with self.subTest(entry):
                self.header(entry)
                self.inspect(status=2)

    def test_index(self):
        (self.model / "model.safetensors").rename(self.folder / "outside.safetensors")
        for name in ("../outside.safetensors", str(self.folder / "outside.safetensors"), "/etc/passwd", "a/../../outside.safetensors",
                     "..\\outside.safetensors", EVIL, ".", ".."):
            with self.subTest(name):
                harness.write_json(self.model / "model.safetensors.index.json", {"weight_map": {EVIL: name}})
                self.inspect(status=2)
                self.assertIn("which is not a plain file name", self.say("inspect", self.model, status=2)[1])
        link = self.model / "1.safetensors"  # a link may lead out, as those of the hub's cache do
        link.symlink_to("../outside.safetensors")
        index = {"weight_map": {name: link.name for name in self.tensors(self.folder / "outside.safetensors")}}
        harness.write_json(self.model / "model.safetensors.index.json", index)
        self.inspect()

    @staticmethod
    def tensors(path):
        """The names in a file's header."""
        data = path.read_bytes()
        header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
        return [name for name in header if name != "__metadata__"]

    def test_tokenizer(self):
        vocab = {EVIL: 0, "\u009b": 1, "a": 2}
        tokenizer = {"model": {"type": "BPE", "vocab": vocab, "merges": []},
                     "added_tokens": [{"id": 3, "content": "<" + EVIL + ">", "single_word": False, "lstrip": False, "rstrip": False,
                                       "normalized": False, "special": True}]}
        harness.write_json(self.model / "tokenizer.json", tokenizer)
        text = "a\u009b<" + EVIL + ">a"
        self.assertIn("\\x1b", self.say("tokenize", "-m", self.model, text)[0])
        tokens = json.loads(self.say("tokenize", "--json", "-m", self.model, text)[0])
        self.assertEqual("".join(token["text"] for token in tokens), text)
        self.say("tokenize", "--jsonl", "-m", self.model, stdin=json.dumps(text).encode())
        self.say("tokenize", "--jsonl", "-m", self.model, stdin=b"\"\x1b\"", status=2)
        for key, value in ((EVIL, 1), ("version", EVIL), ("normalizer", {"type": EVIL}), ("decoder", {"type": "Fuse", EVIL: 1}),
                           ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": EVIL}, "behavior": "Isolated"}),
                           ("pre_tokenizer", {"type": "Metaspace", "replacement": "x", "prepend_scheme": EVIL}),
                           ("model", {"vocab": vocab, "merges": [EVIL]}), ("model", {"vocab": {EVIL: -1}, "merges": []})):
            with self.subTest(f"{key}: {value}"):
                harness.write_json(self.model / "tokenizer.json", {**tokenizer, key: value})
                self.say("tokenize", "-m", self.model, "x", status=2)


class Results(Case):
    """What a result file says that another program wrote."""

    def setUp(self):
        super().setUp()
        self.say("run", self.job(positions="all"), "-o", "o.h5", "-q")

    def edit(self, pair):
        """The pair gets a stranger's name and tokens, the file his attributes."""
        with h5py.File(self.folder / "o.h5", "a") as file:
            file.move("p", pair)
            for name in ("token_clean", "token_corrupt", "role"):
                old = file[pair][name]
                old[...] = numpy.array([EVIL] * len(old), dtype=object)
            for at in (file, file["run"], file[pair]):
                for name, value in list(at.attrs.items()):
                    if isinstance(value, str) and name not in ("format", "format_version"):
                        at.attrs[name] = EVIL

    def test_words(self):
        self.edit(EVIL)
        for args in (["show"], ["show", "--json"], ["show", "--pair", EVIL], ["show", "--pair", EVIL + "x"], ["show", "--metric", EVIL],
                     ["inspect"], ["inspect", "--json"], ["plot"], ["plot", "--pair", "no"], ["plot", "--title", EVIL]):
            with self.subTest(args):
                wrong = args[-1] in (EVIL + "x", "no") or "--metric" in args
                out, _ = self.say(*args, "o.h5", status=2 if wrong else 0)
                if args[0] == "plot" and not wrong:
                    ElementTree.fromstring(out)

    def test_csv_on_a_terminal(self):
        self.edit(EVIL)
        seen = harness.on_terminal("show", "--csv", "o.h5", cwd=self.folder)
        text = seen.decode().replace("\r\n", "\n")  # the terminal's own
        self.assertEqual(STEERS.findall(text), [])
        self.assertGreater(text.count("\\x1b"), 10)

    def test_svg_of_any_character(self):
        """Every character that there is, 400 to a title."""
        characters = [chr(c) for c in range(1, 0x110000) if not 0xd800 <= c <= 0xdfff]
        some = characters[:0x3000] + characters[0xf000 - 0x800:0x10100 - 0x800] + characters[-400:]
        for i in range(0, len(some), 400):
            out, _ = self.say("plot", "o.h5", "--title", "".join(some[i:i + 400]))
            ElementTree.fromstring(out)

    def test_titles_that_are_not_utf8(self):
        for title in (b"\xf0", b"\xe2\x80", b"a\xff", b"\xc2", b"\xed\xa0\x80"):
            with self.subTest(title):
                ElementTree.fromstring(self.say("plot", "o.h5", "--title", title)[0])
        with h5py.File(self.folder / "o.h5", "a") as file:
            file[b"q\xf0\x9f"] = file["p"]
            del file["p"]
        for command in ("plot", "show", "inspect"):
            self.say(command, "o.h5")
        self.say("inspect", "--json", "o.h5")
        self.say("show", "--json", "o.h5")


if __name__ == "__main__":
    harness.main()
