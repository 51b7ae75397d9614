#!/usr/bin/env python3
"""Turn a Llama model in a GGUF file into a model directory as the hub has them.

    scripts/gguf_to_hf.py model.gguf models/name

writes config.json, model.safetensors (F32), tokenizer.json and
tokenizer_config.json. Quantised weights are dequantised exactly: a weight
becomes the float that llama.cpp computes with, no better and no worse. Needs
numpy only.

Two things differ between the formats, besides names. llama.cpp keeps the rows
of each head of Q and K in the order of its own rotary embedding, which turns
neighbours (0,1), (2,3), ...; transformers turns halves (0, n/2), (1, n/2+1),
.... And a GGUF has no tokenizer.json, but the vocabulary and the merges of a
byte-level BPE, and a name for how text is split before (SPLITS).
"""

import argparse
import json
import struct
import sys
from pathlib import Path

import numpy as np


# ---- reading GGUF

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


class Cursor:
    """Little-endian values in sequence."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def scalar(self, code):
        value, = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def string(self):
        n = self.scalar("Q")
        self.at += n
        return bytes(self.data[self.at - n:self.at]).decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            kind, n = self.scalar("I"), self.scalar("Q")
            return [self.value(kind) for _ in range(n)]
        return self.scalar(SCALARS[kind])


class Gguf:
    """The keys of a GGUF file, and its tensors as float32."""

    def __init__(self, path):
        self.data = np.memmap(path, np.uint8, "r")
        cursor = Cursor(self.data)
        if cursor.scalar("I") != 0x46554747 or cursor.scalar("I") not in (2, 3):
            sys.exit(f"{path}: not a GGUF file of version 2 or 3")
        n_tensors, n_keys = cursor.scalar("Q"), cursor.scalar("Q")
        self.keys = {}
        for _ in range(n_keys):
            name = cursor.string()
            self.keys[name] = cursor.value(cursor.scalar("I"))
        self.tensors = {}
        for _ in range(n_tensors):
            name = cursor.string()
            shape = [cursor.scalar("Q") for _ in range(cursor.scalar("I"))][::-1]
            self.tensors[name] = (shape, cursor.scalar("I"), cursor.scalar("Q"))
        align = self.keys.get("general.alignment", 32)
        self.start = -(-cursor.at // align) * align

    def key(self, name):
        return self.keys[f"{self.keys['general.architecture']}.{name}"]

    def tensor(self, name):
        shape, kind, offset = self.tensors[name]
        if kind not in DEQUANTISE:
            sys.exit(f"{name}: tensor type {kind} is not supported (known: {list(DEQUANTISE)})")
        weights, block_bytes, dequantise = DEQUANTISE[kind]
        n_blocks = int(np.prod(shape)) // weights
        begin = self.start + offset
        blocks = self.data[begin:begin + n_blocks * block_bytes].reshape(n_blocks, block_bytes)
        return dequantise(blocks).reshape(shape)


# ---- dequantising: blocks [n, bytes] to floats [n, weights of a block]

def half(blocks, at):
    return blocks[:, at:at + 2].copy().view("<f2").astype("<f4")


def nibbles(packed):
    """16 bytes hold 32 weights: the low halves first, then the high ones."""
    return np.concatenate([packed & 15, packed >> 4], axis=1).astype("<f4")


DEQUANTISE = {  # type: (weights of a block, bytes of a block, function)
    0: (1, 4, lambda b: b.copy().view("<f4")),                                       # F32
    1: (1, 2, lambda b: half(b, 0)),                                                 # F16
    30: (1, 2, lambda b: (b.copy().view("<u2").astype("<u4") << 16).view("<f4")),    # BF16
    2: (32, 18, lambda b: half(b, 0) * (nibbles(b[:, 2:]) - 8)),                     # Q4_0
    3: (32, 20, lambda b: half(b, 0) * nibbles(b[:, 4:]) + half(b, 2)),              # Q4_1
    8: (32, 34, lambda b: half(b, 0) * b[:, 2:].view("i1").astype("<f4")),           # Q8_0
}


# ---- weights

LAYER_NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OTHER_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def hub_name(name):
    """"blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight"."""
    if not name.startswith("blk."):
        stem, kind = name.rsplit(".", 1)
        return f"{OTHER_NAMES[stem]}.{kind}"
    _, layer, stem, kind = name.split(".")
    return f"model.layers.{layer}.{LAYER_NAMES[stem]}.{kind}"


def halves(rows, n_heads):
    """Rows of Q or K from llama.cpp's rotary order, neighbours, to transformers', halves."""
    shape = rows.shape
    pairs = rows.reshape(n_heads, shape[0] // n_heads // 2, 2, -1)
    return pairs.swapaxes(1, 2).reshape(shape)


def weight(gguf, name):
    tensor = gguf.tensor(name)
    if ".attn_q." in name:
        return halves(tensor, gguf.key("attention.head_count"))
    if ".attn_k." in name:
        return halves(tensor, gguf.key("attention.head_count_kv"))
    return tensor


def write_safetensors(gguf, path):
    """A tensor at a time: a header with everybody's place, then the floats."""
    names = [name for name in gguf.tensors if name != "rope_freqs.weight"]
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name in names:
        shape = gguf.tensors[name][0]
        begin, end = end, end + 4 * int(np.prod(shape))
        header[hub_name(name)] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            np.ascontiguousarray(weight(gguf, name), "<f4").tofile(out)


# ---- configuration

def exact(x):
    """The short decimal that a float32 was written from: 1e-05, not 9.99999974e-06."""
    return float(str(np.float32(x)))


def config_of(gguf):
    keys = gguf.keys
    if keys["general.architecture"] != "llama" or "rope_freqs.weight" in gguf.tensors or any(
            name.startswith("llama.rope.scaling") for name in keys):
        sys.exit("only plain Llama models are converted: no other architecture, no rope scaling")
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": "blk.0.attn_q.bias" in gguf.tensors,
        "bos_token_id": keys.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": keys.get("tokenizer.ggml.eos_token_id"),
        "hidden_act": "silu",
        "hidden_size": gguf.key("embedding_length"),
        "intermediate_size": gguf.key("feed_forward_length"),
        "max_position_embeddings": gguf.key("context_length"),
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": gguf.key("attention.head_count"),
        "num_hidden_layers": gguf.key("block_count"),
        "num_key_value_heads": gguf.key("attention.head_count_kv"),
        "pad_token_id": keys.get("tokenizer.ggml.padding_token_id"),
        "rms_norm_eps": exact(gguf.key("attention.layer_norm_rms_epsilon")),
        "rope_scaling": None,
        "rope_theta": exact(gguf.key("rope.freq_base")),
        "tie_word_embeddings": "output.weight" not in gguf.tensors,
        "torch_dtype": "float32",
        "use_cache": True,
        "vocab_size": gguf.tensors["token_embd.weight"][0][0],
    }


# ---- tokenizer

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
SPLITS = {  # tokenizer.ggml.pre: what happens to text before the merges
    "smollm": {"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True}, BYTE_LEVEL]},
    "gpt-2": BYTE_LEVEL,
}
CONTROL, USER_DEFINED = 3, 4  # token types that are matched whole, before all else


def added_tokens(gguf):
    types = gguf.keys["tokenizer.ggml.token_type"]
    return [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": types[i] == CONTROL}
            for i, token in enumerate(gguf.keys["tokenizer.ggml.tokens"])
            if types[i] in (CONTROL, USER_DEFINED)]


def token(gguf, what):
    """The text of the "bos", "eos", ... token, or None."""
    i = gguf.keys.get(f"tokenizer.ggml.{what}_token_id")
    return None if i is None else gguf.keys["tokenizer.ggml.tokens"][i]


def tokenizer_of(gguf):
    split = gguf.keys.get("tokenizer.ggml.pre")
    if gguf.keys["tokenizer.ggml.model"] != "gpt2" or split not in SPLITS:
        sys.exit(f"tokenizer '{gguf.keys['tokenizer.ggml.model']}' with split '{split}' is not "
                 f"supported (known: gpt2 with {', '.join(SPLITS)})")
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": added_tokens(gguf),
        "normalizer": None, "pre_tokenizer": SPLITS[split],
        "post_processor": BYTE_LEVEL, "decoder": BYTE_LEVEL,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": token(gguf, "unknown"),
            "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
            "byte_fallback": False, "ignore_merges": False,
            "vocab": {t: i for i, t in enumerate(gguf.keys["tokenizer.ggml.tokens"])},
            "merges": gguf.keys["tokenizer.ggml.merges"],
        },
    }


def tokenizer_config_of(gguf):
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_prefix_space": False,
        "bos_token": token(gguf, "bos"), "eos_token": token(gguf, "eos"),
        "unk_token": token(gguf, "unknown"), "pad_token": token(gguf, "padding"),
        "chat_template": gguf.keys.get("tokenizer.chat_template"),
        "clean_up_tokenization_spaces": False,
        "model_max_length": gguf.key("context_length"),
    }


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("gguf", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    gguf = Gguf(options.gguf)
    config, tokenizer = config_of(gguf), tokenizer_of(gguf)
    options.folder.mkdir(parents=True, exist_ok=True)
    write_json(options.folder / "config.json", config)
    write_json(options.folder / "tokenizer.json", tokenizer)
    write_json(options.folder / "tokenizer_config.json", tokenizer_config_of(gguf))
    write_safetensors(gguf, options.folder / "model.safetensors")


if __name__ == "__main__":
    main()
