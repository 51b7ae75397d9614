#!/usr/bin/env python3
"""Make the tiny random models in tests/fixtures/models.

Each is made and saved by transformers itself, and turns on one or two of the
switches that the C code has to honour. They know nothing: what matters is that
a switch which is misread changes every number. So the weights are larger than
a fresh model's: attention is far from uniform, and logits spread over several
units.

Usage (needs torch, transformers, safetensors):

    tests/golden/make_fixtures.py                 # all
    tests/golden/make_fixtures.py gemma2 gpt2     # these

The files are reproducible on one version of torch; see README.md.
"""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Callable, NamedTuple

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import logging

MODELS = Path(__file__).resolve().parent.parent / "fixtures" / "models"

NO_TOKENS = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)


# ---- families

class Scale(NamedTuple):
    """The normal distribution that some parameters are drawn from."""
    part: str                  # regular expression, searched for in a parameter's name
    mean: float
    std: float
    fan_in: int | None = None  # axis of the inputs; std is divided by the square root of its length


class Family(NamedTuple):
    """What the fixtures of a family have in common."""
    config: str    # names of classes in transformers
    model: str
    shape: dict    # arguments of the config class
    scales: list   # the first row that fits a parameter's name is used
    embed: str = "embed_tokens"  # in the name of the embeddings; tied embeddings are drawn like the LM head


LLAMA_SHAPE = dict(
    vocab_size=160, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
    rms_norm_eps=1e-5, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    tie_word_embeddings=False, **NO_TOKENS,
)
SMALL = dict(LLAMA_SHAPE, vocab_size=96, intermediate_size=40)

LLAMA_SCALES = [
    Scale(r"norm\.weight$", 1.0, 0.2),
    Scale(r"\.bias$", 0.0, 0.3),
    Scale(r"[qk]_proj", 0.0, 1.3, -1),  # scores spread over about 1.3 * 1.3
    Scale(r"embed_tokens", 0.0, 0.7),
    Scale(r"lm_head", 0.0, 2.5, -1),
    Scale(r"", 0.0, 1.0, -1),
]
# The weights of the head norms set the size of queries and keys.
QWEN3_SCALES = [Scale(r"[qk]_norm", 1.3, 0.3), *LLAMA_SCALES]
# Gemma's norms multiply by 1 + weight.
GEMMA2_SCALES = [Scale(r"norm\.weight$", 0.4, 0.3), *LLAMA_SCALES]
# Embeddings have a mean, so that LayerNorm differs from RMSNorm.
GPT2_SCALES = [
    Scale(r"ln_\w\.weight$", 1.0, 0.2),
    Scale(r"\.bias$", 0.0, 0.3),
    Scale(r"wpe", 0.4, 0.5),
    Scale(r"c_attn", 0.0, 1.3, 0),  # the weights of Conv1D are [in, out]
    Scale(r"c_(proj|fc)", 0.0, 1.0, 0),
    Scale(r"lm_head", 0.0, 2.5, -1),
]
NEOX_SCALES = [
    Scale(r"norm\.weight$", 1.0, 0.2),
    Scale(r"\.bias$", 0.0, 0.3),
    Scale(r"embed_in", 0.4, 0.7),
    Scale(r"query_key_value", 0.0, 1.3, -1),
    *LLAMA_SCALES,
]

FAMILIES = {
    "llama": Family("LlamaConfig", "LlamaForCausalLM", LLAMA_SHAPE, LLAMA_SCALES),
    "mistral": Family("MistralConfig", "MistralForCausalLM", SMALL, LLAMA_SCALES),
    "qwen2": Family("Qwen2Config", "Qwen2ForCausalLM", SMALL, LLAMA_SCALES),
    "qwen3": Family("Qwen3Config", "Qwen3ForCausalLM", SMALL, QWEN3_SCALES),
    "gemma2": Family("Gemma2Config", "Gemma2ForCausalLM", dict(
        SMALL, hidden_size=24, head_dim=10, sliding_window=4, query_pre_attn_scalar=6,
        attn_logit_softcapping=2.5, final_logit_softcapping=6.0, tie_word_embeddings=True), GEMMA2_SCALES),
    "gpt2": Family("GPT2Config", "GPT2LMHeadModel", dict(
        vocab_size=96, n_embd=32, n_layer=2, n_head=4, n_positions=32, **NO_TOKENS), GPT2_SCALES, embed="wte"),
    "gpt_neox": Family("GPTNeoXConfig", "GPTNeoXForCausalLM", dict(
        vocab_size=96, hidden_size=48, intermediate_size=56, num_hidden_layers=2, num_attention_heads=3,
        max_position_embeddings=32, layer_norm_eps=1e-5, **NO_TOKENS,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}), NEOX_SCALES),
}


# ---- config.json as older versions wrote it

def rope_v4(config):
    """Write the rope settings as transformers 4 does: rope_theta beside rope_scaling."""
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    config["torch_dtype"] = config.pop("dtype")


def rope_v4_legacy(config):
    """... and as the first of them did: `type` instead of `rope_type`."""
    rope_v4(config)
    config["rope_scaling"]["type"] = config["rope_scaling"].pop("rope_type")


def without(config, *keys):
    """Leave keys to their defaults."""
    for key in keys:
        config.pop(key, None)


def few_keys(config):
    """Leave to their defaults what old files leave out."""
    rope_v4(config)
    without(config, "rope_scaling", "head_dim", "num_key_value_heads", "attention_bias", "mlp_bias",
            "pretraining_tp", "attention_dropout")


def mistral_hub(config):
    """The keys of Mistral 7B's file."""
    rope_v4(config)
    without(config, "rope_scaling", "head_dim", "attention_dropout", "pad_token_id")


def qwen2_hub(config):
    """The keys of Qwen2.5's files. They give a window that is not used."""
    rope_v4(config)
    without(config, "rope_scaling", "layer_types", "pad_token_id")
    config.update(sliding_window=4, use_sliding_window=False, max_window_layers=1, use_mrope=False)


def qwen2_window(config):
    """A window from layer 1 on, given by max_window_layers alone, without layer_types."""
    rope_v4(config)
    without(config, "layer_types")
    config.update(sliding_window=4, use_sliding_window=True, max_window_layers=1)


def qwen3_hub(config):
    """The keys of Qwen3's files."""
    rope_v4(config)
    without(config, "layer_types", "pad_token_id")


def qwen3_defaults(config):
    """Leave head_dim out: its default is 128."""
    without(config, "head_dim", "layer_types", "use_sliding_window", "sliding_window", "max_window_layers")


def gemma2_hub(config):
    """The keys of Gemma 2's files. Tied embeddings and the layers with a window are left to the defaults."""
    rope_v4(config)
    without(config, "rope_scaling", "layer_types", "tie_word_embeddings", "use_bidirectional_attention")
    config.update(cache_implementation="hybrid", hidden_act=config["hidden_activation"])


def gpt2_hub(config):
    """The keys of GPT-2's file, and n_inner as null."""
    without(config, "dtype", "add_cross_attention", "reorder_and_upcast_attn", "scale_attn_by_inverse_layer_idx",
            "scale_attn_weights", "tie_word_embeddings", "transformers_version", "use_cache", "pad_token_id")
    config.update(n_ctx=config["n_positions"], n_inner=None,
                  task_specific_params={"text-generation": {"do_sample": True, "max_length": 50}})


def neox_hub(config):
    """The keys of Pythia's files."""
    rope = config.pop("rope_parameters")
    config.update(rotary_pct=rope["partial_rotary_factor"], rotary_emb_base=int(rope["rope_theta"]),
                  torch_dtype=config.pop("dtype"))
    without(config, "attention_bias", "attention_dropout", "hidden_dropout", "classifier_dropout", "is_decoder", "pad_token_id")


# ---- model.safetensors as older versions wrote it

def drop_prefix(tensors, prefix="model."):
    """Name the tensors as a base model's checkpoint does: no `model.` in front."""
    return {name.removeprefix(prefix): t for name, t in tensors.items()}


def gpt2_files(tensors):
    """Tensors as in GPT-2's file: no prefix, and the buffers of old versions."""
    tensors = drop_prefix(tensors, "transformer.")
    for name in [name for name in tensors if name.endswith("ln_1.weight")]:
        layer = name.removesuffix("ln_1.weight")
        tensors[f"{layer}attn.bias"] = torch.ones(32, 32).tril().view(1, 1, 32, 32)
        tensors[f"{layer}attn.masked_bias"] = torch.tensor(-1e4)
    return tensors


def neox_files(tensors):
    """Tensors as in Pythia's files, with the buffers of old versions."""
    for name in [name for name in tensors if name.endswith("attention.dense.weight")]:
        layer = name.removesuffix("dense.weight")
        tensors[f"{layer}bias"] = torch.ones(32, 32, dtype=torch.bool).tril().view(1, 1, 32, 32)
        tensors[f"{layer}masked_bias"] = torch.tensor(-1e9, dtype=torch.float32)
        tensors[f"{layer}rotary_emb.inv_freq"] = 500.0 ** -(torch.arange(0, 4, 2) / 4)
    return tensors


# ---- the fixtures

# Head dimension 16 gives wavelengths 6.3, 14, 30, 65, 140, ...: with these factors the first
# is kept (< 8), the next two are interpolated, and the rest, above 32, are divided by 8.
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
}


class Fixture(NamedTuple):
    changes: dict = {}                 # to the family's shape
    dtype: torch.dtype = torch.float32  # of the file
    config: Callable | None = None     # changes the saved config.json
    family: str = "llama"
    files: Callable | None = None      # changes the saved tensors
    shard: str = "1GB"


F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16

# The seed of a fixture is its place in this table, so new fixtures go to the end.
FIXTURES = {
    "base": Fixture({}, F32, rope_v4),
    "mha-tied-bf16": Fixture(dict(num_key_value_heads=4, tie_word_embeddings=True, vocab_size=200), BF16, few_keys),
    "mqa-f16-sharded": Fixture(dict(num_key_value_heads=1, vocab_size=192), F16, shard="12KB"),
    "rope-llama3-v4": Fixture(dict(num_attention_heads=2, num_key_value_heads=1, rope_parameters=LLAMA3), F32, rope_v4),
    "rope-llama3-v5": Fixture(dict(num_attention_heads=2, num_key_value_heads=2, rope_parameters=LLAMA3), BF16),
    "rope-linear": Fixture(dict(rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.5}),
                           F32, rope_v4_legacy),
    "bias": Fixture(dict(attention_bias=True, mlp_bias=True)),
    "head-dim": Fixture(dict(head_dim=12)),
    "odd": Fixture(dict(hidden_size=24, intermediate_size=37, num_hidden_layers=3, vocab_size=131,
                        num_attention_heads=3, num_key_value_heads=1, rms_norm_eps=0.03)),
    "one-layer": Fixture(dict(num_hidden_layers=1, vocab_size=300)),
    "five-layer": Fixture(dict(num_hidden_layers=5, vocab_size=96, hidden_size=24, intermediate_size=40,
                               num_attention_heads=6, num_key_value_heads=3)),
    "base-prefix": Fixture(dict(vocab_size=176), F16, rope_v4, files=drop_prefix),
    # Other families
    "mistral": Fixture(dict(sliding_window=4), F32, mistral_hub, "mistral"),
    "mistral-no-window": Fixture(dict(sliding_window=None, head_dim=12, num_key_value_heads=1), F16, None, "mistral",
                                 shard="12KB"),
    "qwen2": Fixture(dict(tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1000.0}),
                     BF16, qwen2_hub, "qwen2"),
    "qwen2-window": Fixture(dict(num_hidden_layers=3, use_sliding_window=True, sliding_window=4, max_window_layers=1),
                            BF16, qwen2_window, "qwen2"),
    "qwen2-layer-types": Fixture(dict(num_hidden_layers=3, use_sliding_window=True, sliding_window=3, max_window_layers=0,
                                      layer_types=["full_attention", "sliding_attention", "full_attention"]),
                                 F16, None, "qwen2"),
    "qwen3": Fixture(dict(head_dim=12, tie_word_embeddings=True), F32, qwen3_hub, "qwen3"),
    "qwen3-defaults": Fixture(dict(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
                                   head_dim=128), BF16, qwen3_defaults, "qwen3"),
    "qwen3-window": Fixture(dict(head_dim=6, rms_norm_eps=0.02, use_sliding_window=True, sliding_window=4, max_window_layers=1),
                            F16, None, "qwen3"),
    "gemma2": Fixture(dict(), F32, gemma2_hub, "gemma2"),
    "gemma2-layer-types": Fixture(dict(head_dim=8, query_pre_attn_scalar=12, attn_logit_softcapping=None,
                                       final_logit_softcapping=4.0, num_key_value_heads=1, sliding_window=3,
                                       num_hidden_layers=3, rms_norm_eps=0.02,
                                       layer_types=["full_attention", "sliding_attention", "sliding_attention"]),
                                  BF16, None, "gemma2"),
    "gpt2": Fixture(dict(), F32, gpt2_hub, "gpt2", gpt2_files),
    "gpt2-inner": Fixture(dict(n_inner=40, n_layer=3, n_embd=24, n_head=3, layer_norm_epsilon=0.02), F16, None, "gpt2"),
    "gpt-neox": Fixture(dict(layer_norm_eps=0.02, rope_parameters={
        "rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.25}), F16, neox_hub, "gpt_neox", neox_files),
    "gpt-neox-half": Fixture(dict(num_attention_heads=2, rope_parameters={
        "rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.5}), BF16, None, "gpt_neox"),
}


def scale_of(name, family, tied):
    """The row for a parameter."""
    name = "lm_head" if tied and family.embed in name else name
    return next(scale for scale in family.scales if re.search(scale.part, name))


def make(fixture, seed):
    torch.manual_seed(seed)
    family = FAMILIES[fixture.family]
    config = getattr(transformers, family.config)(**{**family.shape, **fixture.changes})
    model = getattr(transformers, family.model)(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = scale_of(name, family, config.tie_word_embeddings)
            fan_in = 1 if scale.fan_in is None else parameter.shape[scale.fan_in]
            parameter.normal_(scale.mean, scale.std / fan_in**0.5)
        if not config.tie_word_embeddings:
            # Token 0 has logit 0 always: an answer whose score has a zero denominator.
            model.get_output_embeddings().weight[0] = 0
    return model.to(fixture.dtype)


def rewrite_files(folder, change):
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def rewrite_config(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config, indent=2) + "\n")


def write_fixture(name, seed):
    folder, fixture = MODELS / name, FIXTURES[name]
    shutil.rmtree(folder, ignore_errors=True)
    make(fixture, seed).save_pretrained(folder, max_shard_size=fixture.shard)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if fixture.config:
        rewrite_config(folder, fixture.config)
    if fixture.files:
        rewrite_files(folder, fixture.files)
    print(f"{sum(f.stat().st_size for f in folder.iterdir()):8d}  {name}")


def main():
    logging.disable_progress_bar()
    names = list(FIXTURES)
    for name in sys.argv[1:] or names:
        write_fixture(name, names.index(name))


if __name__ == "__main__":
    main()
