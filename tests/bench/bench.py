#!/usr/bin/env python3
"""Time one sweep by patchsweep and by the ways it replaces, in one run on this machine.

    PATCHSWEEP=./patchsweep python tests/bench/bench.py

One pair of prompts, resid_post, denoise, every layer and position, the answer's logit:

    patchsweep   `patchsweep run`, one rank; the time is the result's `sweep_seconds`
    nnsight      one trace a cell
    loop         transformers with a forward hook, one forward pass a cell
    batched      transformers with a forward hook, the T cells of a layer in one batch

The Python tools have eager attention, no cache, no gradients, as many threads as patchsweep, and the clean
states for nothing. Their cells all cost about the same, so by
default some are timed, spread over layers and positions, and the sweep's time is their median times the cells.

Values come first: each tool's are compared with the loop's, and in fp32 a difference stops the run; that
is everybody's warm-up, too. Then the tools take turns, so that a shared machine's drift hits all alike.

The floor is the time of the sweep's products alone: the FLOPs that no saving of patchsweep's avoids, at
the rate this machine multiplies matrices at, measured in the same run.

Models are random weights in the shape of a config.json, kept in models/, or any directory with --model.
"""

import argparse
import copy
import csv
import datetime
import functools
import importlib.metadata
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import torch
import transformers
from nnsight import NNsight
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

ROOT = Path(__file__).resolve().parent.parent.parent
PATCHSWEEP = str((ROOT / os.environ.get("PATCHSWEEP", "patchsweep")).absolute())

SEED = 1
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
TOLERANCE = 1e-4  # of the largest logit: fp32 against fp32, sums in another order
BATCHES = 3       # layers of which "batched" is timed


def fail(message):
    sys.exit(f"bench: {message}")


# ---- the model

def random_weights(config):
    """Name -> tensor in bfloat16: norms 1, all else normal with deviation 0.02."""
    with torch.device("meta"):
        shapes = AutoModelForCausalLM.from_config(config).state_dict()
    draw = torch.Generator().manual_seed(SEED)
    weights = {}
    for name, like in sorted(shapes.items()):
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        tensor = torch.ones(like.shape, dtype=torch.bfloat16)
        weights[name] = tensor if name.endswith("norm.weight") else tensor.normal_(0, 0.02, generator=draw)
    return weights


def random_model(shape):
    """The directory of random weights in this shape, written unless it is there."""
    folder = ROOT / "models" / f"bench-{shape.stem}"
    written = folder / "config.json"
    if written.exists() and written.read_text() == shape.read_text():
        return folder
    print(f"writing {folder}", file=sys.stderr)
    aside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    shutil.copy(shape, aside / "config.json")
    save_file(random_weights(AutoConfig.from_pretrained(aside)), aside / "model.safetensors", metadata={"format": "pt"})
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    return folder


def weight_bytes(folder):
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


# ---- the sweep

class Sweep:
    """What every tool computes: two prompts that differ at one position, and an answer."""

    def __init__(self, folder, tokens, first_difference, last_logits):
        draw = random.Random(SEED)
        self.keep = 1 if last_logits else 0  # transformers' logits_to_keep; 0: all
        self.folder = folder
        self.config = AutoConfig.from_pretrained(folder)
        vocab = self.config.vocab_size
        self.n_layers, self.n_positions = self.config.num_hidden_layers, tokens
        self.n_cells = self.n_layers * tokens
        self.clean = [draw.randrange(vocab) for _ in range(tokens)]
        self.corrupt = list(self.clean)
        self.corrupt[first_difference] = (self.clean[first_difference] + 1) % vocab
        self.answer = draw.randrange(vocab)

    def all_cells(self):
        return [(layer, position) for layer in range(self.n_layers) for position in range(self.n_positions)]

    def sample(self, n):
        """n cells: layers evenly, positions by the golden ratio, which leaves no gaps."""
        if n >= self.n_cells:
            return self.all_cells()
        return [(int((i + 0.5) * self.n_layers / n), int((i + 0.5) * 0.6180339887 % 1 * self.n_positions))
                for i in range(n)]


def wave_flops(config, T, D):
    """FLOPs of the products and of attention in a sweep of resid_post, denoise, with every saving.

    T positions, first difference D.  Cells before D and in the last layer are free.  A cell's rows are copies
    of base rows where it enters, so nobody projects them there; a row copied at D never changes.
    In the last layer all rows are keys, but only last rows go on.
    """
    d, heads, head_dim = config.hidden_size, config.num_attention_heads, config.head_dim
    q = o = 2 * d * heads * head_dim
    kv = 2 * 2 * d * config.num_key_value_heads * head_dim
    mlp = 3 * 2 * d * config.intermediate_size
    last = config.num_hidden_layers - 1

    def strand(positions, layer, entering=False):
        """Consecutive rows of one run, to its end, through one layer."""
        active = positions[-1:] if layer == last else positions
        project = 0 if entering else len(positions) * kv + len(active) * q
        attend = sum(4 * head_dim * heads * (position + 1) for position in active)
        return project + attend + len(active) * (o + mlp)

    head = 2 * 2 * d * config.vocab_size  # the base runs' last rows
    shared = sum(strand(range(D), layer) for layer in range(last)) + D * kv  # in the last layer: keys only
    base = shared + 2 * sum(strand(range(D, T), layer) for layer in range(last + 1))
    cells = sum(strand(range(t + 1 if t == D else t, T), layer, layer == entry)
                for t in range(D, T) for entry in range(1, last + 1) for layer in range(entry, last + 1))
    return base + cells + head


# ---- running patchsweep

# A process begins with its parent's peak of memory, and this one is full of models: a small one in between.
LAUNCH = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss * 1024)
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""


def patchsweep(*args, threads):
    """Run it with that many threads.  Returns the finished process, with its peak of memory as `peak_rss`."""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", LAUNCH, PATCHSWEEP, *map(str, args)],
                          env={**os.environ, "OMP_NUM_THREADS": str(threads)}, capture_output=True,
                          text=True, check=False)
    done.stdout, _, peak = done.stdout.strip().rpartition("\n")
    done.peak_rss = int(peak)
    return done


def give_up(done):
    """Pass on why patchsweep failed."""
    fail((done.stderr.strip().splitlines() or [f"patchsweep ended with {done.returncode}"])[-1])


class Rates:
    """How fast this machine multiplies matrices, by precision."""

    def __init__(self, repeat, threads):
        self.units, self.threads, self.seen = range(repeat), threads, []

    def take_turn(self, _):
        done = patchsweep("bench", "--json", "--no-disk", threads=self.threads)
        if done.returncode:
            give_up(done)
        products = json.loads(done.stdout)["products"]
        self.seen.append({name: product["gflops"] for name, product in products.items()})

    def flops(self, precision):
        """FLOP/s, None where this machine has no such product."""
        product = "fp32_openblas" if precision == "fp32" else precision  # a yardstick that is not ours
        rates = [seen[product] for seen in self.seen if product in seen]
        return statistics.median(rates) * 1e9 if rates else None


# ---- the tools

def timed(function, *args):
    start = time.perf_counter()
    value = function(*args)
    return time.perf_counter() - start, value


class Tool:
    """Something that computes cells, some at a time.

    `units` are what is timed, each a part of the sweep of `unit_cells` cells; `sampled` those
    whose values are compared.
    """

    peak_rss = None

    def __init__(self, sweep, precision, units, sampled):
        self.sweep, self.precision, self.units, self.sampled = sweep, precision, units, sampled
        self.times = []

    def compute(self, unit):
        """Seconds, and {(layer, position): the answer's logit}."""
        raise NotImplementedError

    def values(self):
        return {cell: value for unit in self.sampled for cell, value in self.compute(unit)[1].items()}

    def take_turn(self, unit):
        self.times.append(self.compute(unit)[0])

    def seconds(self):
        """Of the whole sweep."""
        if len(self.times) * self.unit_cells == self.sweep.n_cells:
            return sum(self.times)
        return statistics.median(self.times) * self.sweep.n_cells / self.unit_cells


class Patchsweep(Tool):
    name = "patchsweep"

    def __init__(self, sweep, precision, repeat, threads, folder):
        super().__init__(sweep, precision, range(repeat), [0])
        self.unit_cells, self.threads = sweep.n_cells, threads
        self.job, self.result = folder / f"{precision}.json", folder / f"{precision}.h5"
        self.job.write_text(json.dumps({
            "model": str(sweep.folder), "precision": precision, "metrics": ["logit_answer"],
            "pairs": [{"id": "pair", "clean_ids": sweep.clean, "corrupt_ids": sweep.corrupt,
                       "answer_id": sweep.answer}]}))
        self.version = patchsweep("--version", threads=threads).stdout.split()[-1]

    def compute(self, unit):
        done = patchsweep("run", self.job, "-o", self.result, "--force", "-q", threads=self.threads)
        if done.returncode:
            give_up(done)
        self.peak_rss = max(self.peak_rss or 0, done.peak_rss)
        with h5py.File(self.result) as result:
            logits = result["pair/resid_post/denoise/logit_answer"][()]
            seconds = float(result.attrs["sweep_seconds"])
        return seconds, {cell: float(logits[cell]) for cell in self.sweep.all_cells()}

    def seconds(self):
        return statistics.median(self.times)


class Loop(Tool):
    name, unit_cells, version = "loop", 1, transformers.__version__

    def __init__(self, sweep, precision, units, sampled, model):
        super().__init__(sweep, precision, units, sampled)
        self.model, self.corrupt = model, torch.tensor([sweep.corrupt])
        self.states = []  # the clean run's, behind every layer
        hooks = [layer.register_forward_hook(lambda _, __, out: self.states.append(out[0].clone()))
                 for layer in model.model.layers]
        self.largest = float(self.forward(torch.tensor([sweep.clean])).abs().max())
        for hook in hooks:
            hook.remove()

    def forward(self, ids):
        """[rows, vocab], at the last position."""
        return self.model(input_ids=ids, use_cache=False, logits_to_keep=self.sweep.keep).logits[:, -1]

    def patched(self, ids, layer, positions):
        """The answer's logit of every row of ids, patched at its own position."""
        def replace(_, __, out):
            out = out.clone()
            out[range(len(positions)), positions] = self.states[layer][positions]
            return out

        hook = self.model.model.layers[layer].register_forward_hook(replace)
        logits = self.forward(ids)
        hook.remove()
        return logits[:, self.sweep.answer].tolist()

    def compute(self, unit):
        layer, position = unit
        seconds, (value,) = timed(self.patched, self.corrupt, layer, [position])
        return seconds, {unit: value}


class Batched(Loop):
    name = "batched"

    def __init__(self, sweep, precision, units, sampled, model):
        super().__init__(sweep, precision, units, sampled, model)
        self.unit_cells = sweep.n_positions

    def compute(self, unit):
        positions = list(range(self.sweep.n_positions))
        seconds, values = timed(self.patched, self.corrupt.repeat(len(positions), 1), unit, positions)
        return seconds, {(unit, position): value for position, value in zip(positions, values)}


class Nnsight(Loop):
    name, version = "nnsight", importlib.metadata.version("nnsight")

    def __init__(self, sweep, precision, units, sampled, model):
        super().__init__(sweep, precision, units, sampled, model)
        # nnsight puts itself before every module's forward for good: the others keep modules without it.
        shared = {id(tensor): tensor for tensor in model.parameters()}
        self.net = NNsight(copy.deepcopy(model, shared))

    def traced(self, layer, position):
        with self.net.trace(input_ids=self.corrupt, use_cache=False, logits_to_keep=self.sweep.keep):
            self.net.model.layers[layer].output[0, position] = self.states[layer][position]
            logit = self.net.lm_head.output[0, -1, self.sweep.answer].save()
        return float(logit)

    def compute(self, unit):
        seconds, value = timed(self.traced, *unit)
        return seconds, {unit: value}


TOOLS = {tool.name: tool for tool in (Patchsweep, Nnsight, Loop, Batched)}


def make_tools(sweep, options, folder):
    """The tools to time, and the loop of each precision, to compare them with."""
    cells = sweep.sample(options.samples)
    layers = [layer for layer, _ in cells]
    layers = sorted({layers[int((i + 0.5) * len(layers) / BATCHES)] for i in range(BATCHES)})
    tools, loops = [], {}
    for precision in options.precisions:
        model = AutoModelForCausalLM.from_pretrained(
            sweep.folder, dtype=DTYPES[precision], attn_implementation="eager").eval()
        units = {"batched": range(sweep.n_layers)} if options.all_cells else {"batched": layers}
        each = sweep.all_cells() if options.all_cells else cells
        loops[precision] = Loop(sweep, precision, each, cells, model)
        for name in options.tools:
            if name == "patchsweep":
                tools.append(Patchsweep(sweep, precision, options.repeat, options.threads, folder))
            elif name == "loop":
                tools.append(loops[precision])
            else:
                sampled = layers if name == "batched" else cells
                tools.append(TOOLS[name](sweep, precision, units.get(name, each), sampled, model))
    return tools, loops


# ---- comparing and timing

def compare(tools, loops):
    """Every tool with the loop of its precision, and what is not fp32 with the loop in fp32, too."""
    expected = {precision: loop.values() for precision, loop in loops.items()}
    for precision, loop in loops.items():
        logits = expected[precision].values()
        print(f"loop {precision}: patching moves the answer's logit by up to {max(logits) - min(logits):.2e}, "
              f"{(max(logits) - min(logits)) / loop.largest:.1e} of the largest logit", file=sys.stderr)
    for tool in tools:
        values = tool.values()
        for precision, loop in loops.items():
            if tool is loop or precision not in (tool.precision, "fp32"):
                continue
            common = values.keys() & expected[precision].keys()
            difference = max(abs(values[cell] - expected[precision][cell]) for cell in common)
            said = (f"{tool.name} {tool.precision}: largest difference {difference:.2e} from the {precision} loop "
                    f"in {len(common)} cells, {difference / loop.largest:.1e} of the largest logit")
            print(said, file=sys.stderr)
            if tool.precision == "fp32" and not difference <= TOLERANCE * loop.largest:
                fail(f"{said}, more than {TOLERANCE:g}")


def take_turns(takers):
    """Every taker's units, spread evenly over the whole time."""
    turns = sorted(((i + 0.5) / len(taker.units), which, taker, unit)
                   for which, taker in enumerate(takers) for i, unit in enumerate(taker.units))
    for i, (_, _, taker, unit) in enumerate(turns):
        print(f"\rtiming: {i + 1} of {len(turns)}", end="", file=sys.stderr, flush=True)
        taker.take_turn(unit)
    print(file=sys.stderr)


# ---- reporting

def machine():
    """The processor, how many cores, and the widest instructions that products can use."""
    facts = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    flags = facts.get("flags", facts.get("Features", "")).split()
    kernels = next((name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2", "asimd") if name in flags),
                   platform.machine())
    return f"{facts.get('model name', platform.machine())}, {len(os.sched_getaffinity(0))} cores, {kernels}"


def make_rows(tools, rates, sweep, options):
    """What the CSV holds, a row a tool; None where there is nothing to say."""
    flops = wave_flops(sweep.config, options.tokens, options.first_difference)
    weights = weight_bytes(sweep.folder)
    reference = {tool.precision: tool.seconds() for tool in tools if tool.name == "patchsweep"}
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    for tool in tools:
        seconds, rate, own = tool.seconds(), rates.flops(tool.precision), tool.name == "patchsweep"
        yield {"date": now, "machine": machine(), "threads": options.threads, "model": sweep.folder.name,
               "tokens": options.tokens, "first_difference": options.first_difference, "cells": sweep.n_cells,
               "tool": tool.name, "tool_version": tool.version, "precision": tool.precision,
               "seconds": round(seconds, 6), "samples": len(tool.times),
               "ratio": round(seconds / reference[tool.precision], 3) if reference else None,
               "over_floor": round(seconds * rate / flops, 3) if own and rate else None,
               "peak_rss_bytes": tool.peak_rss, "weights_bytes": weights}


def show(rows, markdown):
    """The table: in columns, or as rows of markdown."""
    def cell(value, form):
        return "-" if value is None else format(value, form)

    table = [("tool", "precision", "seconds", "cells/s", "x patchsweep", "over floor", "peak / weights")]
    for row in rows:
        peak = row["peak_rss_bytes"] and row["peak_rss_bytes"] / row["weights_bytes"]
        table.append((f"{row['tool']} {row['tool_version']}", row["precision"], f"{row['seconds']:.4g}",
                      f"{row['cells'] / row['seconds']:.4g}", cell(row["ratio"], ".1f"),
                      cell(row["over_floor"], ".2f"), cell(peak, ".2f")))
    if markdown:
        table.insert(1, ("---", "---", *["--:"] * 5))
        print("\n".join(f"| {' | '.join(line)} |" for line in table))
        return
    widths = [max(map(len, column)) for column in zip(*table)]
    for line in table:
        print("  ".join(text.ljust(width) if i < 2 else text.rjust(width)
                        for i, (text, width) in enumerate(zip(line, widths))))


def append(path, rows):
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


# ---- the command

def names(known, text):
    chosen = text.split(",")
    for name in chosen:
        if name not in known:
            raise argparse.ArgumentTypeError(f"'{name}' is none of {', '.join(known)}")
    return chosen


def count(text):
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 1 up")
    return int(text)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--shape", type=Path, default=ROOT / "data/shapes/llama-3.2-1b.json", metavar="FILE",
                        help="config.json of a model of random weights")
    parser.add_argument("--model", type=Path, metavar="DIR", help="a real model, not one of random weights")
    parser.add_argument("--tokens", type=count, default=28, metavar="N", help="length of the prompts")
    parser.add_argument("--first-difference", type=int, default=14, metavar="N",
                        help="position at which they differ")
    parser.add_argument("--precisions", type=functools.partial(names, DTYPES), default="fp32,bf16")
    parser.add_argument("--tools", type=functools.partial(names, TOOLS), default=",".join(TOOLS))
    parser.add_argument("--samples", type=count, default=24, metavar="N",
                        help="cells to time of the tools that take one at a time")
    parser.add_argument("--all-cells", action="store_true", help="time every cell")
    parser.add_argument("--last-logits", action="store_true",
                        help="the Python tools' LM head at the last position only, which few think of")
    parser.add_argument("--repeat", type=count, default=3, metavar="N", help="sweeps by patchsweep")
    parser.add_argument("--threads", type=count, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("results.csv"), metavar="FILE",
                        help="where rows are appended (tests/bench/results.csv)")
    parser.add_argument("--markdown", action="store_true", help="the table as markdown")
    options = parser.parse_args()
    if not 0 <= options.first_difference < options.tokens:
        parser.error("--first-difference must be a position of the prompt")
    if not os.access(PATCHSWEEP, os.X_OK):
        fail(f"{PATCHSWEEP} is no program: build it, or name one in PATCHSWEEP")
    config = options.model / "config.json" if options.model else options.shape
    if not config.is_file():
        fail(f"{config} is missing")
    return options


def main():
    options = parse()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_grad_enabled(False)
    torch.set_num_threads(options.threads)

    sweep = Sweep(options.model.resolve() if options.model else random_model(options.shape),
                  options.tokens, options.first_difference, options.last_logits)
    rates = Rates(options.repeat, options.threads)
    with tempfile.TemporaryDirectory() as folder:
        tools, loops = make_tools(sweep, options, Path(folder))
        compare(tools, loops)
        take_turns([*tools, rates])
    rows = list(make_rows(tools, rates, sweep, options))
    print(f"{machine()}, {options.threads} threads; {sweep.folder.name}, {sweep.n_cells} cells, "
          f"{options.tokens} tokens that differ from {options.first_difference} on", file=sys.stderr)
    show(rows, options.markdown)
    append(options.csv, rows)


if __name__ == "__main__":
    main()
