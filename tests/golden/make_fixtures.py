#!/usr/bin/env python3
"""Make the tiny random models in tests/fixtures/models.

Each is a LlamaForCausalLM made and saved by transformers itself, and turns on
one or two of the switches that the C code has to honour. They know nothing:
what matters is that a switch which is misread changes every number. So the
weights are larger than a fresh model's: attention is far from uniform, and
logits spread over several units.

Usage (needs torch, transformers, safetensors):

    tests/golden/make_fixtures.py

The files are reproducible on one version of torch; see README.md.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, logging

MODELS = Path(__file__).resolve().parent.parent / "fixtures" / "models"

SHAPE = dict(
    vocab_size=160, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
    rms_norm_eps=1e-5, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    tie_word_embeddings=False, bos_token_id=None, eos_token_id=None, pad_token_id=None,
)

# Head dimension 16 gives wavelengths 6.3, 14, 30, 65, 140, ...: with these factors the first
# is kept (< 8), the next two are interpolated, and the rest, above 32, are divided by 8.
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
}


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


def few_keys(config):
    """Leave to their defaults what old files leave out."""
    rope_v4(config)
    for key in ("rope_scaling", "head_dim", "num_key_value_heads", "attention_bias", "mlp_bias",
                "pretraining_tp", "attention_dropout"):
        config.pop(key, None)


# name: (changes to SHAPE, dtype of the file, change to the saved config.json)
FIXTURES = {
    "base": ({}, torch.float32, rope_v4),
    "mha-tied-bf16": (dict(num_key_value_heads=4, tie_word_embeddings=True, vocab_size=200),
                      torch.bfloat16, few_keys),
    "mqa-f16-sharded": (dict(num_key_value_heads=1, vocab_size=192), torch.float16, None),
    "rope-llama3-v4": (dict(num_attention_heads=2, num_key_value_heads=1, rope_parameters=LLAMA3),
                       torch.float32, rope_v4),
    "rope-llama3-v5": (dict(num_attention_heads=2, num_key_value_heads=2, rope_parameters=LLAMA3),
                       torch.bfloat16, None),
    "rope-linear": (dict(rope_parameters={"rope_type": "linear", "rope_theta": 10000.0,
                                          "factor": 2.5}), torch.float32, rope_v4_legacy),
    "bias": (dict(attention_bias=True, mlp_bias=True), torch.float32, None),
    "head-dim": (dict(head_dim=12), torch.float32, None),
    "odd": (dict(hidden_size=24, intermediate_size=37, num_hidden_layers=3, vocab_size=131,
                 num_attention_heads=3, num_key_value_heads=1, rms_norm_eps=0.03),
            torch.float32, None),
    "one-layer": (dict(num_hidden_layers=1, vocab_size=300), torch.float32, None),
    "five-layer": (dict(num_hidden_layers=5, vocab_size=96, hidden_size=24, intermediate_size=40,
                        num_attention_heads=6, num_key_value_heads=3), torch.float32, None),
    "base-prefix": (dict(vocab_size=176), torch.float16, rope_v4),
}


def scale_of(name, shape, config):
    """Standard deviation of a parameter, and its mean."""
    d_model = config.hidden_size
    if name.endswith("norm.weight"):
        return 0.2, 1.0
    if name.endswith(".bias"):
        return 0.3, 0.0
    if "q_proj" in name or "k_proj" in name:
        return 1.3 / d_model**0.5, 0.0  # scores spread over about 1.3 * 1.3
    if "embed_tokens" in name:
        return (2.5 / d_model**0.5 if config.tie_word_embeddings else 0.7), 0.0
    if "lm_head" in name:
        return 2.5 / d_model**0.5, 0.0
    return 1.0 / shape[-1]**0.5, 0.0


def make(changes, dtype, seed):
    torch.manual_seed(seed)
    config = LlamaConfig(**{**SHAPE, **changes})
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            std, mean = scale_of(name, parameter.shape, config)
            parameter.normal_(mean, std)
        if not config.tie_word_embeddings:
            # Token 0 has logit 0 always: an answer whose score has a zero denominator.
            model.lm_head.weight[0] = 0
    return model.to(dtype)


def drop_prefix(folder):
    """Name the tensors as a base model's checkpoint does: no `model.` in front."""
    path = folder / "model.safetensors"
    tensors = {name.removeprefix("model."): t for name, t in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


def rewrite_config(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config, indent=2) + "\n")


def main():
    logging.disable_progress_bar()
    for seed, (name, (changes, dtype, change)) in enumerate(FIXTURES.items()):
        folder = MODELS / name
        shutil.rmtree(folder, ignore_errors=True)
        model = make(changes, dtype, seed)
        model.save_pretrained(folder, max_shard_size="12KB" if "sharded" in name else "1GB")
        (folder / "generation_config.json").unlink(missing_ok=True)
        if change:
            rewrite_config(folder, change)
        if name == "base-prefix":
            drop_prefix(folder)
        print(f"{sum(f.stat().st_size for f in folder.iterdir()):8d}  {name}")


if __name__ == "__main__":
    main()
