#!/usr/bin/env python3
"""Write the states of one run of each fixture: tests/golden/<fixture>.taps.{json,f32}.

Usage (needs torch, transformers):

    tests/golden/make_taps.py              # all fixtures of TAPS
    tests/golden/make_taps.py gemma2       # these

README.md tells the layout of the files.
"""

import random
import sys

import torch
import transformers

import naive
from make_golden import GOLDEN, write_arrays, write_json

# fixture: number of tokens
TAPS = {
    "base": 9, "bias": 8, "head-dim": 7, "mqa-f16-sharded": 6, "rope-llama3-v4": 14,
    "mistral": 10, "mistral-no-window": 7, "qwen2": 9, "qwen2-window": 9, "qwen2-layer-types": 8,
    "qwen3": 8, "qwen3-defaults": 6, "qwen3-window": 9, "gemma2": 10, "gemma2-layer-types": 9,
    "gpt2": 9, "gpt2-inner": 7, "gpt-neox": 9, "gpt-neox-half": 8,
}


def arrays_of(model, run):
    """(name, rows [T, width]) by layer in the order of the forward pass, then the logits."""
    yield "resid_pre/0", run.states["resid_pre"][0]
    for layer in range(model.n_layers):
        for part in naive.QKV:
            yield f"{part}/{layer}", run.reads[part][layer]
        for state in ("z", "attn_out", "resid_mid", "mlp_out", "resid_post"):
            if model.has(state):
                yield f"{state}/{layer}", run.states[state][layer]
    yield "logits", run.logits


def write_taps(fixture):
    model = naive.Model(fixture)
    rng = random.Random(f"{fixture}/taps")
    ids = [rng.randrange(model.vocab) for _ in range(TAPS[fixture])]
    meta = {"fixture": fixture, "ids": ids,
            "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
            "file": f"{fixture}.taps.f32"}
    meta["arrays"] = write_arrays(GOLDEN / meta["file"], arrays_of(model, naive.run(model, ids)))
    write_json(GOLDEN / f"{fixture}.taps.json", meta)
    print(f"{(GOLDEN / meta['file']).stat().st_size:8d}  {fixture}")


def main():
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)  # the last bits depend on it
    with torch.no_grad():
        for fixture in sys.argv[1:] or TAPS:
            write_taps(fixture)


if __name__ == "__main__":
    main()
