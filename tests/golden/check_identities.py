#!/usr/bin/env python3
"""Compare cells of the golden files with other edits that must give the same logits.

Uses transformers and the hooks of naive.py. Replacing several states elsewhere makes the same state here, which shows
that each site is where it should be.

Usage (needs torch, transformers):

    tests/golden/check_identities.py              # all
    tests/golden/check_identities.py gemma2-heads # these

Prints a line a file with the largest difference for each identity; exits 1 where one exceeds TOLERANCE.
"""

import json
import sys

import numpy as np
import torch
import transformers

import naive
from make_golden import FILES, GOLDEN
from naive import Edit

TOLERANCE = 3e-5


def read(name):
    """Arrays by name."""
    meta = json.loads((GOLDEN / f"{name}.json").read_text())
    data = torch.from_numpy(np.fromfile(GOLDEN / meta["file"], "<f4"))
    return {a["name"]: data[a["offset"]:a["offset"] + int(np.prod(a["shape"]))].view(a["shape"]) for a in meta["arrays"]}


class Setting:
    """A pair of a file in one direction."""

    def __init__(self, model, arrays, pair, direction):
        self.model, self.direction = model, direction
        base, source = ("corrupt", "clean") if direction == "denoise" else ("clean", "corrupt")
        self.ids = pair[f"{base}_ids"]
        self.n_tokens = len(self.ids)
        self.first = next(i for i, (a, b) in enumerate(zip(self.ids, pair[f"{source}_ids"])) if a != b)
        self.base, self.source = naive.run(model, self.ids), naive.run(model, pair[f"{source}_ids"])
        self.grids = {site: arrays[f"{pair['id']}/{site}/{direction}/logits"] for site in naive.SITES
                      if f"{pair['id']}/{site}/{direction}/logits" in arrays}

    def patched(self, *edits):
        return naive.patched(self.model, self.ids, self.source, *edits)

    def all_heads(self, states, layer, position=None):
        return self.patched(*(Edit(state, layer, head, position)
                              for state in states for head in range(self.model.heads_of(state))))


# ---- identities: each yields pairs of logits that must be equal

def capture_changes_nothing(s):
    """Attention recomputed from the captured probabilities has the same bits. Replacing states by the run's own
    changes nothing."""
    with naive.attention(s.model, lambda _, __, ___, ____, pattern: pattern):
        again = s.model.logits(s.ids)
    if not torch.equal(again, s.model.logits(s.ids)):
        raise AssertionError("attention recomputed from its own probabilities has other bits")
    for state in s.base.states:
        if state != "resid_mid":  # replaced through a difference, which rounds
            yield naive.patched(s.model, s.ids, s.base, Edit(state, 0)), s.base.logits


def queries_and_keys_are_pattern(s):
    """Replacing q and k of all heads replaces the pattern of all heads."""
    for layer in range(s.model.n_layers):
        yield s.all_heads("qk", layer), s.all_heads(["pattern"], layer)


def pattern_and_values_are_z(s):
    """Replacing pattern and v, or q, k and v, replaces z."""
    for layer in range(s.model.n_layers):
        yield s.all_heads(["pattern", "v"], layer), s.all_heads(["z"], layer)
        yield s.all_heads("qkv", layer), s.all_heads(["z"], layer)
        if s.model.n_heads == s.model.n_kv_heads:  # head by head, where no other head reads its values
            for head in range(s.model.n_heads):
                yield s.patched(Edit("pattern", layer, head), Edit("v", layer, head)), s.patched(Edit("z", layer, head))


def z_is_attention_out(s):
    """Replacing z of all heads at a position replaces attn_out there."""
    for layer, position in np.ndindex(*s.grids.get("attn_out", torch.empty(0, 0)).shape[:2]):
        yield s.all_heads(["z"], layer, position), s.grids["attn_out"][layer, position]


def parts_are_stream(s):
    """At the last position, whose keys and values no other row reads, resid_pre and attn_out make resid_mid, and
    with mlp_out resid_post. resid_post of a layer is resid_pre of the next."""
    last = s.n_tokens - 1
    for layer in range(s.model.n_layers):
        parts = [Edit(state, layer, None, last) for state in ("resid_pre", "attn_out", "mlp_out")]
        if "resid_mid" in s.grids:
            yield s.patched(*parts[:2]), s.grids["resid_mid"][layer, last]
        if "resid_post" in s.grids:
            yield s.patched(*parts), s.grids["resid_post"][layer, last]
            if layer:
                yield from zip(s.grids["resid_pre"][layer], s.grids["resid_post"][layer - 1])


def positions_are_all(s):
    """Replacing a head at every position by one edit each equals replacing it at all positions by one edit."""
    for site in s.grids:
        if naive.SITES[site][1] == ("layer", "head"):
            for layer, head in np.ndindex(*s.grids[site].shape[:2]):
                edits = (Edit(site, layer, head, position) for position in range(s.n_tokens))
                yield s.patched(*edits), s.grids[site][layer, head]


def equal_rows_change_nothing(s):
    """Before the first token that differs, both runs have the same states."""
    for site, grid in s.grids.items():
        if naive.SITES[site][1][-1] == "position":
            for cell in grid[..., :s.first, :].flatten(0, -2):
                yield cell, s.base.logits


def whole_stream_is_source(s):
    """Replacing all rows of resid_pre gives the source run, and so does the last row of the last resid_post."""
    for layer in range(s.model.n_layers):
        yield s.patched(Edit("resid_pre", layer)), s.source.logits
    if "resid_post" in s.grids:
        yield s.grids["resid_post"][-1, -1], s.source.logits


IDENTITIES = [capture_changes_nothing, queries_and_keys_are_pattern, pattern_and_values_are_z, z_is_attention_out,
              parts_are_stream, positions_are_all, equal_rows_change_nothing, whole_stream_is_source]


def check(name):
    model, arrays = naive.Model(FILES[name][0]), read(name)
    job = json.loads((GOLDEN / f"{name}.job.json").read_text())
    worst, n = {}, 0
    for pair in job["pairs"]:
        for direction in job["directions"]:
            setting = Setting(model, arrays, pair, direction)
            for identity in IDENTITIES:
                differences = [float((a - b).abs().max()) for a, b in identity(setting)]
                n += len(differences)
                if differences:
                    worst[identity.__name__] = max(differences + [worst.get(identity.__name__, 0.0)])
    good = max(worst.values()) <= TOLERANCE
    print(f"{'ok    ' if good else 'not ok'}  {name}: {n} comparisons; " + ", ".join(f"{k} {v:.1e}" for k, v in worst.items()))
    return good


def main():
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    with torch.no_grad():
        n_failed = sum(not check(name) for name in sys.argv[1:] or FILES)
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
