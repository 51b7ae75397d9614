#!/usr/bin/env python3
"""Rotary frequencies as transformers computes them: writes rope.txt beside this file.

    python3 tests/golden/rope.py        (needs torch and transformers; written with transformers 5.23, partial rotation
with 5.24)

Three lines for each case: its name, a whole config.json, and half as many frequencies as dimensions are rotated, in
nine digits, which is enough to name a float.  tests/unit/test_config.c reads the file.
"""
import json
import os

from transformers import GPTNeoXConfig, LlamaConfig
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXRotaryEmbedding
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

BASE = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=100, hidden_size=64, intermediate_size=64,
    num_hidden_layers=1, num_attention_heads=1, max_position_embeddings=131072,
)
LLAMA31 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)

CASES = {
    "default": {},
    "theta-integer": dict(rope_theta=500000, head_dim=128),
    "smollm2": dict(rope_theta=100000.0),
    "theta-1e6": dict(rope_theta=1000000.0, head_dim=80),
    "theta-odd": dict(rope_theta=12345.678, head_dim=96),
    "v5-default": dict(rope_parameters=dict(rope_type="default", rope_theta=250000.0)),
    "head-dim-2": dict(head_dim=2),
    "head-dim-6": dict(head_dim=6),
    "head-dim-256": dict(head_dim=256),
    "linear": dict(rope_scaling=dict(rope_type="linear", factor=8.0), rope_theta=10000.0),
    "linear-old-name": dict(rope_scaling=dict(type="linear", factor=2.5), head_dim=22),
    "linear-v5": dict(rope_parameters=dict(rope_type="linear", rope_theta=20000.0, factor=3.7), head_dim=128),
    "llama-3.1": dict(rope_scaling=dict(rope_type="llama3", **LLAMA31), rope_theta=500000.0, head_dim=128),
    "llama-3.2": dict(rope_scaling=dict(rope_type="llama3", **{**LLAMA31, "factor": 32.0}), rope_theta=500000.0),
    "llama3-v5": dict(rope_parameters=dict(rope_type="llama3", rope_theta=500000.0, **LLAMA31), head_dim=128),
    "llama3-narrow": dict(
        rope_scaling=dict(rope_type="llama3", factor=6.3, low_freq_factor=1.7, high_freq_factor=9.1,
                          original_max_position_embeddings=1000), rope_theta=10000.0, head_dim=96),
    "llama3-no-original": dict(
        rope_scaling=dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0),
        rope_theta=10000.0, max_position_embeddings=2048),
}

NEOX = dict(
    architectures=["GPTNeoXForCausalLM"], model_type="gpt_neox", vocab_size=100, hidden_size=640, intermediate_size=64,
    num_hidden_layers=1, num_attention_heads=10,
)
NEOX_CASES = {
    "neox-default": {},
    "neox-20b": dict(hidden_size=960, rotary_emb_base=10000, rotary_pct=0.25),
    "neox-whole": dict(rotary_pct=1.0, rotary_emb_base=25000),
    "neox-v5": dict(rope_parameters=dict(rope_type="default", rope_theta=12345.6, partial_rotary_factor=0.375)),
    "neox-linear": dict(rope_scaling=dict(type="linear", factor=2.0), rotary_pct=0.5),
}


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rope.txt")
    with open(path, "w", encoding="ascii") as out:
        cases = [(name, {**BASE, **changes}, LlamaConfig, LlamaRotaryEmbedding) for name, changes in CASES.items()]
        cases += [(name, {**NEOX, **changes}, GPTNeoXConfig, GPTNeoXRotaryEmbedding) for name, changes in NEOX_CASES.items()]
        for name, config, settings, embedding in cases:
            f = embedding(settings(**json.loads(json.dumps(config)))).inv_freq
            print(name, json.dumps(config), " ".join("%.9g" % x for x in f.tolist()), sep="\n", file=out)


if __name__ == "__main__":
    main()
