#!/usr/bin/env python3
"""Compare a sweep of SmolLM2 with the loop it replaces, in numbers and in time.

    ./patchsweep run jobs/smollm2.json -o smollm2.h5
    scripts/check_smollm2.py smollm2.h5

The loop is transformers in fp32 with eager attention, one forward pass for
each of the 840 cells. It takes minutes, so its logits are kept in
models/.cache (165 MB) for the next time. Every cell's logits of answer and
foil are compared, and where the job asked for `patched_final`, all 49,152
logits of every cell.

With --bf16, a second result of the same job in precision bf16 is compared with the
first: how far scores move, and which cells predict another token though the
fp32 margin exceeds 0.5.

The time of the sweep is set against one plain forward pass of the same
prompt, at the same number of threads: a sweep of 840 cells should cost no
more than 25 of them. That is printed, and an error only with --time, since a
busy machine can spoil it.

Needs torch, transformers, numpy, h5py; the model from scripts/fetch_smollm2.sh.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).resolve().parent.parent
JOB = ROOT / "jobs" / "smollm2.json"
CACHE = ROOT / "models" / ".cache" / "smollm2-naive.npy"

TOLERANCE = 1e-4  # fp32 against fp32, sums in another order
MOST_FORWARDS = 25  # a sweep may cost as much as this many forward passes


# ---- the prompts

class Prompts:
    def __init__(self, job, tokenizer):
        pair = job["pairs"][0]
        self.id = pair["id"]
        self.clean, self.corrupt = (
            tokenizer(job["template"].format(**job["fill"], **pair[which])).input_ids
            for which in ("clean", "corrupt"))
        self.answer, self.foil = (
            tokenizer(pair[which], add_special_tokens=False).input_ids[0]
            for which in ("answer", "foil"))


# ---- the naive loop

def forward(model, ids):
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]


def resid_post(model, ids):
    """The output of every layer, [L][T, d_model]."""
    states = []
    hooks = [layer.register_forward_hook(lambda _, __, out: states.append(out[0].clone()))
             for layer in model.model.layers]
    forward(model, ids)
    for hook in hooks:
        hook.remove()
    return states


def patched(model, ids, layer, position, state):
    def replace(_, __, out):
        out = out.clone()
        out[0, position] = state
        return out

    hook = model.model.layers[layer].register_forward_hook(replace)
    logits = forward(model, ids)
    hook.remove()
    return logits


def naive_sweep(model, prompts):
    """The logits of every cell, [L, T, V]."""
    states = resid_post(model, prompts.clean)
    n_layers, n_positions = len(states), len(prompts.clean)
    logits = np.empty((n_layers, n_positions, model.config.vocab_size), np.float32)
    for layer in range(n_layers):
        for position in range(n_positions):
            logits[layer, position] = patched(model, prompts.corrupt, layer, position,
                                              states[layer][position]).numpy()
        print(f"\rnaive loop: layer {layer + 1} of {n_layers}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return logits


def reference(model, prompts):
    if not CACHE.exists():
        begin = time.perf_counter()
        logits = naive_sweep(model, prompts)
        print(f"naive loop: {time.perf_counter() - begin:.1f} s for "
              f"{logits.shape[0] * logits.shape[1]} cells")
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        aside = CACHE.with_suffix(".part.npy")
        np.save(aside, logits)
        aside.rename(CACHE)
    return np.load(CACHE, mmap_mode="r")


# ---- comparing

def largest(name, actual, expected):
    """Print the largest difference and say whether it is small enough."""
    actual = np.asarray(actual)
    if actual.shape != expected.shape:
        print(f"not ok  {name}: shape {actual.shape}, not {expected.shape}")
        return False
    difference = np.where(np.isnan(actual), np.inf, np.abs(actual - expected))
    worst = tuple(map(int, np.unravel_index(difference.argmax(), difference.shape)))
    good = bool(difference[worst] <= TOLERANCE)
    print(f"{'ok    ' if good else 'not ok'}  {name}: largest difference {difference[worst]:.2e}, "
          f"at {list(worst)}")
    return good


def rebuilt(model, rows):
    """All logits of one layer's cells from their last rows."""
    return model.lm_head(model.model.norm(torch.from_numpy(rows.astype(np.float32)))).numpy()


def compare_final(model, final, naive):
    """As `largest`, a layer at a time: the logits of all cells fill a small machine."""
    if final.shape[:2] != naive.shape[:2]:
        print(f"not ok  patched_final: shape {final.shape}")
        return False
    worst = np.max([np.abs(rebuilt(model, final[layer]) - naive[layer]).max()
                    for layer in range(naive.shape[0])])
    good = bool(worst <= TOLERANCE)  # not so for NaN
    print(f"{'ok    ' if good else 'not ok'}  all {naive.size} logits: largest difference {worst:.2e}")
    return good


def compare_values(model, result, prompts):
    naive = reference(model, prompts)
    grid = result[f"{prompts.id}/resid_post/denoise"]
    good = [largest("logit_answer", grid["logit_answer"][()], naive[..., prompts.answer]),
            largest("logit_foil", grid["logit_foil"][()], naive[..., prompts.foil])]
    if "patched_final" in grid:
        good.append(compare_final(model, grid["patched_final"], naive))
    return all(good)


# ---- precision bf16

BF16_MOST, BF16_MEDIAN, BF16_MARGIN = 0.10, 0.03, 0.5


def compare_bf16(model, fp32, bf16, prompts):
    """Two results of one job: do bfloat16 operands move scores or predictions too far?"""
    grids = [result[f"{prompts.id}/resid_post/denoise"] for result in (fp32, bf16)]
    moved = np.abs(grids[0]["score"][()] - grids[1]["score"][()])
    computed = moved[:-1, fp32[prompts.id].attrs["first_difference"]:]  # the rest is known beforehand
    flips = 0
    for layer in range(len(moved)):
        exact, rounded = (rebuilt(model, grid["patched_final"][layer]) for grid in grids)
        first, second = np.sort(exact, axis=-1)[:, :-3:-1].T
        flips += int(((exact.argmax(-1) != rounded.argmax(-1)) & (first - second > BF16_MARGIN)).sum())
    good = bool(moved.max() <= BF16_MOST and np.median(computed) <= BF16_MEDIAN and flips == 0)
    print(f"{'ok    ' if good else 'not ok'}  bf16: scores move by {moved.max():.3f} at most (allowed {BF16_MOST}), "
          f"{np.median(computed):.3f} in the median of computed cells (allowed {BF16_MEDIAN}); "
          f"{flips} predictions change past a margin of {BF16_MARGIN}")
    print(f"        bf16 sweep {float(bf16.attrs['sweep_seconds']):.2f} s, "
          f"fp32 {float(fp32.attrs['sweep_seconds']):.2f} s")
    return good


# ---- timing

def forward_seconds(model, ids, n=15):
    times = []
    for _ in range(n + 3):
        begin = time.perf_counter()
        forward(model, ids)
        times.append(time.perf_counter() - begin)
    return statistics.median(times[3:])


def compare_time(model, result, prompts, options):
    torch.set_num_threads(options.threads)
    seconds = forward_seconds(model, prompts.clean)
    sweep = float(result.attrs["sweep_seconds"])
    ratio = sweep / seconds
    good = ratio <= MOST_FORWARDS
    print(f"{'ok    ' if good else 'slow  '}  time: sweep {sweep:.2f} s = {ratio:.1f} forward passes "
          f"of {1000 * seconds:.0f} ms with {options.threads} threads (at most {MOST_FORWARDS}; "
          f"the naive loop takes {len(prompts.clean) * model.config.num_hidden_layers})")
    return good or not options.time


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("result", type=Path, nargs="?", default=Path("smollm2.h5"))
    parser.add_argument("--bf16", type=Path, metavar="RESULT", help="the same job in precision bf16")
    parser.add_argument("--threads", type=int, default=os.cpu_count(),
                        help="those that the sweep had, over all its ranks")
    parser.add_argument("--time", action="store_true", help="a slow sweep is an error")
    parser.add_argument("--reference-only", action="store_true",
                        help="only run the naive loop and keep its logits")
    options = parser.parse_args()
    transformers.logging.disable_progress_bar()
    torch.set_grad_enabled(False)
    torch.set_num_threads(options.threads)

    job = json.loads(JOB.read_text())
    folder = (JOB.parent / job["model"]).resolve()
    if not folder.is_dir():
        sys.exit(f"{folder} is missing: run scripts/fetch_smollm2.sh")
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager").eval()
    prompts = Prompts(job, AutoTokenizer.from_pretrained(folder))
    if options.reference_only:
        reference(model, prompts)
        return 0
    with h5py.File(options.result) as result:
        good = compare_values(model, result, prompts)
        good = compare_time(model, result, prompts, options) and good
        if options.bf16:
            with h5py.File(options.bf16) as rounded:
                good = compare_bf16(model, result, rounded, prompts) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
