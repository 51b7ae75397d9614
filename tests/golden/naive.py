"""The loop that everybody writes: for every cell one full forward pass in fp32,
eager attention, no KV cache, with a hook that replaces one state.

It shares no idea with the engine that it checks. Needs torch and transformers.
"""

import itertools
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Callable, NamedTuple

import torch
from transformers import AutoModelForCausalLM

MODELS = Path(__file__).resolve().parent.parent / "fixtures" / "models"


# ---- where things are

QKV = "qkv"


def separate(_, head, __):
    """The first column of a head, in columns of head_dim: each of q, k and v has a module."""
    return head


def fused_by_part(part, head, n_heads):
    """q of all heads, k of all heads, v of all heads."""
    return QKV.index(part) * n_heads + head


def fused_by_head(part, head, _):
    """q, k and v of the first head, then of the next."""
    return 3 * head + QKV.index(part)


class Places(NamedTuple):
    """A family's modules: paths from the model (layers) or from a layer."""
    layers: str
    q: str
    k: str
    v: str
    column: Callable  # of a head in the outputs of q, k and v
    out: str          # attention's output projection; z goes into it
    attn_out: str     # whose outputs are added to the residual stream
    mlp_out: str
    mid: str | None   # resid_mid goes into it


LLAMA = Places("model.layers", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", separate,
               "self_attn.o_proj", "self_attn.o_proj", "mlp", "post_attention_layernorm")

PLACES = {
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    # what is added comes from the norms behind the blocks, as TransformerLens has it
    "gemma2": LLAMA._replace(attn_out="post_attention_layernorm", mlp_out="post_feedforward_layernorm",
                             mid="pre_feedforward_layernorm"),
    "gpt2": Places("transformer.h", *["attn.c_attn"] * 3, fused_by_part, "attn.c_proj", "attn.c_proj", "mlp", "ln_2"),
    "gpt_neox": Places("gpt_neox.layers", *["attention.query_key_value"] * 3, fused_by_head,
                       "attention.dense", "attention.dense", "mlp", None),
}

# site: (the state that is replaced, axes of its grid)
SITES = {
    **{site: (site, ("layer", "position")) for site in ("resid_pre", "mlp_out", "resid_post", "attn_out", "resid_mid")},
    **{site: (site, ("layer", "head")) for site in ("q", "k", "v", "z", "pattern")},
    **{f"{site}_by_pos": (site, ("layer", "head", "position")) for site in ("q", "k", "v", "z", "pattern")},
}


class Model:
    """A fixture, and what of its configuration the loop needs."""

    def __init__(self, fixture, dtype=torch.float32):
        self.net = AutoModelForCausalLM.from_pretrained(MODELS / fixture, dtype=dtype, attn_implementation="eager").eval()
        config = self.net.config
        self.places = PLACES[config.model_type]
        self.layers = self.net.get_submodule(self.places.layers)
        self.n_layers, self.vocab, self.d_model = len(self.layers), config.vocab_size, config.hidden_size
        self.n_heads = config.num_attention_heads
        self.n_kv_heads = getattr(config, "num_key_value_heads", None) or self.n_heads
        self.head_dim = self.layers[0].get_submodule(self.places.out).weight.shape[self.inputs_axis()] // self.n_heads

    def inputs_axis(self):
        """The axis of inputs in weights: Conv1D has it in front."""
        return 0 if type(self.layers[0].get_submodule(self.places.out)).__name__ == "Conv1D" else 1

    def has(self, state):
        return state != "resid_mid" or self.places.mid is not None

    def heads_of(self, state):
        return self.n_kv_heads if state in ("k", "v") else self.n_heads

    def spot(self, state, layer):
        """The module where a state is, and whether it is what goes in."""
        block, places = self.layers[layer], self.places
        path, before = {
            "resid_pre": ("", True), "resid_post": ("", False), "resid_mid": (places.mid, True),
            "attn_out": (places.attn_out, False), "mlp_out": (places.mlp_out, False),
            "q": (places.q, False), "k": (places.k, False), "v": (places.v, False), "z": (places.out, True),
        }[state]
        return block.get_submodule(path), before

    def columns(self, state, head):
        """A head's columns of a state's rows; all of them where head is None."""
        if head is None:
            return slice(None)
        at = head if state == "z" else self.places.column(state, head, self.n_heads)
        return slice(at * self.head_dim, (at + 1) * self.head_dim)

    def logits(self, ids):
        return self.net(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]


# ---- hooks

@contextmanager
def hooked(module, edit, before):
    """Let `edit` change what goes into (before) or comes out of `module`; None: it stays."""
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


@contextmanager
def attention(model, edit):
    """Let edit(layer, q, k, v, pattern) see what attention reads, [1, heads, T, head_dim], and the softmaxed
    probabilities, [1, n_heads, T, T]; what it returns takes their place, None: they stay."""
    home = sys.modules[type(model.net).__module__]
    eager = home.eager_attention_forward

    def attend(module, query, key, value, mask, **settings):
        out, pattern = eager(module, query, key, value, mask, **settings)
        changed = edit(module.layer_idx, query, key, value, pattern)
        if changed is not None:
            value = value.repeat_interleave(model.n_heads // model.n_kv_heads, dim=1)
            out, pattern = (changed @ value).transpose(1, 2).contiguous(), changed
        return out, pattern

    home.eager_attention_forward = attend
    try:
        yield
    finally:
        home.eager_attention_forward = eager


# ---- runs

class Run(NamedTuple):
    states: dict  # [state][layer] -> [T, width], for pattern [n_heads, T, T]
    reads: dict   # ["q", "k", "v"][layer] -> [T, heads * head_dim], as attention reads them: behind norm and rotation
    logits: torch.Tensor  # of the last position


def run(model, ids):
    """An unpatched run. The states q, k and v are what the projections give."""
    states = {state: [] for state, _ in SITES.values() if model.has(state)}
    reads = {part: [] for part in QKV}

    def keep(state):
        return lambda x: states[state].append(x[0].clone())  # returns None: nothing is changed

    def keep_attention(_, query, key, value, pattern):
        states["pattern"].append(pattern[0].clone())
        for part, x in zip(QKV, (query, key, value)):
            reads[part].append(x[0].transpose(0, 1).flatten(1).clone())

    with ExitStack() as stack:
        stack.enter_context(attention(model, keep_attention))
        for layer in range(model.n_layers):
            for state in states.keys() - {"pattern"}:
                module, before = model.spot(state, layer)
                stack.enter_context(hooked(module, keep(state), before))
        logits = model.logits(ids)
    return Run(states, reads, logits)


class Edit(NamedTuple):
    """Replace a state by the source run's."""
    state: str
    layer: int
    head: int | None = None      # None: all
    position: int | None = None  # of a pattern the query's; None: all


def edit_rows(model, source, edit):
    """Replace rows of what comes out of or goes into a module.

    For q and k these are the projections' outputs: head norm and rotation work on a head's row by itself, so that
    the row behind them is the source run's too.
    """
    rows = slice(None) if edit.position is None else edit.position
    columns = model.columns(edit.state, edit.head)
    wanted = source.states[edit.state][edit.layer]

    def change(x):
        x = x.clone()
        x[0, rows, columns] = wanted[rows, columns]
        return x

    return [hooked(*reversed_last(model.spot(edit.state, edit.layer), change))]


def reversed_last(spot, change):
    module, before = spot
    return module, change, before


def edit_mid(model, source, edit):
    """No module has resid_mid as its output, and the residual goes around the norm that has it as its input. So what
    attention adds becomes what makes it of the layer's input."""
    entered = []
    wanted = source.states["resid_mid"][edit.layer]
    rows = slice(None) if edit.position is None else edit.position

    def change(x):
        x = x.clone()
        x[0, rows] = wanted[rows] - entered[0][0, rows]
        return x

    return [hooked(model.layers[edit.layer], lambda x: entered.append(x), True),
            hooked(*reversed_last(model.spot("attn_out", edit.layer), change))]


def edit_pattern(model, source, edit):
    """Replace a head's probabilities; the values that they weigh stay the run's own."""
    rows = slice(None) if edit.position is None else edit.position
    heads = slice(None) if edit.head is None else edit.head
    wanted = source.states["pattern"][edit.layer]

    def change(layer, _, __, ___, pattern):
        if layer != edit.layer:
            return None
        pattern = pattern.clone()
        pattern[0, heads, rows] = wanted[heads, rows]
        return pattern

    return [attention(model, change)]


EDITS = {"resid_mid": edit_mid, "pattern": edit_pattern}


def patched(model, ids, source, *edits):
    """The logits of a run with some states replaced by the source run's."""
    with ExitStack() as stack:
        for edit in edits:
            for hook in EDITS.get(edit.state, edit_rows)(model, source, edit):
                stack.enter_context(hook)
        return model.logits(ids)


def grid_shape(model, site, n_tokens):
    """The axes' sizes."""
    state, axes = SITES[site]
    sizes = {"layer": model.n_layers, "head": model.heads_of(state), "position": n_tokens}
    return [sizes[axis] for axis in axes]


def sweep(model, ids, source, site):
    """The logits of every cell, [axes of the site, vocab]."""
    state, axes = SITES[site]
    shape = grid_shape(model, site, len(ids))
    cells = [patched(model, ids, source, Edit(state, **dict(zip(axes, cell))))
             for cell in itertools.product(*map(range, shape))]
    return torch.stack(cells).view(*shape, model.vocab)
