"""Every supported kind of tokenizer against the `tokenizers` package: the same ids, the same text back.

    python tests/golden/test_tokenizer.py                      a thousand strings a kind
    PS_STRINGS=10000 PS_TOKENIZERS="FILE..." ...               more, and these tokenizer.json files too

Tokenizers are trained on the spot, on text of many scripts, and given the parts that the families ship.
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata
import unittest

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

STRINGS = int(os.environ.get("PS_STRINGS", "1000"))
FILES = [pathlib.Path(name) for name in os.environ.get("PS_TOKENIZERS", "").split()]

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
WORDS = ("the quick brown fox it's I'LL we've they'd 1234567 3.14 naïve café Ελλάδα Привет мир שלום عالم "
         "हिन्दी 日本語テスト 한국어 ไทย မြန်မာ Ａ１ ½ ² Ⅷ ① é ñ Å ﬁ ǆ ſ 'ſ 'K http://x.y/z?a=b&c "
         "def f(x):\n\treturn x**2 <html> \"quoted\" — … “x” 🇩🇪 👩‍👩‍👧‍👦 👍🏽 ❤️ ✈︎ \u0301 e\u0301 q\u0307\u0323 각 ㅎㅏㄴ").split(" ")
SPACES = [" ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", "\u00a0", "\u3000", "\u2028", "\u0085", "\u180e",
          "\u200b", "\x1c", "\x0b", "\x0c", " \n", "\n ", "      "]
ADDED = ["<|end|>", "<s>", "<|plain|>", "[WORD]", "<lstrip>", "<rstrip>", "<both>", "Norm e\u0301", "  "]


def corpus():
    """Text of many scripts for training."""
    rng = random.Random(5)
    return [" ".join(rng.choice(WORDS) for _ in range(30)) for _ in range(400)]


def character(rng):
    """Any character of any plane but surrogates and NUL, the assigned ones more often."""
    while True:
        point = rng.choice([rng.randrange(1, 0x250), rng.randrange(1, 0x3100), rng.randrange(1, 0x10000),
                            rng.randrange(1, 0x110000), rng.randrange(0xAC00, 0xD7A4), rng.randrange(0x300, 0x370),
                            rng.randrange(0x1100, 0x1200), rng.randrange(0x1F300, 0x1FA00)])
        if not 0xD800 <= point < 0xE000:
            return chr(point)


def text(rng, specials):
    """A string of words, spaces, characters of all kinds, and special tokens in the middle of things."""
    parts = []
    for _ in range(rng.randrange(0, 24)):
        parts.append(rng.choice([
            lambda: rng.choice(WORDS), lambda: rng.choice(SPACES), lambda: character(rng),
            lambda: rng.choice(specials), lambda: str(rng.randrange(10 ** rng.randrange(1, 12))),
            lambda: " " + rng.choice(WORDS), lambda: character(rng) * rng.randrange(1, 4),
            lambda: unicodedata.normalize("NFD", rng.choice(WORDS)),
            lambda: rng.choice("'’") + rng.choice(["s", "S", "ll", "LL", "ve", "d", "M", "re", "ſ", "t"])])())
    return "".join(parts)


def byte_level(pre, normalizer=None, ignore_merges=False):
    """A trained byte-level BPE with pre-tokenizer `pre`."""
    tokenizer = Tokenizer(models.BPE())
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=900, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    if ignore_merges:
        state = json.loads(tokenizer.to_str())
        state["model"]["ignore_merges"] = True
        state["model"]["vocab"]["Ġzzqj"] = len(state["model"]["vocab"])  # no merges lead there
        tokenizer = Tokenizer.from_str(json.dumps(state))
    return tokenizer


def with_added(tokenizer, bos=None):
    """Added tokens with every combination of flags that families use, and a template."""
    tokenizer.add_special_tokens([AddedToken("<|end|>", special=True, normalized=False),
                                  AddedToken("<s>", special=True, normalized=False)])
    tokenizer.add_tokens([AddedToken("<|plain|>", normalized=True), AddedToken("[WORD]", single_word=True),
                          AddedToken("<lstrip>", lstrip=True), AddedToken("<rstrip>", rstrip=True, normalized=False),
                          AddedToken("<both>", lstrip=True, rstrip=True, normalized=False),
                          AddedToken("Norm e\u0301", normalized=True), AddedToken("  ", normalized=False)])
    if bos:
        template = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))])
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(), template])
    return tokenizer


def sentencepiece(metaspace, fuse_unk=True, byte_fallback=True):
    """Llama-2's or Mistral's parts around a BPE with <unk> and byte tokens."""
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    trained.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=1100, special_tokens=["<unk>", "<s>", "</s>"] + byte_tokens * byte_fallback, show_progress=False))
    state = json.loads(trained.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if not token["content"].startswith("<0x")]
    state["model"].update(byte_fallback=byte_fallback, fuse_unk=fuse_unk, unk_token="<unk>")
    tokenizer = Tokenizer.from_str(json.dumps(state))
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=metaspace, split=False)
    else:
        tokenizer.pre_tokenizer = None
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return tokenizer


def split(pattern, *before):
    """Sequence[..., Split(pattern, isolated), ByteLevel without its own pattern]."""
    return pre_tokenizers.Sequence([*before, pre_tokenizers.Split(Regex(pattern), "isolated", invert=False),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


KINDS = {
    "gpt2": lambda: with_added(byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))),
    "gpt2-prefix-space": lambda: with_added(byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True))),
    "llama3": lambda: with_added(byte_level(split(LLAMA3), ignore_merges=True), bos="<s>"),
    "qwen2": lambda: with_added(byte_level(split(QWEN2), normalizers.NFC())),
    "smollm2": lambda: with_added(byte_level(pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]))),
    "digits-together": lambda: byte_level(pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.ByteLevel(add_prefix_space=False)])),
    "llama2": lambda: sentencepiece(None),
    "llama2-added": lambda: with_added(sentencepiece(None)),
    "mistral-first": lambda: with_added(sentencepiece("first")),
    "metaspace-always": lambda: sentencepiece("always"),
    "metaspace-never": lambda: sentencepiece("never"),
    "unknowns": lambda: sentencepiece(None, fuse_unk=False, byte_fallback=False),
    "unknowns-fused": lambda: sentencepiece(None, fuse_unk=True, byte_fallback=False),
}


def ours(folder, strings):
    """Ids of each string as the program gives them."""
    lines = "".join(json.dumps(string) + "\n" for string in strings)
    done = subprocess.run([harness.PATCHSWEEP, "tokenize", "--model", folder, "--jsonl"], input=lines, text=True,
                          capture_output=True, check=False, encoding="utf-8", timeout=600)
    if done.returncode:
        raise AssertionError(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Parity(unittest.TestCase):
    """Zero differences, kind by kind."""

    def same_ids(self, name, tokenizer, state=None):
        """All generated strings, and every character there is."""
        rng = random.Random(name)
        specials = [token.content for token in tokenizer.get_added_tokens_decoder().values()] + ADDED
        strings = ["", " ", "  "] + [text(rng, specials) for _ in range(STRINGS)]
        strings += [" ".join("a" + character(rng) + "1" for _ in range(50)) for _ in range(STRINGS // 10)]
        if STRINGS >= 10000:
            points = [chr(point) for point in range(1, 0x110000) if not 0xD800 <= point < 0xE000]
            strings += [" 'x".join(points[i:i + 500]) for i in range(0, len(points), 500)]
        with tempfile.TemporaryDirectory() as folder:
            harness.write_json(f"{folder}/config.json", {})
            pathlib.Path(folder, "tokenizer.json").write_text(state or tokenizer.to_str(), encoding="utf-8")
            seen = ours(folder, strings)
        wanted = [encoding.ids for encoding in tokenizer.encode_batch(strings)]
        self.assertEqual(len(seen), len(wanted))
        different = [(string, a, b) for string, a, b in zip(strings, seen, wanted) if a != b]
        self.assertEqual(different[:3], [], f"{name}: {len(different)} of {len(strings)} differ")

    def same_text(self, tokenizer, ids):
        """Each id alone, decoded."""
        with tempfile.TemporaryDirectory() as folder:
            harness.write_json(f"{folder}/config.json", {})
            tokenizer.save(f"{folder}/tokenizer.json")
            pieces = decoded(folder, [tokenizer.decode([i], skip_special_tokens=False) for i in ids], ids, tokenizer)
        self.assertEqual(pieces, [])


def decoded(folder, wanted, ids, tokenizer):
    """Differences between what single tokens decode to: (id, ours, theirs).  Tokens are had by encoding."""
    found = []
    by_id = dict(zip(ids, wanted))
    texts = sorted({piece for piece in wanted if piece and "\ufffd" not in piece and "\0" not in piece})
    for string in texts[:400]:
        done = subprocess.run([harness.PATCHSWEEP, "tokenize", "--model", folder, "--json", "--no-special", "--", string],
                              capture_output=True, text=True, check=False, encoding="utf-8")
        for token in json.loads(done.stdout):
            theirs = by_id.get(token["id"], tokenizer.decode([token["id"]], skip_special_tokens=False))
            if token["text"] != theirs:
                found.append((token["id"], token["text"], theirs))
    return found


def add_cases():
    """A case a kind, one with string merges, and one a file."""
    for kind, make in KINDS.items():
        setattr(Parity, f"test_{kind}", lambda self, k=kind, m=make: self.same_ids(k, m()))

    def string_merges(self):
        tokenizer = byte_level(split(LLAMA3))
        state = json.loads(tokenizer.to_str())
        state["model"]["merges"] = [" ".join(pair) for pair in state["model"]["merges"]]
        self.same_ids("string-merges", tokenizer, json.dumps(state))
    Parity.test_string_merges = string_merges
    for kind in ("llama3", "llama2-added", "mistral-first"):
        setattr(Parity, f"test_decode_{kind}", lambda self, k=kind: self.same_text(
            t := KINDS[k](), [i for i in range(0, t.get_vocab_size(), 7)]))
    for path in FILES:
        setattr(Parity, f"test_file_{path.parent.name}", lambda self, p=path: self.same_ids(
            p.parent.name, Tokenizer.from_file(str(p)), p.read_text(encoding="utf-8")))


class Facts(unittest.TestCase):
    """What is refused."""

    def refuse(self, change, words):
        """A tokenizer.json with `change` applied is refused in words."""
        state = json.loads(byte_level(split(LLAMA3)).to_str())
        change(state)
        with tempfile.TemporaryDirectory() as folder:
            harness.write_json(f"{folder}/config.json", {})
            harness.write_json(f"{folder}/tokenizer.json", state)
            done = harness.run("tokenize", "--model", folder, "x")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertIn("tokenizer.json", done.stderr)

    def test_refusals(self):
        def put(*path):
            def change(state):
                at = state
                for key in path[:-2]:
                    at = at[key]
                at[path[-2]] = path[-1]
            return change
        for change, words in [
                (put("pre_tokenizer", {"type": "BertPreTokenizer"}), "BertPreTokenizer"),
                (put("normalizer", {"type": "Lowercase"}), "Lowercase"),
                (put("decoder", {"type": "WordPiece"}), "WordPiece"),
                (put("post_processor", {"type": "RobertaProcessing"}), "RobertaProcessing"),
                (put("model", "type", "Unigram"), "Unigram"),
                (put("model", "dropout", 0.1), "dropout"),
                (put("model", "continuing_subword_prefix", "##"), "continuing_subword_prefix"),
                (put("truncation", {"max_length": 5}), "truncation"),
                (put("padding", {"length": 5}), "padding"),
                (put("surprise", 1), "surprise"),
                (put("pre_tokenizer", "pretokenizers", 0, "pattern", {"Regex": "a+"}), "a+"),
                (put("pre_tokenizer", "pretokenizers", 0, "behavior", "MergedWithNext"), "MergedWithNext")]:
            with self.subTest(words):
                self.refuse(change, words)

    def test_invalid_utf8(self):
        with tempfile.TemporaryDirectory() as folder:
            harness.write_json(f"{folder}/config.json", {})
            byte_level(split(LLAMA3)).save(f"{folder}/tokenizer.json")
            for line in (b'"a\xffb"\n', b'"\xed\xa0\x80"\n', b'"a\\u0000b"\n', b'["a"]\n'):
                done = subprocess.run([harness.PATCHSWEEP, "tokenize", "--model", folder, "--jsonl"], input=line,
                                      capture_output=True, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn(b"line 1", done.stderr)


add_cases()
if __name__ == "__main__":
    harness.main()
