"""The loop that everybody writes: for every cell one full forward pass in fp32,
eager attention, no KV cache, with a hook that replaces one state.

Nothing of it is taken from the engine that it checks. Needs torch and transformers.
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
    """The block of head_dim columns that a head has, where q, k and v have modules of their own."""
    return head


def fused_by_part(part, head, n_heads):
    """The same in one module: q of all heads, then k of all heads, then v of all heads."""
    return QKV.index(part) * n_heads + head


def fused_by_head(part, head, _):
    """The same in one module: q, k and v of the first head, then of the next."""
    return 3 * head + QKV.index(part)


class Places(NamedTuple):
    """Names of a family's modules. All but `layers` start at a layer."""
    layers: str
    q: str
    k: str
    v: str
    column: Callable  # which columns of the outputs of q, k and v belong to a head
    out: str          # attention's output projection; its input is z
    attn_out: str     # the modules whose outputs are added to the residual stream
    mlp_out: str
    mid: str | None   # the module whose input is resid_mid; None: there is no resid_mid


LLAMA = Places("model.layers", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", separate,
               "self_attn.o_proj", "self_attn.o_proj", "mlp", "post_attention_layernorm")

PLACES = {
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    # As in TransformerLens, attn_out and mlp_out are the outputs of the norms behind the blocks: what is added.
    "gemma2": LLAMA._replace(attn_out="post_attention_layernorm", mlp_out="post_feedforward_layernorm",
                             mid="pre_feedforward_layernorm"),
    "gpt2": Places("transformer.h", *["attn.c_attn"] * 3, fused_by_part, "attn.c_proj", "attn.c_proj", "mlp", "ln_2"),
    "gpt_neox": Places("gpt_neox.layers", *["attention.query_key_value"] * 3, fused_by_head,
                       "attention.dense", "attention.dense", "mlp", None),
}

# site: (state that is replaced, axes of the grid)
SITES = {
    **{site: (site, ("layer", "position")) for site in ("resid_pre", "mlp_out", "resid_post", "attn_out", "resid_mid")},
    **{site: (site, ("layer", "head")) for site in ("q", "k", "v", "z", "pattern")},
    **{f"{site}_by_pos": (site, ("layer", "head", "position")) for site in ("q", "k", "v", "z", "pattern")},
}


class Model:
    """A fixture's network and the numbers that the loop needs."""

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
        """The axis of a weight that counts inputs: 0 in Conv1D, 1 in Linear."""
        return 0 if type(self.layers[0].get_submodule(self.places.out)).__name__ == "Conv1D" else 1

    def has(self, state):
        return state != "resid_mid" or self.places.mid is not None

    def heads_of(self, state):
        return self.n_kv_heads if state in ("k", "v") else self.n_heads

    def spot(self, state, layer):
        """The module that has a state as its input or output, and whether it is the input."""
        block, places = self.layers[layer], self.places
        path, before = {
            "resid_pre": ("", True), "resid_post": ("", False), "resid_mid": (places.mid, True),
            "attn_out": (places.attn_out, False), "mlp_out": (places.mlp_out, False),
            "q": (places.q, False), "k": (places.k, False), "v": (places.v, False), "z": (places.out, True),
        }[state]
        return block.get_submodule(path), before

    def columns(self, state, head):
        """The columns of a state that belong to a head; head None: all columns."""
        if head is None:
            return slice(None)
        at = head if state == "z" else self.places.column(state, head, self.n_heads)
        return slice(at * self.head_dim, (at + 1) * self.head_dim)

    def logits(self, ids):
        return self.net(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]


# ---- hooks

@contextmanager
def hooked(module, edit, before):
    """Call edit(x) with the input (before) or output of `module`. Its result, unless None, replaces x."""
    if before:
        def hook(_, args):
            changed = edit(args[0])
            return None if changed is None else (changed, *args[1:])  # GPT-2 passes the mask as args[2]
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
    """Call edit(layer, q, k, v, pattern) in every layer: what attention reads, [1, heads, T, head_dim], and the
    softmaxed probabilities, [1, n_heads, T, T]. Its result, unless None, replaces the probabilities."""
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
    reads: dict   # ["q", "k", "v"][layer] -> [T, heads * head_dim] as attention reads them, after head norm and rotation
    logits: torch.Tensor  # of the last position


def run(model, ids):
    """An unpatched run. The states q, k and v are the outputs of the projections; a fused projection's are all three."""
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
    position: int | None = None  # of a pattern: the query's; None: all


def edit_rows(model, source, edit):
    """Replace rows of a module's input or output.

    q and k are replaced in the projections' outputs. Head norm and rotation use nothing but the head's own row, so
    that replaces the rows after them too.
    """
    rows = slice(None) if edit.position is None else edit.position
    columns = model.columns(edit.state, edit.head)
    wanted = source.states[edit.state][edit.layer]

    def change(x):
        x = x.clone()
        x[0, rows, columns] = wanted[rows, columns]
        return x

    module, before = model.spot(edit.state, edit.layer)
    return [hooked(module, change, before)]


def edit_mid(model, source, edit):
    """Replace resid_mid. No module has it as its output, and replacing the norm's input would leave the residual as
    it is. So attn_out is replaced by the difference between the wanted state and the layer's input."""
    entered = []
    wanted = source.states["resid_mid"][edit.layer]
    rows = slice(None) if edit.position is None else edit.position

    def change(x):
        x = x.clone()
        x[0, rows] = wanted[rows] - entered[0][0, rows]
        return x

    return [hooked(model.layers[edit.layer], lambda x: entered.append(x), True),
            hooked(model.spot("attn_out", edit.layer)[0], change, False)]


def edit_pattern(model, source, edit):
    """Replace a head's probabilities. The values are still the base run's."""
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
