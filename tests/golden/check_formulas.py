#!/usr/bin/env python3
"""Compare the golden files with the formulas of formulas.py in float64.

Compares every cell of every sweep, both base runs, and every state of the taps. Here q and k are replaced after head
norm and rotation; make_golden.py replaces them before.

Usage (needs numpy and h5py):

    tests/golden/check_formulas.py                    # all
    tests/golden/check_formulas.py gemma2 gemma2.taps # these

Prints a line a file; exits 1 where anything differs by more than TOLERANCE.
"""

import itertools
import json
import sys
from pathlib import Path

import numpy as np

from check_golden import GOLDEN, read_golden
from formulas import Net

# Rounding in float32. check_golden.py allows more, as patchsweep rounds too.
TOLERANCE = 3e-5

AXES = {**{site: ("layer", "position") for site in ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")},
        **{site: ("layer", "head") for site in ("q", "k", "v", "z", "pattern")},
        **{f"{site}_by_pos": ("layer", "head", "position") for site in ("q", "k", "v", "z", "pattern")}}


def states_of(net, ids):
    """Logits, and [site, layer] -> rows."""
    states = {}

    def keep(site, layer, x):
        states[site, layer] = x
        return x
    return net.logits(ids, keep), states


def patched(net, ids, source, site, layer, head=None, position=None):
    """Logits with one state replaced; head None: all columns, position None: all rows."""
    rows = slice(None) if position is None else position
    columns = slice(None) if head is None else slice(head * net.head_dim, (head + 1) * net.head_dim)
    where = (head, rows) if site == "pattern" else (rows, columns)

    def change(at_site, at_layer, x):
        if (at_site, at_layer) == (site, layer):
            x = x.copy()
            x[where] = source[site, layer][where]
        return x
    return net.logits(ids, change)


def differences_of_sweep(name):
    """(array, largest difference) for each array of a sweep."""
    golden, job = read_golden(name), json.loads((GOLDEN / f"{name}.job.json").read_text())
    net = Net(GOLDEN / job["model"])
    for pair in job["pairs"]:
        ids = {which: pair[f"{which}_ids"] for which in ("clean", "corrupt")}
        runs = {which: states_of(net, ids[which]) for which in ids}
        for which, (logits, states) in runs.items():
            at = f"{pair['id']}/{which}"
            yield f"{at}/logits", np.abs(golden[f"{at}/logits"] - logits).max()
            rows = np.stack([states["resid_post", layer] for layer in range(net.n_layers)])
            yield f"{at}/resid_post", np.abs(golden[f"{at}/resid_post"] - rows).max()
        for site, (base, source, direction) in itertools.product(
                job["sites"], [("corrupt", "clean", "denoise"), ("clean", "corrupt", "noise")]):
            grid = golden[f"{pair['id']}/{site}/{direction}/logits"]
            worst = max(np.abs(grid[cell] - patched(net, ids[base], runs[source][1], site.removesuffix("_by_pos"),
                                                    **dict(zip(AXES[site], cell)))).max()
                        for cell in np.ndindex(grid.shape[:-1]))
            yield f"{pair['id']}/{site}/{direction}", worst


def differences_of_taps(name):
    """(array, largest difference) for each array of a file of states."""
    meta = json.loads((GOLDEN / f"{name}.json").read_text())
    net = Net(GOLDEN / "../fixtures/models" / meta["fixture"])
    logits, states = states_of(net, meta["ids"])
    for array, values in read_golden(name).items():
        site, _, layer = array.partition("/")
        yield array, np.abs(values - (logits if array == "logits" else states[site, int(layer)])).max()


def check(name):
    differences = dict((differences_of_taps if name.endswith(".taps") else differences_of_sweep)(name))
    worst = max(differences, key=differences.get)
    good = differences[worst] <= TOLERANCE
    print(f"{'ok    ' if good else 'not ok'}  {name}: {len(differences)} arrays; "
          f"largest difference {differences[worst]:.1e} in {worst}")
    return good


def main():
    sweeps = sorted(path.name.removesuffix(".job.json") for path in GOLDEN.glob("*.job.json"))
    taps = sorted(path.name.removesuffix(".json") for path in GOLDEN.glob("*.taps.json"))
    n_failed = sum(not check(name) for name in sys.argv[1:] or sweeps + taps)
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
