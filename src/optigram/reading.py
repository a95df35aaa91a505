"""Reading: texts through a model to the activations of targets, whole, or as a tree of shared prefixes, or as mixtures.

`parts` are the readouts to serve, with m members in all; k1 is 1 where all of them judge the same texts, else there is
one part, and texts for each of its members.
"""

import torch
from torch import Tensor

from optigram.models.base import Model, in_blocks
from optigram.prefixes import Level, prefix_tree, sorted_order
from optigram.readouts import Readouts
from optigram.shapes import Float, Int

ROWS = 128  # texts in one forward at the most; fewer texts are filled up to a power of two
FEWEST = 4
CHUNK = 1 << 22  # numbers of state that texts sharing their prefixes may hold at once


def read_soft(model: Model, embeds: Float[Tensor, "k1 c s d"], parts: list[Readouts]) -> Float[Tensor, "m c"]:
    """Differentiable activations of texts given as embeddings."""
    k1, c = embeds.shape[:2]
    states = model.read(embeds.flatten(0, 1).to(model.embedding.dtype), _sites(parts))
    members = None if k1 < len(members_of(parts)) else torch.arange(k1, device=embeds.device).repeat_interleave(c)
    pooled = torch.cat([part.pooled(part.joined(states), members) for part in parts], dim=1)
    return pooled.T if members is None else pooled.view(k1, c)


def read_whole(model: Model, ids: Int[Tensor, "k1 c s"], parts: list[Readouts]) -> tuple[Float[Tensor, "m c"], Float[Tensor, " k1"]]:
    """Activations of texts, each read from its first word, and what that cost each owner in forwards."""
    k1, c, _ = ids.shape
    rows, shared = _with_owners(ids), k1 < len(members_of(parts))

    def run(rows: Tensor) -> Tensor:
        states = model.read(model.embedding[rows[:, 1:]], _sites(parts))
        return torch.cat([part.pooled(part.joined(states), None if shared else rows[:, 0]) for part in parts], dim=1)

    values = in_blocks(run, rows, min(ROWS, 1 << (max(len(rows), FEWEST) - 1).bit_length()))
    return values.T if shared else values.view(k1, c), torch.full((k1,), float(c))


def read_by_prefix(model: Model, ids: Int[Tensor, "k1 c s"], parts: list[Readouts]) -> tuple[Float[Tensor, "m c"], Float[Tensor, " k1"]]:
    """The same for a model with `step`: what texts of one owner have in common at their beginning is run once."""
    k1, c, s = ids.shape
    rows = _with_owners(ids)
    order = sorted_order(rows)
    width = sum(part.weight.shape[2] for part in parts)
    found, cells = [], torch.zeros(k1)
    for chunk in rows[order].split(max(CHUNK // width, 1)):
        tree, leaves = prefix_tree(chunk)
        found.append(_climb(model, tree, parts, shared=k1 == 1)[leaves])
        cells += sum(torch.bincount(level.owners, minlength=k1).cpu() for level in tree)
    values = torch.cat(found)
    values = torch.empty_like(values).index_copy_(0, order, values)
    return values.T if k1 == 1 else values.view(k1, c), cells / s


def members_of(parts: list[Readouts]) -> list[int]:
    """The numbers of the targets that parts serve."""
    return [i for part in parts for i in part.members]


def _climb(model: Model, tree: list[Level], parts: list[Readouts], shared: bool) -> Tensor:
    """Activations of the texts at the ends of a tree: [n m] if all members read each text, else [n 1]."""
    assert model.step is not None
    states: dict[str, Tensor] | None = None
    pooled: list[Tensor | None] = [None] * len(parts)
    for position, level in enumerate(tree):
        if states is not None:
            states = {site: state[level.parents] for site, state in states.items()}
            pooled = [None if values is None else values[level.parents] for values in pooled]
        states = dict(model.step(level.words, states, _sites(parts)))
        members = None if shared else level.owners
        for number, part in enumerate(parts):
            if position in part.positions:
                values = part.at(part.joined(states), members)
                pooled[number] = part.pool_on(pooled[number], values, position, members)
    return torch.cat([values for values in pooled if values is not None], dim=1)


def _sites(parts: list[Readouts]) -> list[str]:
    return list(dict.fromkeys(site for part in parts for site in part.sites))


def _with_owners(ids: Int[Tensor, "k1 c s"]) -> Int[Tensor, "n w"]:
    """Texts [k1 c s] as rows [k1*c 1+s], each led by the number of its owner."""
    owners = torch.arange(len(ids), device=ids.device).repeat_interleave(ids.shape[1])
    return torch.cat([owners[:, None], ids.flatten(0, 1)], dim=1)
