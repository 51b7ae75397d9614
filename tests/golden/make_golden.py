#!/usr/bin/env python3
"""Write what transformers says about the fixtures: tests/golden/<fixture>.{job.json,json,f32}.

The reference is the loop that everybody writes: for every cell one full
forward pass in fp32, eager attention, no KV cache, with a hook that replaces
one state. It shares no idea with the engine it checks. Kept are the logits of
the last position of every cell, so that any metric can be checked later, and
resid_post of both base runs.

Usage (needs torch, transformers):

    tests/golden/make_golden.py              # all fixtures
    tests/golden/make_golden.py base bias    # these

README.md tells the layout of the files.
"""

import json
import random
import re
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM

GOLDEN = Path(__file__).resolve().parent
MODELS = GOLDEN.parent / "fixtures" / "models"

SITES = ["resid_pre", "mlp_out", "resid_post"]
# golden file: (fixture, sites); every fixture has one of its own name and SITES.
MORE = {
    "base-attention": ("base", ["attn_out", "resid_mid"]),
    "bias-attention": ("bias", ["attn_out", "resid_mid"]),
    "five-layer-attention": ("five-layer", ["attn_out", "resid_mid"]),
    "mqa-f16-sharded-attention": ("mqa-f16-sharded", ["attn_out", "resid_mid"]),
}
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
}


# ---- the naive loop

@contextmanager
def hooked(module, edit, before):
    """Let `edit` change what goes into (before) or comes out of `module`."""
    if before:
        def hook(_, args):
            return edit(args[0])
        handle = module.register_forward_pre_hook(hook)
    else:
        def hook(_, __, out):
            return edit(out)
        handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def place(model, site, layer):
    """The module where a site is, and whether it is what goes in."""
    block = model.model.layers[layer]
    module = {"mlp_out": block.mlp, "attn_out": block.self_attn.o_proj,
              "resid_mid": block.post_attention_layernorm}.get(site, block)
    return module, site in ("resid_pre", "resid_mid")


def logits_of(model, ids):
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]


def states_of(model, ids, sites):
    """The states at every site, [site][layer] -> [T, d_model], and the logits."""
    states = {site: [] for site in sites}

    def keep(site):
        return lambda x: states[site].append(x[0].clone())  # returns None: nothing is changed

    with ExitStack() as stack:
        for layer in range(len(model.model.layers)):
            for site in sites:
                module, before = place(model, site, layer)
                stack.enter_context(hooked(module, keep(site), before))
        logits = logits_of(model, ids)
    return states, logits


def patched(model, base_ids, source, site, layer, position):
    """The base run's logits with one state replaced by the source run's."""
    def edit(x):
        x = x.clone()
        x[0, position] = source[site][layer][position]
        return x

    if site == "resid_mid":
        return patched_mid(model, base_ids, source, layer, position)
    module, before = place(model, site, layer)
    with hooked(module, edit, before):
        return logits_of(model, base_ids)


def patched_mid(model, base_ids, source, layer, position):
    """No module has resid_mid as its output, and the residual goes around the norm that has it as its input. So attention's
    output becomes what makes it of the layer's input."""
    block, entered = model.model.layers[layer], []

    def edit(x):
        x = x.clone()
        x[0, position] = source["resid_mid"][layer][position] - entered[0][0, position]
        return x

    with hooked(block, lambda x: entered.append(x), True), hooked(block.self_attn.o_proj, edit, False):
        return logits_of(model, base_ids)


def sweep(model, base_ids, source, site):
    return torch.stack([
        torch.stack([patched(model, base_ids, source, site, layer, position)
                     for position in range(len(base_ids))])
        for layer in range(len(model.model.layers))])


# ---- prompts

def draw(model, rng, n_tokens, differ, prefix):
    vocab = model.config.vocab_size
    clean = prefix + [rng.randrange(1, vocab) for _ in range(n_tokens - len(prefix))]
    corrupt = list(clean)
    for position in differ:
        while corrupt[position] == clean[position]:
            corrupt[position] = rng.randrange(1, vocab)
    return clean, corrupt


def make_pair(model, fixture, name, n_tokens, differ):
    """Draw prompts until the answer's logit tells the two runs apart."""
    rng = random.Random(f"{fixture}/{name}")
    shared = random.Random(fixture)  # pairs of one template begin alike
    prefix = ([shared.randrange(1, model.config.vocab_size) for _ in range(differ[0])]
              if name.startswith("template") else [])
    while True:
        clean, corrupt = draw(model, rng, n_tokens, differ, prefix)
        at_clean, at_corrupt = logits_of(model, clean), logits_of(model, corrupt)
        answer, foil = int(at_clean.argmax()), int(at_corrupt.argmax())
        if answer != foil and at_clean[answer] - at_corrupt[answer] > MIN_DENOMINATOR:
            break
    if name == "zero-denominator":
        answer = 0  # its row of the LM head is zero
    return {"id": name, "clean_ids": clean, "corrupt_ids": corrupt,
            "answer_id": answer, "foil_id": foil}


def make_job(model, fixture, sites):
    return {
        "model": f"../fixtures/models/{fixture}",
        "pairs": [make_pair(model, fixture, *pair) for pair in PAIRS[fixture]],
        "sites": sites, "directions": DIRECTIONS, "score": "logit", "metrics": METRICS,
        "activations": ["clean", "corrupt"], "patched_final": True, "precision": "fp32",
    }


# ---- files

def arrays_of(model, pair, sites):
    """What is kept of a pair: (name, tensor), in the order of the file."""
    ids = {which: pair[f"{which}_ids"] for which in ("clean", "corrupt")}
    states, logits = {}, {}
    for which in ids:
        states[which], logits[which] = states_of(model, ids[which], {*sites, "resid_post"})
    for which in ids:
        yield f"{which}/logits", logits[which]
    for which in ids:
        yield f"{which}/resid_post", torch.stack(states[which]["resid_post"])
    for site in sites:
        yield f"{site}/denoise/logits", sweep(model, ids["corrupt"], states["clean"], site)
        yield f"{site}/noise/logits", sweep(model, ids["clean"], states["corrupt"], site)


def one_line(text):
    return re.sub(r"(?<=[\[{]) | (?=[\]}])", "", re.sub(r"\s+", " ", text))


def write_json(path, value):
    """JSON with what holds no other list or object on one line."""
    text = json.dumps(value, indent=2)
    for innermost in (r"\[[^][{}]*\]", r"\{[^{}]*\}"):
        text = re.sub(innermost, lambda m: one_line(m.group()), text)
    path.write_text(text + "\n")


def write_golden(name):
    fixture, sites = MORE.get(name, (name, SITES))
    model = AutoModelForCausalLM.from_pretrained(
        MODELS / fixture, dtype=torch.float32, attn_implementation="eager").eval()
    job = make_job(model, fixture, sites)
    config = model.config
    meta = {
        "fixture": fixture,
        "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
        "n_layers": config.num_hidden_layers, "d_model": config.hidden_size,
        "vocab": config.vocab_size, "file": f"{name}.f32", "arrays": [],
    }
    offset = 0
    with open(GOLDEN / meta["file"], "wb") as out:
        for pair in job["pairs"]:
            for array, tensor in arrays_of(model, pair, sites):
                meta["arrays"].append({"name": f"{pair['id']}/{array}", "offset": offset,
                                       "shape": list(tensor.shape)})
                out.write(tensor.contiguous().numpy().astype("<f4").tobytes())
                offset += tensor.numel()
    write_json(GOLDEN / f"{name}.job.json", job)
    write_json(GOLDEN / f"{name}.json", meta)
    print(f"{4 * offset:8d}  {name}")


def main():
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)  # the last bits depend on it
    with torch.no_grad():
        for name in sys.argv[1:] or [*PAIRS, *MORE]:
            write_golden(name)


if __name__ == "__main__":
    main()
