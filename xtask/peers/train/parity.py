"""Writes what the Rust test `parity` compares with: weights, a packed batch, the loss and its gradients.

    pip install torch safetensors && python parity.py ../../../crates/nn/tests/parity

A small SuperMoE in PyTorch with every kind of channel (categories, an id, dense channels of which some are
hidden), sequences of several lengths, and heads of masked channel prediction: once with plain attention
(plain.safetensors), once with experts in its projections (moe_msa.safetensors). Sequences are packed; a
mask keeps attention within each.
"""

import argparse
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from supermoe import Encoder, encoder_sizes

CATEGORIES, ID, EMBEDDING = (7, 5), 11, 4  # rows of tables; width of an embedding
DENSE, MASKABLE = 3, (0, 2)  # dense channels; those that masking may hide
LENGTHS = (5, 1, 9, 4)
BALANCE_WEIGHT = 0.01


def batch():
    rows = sum(LENGTHS)
    tables = (*CATEGORIES, ID)
    return {
        "lengths": torch.tensor(LENGTHS, dtype=torch.int32),
        "codes": torch.stack([torch.randint(size, (rows,)) for size in tables]).int(),
        "dense": torch.randn(rows, DENSE),
        "hidden": (torch.rand(rows, len(MASKABLE)) < 0.3).int(),
        "picked": torch.arange(0, rows, 2, dtype=torch.int32),
    }


class Model(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        tables = [nn.Embedding(rows, EMBEDDING) for rows in (*CATEGORIES, ID)]
        self.encoder = Encoder(sizes, tables, DENSE + len(MASKABLE))
        self.fill = nn.Parameter(torch.randn(len(MASKABLE)))
        self.heads = nn.ModuleList(nn.Linear(sizes.d_model, rows) for rows in CATEGORIES)
        for name, weight in self.named_parameters():  # biases and scales that are told apart
            if "bias" in name or "norm" in name:
                nn.init.uniform_(weight, 0.5, 1.5)

    def forward(self, codes, dense, hidden, lengths, picked):
        encoder, hidden = self.encoder, hidden.bool()
        columns = list(dense.unbind(1))
        for i, channel in enumerate(MASKABLE):
            columns[channel] = torch.where(hidden[:, i], self.fill[i], columns[channel])
        dense = torch.cat([torch.stack(columns, 1), hidden.float()], 1)
        parts = [table(code) for table, code in zip(encoder.tables, codes)]
        x = F.relu(encoder.input_norm(encoder.projection(torch.cat([*parts, dense], -1))))
        places = torch.cat([torch.arange(-length, 0) for length in lengths.tolist()])
        x = x + encoder.positions[places]
        owner = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        keys = owner[:, None] == owner
        balance = 0.0
        for block in encoder.blocks:
            x, more = block(x, (1, len(x)), keys)
            balance = balance + more
        x = encoder.norm(x)[picked]
        targets = codes[: len(self.heads), picked].long()
        losses = [F.cross_entropy(head(x), target) for head, target in zip(self.heads, targets)]
        return sum(losses) + BALANCE_WEIGHT * balance


def named(model):
    """(our name, parameter, the change of layout) for each parameter."""
    same, transposed = lambda x: x, lambda x: x.T
    encoder = model.encoder
    tables = [f"mfp.table.category{i}" for i in range(len(CATEGORIES))] + ["id"]
    for name, table in zip(tables, encoder.tables):
        yield name, table.weight, same
    yield "mfp.fill", model.fill, same
    yield "position", encoder.positions, lambda x: x.flip(0)  # ours counts from the newest step back
    norms = {"mfp.norm": encoder.input_norm, "norm": encoder.norm}
    linears = {"mfp.projection": encoder.projection}
    linears |= {f"head.{i}": head for i, head in enumerate(model.heads)}
    for i, block in enumerate(encoder.blocks):
        name = f"block.{i}"
        norms[f"{name}.attention_norm"] = block.attention_norm
        linears[f"{name}.attention.output"] = block.attention.output
        if hasattr(block.attention, "qkv"):
            linears[f"{name}.attention.qkv"] = block.attention.qkv
        else:
            for part, mixture in zip("qkv", block.attention.mixtures):
                yield f"{name}.attention.{part}.gate", mixture.gate.weight, transposed
                yield f"{name}.attention.{part}.experts", mixture.matrices, same
        for j, (norm, ffn) in enumerate(zip(block.ffn_norms, block.ffns)):
            norms[f"{name}.ffn_norm.{j}"] = norm
            yield f"{name}.ffn.{j}.gate", ffn.gate.weight, transposed
            for part in ("inner", "inner_bias", "outer", "outer_bias"):
                yield f"{name}.ffn.{j}.{part}", getattr(ffn, part), same
    for name, norm in norms.items():
        yield f"{name}.scale", norm.weight, same
        yield f"{name}.shift", norm.bias, same
    for name, linear in linears.items():
        yield f"{name}.weight", linear.weight, transposed
        yield f"{name}.bias", linear.bias, same


def write(path, sizes):
    torch.manual_seed(3)
    model, inputs = Model(sizes), batch()
    loss = model(**inputs)
    loss.backward()
    tensors = {f"batch.{name}": tensor for name, tensor in inputs.items()} | {"loss": loss.detach()}
    parameters = list(named(model))
    if len(parameters) != len(list(model.parameters())):
        sys.exit(f"{len(parameters)} of {len(list(model.parameters()))} parameters have a name in the file")
    for name, parameter, layout in parameters:
        tensors[f"weight.{name}"] = layout(parameter.detach()).contiguous()
        tensors[f"gradient.{name}"] = layout(parameter.grad).contiguous()
    save_file(tensors, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    parser = argparse.ArgumentParser()
    encoder_sizes(parser)
    common = ["--d-model=8", "--heads=2", "--d-ff=12", "--experts=4", "--seq=9"]
    folder.mkdir(exist_ok=True)
    write(folder / "plain.safetensors", parser.parse_args(common))
    write(folder / "moe_msa.safetensors", parser.parse_args([*common, "--attention-experts=3"]))


if __name__ == "__main__":
    main()
