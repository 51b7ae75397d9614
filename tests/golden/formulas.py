"""The families' formulas in numpy and float64, from config.json and the safetensors files.

Nothing of it is taken from transformers. check_golden.py rebuilds logits with it,
and check_formulas.py compares it with the golden files.
"""

import json
import math
import re

import numpy as np


# ---- files

def to_float(raw, dtype):
    if dtype == "BF16":  # the upper half of a float
        return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(raw, {"F32": "<f4", "F16": "<f2", "BOOL": "?"}[dtype])


def read_safetensors(path):
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    for name, entry in json.loads(data[8:start]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            raw = data[start + begin:start + end]
            yield name, to_float(raw, entry["dtype"]).reshape(entry["shape"]).astype(np.float64)


# ---- families

# role: name of the weight and bias, without the model's prefix; %d is the layer
LLAMA_NAMES = {
    "embed": "embed_tokens", "final_norm": "norm", "head": "lm_head",
    "attn_norm": "layers.%d.input_layernorm", "mlp_norm": "layers.%d.post_attention_layernorm",
    "q": "layers.%d.self_attn.q_proj", "k": "layers.%d.self_attn.k_proj", "v": "layers.%d.self_attn.v_proj",
    "o": "layers.%d.self_attn.o_proj", "q_norm": "layers.%d.self_attn.q_norm", "k_norm": "layers.%d.self_attn.k_norm",
    "gate": "layers.%d.mlp.gate_proj", "up": "layers.%d.mlp.up_proj", "down": "layers.%d.mlp.down_proj",
}
NAMES = {
    "llama": LLAMA_NAMES, "mistral": LLAMA_NAMES, "qwen2": LLAMA_NAMES, "qwen3": LLAMA_NAMES,
    "gemma2": {**LLAMA_NAMES, "attn_post": "layers.%d.post_attention_layernorm",
               "mlp_norm": "layers.%d.pre_feedforward_layernorm", "mlp_post": "layers.%d.post_feedforward_layernorm"},
    "gpt2": {
        "embed": "wte", "positions": "wpe", "final_norm": "ln_f", "head": "lm_head",
        "attn_norm": "h.%d.ln_1", "mlp_norm": "h.%d.ln_2", "qkv": "h.%d.attn.c_attn", "o": "h.%d.attn.c_proj",
        "up": "h.%d.mlp.c_fc", "down": "h.%d.mlp.c_proj",
    },
    "gpt_neox": {
        "embed": "embed_in", "final_norm": "final_layer_norm", "head": "embed_out",
        "attn_norm": "layers.%d.input_layernorm", "mlp_norm": "layers.%d.post_attention_layernorm",
        "qkv": "layers.%d.attention.query_key_value", "o": "layers.%d.attention.dense",
        "up": "layers.%d.mlp.dense_h_to_4h", "down": "layers.%d.mlp.dense_4h_to_h",
    },
}
PREFIX = re.compile(r"^(model|transformer|gpt_neox)\.")


def silu(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS = {"silu": silu, "gelu": gelu, "gelu_new": gelu_tanh, "gelu_pytorch_tanh": gelu_tanh}
TIED = {"gemma2": True, "gpt2": True}  # the default of tie_word_embeddings; False for the others


def windows_of(config, n_layers):
    """How many keys a row sees, by layer; None: all."""
    family, window = config["model_type"], config.get("sliding_window")
    if family == "mistral":
        return [window] * n_layers
    if family == "gemma2":
        slides = [layer % 2 == 0 for layer in range(n_layers)]
    elif family in ("qwen2", "qwen3") and config.get("use_sliding_window"):
        slides = [layer >= config["max_window_layers"] for layer in range(n_layers)]
    else:
        return [None] * n_layers
    if config.get("layer_types"):
        slides = [kind == "sliding_attention" for kind in config["layer_types"]]
    return [window if slide else None for slide in slides]


def frequencies(config, head_dim):
    """Radians per position, one for each pair of dimensions that is rotated."""
    if config["model_type"] == "gpt2":
        return np.zeros(0)
    rope = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    kind = rope.get("rope_type", rope.get("type", "default"))
    theta = rope.get("rope_theta", config.get("rope_theta", config.get("rotary_emb_base", 10000.0)))
    part = rope.get("partial_rotary_factor", config.get("rotary_pct", 0.25 if config["model_type"] == "gpt_neox" else 1.0))
    n = int(head_dim * part)
    f = theta ** -(np.arange(0, n, 2) / n)
    if kind == "linear":
        return f / rope["factor"]
    if kind == "llama3":
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        turns = rope["original_max_position_embeddings"] * f / (2 * math.pi)
        share = np.clip((turns - low) / (high - low), 0, 1)
        return (1 - share) * f / rope["factor"] + share * f
    return f


class Net:
    """A model, read from its folder."""

    def __init__(self, folder):
        config = self.config = json.loads((folder / "config.json").read_text())
        self.family = config["model_type"]
        self.n_layers, self.d_model = config.get("num_hidden_layers", config.get("n_layer")), \
            config.get("hidden_size", config.get("n_embd"))
        self.n_heads = config.get("num_attention_heads", config.get("n_head"))
        self.n_kv_heads = config.get("num_key_value_heads") or self.n_heads
        self.head_dim = config.get("head_dim") or (128 if self.family == "qwen3" else self.d_model // self.n_heads)
        self.eps = config.get("rms_norm_eps", config.get("layer_norm_eps", config.get("layer_norm_epsilon")))
        self.act = ACTIVATIONS[config.get("hidden_activation") or config.get("hidden_act") or config["activation_function"]]
        self.scale = (config["query_pre_attn_scalar"] if self.family == "gemma2" else self.head_dim) ** -0.5
        self.windows = windows_of(config, self.n_layers)
        self.frequencies = frequencies(config, self.head_dim)
        self.parallel = self.family == "gpt_neox"
        self.sites = [site for site in ("resid_pre", "q", "k", "v", "pattern", "z", "attn_out", "resid_mid", "mlp_out",
                                        "resid_post") if site != "resid_mid" or not self.parallel]
        self.tensors = {PREFIX.sub("", name): x for path in folder.glob("*.safetensors") for name, x in read_safetensors(path)}
        self.tied = config.get("tie_word_embeddings", TIED.get(self.family, False))

    def weight(self, role, layer=None, kind="weight"):
        """A tensor by its role, or None."""
        name = NAMES[self.family].get(role)
        return name and self.tensors.get(f"{name % layer if '%d' in name else name}.{kind}")

    # ---- steps

    def norm(self, x, role, layer=None):
        """RMSNorm, or LayerNorm where there is a bias. x where the model has no such norm."""
        weight, bias = self.weight(role, layer), self.weight(role, layer, "bias")
        if weight is None:
            return x
        if bias is not None:
            x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps)
        return x * (1 + weight) if self.family == "gemma2" else x * weight + (0 if bias is None else bias)

    def linear(self, x, role, layer):
        weight, bias = self.weight(role, layer), self.weight(role, layer, "bias")
        weight = weight if self.family == "gpt2" else weight.T
        return x @ weight + (0 if bias is None else bias)

    def qkv(self, h, layer):
        """Each [T, heads, head_dim], before norm and rotation."""
        n, d = len(h), self.head_dim
        if self.family == "gpt2":
            return self.linear(h, "qkv", layer).reshape(n, 3, -1, d).swapaxes(0, 1)
        if self.family == "gpt_neox":
            return np.moveaxis(self.linear(h, "qkv", layer).reshape(n, -1, 3, d), 2, 0)
        return [self.linear(h, part, layer).reshape(n, -1, d) for part in "qkv"]

    def rotated(self, x):
        """Rotate the first dimensions of x [T, heads, head_dim]."""
        n = len(self.frequencies)
        angle = (np.arange(len(x))[:, None] * self.frequencies)[:, None]
        a, b, rest = x[..., :n], x[..., n:2 * n], x[..., 2 * n:]
        return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle), rest], -1)

    def pattern(self, q, k, layer):
        """Probabilities [n_heads, T, T] from [T, heads, head_dim]."""
        k = k.repeat(self.n_heads // self.n_kv_heads, axis=1)
        scores = np.einsum("ihd,jhd->hij", q, k) * self.scale
        cap = self.config.get("attn_logit_softcapping")
        scores = cap * np.tanh(scores / cap) if cap else scores
        behind = np.arange(len(q))[:, None] - np.arange(len(q))  # distance from query to key
        seen = (behind >= 0) & (behind < (self.windows[layer] or len(q)))
        scores = np.exp(np.where(seen, scores - scores.max(-1, keepdims=True), -np.inf))
        return scores / scores.sum(-1, keepdims=True)

    def attention(self, x, layer, tap):
        q, k, v = self.qkv(self.norm(x, "attn_norm", layer), layer)
        q, k = (self.rotated(self.norm(part, f"{role}_norm", layer)) for role, part in (("q", q), ("k", k)))
        q, k, v = (tap(role, layer, part.reshape(len(x), -1)).reshape(part.shape) for role, part in zip("qkv", (q, k, v)))
        pattern = tap("pattern", layer, self.pattern(q, k, layer))
        z = np.einsum("hij,jhd->ihd", pattern, v.repeat(self.n_heads // self.n_kv_heads, axis=1))
        y = self.linear(tap("z", layer, z.reshape(len(x), -1)), "o", layer)
        return tap("attn_out", layer, self.norm(y, "attn_post", layer))

    def mlp(self, x, layer, tap):
        h = self.norm(x, "mlp_norm", layer)
        up = self.linear(h, "up", layer)
        h = self.act(up) if self.weight("gate", layer) is None else self.act(self.linear(h, "gate", layer)) * up
        return tap("mlp_out", layer, self.norm(self.linear(h, "down", layer), "mlp_post", layer))

    def head(self, x):
        """Logits from the output of the last layer: final norm and LM head."""
        x = self.norm(x.astype(np.float64), "final_norm")
        logits = x @ self.weight("embed" if self.tied else "head").T
        cap = self.config.get("final_logit_softcapping")
        return cap * np.tanh(logits / cap) if cap else logits

    def logits(self, ids, tap=lambda site, layer, x: x):
        """Logits of the last position. tap(site, layer, x) is called with every state and returns the state to continue
        with: rows [T, width], q and k after head norm and rotation; pattern is [n_heads, T, T]."""
        x = self.weight("embed")[ids] * (self.d_model**0.5 if self.family == "gemma2" else 1)
        x = x + self.weight("positions")[:len(ids)] if self.family == "gpt2" else x
        for layer in range(self.n_layers):
            x = tap("resid_pre", layer, x)
            if self.parallel:
                x = x + self.attention(x, layer, tap) + self.mlp(x, layer, tap)
            else:
                x = tap("resid_mid", layer, x + self.attention(x, layer, tap))
                x = x + self.mlp(x, layer, tap)
            x = tap("resid_post", layer, x)
        return self.head(x[-1])
