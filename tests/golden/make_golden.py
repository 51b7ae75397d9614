#!/usr/bin/env python3
"""Write what transformers says about the fixtures: tests/golden/<name>.{job.json,json,f32}.

The reference is the naive loop of naive.py. Kept are the logits of the last
position of every cell, so that any metric can be checked later, and resid_post
of both base runs.

Usage (needs torch, transformers):

    tests/golden/make_golden.py              # all
    tests/golden/make_golden.py base bias    # these

README.md tells the layout of the files.
"""

import json
import random
import re
import sys
from pathlib import Path

import torch
import transformers

import naive

GOLDEN = Path(__file__).resolve().parent

STREAM = ["resid_pre", "mlp_out", "resid_post"]
ATTENTION = ["attn_out", "resid_mid"]
HEADS = ["q", "k", "v", "z", "pattern"]
BY_POS = [f"{site}_by_pos" for site in HEADS]

DIRECTIONS = ["denoise", "noise"]
METRICS = ["logit_answer", "logit_foil", "logit_diff", "logprob_answer", "kl", "answer_rank"]

# A score divides by clean - corrupt: below this the tolerance of a score would say little.
MIN_DENOMINATOR = 1.5

# fixture: [(pair id, number of tokens, positions that differ)]
PAIRS = {
    "base": [("one", 11, [4]), ("zero-denominator", 9, [3, 4])],
    "mha-tied-bf16": [("first-token", 9, [0])],
    "mqa-f16-sharded": [("two-places", 12, [3, 8])],
    "rope-llama3-v4": [("one", 14, [5])],
    "rope-llama3-v5": [("one", 14, [2, 3])],
    "rope-linear": [("one", 13, [6])],
    "bias": [("last-token", 10, [9]), ("one", 10, [5])],
    "head-dim": [("one", 10, [4])],
    "odd": [("short", 9, [2]), ("long", 13, [7, 8])],
    "one-layer": [("one", 10, [5])],
    "five-layer": [("template-a", 12, [6, 7]), ("template-b", 12, [6, 7])],
    "base-prefix": [("one", 10, [3])],
    # With a window of 4 and two layers, the last of ten tokens sees nothing of the first three.
    "mistral": [("two-places", 10, [2, 6])],
    "mistral-no-window": [("one", 8, [3])],
    "qwen2": [("one", 10, [3])],
    "qwen2-window": [("two-places", 10, [1, 5])],
    "qwen2-layer-types": [("one", 9, [4])],
    "qwen3": [("one", 10, [4])],
    "qwen3-defaults": [("one", 7, [3])],
    "qwen3-window": [("one", 9, [3])],
    "gemma2": [("two-places", 10, [2, 5])],
    "gemma2-layer-types": [("one", 9, [4])],
    "gpt2": [("one", 10, [4])],
    "gpt2-inner": [("one", 8, [2])],
    "gpt-neox": [("one", 10, [4])],
    "gpt-neox-half": [("one", 8, [3])],
}

LLAMAS = list(PAIRS)[:12]
FAMILIES = list(PAIRS)[12:]
# These have grids by position of their heads too.
ONE_OF_EACH = ["mistral", "qwen2", "qwen3", "gemma2", "gpt2", "gpt-neox"]

# golden file: (fixture, sites, ids of pairs or None for all)
FILES = {
    **{name: (name, STREAM, None) for name in LLAMAS},
    **{f"{name}-attention": (name, ATTENTION, None) for name in ("base", "bias", "five-layer", "mqa-f16-sharded")},
    "base-heads": ("base", HEADS + BY_POS, ["one"]),
    "bias-heads": ("bias", HEADS, ["last-token"]),
    "head-dim-heads": ("head-dim", HEADS + ["z_by_pos"], None),
    "mqa-f16-sharded-heads": ("mqa-f16-sharded", HEADS + ["k_by_pos", "v_by_pos", "pattern_by_pos"], None),
    "five-layer-heads": ("five-layer", HEADS, None),
    **{name: (name, STREAM + ATTENTION, None) for name in FAMILIES},
    **{f"{name}-heads": (name, HEADS + (BY_POS if name in ONE_OF_EACH else []), None) for name in FAMILIES},
}


# ---- prompts

def draw(model, rng, n_tokens, differ, prefix):
    clean = prefix + [rng.randrange(1, model.vocab) for _ in range(n_tokens - len(prefix))]
    corrupt = list(clean)
    for position in differ:
        while corrupt[position] == clean[position]:
            corrupt[position] = rng.randrange(1, model.vocab)
    return clean, corrupt


def make_pair(model, fixture, name, n_tokens, differ):
    """Draw prompts until the answer's logit tells the two runs apart."""
    rng = random.Random(f"{fixture}/{name}")
    shared = random.Random(fixture)  # pairs of one template begin alike
    prefix = ([shared.randrange(1, model.vocab) for _ in range(differ[0])]
              if name.startswith("template") else [])
    while True:
        clean, corrupt = draw(model, rng, n_tokens, differ, prefix)
        at_clean, at_corrupt = model.logits(clean), model.logits(corrupt)
        answer, foil = int(at_clean.argmax()), int(at_corrupt.argmax())
        if answer != foil and at_clean[answer] - at_corrupt[answer] > MIN_DENOMINATOR:
            break
    if name == "zero-denominator":
        answer = 0  # its row of the LM head is zero
    return {"id": name, "clean_ids": clean, "corrupt_ids": corrupt,
            "answer_id": answer, "foil_id": foil}


def make_job(model, fixture, sites, pairs):
    return {
        "model": f"../fixtures/models/{fixture}",
        "pairs": [make_pair(model, fixture, *pair) for pair in PAIRS[fixture] if not pairs or pair[0] in pairs],
        "sites": sites, "directions": DIRECTIONS, "score": "logit", "metrics": METRICS,
        "activations": ["clean", "corrupt"], "patched_final": True, "precision": "fp32",
    }


# ---- files

def arrays_of(model, pair, sites):
    """What is kept of a pair: (name, tensor), in the order of the file."""
    ids = {which: pair[f"{which}_ids"] for which in ("clean", "corrupt")}
    runs = {which: naive.run(model, ids[which]) for which in ids}
    for which in ids:
        yield f"{which}/logits", runs[which].logits
    for which in ids:
        yield f"{which}/resid_post", torch.stack(runs[which].states["resid_post"])
    for site in sites:
        yield f"{site}/denoise/logits", naive.sweep(model, ids["corrupt"], runs["clean"], site)
        yield f"{site}/noise/logits", naive.sweep(model, ids["clean"], runs["corrupt"], site)


def one_line(text):
    return re.sub(r"(?<=[\[{]) | (?=[\]}])", "", re.sub(r"\s+", " ", text))


def write_json(path, value):
    """JSON with what holds no other list or object on one line."""
    text = json.dumps(value, indent=2)
    for innermost in (r"\[[^][{}]*\]", r"\{[^{}]*\}"):
        text = re.sub(innermost, lambda m: one_line(m.group()), text)
    path.write_text(text + "\n")


def write_arrays(path, arrays):
    """One after the other, as float32; what and where they are."""
    entries, offset = [], 0
    with open(path, "wb") as out:
        for name, tensor in arrays:
            entries.append({"name": name, "offset": offset, "shape": list(tensor.shape)})
            out.write(tensor.contiguous().numpy().astype("<f4").tobytes())
            offset += tensor.numel()
    return entries


def write_golden(name):
    fixture, sites, pairs = FILES[name]
    model = naive.Model(fixture)
    sites = [site for site in sites if model.has(site)]
    job = make_job(model, fixture, sites, pairs)
    meta = {
        "fixture": fixture,
        "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
        "n_layers": model.n_layers, "d_model": model.d_model,
        "vocab": model.vocab, "file": f"{name}.f32",
    }
    meta["arrays"] = write_arrays(GOLDEN / meta["file"], (
        (f"{pair['id']}/{array}", tensor) for pair in job["pairs"] for array, tensor in arrays_of(model, pair, sites)))
    write_json(GOLDEN / f"{name}.job.json", job)
    write_json(GOLDEN / f"{name}.json", meta)
    print(f"{(GOLDEN / meta['file']).stat().st_size:8d}  {name}")


def main():
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)  # the last bits depend on it
    with torch.no_grad():
        for name in sys.argv[1:] or FILES:
            write_golden(name)


if __name__ == "__main__":
    main()
