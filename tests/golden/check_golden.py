#!/usr/bin/env python3
"""Run patchsweep on every fixture and compare all it writes with transformers.

For each tests/golden/*.job.json: every metric and score of every cell, the
activations of both base runs, and all logits of every cell, which are rebuilt
here from the cell's last row (patched_final) with the final norm and the LM
head of the model file (formulas.py). The job says which sites there are, the
golden file which axes their grids have.

Usage (needs numpy and h5py):

    tests/golden/check_golden.py ./patchsweep
    tests/golden/check_golden.py ./patchsweep --mpirun "mpirun -n 3" base bias
    tests/golden/check_golden.py ./patchsweep --args "--set backend=ref" --keep results/

Prints a line a fixture; exits 1 where anything differs.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

from formulas import Net

GOLDEN = Path(__file__).resolve().parent

# fp32 with sums in another order: observed differences from float64 are 1e-5 at these sizes.
TOLERANCE = 1e-4
# A score is a difference of two logits over clean - corrupt.
SCORE_TOLERANCE = 2 * TOLERANCE


# ---- what transformers says

def read_golden(fixture):
    """The arrays of a fixture, "<pair>/<site>/<direction>/logits" and so on."""
    meta = json.loads((GOLDEN / f"{fixture}.json").read_text())
    data = np.fromfile(GOLDEN / meta["file"], "<f4")
    arrays = {}
    for entry in meta["arrays"]:
        begin, n = entry["offset"], int(np.prod(entry["shape"]))
        arrays[entry["name"]] = data[begin:begin + n].reshape(entry["shape"])
    return arrays


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def metrics_of(logits, clean, answer, foil):
    """Every metric but answer_rank, from logits [..., V] and the clean run's [V]."""
    logits, clean = logits.astype(np.float64), clean.astype(np.float64)
    log_p, log_clean = log_softmax(logits), log_softmax(clean)
    return {
        "logit_answer": logits[..., answer],
        "logit_foil": logits[..., foil],
        "logit_diff": logits[..., answer] - logits[..., foil],
        "logprob_answer": log_p[..., answer],
        "kl": (np.exp(log_clean) * (log_clean - log_p)).sum(-1),
    }


def rank_range(logits, answer):
    """The lowest and highest answer_rank that logits this close allow."""
    lead = np.delete(logits - logits[..., answer:answer + 1], answer, axis=-1)
    return (lead > SCORE_TOLERANCE).sum(-1), (lead > -SCORE_TOLERANCE).sum(-1)


# ---- the comparison

class Comparison:
    """Collects the largest difference of each kind, and the first few failures."""

    def __init__(self):
        self.largest, self.failures, self.n_values = {}, [], 0

    def fail(self, text):
        self.failures.append(text)

    def close(self, kind, name, actual, expected, tolerance):
        actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
        if actual.shape != expected.shape:
            return self.fail(f"{name}: shape {actual.shape}, not {expected.shape}")
        difference = np.where(np.isnan(actual), np.inf, np.abs(actual - expected))
        self.n_values += difference.size
        self.largest[kind] = max(self.largest.get(kind, 0.0), float(difference.max()))
        for at in np.argwhere(difference > tolerance):
            at = tuple(at)
            self.fail(f"{name}{list(map(int, at))}: {actual[at]:.7g}, not {expected[at]:.7g}")

    def between(self, name, actual, low, high):
        self.n_values += actual.size
        if actual.shape != low.shape:
            return self.fail(f"{name}: shape {actual.shape}, not {low.shape}")
        for at in np.argwhere((actual < low) | (actual > high)):
            at = tuple(at)
            self.fail(f"{name}{list(map(int, at))}: {actual[at]}, not {low[at]}..{high[at]}")


def check_grid(compare, name, group, golden, clean, corrupt, pair, net):
    """One site and direction of a pair."""
    answer, foil = pair["answer_id"], pair["foil_id"]
    expected = metrics_of(golden, clean, answer, foil)
    for metric, values in expected.items():
        compare.close(metric, f"{name}/{metric}", group[metric], values, TOLERANCE)
    compare.between(f"{name}/answer_rank", group["answer_rank"][()], *rank_range(golden, answer))

    denominator = float(clean[answer]) - float(corrupt[answer])
    score, tolerance = np.zeros(golden.shape[:-1]), 0.0
    if denominator:
        score = (expected["logit_answer"] - float(corrupt[answer])) / denominator
        tolerance = SCORE_TOLERANCE / abs(denominator)
    compare.close("score", f"{name}/score", group["score"], score, tolerance)
    compare.close("degenerate", f"{name}/degenerate", group["degenerate"],
                  np.full(score.shape, denominator == 0), 0)
    compare.close("done", f"{name}/done", group["done"], np.ones(score.shape), 0)
    compare.close("logits", f"{name}/patched_final", net.head(group["patched_final"][()]),
                  golden, TOLERANCE)


def check_pair(compare, result, golden, job, pair, net):
    name = pair["id"]
    clean, corrupt = golden[f"{name}/clean/logits"], golden[f"{name}/corrupt/logits"]
    for which in job["activations"]:
        rows = f"{name}/activations/{which}_resid_post"
        compare.close("activations", rows, result[rows], golden[f"{name}/{which}/resid_post"],
                      TOLERANCE)
    for site in job["sites"]:
        for direction in job["directions"]:
            grid = f"{name}/{site}/{direction}"
            check_grid(compare, grid, result[grid], golden[f"{grid}/logits"], clean, corrupt,
                       pair, net)


def check_result(path, fixture):
    compare = Comparison()
    job = json.loads((GOLDEN / f"{fixture}.job.json").read_text())
    golden, net = read_golden(fixture), Net(GOLDEN / job["model"])
    with h5py.File(path) as result:
        for pair in job["pairs"]:
            try:
                check_pair(compare, result, golden, job, pair, net)
            except KeyError as missing:
                compare.fail(f"{pair['id']}: {missing}")
    return compare


# ---- running

def sweep(options, fixture, path):
    """Run patchsweep; the error text, or None."""
    command = [*shlex.split(options.mpirun), options.patchsweep, "run",
               str(GOLDEN / f"{fixture}.job.json"), "-o", str(path), *shlex.split(options.args)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return None if done.returncode == 0 else (
        f"{shlex.join(command)}: exit status {done.returncode}\n{done.stdout.rstrip()}")


def check_fixture(options, fixture, folder):
    path = folder / f"{fixture}.h5"
    path.unlink(missing_ok=True)
    failed = sweep(options, fixture, path)
    if failed:
        print(f"not ok  {fixture}\n{failed}")
        return False
    compare = check_result(path, fixture)
    if compare.failures:
        print(f"not ok  {fixture}: {len(compare.failures)} of {compare.n_values} values differ")
        print("\n".join(f"        {text}" for text in compare.failures[:5]))
        return False
    largest = ", ".join(f"{kind} {compare.largest[kind]:.1e}"
                        for kind in ("logits", "kl", "activations", "score"))
    print(f"ok      {fixture}: {compare.n_values} values; largest difference: {largest}")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("patchsweep", help="the program")
    parser.add_argument("fixtures", nargs="*", help="default: all")
    parser.add_argument("--mpirun", default="", metavar="COMMAND", help='such as "mpirun -n 3"')
    parser.add_argument("--args", default="", help="more arguments for `patchsweep run`")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the results here")
    options = parser.parse_args()
    options.patchsweep = str(Path(options.patchsweep).resolve())
    fixtures = options.fixtures or sorted(path.name.removesuffix(".job.json")
                                          for path in GOLDEN.glob("*.job.json"))
    with tempfile.TemporaryDirectory() as folder:
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            folder = options.keep
        n_failed = sum(not check_fixture(options, f, Path(folder)) for f in fixtures)
    print(f"{len(fixtures) - n_failed} passed, {n_failed} failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
