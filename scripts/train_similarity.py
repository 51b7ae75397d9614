#!/usr/bin/env python3
"""Train the demo model in data/similarity-model, and check what it does.

The model is a very small Llama that answers one kind of question:

    Q: Which of the following entities has a profession in common with
    Albert Einstein? Brad Pitt, Isaac Newton, Michael Jackson.
    A: Isaac Newton

It exists so that a patching sweep has something real to look at that fits in
a repository. The order in which it has to work is clear (who is the subject?
what does that person do? which option does the same?), so its causal trace
can be read by eye.

Usage (needs torch, transformers, tokenizers, safetensors):

    scripts/train_similarity.py                # train, save, evaluate
    scripts/train_similarity.py --evaluate     # accuracy and trace of the saved model
    scripts/train_similarity.py --write-jobs   # write jobs/similarity*.json[l]

Two things about the training are worth knowing.

*Held-out pairs.* For every profession a tenth of the pairs of people is set
aside. A set-aside pair never occurs in training as subject and answer, in
either order, so a right answer about it cannot have been memorised. Albert
Einstein / Isaac Newton and Taylor Swift / Michael Jackson are among them.

*Phrases.* A penalty is put on attention that crosses the border of a phrase
(a name, or the words between two names): in the lower half of the layers on
all of it, in the upper half on all but what reads a phrase at its last token.
The prompt's first token is exempt, as a place to attend to nothing. A model
this small otherwise carries the subject to the end of the prompt within its
first layer, which is right but leaves nothing to see. With the penalty the
lower layers work out on the spot who each name is, and the upper layers
compare. That is the order large models keep of themselves; here it is put in
by the training, and the trace shows it. The penalty shapes the weights only:
the saved model is a plain LlamaForCausalLM with ordinary causal attention.
"""

import argparse
import json
import math
import random
import sys
import time
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
MODEL_DIR = ROOT / "data" / "similarity-model"
JOBS_DIR = ROOT / "jobs"

# --------------------------------------------------------------------------
# What the model knows
# --------------------------------------------------------------------------

# Every name is two words and every word becomes one token, so all questions
# have the same number of tokens and any two of them can be patched into each
# other. Some words are shared on purpose (four Jacksons, two Swifts, two
# Pitts): the last name alone does not always say who is meant.
PEOPLE = {
    "physicist": """Albert Einstein, Isaac Newton, Niels Bohr, Marie Curie, Max Planck,
        Richard Feynman, Werner Heisenberg, Enrico Fermi, Paul Dirac, Stephen Hawking,
        Ernest Rutherford, Michael Faraday, Lise Meitner, Galileo Galilei, James Maxwell,
        Ludwig Boltzmann""",
    "singer": """Taylor Swift, Michael Jackson, Elvis Presley, Whitney Houston, Frank Sinatra,
        Freddie Mercury, Aretha Franklin, Bob Dylan, David Bowie, Janet Jackson, Johnny Cash,
        Tina Turner, Ella Fitzgerald, Edith Piaf, Stevie Wonder, Elton John""",
    "actor": """Brad Pitt, Tom Hanks, Meryl Streep, Marlon Brando, Audrey Hepburn, Al Pacino,
        Jack Nicholson, Humphrey Bogart, Bette Davis, Denzel Washington, Cary Grant,
        Elizabeth Taylor, Anthony Hopkins, Samuel Jackson, Julia Roberts, Ingrid Bergman""",
    "writer": """Jane Austen, Charles Dickens, Leo Tolstoy, Mark Twain, Jonathan Swift,
        Virginia Woolf, James Joyce, Franz Kafka, Ernest Hemingway, Agatha Christie,
        Isaac Asimov, Oscar Wilde, Toni Morrison, Albert Camus, Marcel Proust, Victor Hugo""",
    "painter": """Pablo Picasso, Claude Monet, Salvador Dali, Frida Kahlo, Paul Cezanne,
        Edvard Munch, Henri Matisse, Francisco Goya, Gustav Klimt, Jackson Pollock,
        Edgar Degas, Diego Rivera, Francis Bacon, Andy Warhol, Edward Hopper, Mark Rothko""",
    "composer": """Wolfgang Mozart, Johann Bach, Frederic Chopin, Franz Schubert,
        Antonio Vivaldi, Gustav Mahler, Richard Wagner, Claude Debussy, Igor Stravinsky,
        Giuseppe Verdi, Joseph Haydn, Johannes Brahms, Robert Schumann, Erik Satie,
        Franz Liszt, Philip Glass""",
    "philosopher": """Immanuel Kant, David Hume, John Locke, Friedrich Nietzsche, Karl Marx,
        Rene Descartes, Hannah Arendt, Baruch Spinoza, Bertrand Russell, Ludwig Wittgenstein,
        Thomas Hobbes, Karl Popper, Georg Hegel, Martin Heidegger, Arthur Schopenhauer,
        Michel Foucault""",
    "politician": """Abraham Lincoln, Winston Churchill, Margaret Thatcher, Angela Merkel,
        Barack Obama, Nelson Mandela, George Washington, Thomas Jefferson, William Pitt,
        Andrew Jackson, Franklin Roosevelt, Ronald Reagan, Indira Gandhi, John Kennedy,
        Willy Brandt, Richard Nixon""",
    "footballer": """Lionel Messi, Diego Maradona, Cristiano Ronaldo, Bobby Charlton,
        David Beckham, Johan Cruyff, Franz Beckenbauer, Zinedine Zidane, Wayne Rooney,
        George Best, Thierry Henry, Paolo Maldini, Michel Platini, Gary Lineker, Gerd Muller,
        Roberto Baggio""",
    "mathematician": """Leonhard Euler, Carl Gauss, Bernhard Riemann, David Hilbert,
        Emmy Noether, Kurt Godel, Alan Turing, Pierre Fermat, Henri Poincare, Georg Cantor,
        Evariste Galois, Paul Erdos, Ada Lovelace, John Nash, Andrew Wiles, Terence Tao""",
    "astronaut": """Neil Armstrong, Buzz Aldrin, Yuri Gagarin, John Glenn, Sally Ride,
        Alan Shepard, Michael Collins, Valentina Tereshkova, Jim Lovell, Mae Jemison,
        Gus Grissom, Pete Conrad, Alan Bean, Tim Peake, Chris Hadfield, Gene Cernan""",
    "director": """Alfred Hitchcock, Steven Spielberg, Stanley Kubrick, Martin Scorsese,
        Francis Coppola, Quentin Tarantino, Ingmar Bergman, Federico Fellini, Akira Kurosawa,
        Woody Allen, Orson Welles, Ridley Scott, James Cameron, David Lynch, Tim Burton,
        Billy Wilder""",
}
PEOPLE = {job: [" ".join(n.split()) for n in names.split(",")] for job, names in PEOPLE.items()}
PROFESSION = {name: job for job, names in PEOPLE.items() for name in names}
EVERYONE = list(PROFESSION)

QUESTION = "Q: Which of the following entities has a profession in common with {subject}? {entities}.\nA:"
FACTS = (
    "Q: What is the profession of {subject}?\nA: {profession}",
    "The profession of {subject} is {profession}",
)

class Pair(NamedTuple):
    """One pair of jobs/similarity.json: `answer` is right for the clean
    subject, `foil` for the corrupt one."""
    id: str
    clean: str
    corrupt: str
    answer: str
    foil: str
    entities: tuple = ("Brad Pitt", "Isaac Newton", "Michael Jackson")


DEFAULT_PAIRS = (
    Pair("einstein-swift", "Albert Einstein", "Taylor Swift", "Isaac Newton", "Michael Jackson"),
    Pair("curie-sinatra", "Marie Curie", "Frank Sinatra", "Isaac Newton", "Michael Jackson"),
    Pair("bohr-hanks", "Niels Bohr", "Tom Hanks", "Isaac Newton", "Brad Pitt"),
    Pair("piaf-streep", "Edith Piaf", "Meryl Streep", "Michael Jackson", "Brad Pitt"),
    # Namesakes: only the first name differs, so the trace begins there.
    Pair("swift-swift", "Taylor Swift", "Jonathan Swift", "Michael Jackson", "Charles Dickens",
         ("Brad Pitt", "Charles Dickens", "Michael Jackson")),
)


def first_name(name):
    """The token that stands for a name in an answer, as text."""
    return " " + name.split()[0]


def held_out_pairs(share=0.1, seed=7):
    """Unordered same-profession pairs that training never uses as subject and answer."""
    rng = random.Random(seed)
    held = set()
    for names in PEOPLE.values():
        pairs = [frozenset(p) for p in combinations(names, 2)]
        held.update(rng.sample(pairs, round(share * len(pairs))))
    for p in DEFAULT_PAIRS:
        held.update((frozenset((p.clean, p.answer)), frozenset((p.corrupt, p.foil))))
    return held


HELD_OUT = held_out_pairs()


def draw_question(rng, held_out):
    """One question (subject, three entities, answer) about a held-out pair or a trained one."""
    while True:
        subject = rng.choice(EVERYONE)
        answer = rng.choice(PEOPLE[PROFESSION[subject]])
        if answer == subject or (frozenset((subject, answer)) in HELD_OUT) != held_out:
            continue
        entities = [answer] + [
            rng.choice(PEOPLE[rng.choice([j for j in PEOPLE if j != PROFESSION[subject]])])
            for _ in range(2)
        ]
        # The first token of the answer decides, so it must be the answer's alone.
        if len({name.split()[0] for name in entities}) < 3:
            continue
        rng.shuffle(entities)
        return subject, entities, answer


# --------------------------------------------------------------------------
# Tokenizer
# --------------------------------------------------------------------------

BOS, EOS = "<|begin_of_text|>", "<|end_of_text|>"
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def build_tokenizer():
    """Byte-level BPE as Llama 3 has it, with merges for exactly the words used here."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3_SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False),
    ])
    tok.decoder = decoders.ByteLevel()
    corpus = [
        text.format(subject=n, entities=f"{n}, {n}", profession=PROFESSION[n])
        for n in EVERYONE for text in (QUESTION,) + FACTS
    ]
    trainer = trainers.BpeTrainer(
        vocab_size=8000, min_frequency=1, show_progress=False, special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tok.train_from_iterator(corpus, trainer)
    tok.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(
            single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B:1",
            special_tokens=[(BOS, tok.token_to_id(BOS))],
        ),
    ])
    for word in sorted({w for n in EVERYONE for w in n.split()} | set(PEOPLE)):
        ids = tok.encode(" " + word, add_special_tokens=False).ids
        assert len(ids) == 1, f"'{word}' is not one token"
    return tok


# --------------------------------------------------------------------------
# Model: LlamaForCausalLM written out, because training looks at the attention
# weights and takes some of them away. Parameter names are those of transformers.
# --------------------------------------------------------------------------

def make_config(vocab_size, args):
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "head_dim": args.width // args.heads,
        "hidden_act": "silu",
        "hidden_size": args.width,
        "initializer_range": 0.02,
        "intermediate_size": args.ffn,
        "max_position_embeddings": 256,
        "mlp_bias": False,
        "num_attention_heads": args.heads,
        "num_hidden_layers": args.layers,
        "num_key_value_heads": args.kv_heads,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-5,
        "rope_scaling": None,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": vocab_size,
    }


class RMSNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


class Attention(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        d, self.hd = cfg["hidden_size"], cfg["head_dim"]
        self.nh, self.nkv = cfg["num_attention_heads"], cfg["num_key_value_heads"]
        self.q_proj = nn.Linear(d, self.nh * self.hd, bias=False)
        self.k_proj = nn.Linear(d, self.nkv * self.hd, bias=False)
        self.v_proj = nn.Linear(d, self.nkv * self.hd, bias=False)
        self.o_proj = nn.Linear(self.nh * self.hd, d, bias=False)

    def rotate(self, x, cos, sin):
        a, b = x.chunk(2, dim=-1)
        return x * cos + torch.cat((-b, a), dim=-1) * sin

    def forward(self, x, cos, sin, future, cut):
        b, t, _ = x.shape
        q = self.q_proj(x).view(b, t, self.nh, self.hd).transpose(1, 2)
        k = self.k_proj(x).view(b, t, self.nkv, self.hd).transpose(1, 2)
        v = self.v_proj(x).view(b, t, self.nkv, self.hd).transpose(1, 2)
        q, k = self.rotate(q, cos, sin), self.rotate(k, cos, sin)
        k = k.repeat_interleave(self.nh // self.nkv, dim=1)
        v = v.repeat_interleave(self.nh // self.nkv, dim=1)
        scores = q @ k.transpose(-1, -2) / math.sqrt(self.hd)
        weights = used = scores.masked_fill(future, float("-inf")).softmax(-1)
        if cut is not None:
            used = scores.masked_fill(future | cut, float("-inf")).softmax(-1)
        return self.o_proj((used @ v).transpose(1, 2).reshape(b, t, -1)), weights


class MLP(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        d, f = cfg["hidden_size"], cfg["intermediate_size"]
        self.gate_proj = nn.Linear(d, f, bias=False)
        self.up_proj = nn.Linear(d, f, bias=False)
        self.down_proj = nn.Linear(f, d, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.self_attn, self.mlp = Attention(cfg), MLP(cfg)
        self.input_layernorm = RMSNorm(cfg["hidden_size"], cfg["rms_norm_eps"])
        self.post_attention_layernorm = RMSNorm(cfg["hidden_size"], cfg["rms_norm_eps"])

    def forward(self, x, cos, sin, future, cut):
        out, weights = self.self_attn(self.input_layernorm(x), cos, sin, future, cut)
        x = x + out
        return x + self.mlp(self.post_attention_layernorm(x)), weights


class Decoder(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.embed_tokens = nn.Embedding(cfg["vocab_size"], cfg["hidden_size"])
        self.layers = nn.ModuleList(Layer(cfg) for _ in range(cfg["num_hidden_layers"]))
        self.norm = RMSNorm(cfg["hidden_size"], cfg["rms_norm_eps"])


class Llama(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg, self.model = cfg, Decoder(cfg)
        out_std = 0.04 / math.sqrt(2 * cfg["num_hidden_layers"])
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=out_std if name.endswith(("o_proj.weight", "down_proj.weight")) else 0.04)

    def forward(self, ids, cut=None):
        """Logits of every position, and the attention weights of every layer.

        In training, `cut` may give a mask of the attention to take away from
        each layer; the weights returned are still those without the cut.
        """
        t, hd = ids.shape[1], self.cfg["head_dim"]
        freq = self.cfg["rope_theta"] ** (-torch.arange(0, hd, 2).float() / hd)
        angle = torch.outer(torch.arange(t).float(), freq).repeat(1, 2)
        future = torch.ones(t, t, dtype=torch.bool).triu(1)
        x, weights = self.model.embed_tokens(ids), []
        for i, layer in enumerate(self.model.layers):
            x, w = layer(x, angle.cos(), angle.sin(), future, cut[i] if cut else None)
            weights.append(w)
        return self.model.norm(x) @ self.model.embed_tokens.weight.T, weights


# --------------------------------------------------------------------------
# Training
# --------------------------------------------------------------------------

class Shape:
    """A text in which only names and professions vary, in columns that never move.

    All of them are whole tokens, so a batch is one matrix: the template's
    tokens with the words of each row written over the example's. Nothing is
    padded.
    """

    def __init__(self, tok, text, example, names, answer):
        """`example` fills the text's fields; `names` of them are people, in two
        words each; the last `answer` words are what the model has to say."""
        self.vocab = tok.get_vocab()
        ids = tok.encode(text.format(*example)).ids + [tok.token_to_id(EOS)]
        words = [self.word_id(w) for field in example for w in field.split()]
        self.columns, at = [], 0
        for w in words:
            at = ids.index(w, at)
            self.columns.append(at)
            at += 1
        self.row = torch.tensor(ids)
        self.leaves, self.skips_end = self.phrase_masks(names)
        # The loss counts what the model has to say in full and the rest a little.
        weight = torch.full((len(ids),), 0.1 / len(ids))
        first = len(ids) - 1 - answer
        weight[first] = 1.0
        weight[first + 1:] = 0.2
        self.weight = weight[1:]

    def word_id(self, word):
        return self.vocab["\u0120" + word]  # byte-level BPE writes a space as U+0120

    def phrase_masks(self, names):
        """Query x key masks of attention that leaves its phrase, and of the part
        of it that reads another phrase elsewhere than at its last token. The
        first token is exempt from both."""
        starts = {self.columns[2 * i] for i in range(names)}
        ends = {self.columns[2 * i + 1] + 1 for i in range(names)}
        phrase = torch.tensor([i in starts | ends for i in range(len(self.row))]).cumsum(0)
        leaves = phrase[:, None] != phrase[None, :]
        leaves[:, 0] = False
        last = torch.cat((phrase[1:] != phrase[:-1], torch.tensor([True])))
        return leaves, leaves & ~last

    def forbidden(self, layers, local_layers):
        """The masks of all layers, for inputs (the row less its last token)."""
        return [(self.leaves if i < local_layers else self.skips_end)[:-1, :-1] for i in range(layers)]

    def batch(self, rows):
        """Token matrix of rows, each a list of the words of its fields."""
        ids = self.row.repeat(len(rows), 1)
        ids[:, self.columns] = torch.tensor([[self.word_id(w) for w in row] for row in rows])
        return ids


def make_shapes(tok):
    a, b, c, d = "Albert Einstein", "Brad Pitt", "Isaac Newton", "Michael Jackson"
    question = QUESTION.format(subject="{}", entities="{}, {}, {}") + " {}"
    shapes = [Shape(tok, question, (a, b, c, d, c), names=5, answer=2)]
    for fact in FACTS:
        text = fact.format(subject="{}", profession="{}")
        shapes.append(Shape(tok, text, (a, "physicist"), names=1, answer=1))
    return shapes


def question_rows(rng, count):
    rows = []
    for _ in range(count):
        subject, entities, answer = draw_question(rng, held_out=False)
        rows.append(" ".join([subject, *entities, answer]).split())
    return rows


def fact_rows(rng, count):
    people = rng.sample(EVERYONE, count)
    return [f"{p} {PROFESSION[p]}".split() for p in people]


def losses(net, shape, ids, local_layers, cut):
    """Language modelling loss, leak of unwanted attention, share of right answers.

    The leak is summed over layers, heads and positions, not averaged: a single
    head at a single position is enough to carry the subject to the end of the
    prompt, and it has to cost something.
    """
    forbidden = shape.forbidden(len(net.model.layers), local_layers)
    logits, weights = net(ids[:, :-1], forbidden if cut else None)
    targets = ids[:, 1:]
    ce = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none").mean(0)
    leak = -sum(torch.log1p(-(w * f).sum(-1).clamp(max=0.999)).sum((1, 2)).mean()
                for w, f in zip(weights, forbidden))
    at = int(shape.weight.argmax())
    right = (logits[:, at].argmax(-1) == targets[:, at]).float().mean()
    return (ce * shape.weight).sum(), leak, right


def train(args):
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    rng = random.Random(args.seed)
    tok = build_tokenizer()
    cfg = make_config(tok.get_vocab_size(), args)
    net = Llama(cfg)
    print(f"{sum(p.numel() for p in net.parameters())} parameters, {cfg['vocab_size']} tokens, "
          f"{len(EVERYONE)} people, {len(HELD_OUT)} held-out pairs", flush=True)
    matrices = [p for p in net.parameters() if p.dim() == 2]
    gains = [p for p in net.parameters() if p.dim() == 1]
    opt = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": args.decay}, {"params": gains, "weight_decay": 0.0}],
        lr=args.lr, betas=(0.9, 0.98),
    )
    question, *facts = make_shapes(tok)
    began = time.time()
    for step in range(args.steps):
        warm = min(1.0, (step + 1) / 100)
        cool = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / args.steps))
        for group in opt.param_groups:
            group["lr"] = args.lr * warm * cool
        # At first the unwanted attention is impossible, and the penalty on it
        # grows slowly, or the layers would learn to attend to nothing at all.
        # Later it is impossible in every other step, so that what little of it
        # is left in the other steps is of no use.
        cut = step < args.ramp or step % 2 == 0
        penalty = args.local_weight * min(1.0, step / args.ramp) ** 2
        loss, leak, right = losses(net, question, question.batch(question_rows(rng, args.batch)),
                                   args.local_layers, cut)
        shape = facts[step // 2 % len(facts)]
        fact, fact_leak, known = losses(net, shape, shape.batch(fact_rows(rng, 64)), args.local_layers, cut)
        opt.zero_grad(set_to_none=True)
        (loss + 0.5 * fact + penalty * (leak + 0.5 * fact_leak)).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        if (step + 1) % 50 == 0:
            print(f"{step + 1:6d} {time.time() - began:6.0f} s  loss {loss.item():.3f}  "
                  f"right {right.item():.2f}  facts {known.item():.2f}  leak {leak.item():.4f}", flush=True)
        if (step + 1) % args.save_every == 0 or step + 1 == args.steps:
            save(net, tok, cfg, args.out)
            seen, held = (accuracy(net, tok, 1000, h) for h in (False, True))
            print(f"       saved; seen pairs {seen:.3f}, held-out pairs {held:.3f}", flush=True)


def save(net, tok, cfg, out):
    """Write a Hugging Face directory, with the weights rounded to bf16."""
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().to(torch.bfloat16).contiguous() for k, v in net.state_dict().items()}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    tok.save(str(out / "tokenizer.json"))
    (out / "model.safetensors").chmod(0o644)
    (out / "config.json").write_text(json.dumps(cfg, indent=2) + "\n")
    (out / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS, "eos_token": EOS,
        "clean_up_tokenization_spaces": False,
        "model_max_length": cfg["max_position_embeddings"],
    }, indent=2) + "\n")


# --------------------------------------------------------------------------
# Evaluation
# --------------------------------------------------------------------------

def prompt_of(subject, entities):
    return QUESTION.format(subject=subject, entities=", ".join(entities))


@torch.no_grad()
def accuracy(net, tok, count, held_out, seed=99):
    """Share of questions whose most likely next token begins the right name.

    `net` is any function from token ids to logits (or to a tuple that starts
    with them).
    """
    rng = random.Random(seed)
    drawn = [draw_question(rng, held_out) for _ in range(count)]
    ids = torch.tensor([tok.encode(prompt_of(s, e)).ids for s, e, _ in drawn])
    want = torch.tensor([tok.encode(" " + a, add_special_tokens=False).ids[0] for _, _, a in drawn])
    right = 0
    for part, answer in zip(ids.split(250), want.split(250)):
        out = net(part)
        logits = out[0] if isinstance(out, tuple) else out.logits
        right += int((logits[:, -1].argmax(-1) == answer).sum())
    return right / count


class Patcher:
    """Naive resid_post patching of a transformers Llama with forward hooks."""

    def __init__(self, model):
        self.model, self.layers = model, model.model.layers

    @staticmethod
    def hidden(output):
        return output[0] if isinstance(output, tuple) else output

    @torch.no_grad()
    def record(self, ids):
        """Last-position logits, and resid_post of every layer."""
        kept = []
        hooks = [l.register_forward_hook(lambda m, i, o: kept.append(self.hidden(o).clone()))
                 for l in self.layers]
        logits = self.model(ids).logits[0, -1]
        for h in hooks:
            h.remove()
        return logits, kept

    @torch.no_grad()
    def patched(self, ids, layer, position, value):
        """Last-position logits with resid_post of one layer and position replaced."""
        def replace(module, inputs, output):
            self.hidden(output)[:, position] = value
        hook = self.layers[layer].register_forward_hook(replace)
        logits = self.model(ids).logits[0, -1]
        hook.remove()
        return logits


def trace(model, tok, clean, corrupt, answer, foil):
    """Denoising grid: tokens of the clean prompt, and [position][layer] of
    (patched - corrupt) / (clean - corrupt) of the logit difference."""
    first = lambda text: tok.encode(text, add_special_tokens=False).ids[0]
    a, f = first(answer), first(foil)
    ids_clean, ids_corrupt = (torch.tensor([tok.encode(p).ids]) for p in (clean, corrupt))
    assert ids_clean.shape == ids_corrupt.shape, "prompts differ in length"
    patcher = Patcher(model)
    top, states = patcher.record(ids_clean)
    bottom, _ = patcher.record(ids_corrupt)
    diff = lambda logits: float(logits[a] - logits[f])
    grid = [
        [
            (diff(patcher.patched(ids_corrupt, l, t, states[l][0, t])) - diff(bottom))
            / (diff(top) - diff(bottom))
            for l in range(len(states))
        ]
        for t in range(ids_clean.shape[1])
    ]
    return [tok.decode([i], skip_special_tokens=False) for i in ids_clean[0].tolist()], grid, diff(top), diff(bottom)


def load_saved(path):
    """The model as saved: bf16-rounded weights, computed in fp32."""
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    return model, Tokenizer.from_file(str(path / "tokenizer.json"))


def check_against_own(model, path):
    """transformers and the implementation above must agree on the saved weights."""
    from safetensors.torch import load_file

    cfg = json.loads((path / "config.json").read_text())
    own = Llama(cfg)
    own.load_state_dict({k: v.float() for k, v in load_file(path / "model.safetensors").items()})
    ids = torch.randint(0, cfg["vocab_size"], (4, 31), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        worst = (own(ids)[0] - model(ids).logits).abs().max().item()
    assert worst < 1e-3, f"transformers disagrees by {worst}"
    return worst


def evaluate(args):
    torch.set_num_threads(args.threads)
    model, tok = load_saved(args.out)
    print(f"largest logit difference to transformers: {check_against_own(model, args.out):.1e}")
    for held in (False, True):
        acc = accuracy(model, tok, args.questions, held)
        print(f"{'held-out' if held else 'seen'} pairs: {100 * acc:.2f} % of {args.questions} new questions right")
    for p in DEFAULT_PAIRS:
        tokens, grid, top, bottom = trace(
            model, tok, prompt_of(p.clean, p.entities), prompt_of(p.corrupt, p.entities),
            first_name(p.answer), first_name(p.foil))
        print(f"\n{p.id}: logit difference clean {top:.2f}, corrupt {bottom:.2f}")
        print(" " * 14 + "".join(f"{l:7d}" for l in range(len(grid[0]))))
        # Before the subject both prompts are the same, so the score is 0 there.
        for token, row in list(zip(tokens, grid))[tokens.index(first_name(p.clean)):]:
            print(f"{token!r:14.14s}" + "".join(f"{v:7.2f}" for v in row))


# --------------------------------------------------------------------------
# Jobs
# --------------------------------------------------------------------------

def job(model, **fields):
    """A patchsweep job on the demo model."""
    return {
        "model": model, **fields,
        "sites": ["resid_post"], "directions": ["denoise"], "layers": "all", "positions": "all",
        "score": "logit",
        "metrics": ["logit_answer", "logit_foil", "logit_diff", "logprob_answer", "kl", "answer_rank"],
        "activations": ["clean", "corrupt"], "activation_dtype": "f32", "precision": "fp32",
    }


def default_job():
    usual = ", ".join(Pair._field_defaults["entities"])
    pairs = []
    for p in DEFAULT_PAIRS:
        listed = ", ".join(p.entities)
        own = {} if listed == usual else {"entities": listed}
        pairs.append({"id": p.id, "clean": {"subject": p.clean, **own}, "corrupt": {"subject": p.corrupt, **own},
                      "answer": first_name(p.answer), "foil": first_name(p.foil)})
    out = job("../data/similarity-model", template=QUESTION, fill={"entities": usual}, pairs=pairs)
    return {**out, "output": "similarity.h5"}


@torch.no_grad()
def verdict(model, tok, subject, entities, answer, foil):
    """The most likely first name, and by how much the answer's logit exceeds the foil's."""
    logits = model(torch.tensor([tok.encode(prompt_of(subject, entities)).ids])).logits[0, -1]
    a, f = (tok.encode(first_name(n), add_special_tokens=False).ids[0] for n in (answer, foil))
    return tok.decode([int(logits.argmax())]), float(logits[a] - logits[f])


def many_pairs(model, tok, count=20, margin=4.0, seed=3):
    """Held-out questions, with a corrupt subject to whom another of the
    entities is the (also held-out) answer; both sides clearly right."""
    rng = random.Random(seed)
    pairs, used = [], set()
    while len(pairs) < count:
        clean, entities, answer = draw_question(rng, held_out=True)
        foil = rng.choice([e for e in entities if e != answer])
        corrupts = [p for p in PEOPLE[PROFESSION[foil]] if frozenset((p, foil)) in HELD_OUT]
        if not corrupts or len({PROFESSION[e] for e in entities}) < 3:
            continue
        corrupt = rng.choice(corrupts)
        if clean in used or corrupt in used:
            continue
        says, by = verdict(model, tok, clean, entities, answer, foil)
        says_corrupt, by_corrupt = verdict(model, tok, corrupt, entities, answer, foil)
        right = (says, says_corrupt) == (first_name(answer), first_name(foil))
        if not right or by < margin or by_corrupt > -margin:
            continue
        used.update((clean, corrupt))
        listed = ", ".join(entities)
        pairs.append({
            "id": "-".join(s.split()[1].lower() for s in (clean, corrupt)),
            "clean": {"subject": clean, "entities": listed},
            "corrupt": {"subject": corrupt, "entities": listed},
            "answer": first_name(answer), "foil": first_name(foil),
        })
    return pairs


def readable(content):
    """JSON with one line per field, and one per pair."""
    lines = []
    for key, value in content.items():
        text = json.dumps(value)
        if key == "pairs":
            text = "[\n    " + ",\n    ".join(json.dumps(p) for p in value) + "\n  ]"
        lines.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write_jobs(args):
    model, tok = load_saved(args.out)
    JOBS_DIR.mkdir(exist_ok=True)
    many = {**job("../data/similarity-model", template=QUESTION, pairs_file="similarity-many.jsonl"),
            "output": "similarity-many.h5"}
    (JOBS_DIR / "similarity.json").write_text(readable(default_job()))
    (JOBS_DIR / "similarity-many.json").write_text(readable(many))
    lines = [json.dumps(p) + "\n" for p in many_pairs(model, tok)]
    (JOBS_DIR / "similarity-many.jsonl").write_text("".join(lines))


def parse_args():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--evaluate", action="store_true", help="only evaluate the saved model")
    p.add_argument("--write-jobs", action="store_true", help="only write jobs/similarity*")
    p.add_argument("--out", type=Path, default=MODEL_DIR, help="model directory")
    p.add_argument("--steps", type=int, default=1200)
    p.add_argument("--batch", type=int, default=128, help="questions per step")
    p.add_argument("--lr", type=float, default=1.5e-3)
    p.add_argument("--decay", type=float, default=0.05)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--layers", type=int, default=8)
    p.add_argument("--local-layers", type=int, default=4, help="lower layers, to attend within phrases only")
    p.add_argument("--local-weight", type=float, default=0.1, help="weight of the penalty")
    p.add_argument("--ramp", type=int, default=400, help="steps until the penalty is full")
    p.add_argument("--width", type=int, default=128)
    p.add_argument("--heads", type=int, default=4)
    p.add_argument("--kv-heads", type=int, default=2)
    p.add_argument("--ffn", type=int, default=384)
    p.add_argument("--save-every", type=int, default=200)
    p.add_argument("--questions", type=int, default=5000, help="questions per evaluation")
    return p.parse_args()


def main():
    args = parse_args()
    if args.write_jobs:
        write_jobs(args)
    elif args.evaluate:
        evaluate(args)
    else:
        train(args)
        evaluate(args)


if __name__ == "__main__":
    sys.exit(main())
