"""A training step, or inference, of SuperMoE in PyTorch, timed: the peer of the example `step_time`.

    python supermoe.py wide --compile --steps 20

The first argument may name a configuration of configurations.json; flags after it change single sizes.
A step is forward, backward and Adam on a batch that stands ready. Prints one line of JSON.
"""

import argparse
import json
import math
import resource
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

HERE = Path(__file__).resolve().parent
MASK_RATE = 0.15
POOL_BATCHES = 20  # batches that are cut from one run of samples sorted by length


class Experts(nn.Module):
    """The gate of a mixture, top-1 and dropless, and the order that brings an expert's tokens together."""

    def __init__(self, width, experts):
        super().__init__()
        self.experts = experts
        if experts > 1:
            self.gate = nn.Linear(width, experts, bias=False)

    def route(self, x):
        """x [N, d] to the chosen probability [N, 1], the order of tokens [N], tokens by expert, the balance loss."""
        probabilities = self.gate(x).softmax(-1)
        probability, expert = probabilities.max(-1, keepdim=True)
        expert = expert.squeeze(-1)
        order = expert.argsort(stable=True)
        counts = torch.bincount(expert, minlength=self.experts)
        share = counts.to(x.dtype) / x.shape[0]
        balance = self.experts * torch.dot(share, probabilities.mean(0))
        return probability, order, counts.tolist(), balance

    @staticmethod
    def restore(parts, order):
        """The experts' outputs in the order of tokens."""
        sorted_rows = torch.cat(parts)
        return torch.empty_like(sorted_rows).index_copy(0, order, sorted_rows)


class MoeFfn(Experts):
    """Feed-forward experts with biases and ReLU."""

    def __init__(self, width, inner, experts):
        super().__init__(width, experts)
        self.inner = nn.Parameter(torch.randn(experts, width, inner) / math.sqrt(width))
        self.inner_bias = nn.Parameter(torch.zeros(experts, inner))
        self.outer = nn.Parameter(torch.randn(experts, inner, width) / math.sqrt(inner))
        self.outer_bias = nn.Parameter(torch.zeros(experts, width))

    def weights(self):
        # unbind's gradient is one stack; indexing each expert would make a full gradient for each.
        tensors = (self.inner, self.inner_bias, self.outer, self.outer_bias)
        return zip(*(tensor.unbind(0) for tensor in tensors))

    @staticmethod
    def run(x, inner, inner_bias, outer, outer_bias):
        return torch.addmm(outer_bias, torch.addmm(inner_bias, x, inner).relu_(), outer)

    def forward(self, x):
        if self.experts == 1:
            return self.run(x, *next(self.weights())), x.new_zeros(())
        probability, order, counts, balance = self.route(x)
        groups = x.index_select(0, order).split(counts)
        parts = [self.run(group, *w) for group, w in zip(groups, self.weights()) if len(group)]
        return self.restore(parts, order) * probability, balance


class MoeLinear(Experts):
    """Experts that are one matrix each."""

    def __init__(self, width, experts):
        super().__init__(width, experts)
        self.matrices = nn.Parameter(torch.randn(experts, width, width) / math.sqrt(width))

    def forward(self, x):
        probability, order, counts, balance = self.route(x)
        groups = x.index_select(0, order).split(counts)
        parts = [group @ w for group, w in zip(groups, self.matrices.unbind(0)) if len(group)]
        return self.restore(parts, order) * probability, balance


class Attention(nn.Module):
    """Multi-head self-attention; with experts, each of the projections to q, k and v is a mixture."""

    def __init__(self, width, heads, experts):
        super().__init__()
        self.heads = heads
        if experts == 1:
            self.qkv = nn.Linear(width, 3 * width)
        else:
            self.mixtures = nn.ModuleList(MoeLinear(width, experts) for _ in range(3))
        self.output = nn.Linear(width, width)

    def project(self, x):
        if hasattr(self, "qkv"):
            return self.qkv(x).chunk(3, -1), 0.0
        outputs, balances = zip(*(mixture(x) for mixture in self.mixtures))
        return outputs, sum(balances)

    def forward(self, x, shape, keys):
        batch, steps = shape
        projected, balance = self.project(x)
        q, k, v = (part.view(batch, steps, self.heads, -1).transpose(1, 2) for part in projected)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=keys)
        return self.output(attended.transpose(1, 2).reshape(x.shape)), balance


class Block(nn.Module):
    """Attention and two mixtures of feed-forward experts, each with normalisation before and a residual around."""

    def __init__(self, sizes):
        super().__init__()
        width = sizes.d_model
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, sizes.heads, sizes.attention_experts)
        self.ffn_norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.ffns = nn.ModuleList(MoeFfn(width, sizes.d_ff, sizes.experts) for _ in range(2))
        self.dropout = dropout(sizes)

    def forward(self, x, shape, keys):
        y, balance = self.attention(self.attention_norm(x), shape, keys)
        x = x + self.dropout(y)
        for norm, ffn in zip(self.ffn_norms, self.ffns):
            y, more = ffn(norm(x))
            x, balance = x + self.dropout(y), balance + more
        return x, balance


class Encoder(nn.Module):
    """Channels of a padded batch to hidden states [B T, d] and the sum of balance losses."""

    def __init__(self, sizes, tables, dense):
        super().__init__()
        width = sizes.d_model
        self.tables = nn.ModuleList(tables)
        inputs = sum(table.embedding_dim for table in tables) + dense
        self.projection = nn.Linear(inputs, width)
        self.input_norm = nn.LayerNorm(width)
        self.positions = nn.Parameter(torch.randn(sizes.seq, width) * 0.02)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = dropout(sizes)

    def forward(self, codes, dense, real):
        """codes: [B, T] for each table; dense [B, T, K]; real [B, T], or None where nothing is padded."""
        parts = [table(code) for table, code in zip(self.tables, codes)]
        x = F.relu(self.input_norm(self.projection(torch.cat([*parts, dense], -1))))
        batch, steps, width = x.shape
        x = x + self.positions[-steps:]  # the newest step is the last
        x = self.dropout(x).view(-1, width)
        keys = None if real is None else real[:, None, None]
        balance = 0.0
        for block in self.blocks:
            x, more = block(x, (batch, steps), keys)
            balance = balance + more
        return self.norm(x), balance


class Pretraining(nn.Module):
    """The encoder and a head of masked channel prediction for each of the first categories."""

    def __init__(self, sizes, categories, ids):
        super().__init__()
        tables = [nn.Embedding(rows, sizes.emb) for rows in categories]
        tables += [nn.Embedding(rows, sizes.emb, sparse=sizes.sparse) for rows in ids]
        self.encoder = Encoder(sizes, tables, sizes.dense)
        heads = (nn.Linear(sizes.d_model, rows) for rows in categories[: sizes.mcp])
        self.heads = nn.ModuleList(heads)

    def forward(self, codes, dense, real, masked, targets):
        hidden, balance = self.encoder(codes, dense, real)
        hidden = hidden.index_select(0, masked)
        losses = [F.cross_entropy(head(hidden), target) for head, target in zip(self.heads, targets)]
        return sum(losses) + 0.01 * balance

    def represent(self, codes, dense, real):
        """The maximum over each sequence's steps, [B, d]."""
        return pool(self.encoder(codes, dense, real)[0], dense.shape[:2], real)


def dropout(sizes):
    return nn.Dropout(sizes.dropout) if sizes.dropout else nn.Identity()


def pool(hidden, shape, real):
    """The maximum over each sequence's steps: [B T, d] to [B, d]."""
    hidden = hidden.view(*shape, -1)
    if real is not None:
        hidden = hidden.masked_fill(~real[..., None], -math.inf)
    return hidden.amax(1)


def encoder_sizes(parser):
    """Adds the sizes of the encoder and the number of threads, with the defaults of `small`."""
    numbers = dict(d_model=64, heads=4, layers=2, d_ff=256, experts=8, attention_experts=1, seq=64)
    numbers |= dict(batch=64, threads=2, seed=0)
    for name, default in numbers.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    parser.add_argument("--dropout", type=float, default=0.0)


class Batches:
    """Random batches, of one length or padded within batches of like lengths."""

    def __init__(self, sizes, categories, ids):
        self.sizes, self.tables = sizes, categories + ids
        if sizes.ragged:
            lengths = quantiles(sizes.batch * POOL_BATCHES, sizes.seq)
            batches = list(torch.tensor(lengths).split(sizes.batch))
            self.lengths = [batches[i] for i in torch.randperm(len(batches)).tolist()]
        else:
            self.lengths = None
        self.made = 0

    def next(self):
        sizes = self.sizes
        steps, real = sizes.seq, None
        if self.lengths:
            lengths = self.lengths[self.made % len(self.lengths)]
            steps = int(lengths.max())
            if int(lengths.min()) < steps:
                real = torch.arange(steps) >= steps - lengths[:, None]  # padded on the left
        self.made += 1
        shape = (sizes.batch, steps)
        codes = [torch.randint(rows, shape) for rows in self.tables]
        picked = torch.rand(shape) < MASK_RATE
        if real is not None:
            picked &= real
        masked = picked.flatten().nonzero().squeeze(1)
        targets = [code.flatten().index_select(0, masked) for code in codes[: sizes.mcp]]
        return codes, torch.randn(*shape, sizes.dense), real, masked, targets


def quantiles(count, limit):
    """Lengths of the retail data's samples at evenly spaced quantiles, ascending."""
    histogram = json.loads((HERE / "retail_lengths.json").read_text())["samples"]
    total, below, lengths = sum(histogram.values()), 0, []
    for length, samples in histogram.items():
        below += samples
        while len(lengths) < count and (2 * len(lengths) + 1) * total <= 2 * count * below:
            lengths.append(min(int(length), limit))
    return lengths


def optimizers(model):
    sparse = [m.weight for m in model.modules() if isinstance(m, nn.Embedding) and m.sparse]
    chosen = {id(weight) for weight in sparse}
    dense = [weight for weight in model.parameters() if id(weight) not in chosen]
    result = [torch.optim.Adam(dense, lr=1e-3, fused=True)]
    return result + ([torch.optim.SparseAdam(sparse, lr=1e-3)] if sparse else [])


def measure(sizes):
    torch.manual_seed(sizes.seed)
    torch.set_num_threads(sizes.threads)
    categories, ids = tables(sizes.cat), tables(sizes.id)
    model = Pretraining(sizes, categories, ids)
    batches, steppers, times, loss = Batches(sizes, categories, ids), optimizers(model), [], None
    forward = model.represent if sizes.inference else model
    if sizes.compile:
        forward = torch.compile(forward, dynamic=True if sizes.ragged else None)
    lengths = len(batches.lengths or [0])  # batches after which the same lengths come again
    # Sizes that are met for the first time are compiled then: before the steps that are timed.
    warmup = max(sizes.warmup, lengths if sizes.compile else 0)
    for step in range(warmup + math.ceil(sizes.steps / lengths) * lengths):
        batch = batches.next()
        started = time.perf_counter()
        if sizes.inference:
            with torch.no_grad():
                forward(*batch[:3]).numpy()
        else:
            for stepper in steppers:
                stepper.zero_grad(set_to_none=True)
            total = forward(*batch)
            total.backward()
            for stepper in steppers:
                stepper.step()
            loss = total.item()
        if step >= warmup:
            times.append(time.perf_counter() - started)
    middle = statistics.fmean if sizes.ragged else statistics.median
    step_ms = middle(times) * 1e3
    return {
        "program": "torch " + torch.__version__,
        "step_ms": round(step_ms, 3),
        "seq_per_s": round(sizes.batch / step_ms * 1e3, 3),
        "peak_mb": peak_mebibytes(),
        "params": sum(weight.numel() for weight in model.parameters()),
        "loss": loss,
    }


def peak_mebibytes():
    unit = 1 << (20 if sys.platform == "darwin" else 10)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit


def tables(text):
    count, rows = text.split("x")
    return [int(rows)] * int(count)


def command_line(arguments):
    if arguments and not arguments[0].startswith("-"):
        known = json.loads((HERE / "configurations.json").read_text())
        if arguments[0] not in known:
            sys.exit(f"there is no configuration {arguments[0]!r}; there are: {', '.join(known)}")
        flags = []
        for key, value in known[arguments[0]].items():
            flags.append("--" + key.replace("_", "-"))
            flags += [] if value is True else [str(value)]
        arguments = flags + arguments[1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    encoder_sizes(parser)
    for name, default in dict(emb=16, dense=3, mcp=3, steps=20, warmup=3).items():
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--cat", default="6x100", help="category tables, as COUNTxROWS")
    parser.add_argument("--id", default="2x5000", help="id tables, as COUNTxROWS")
    parser.add_argument("--sparse", action="store_true", help="sparse gradients and SparseAdam for id tables")
    parser.add_argument("--ragged", action="store_true", help="lengths as in the retail data")
    parser.add_argument("--inference", action="store_true", help="the forward pass under no_grad")
    parser.add_argument("--compile", action="store_true", help="through torch.compile")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    print(json.dumps(measure(command_line(sys.argv[1:]))))
