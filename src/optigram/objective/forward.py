"""Forwards: texts through a model to the activations of targets, whole, by shared prefixes, or as mixtures; and to their surprisal.

`parts` are the groups of targets to score, with m members in all; k1 is 1 where all of them score the same texts, else there is
one part, and texts for each of its members. With a `surprisal`, which must be that of the same model, each text has two values
(o = 2), of one forward: its activation and its surprisal; else o = 1.
"""

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from optigram.models.base import Model, Step
from optigram.objective.blocks import Blocks
from optigram.objective.functions import Groups
from optigram.objective.prefix_forward import read_by_prefix, sites_of
from optigram.objective.prefix_tree import cheapest_ends, prefix_counts, sorted_order
from optigram.objective.surprisal import Surprisal
from optigram.shapes import Float, Int

ROWS = 128  # texts in one forward at most, where the work of reading them whole is counted; fewer count as a power of two
FEWEST = 4
COPIES = 1 << 26  # numbers of a cache that one call may take over


def read_soft(
    model: Model,
    embeds: Float[Tensor, "k1 c s d"],
    parts: Groups,
    blocks: Blocks,
    weights: Float[Tensor, "k1 c t v"] | None = None,
    surprisal: Surprisal | None = None,
    linearised: bool = False,
) -> Float[Tensor, "m c o"]:
    """Differentiable values of texts given as embeddings; `weights` are those of the words in them, if there is a `surprisal`.

    `linearised`: whether this is within the model's `linearised` rules, whose gradients are rounded in their own way.
    """
    k1, c = embeds.shape[:2]
    sites, owned = sites_of(parts, surprisal), k1 == len(members_of(parts))

    def run(embeds: Tensor, owners: Tensor, *mixed: Tensor) -> Tensor:
        states = model.read(embeds.to(model.embedding.dtype), sites)
        told = [part.activations(states, owners if owned else None) for part in parts]
        if surprisal is not None:
            told.append(surprisal.of_mixtures(states[surprisal.source], mixed[0][None])[0][:, None])
        return torch.cat(told, dim=1)

    owners = torch.arange(k1, device=embeds.device).repeat_interleave(c)
    mixed = () if surprisal is None or weights is None else (weights.flatten(0, 1),)
    kinds = [part.kind for part in parts]
    values = blocks.run(("soft", *kinds, owned, bool(mixed), linearised), run, embeds.flatten(0, 1), owners, *mixed)
    return _arranged(values, k1, surprisal)


def read(
    model: Model,
    ids: Int[Tensor, "k1 c s"],
    parts: Groups,
    ends: Sequence[int],
    blocks: Blocks,
    steady: bool = False,
    owned: bool = False,
    surprisal: Surprisal | None = None,
) -> tuple[Float[Tensor, "m c o"], Float[Tensor, " k1"]]:
    """Values of texts, and what they cost each owner in forwards.

    An owner's texts are read by prefix if the model and all parts allow it and that is less work, else whole; on a processor the texts
    of other owners have no say in it. If `steady`, they are read by prefix wherever possible, word by word and in blocks of one size: then
    a text's activation depends on the text alone, to the last bit. `ends` are where each free word of a text ends with the fixed ones
    after it (`Template.ends`). If `owned`, one owner has one target.
    """
    (k1, c, s), rows, shared = ids.shape, _with_owners(ids), len(ids) == 1 and not owned
    groups = [group for part in parts if (group := part.by_prefix) is not None]
    step = model.step if reads_on(model, parts, surprisal) else None
    if step is None:
        values = _whole(model, rows, parts, shared, blocks, surprisal)
        return _arranged(values, k1, surprisal), torch.full((k1,), float(c))
    order = sorted_order(rows)
    if steady or not step.blocks:
        step, levels, shares = dataclasses.replace(step, blocks=step.blocks[:1]), [tuple(ends)] * k1, [True] * k1
    elif _far(rows):
        step, counts = dataclasses.replace(step, blocks=()), prefix_counts(rows[order].unflatten(0, (k1, c)), ends).sum(0, keepdim=True)
        (together,), (work,) = cheapest_ends(step, counts, ends)
        levels, shares = [together] * k1, [work < step.overhead + k1 * c * s] * k1
    else:
        step, block = _within_memory(step, s), _block(c)
        levels, work = cheapest_ends(step, prefix_counts(rows[order].unflatten(0, (k1, c)), ends), ends)
        whole = -(-c // block) * (step.overhead + block * s)  # of an owner, counted as in `cheapest_ends`
        shares = [own < whole for own in work]
    shares = torch.tensor(shares, device=rows.device)
    chosen, cost = shares[rows[:, 0]], torch.full((k1,), float(c))
    found, numbers = [], []
    if chosen.any():
        numbers.append(order[chosen[order]])
        values, cells = read_by_prefix(step, rows[numbers[0]], groups, levels, shared, surprisal)
        found.append(values)
        cost = torch.where(shares.cpu(), cells / s, cost)
    if not chosen.all():
        numbers.append(torch.nonzero(~chosen).flatten())
        found.append(_whole(model, rows[numbers[-1]], parts, shared, blocks, surprisal))
    return _arranged(torch.cat(found)[torch.cat(numbers).argsort()], k1, surprisal), cost


def read_whole(model: Model, ids: Int[Tensor, "k1 c s"], parts: Groups) -> Float[Tensor, "m c"]:
    """Activations of texts, each read from its first word, at a cost of one forward per text."""
    rows = _with_owners(ids)
    return _arranged(_whole(model, rows, parts, len(ids) == 1, Blocks(), None), len(ids), None)[..., 0]


def reads_on(model: Model, parts: Groups, surprisal: Surprisal | None = None) -> bool:
    """Whether the model can read texts by prefix for all of `parts`."""
    return model.step is not None and all(part.by_prefix is not None for part in parts) and model.step.serves(sites_of(parts, surprisal))


def members_of(parts: Groups) -> list[int]:
    """The numbers of the targets of all parts."""
    return [i for part in parts for i in part.members]


def by_group(
    inputs: Int[Tensor, "k1 ..."],
    parts: Groups,
    run: Callable[[Tensor, Groups], Tensor],
    by_prefix: Callable[[Groups], bool] = lambda parts: True,
) -> Float[Tensor, "k c o"]:
    """Values of inputs [k1 ...], by `run` for all parts that score the same texts, else for one part after the other.

    Parts that are not read `by_prefix` run by themselves, so that the others are scored as they would be without them.
    """
    shared = len(inputs) == 1
    whole = [part for part in parts if not by_prefix([part])]
    others = [part for part in parts if part not in whole]
    batches = [batch for batch in (others, whole) if batch] if shared else [[part] for part in parts]
    values = torch.cat([run(inputs if shared else inputs[members_of(batch)], batch) for batch in batches])
    order = [i for batch in batches for i in members_of(batch)]
    return values if order == sorted(order) else values[torch.tensor(order, device=values.device).argsort()]


def _far(rows: Tensor) -> bool:
    """Whether texts are on a device where a call costs the same for few rows as for many: then those of all owners share their calls."""
    return rows.device.type != "cpu"


def _block(texts: int) -> int:
    """How many of an owner's texts are thought of as read whole at once."""
    return min(ROWS, 1 << (max(texts, FEWEST) - 1).bit_length())


def _whole(
    model: Model, rows: Int[Tensor, "n w"], parts: Groups, shared: bool, blocks: Blocks, surprisal: Surprisal | None
) -> Float[Tensor, "n o"]:
    """Values of rows of texts, each with its owner in front; o as in `read_by_prefix`."""
    sites = sites_of(parts, surprisal)

    def run(ids: Tensor, owners: Tensor) -> Tensor:
        states = model.read(model.embedding[ids], sites)
        told = [part.activations(states, None if shared else owners) for part in parts]
        if surprisal is not None:
            told.append(surprisal.of_states(states[surprisal.source], ids)[:, None])
        return torch.cat(told, dim=1)

    kinds = [part.kind for part in parts]
    return blocks.run(("whole", *kinds, shared, surprisal is not None), run, rows[:, 1:], rows[:, 0])


def _arranged(values: Float[Tensor, "n w"], k1: int, surprisal: Surprisal | None) -> Float[Tensor, "m c o"]:
    """Values of rows as those of members."""
    if k1 > 1:
        return values.unflatten(0, (k1, -1))
    if surprisal is None:
        return values.T[..., None]
    return torch.stack([values[:, :-1].T, values[:, -1].expand(values.shape[1] - 1, -1)], dim=-1)


def _within_memory(step: Step, length: int) -> Step:
    """The step with those of its batch sizes that are small enough for texts of this length, or the smallest."""
    sizes = tuple(size for size in step.blocks if size * step.carries(length) <= COPIES)
    return dataclasses.replace(step, blocks=sizes or step.blocks[-1:])


def _with_owners(ids: Int[Tensor, "k1 c s"]) -> Int[Tensor, "n w"]:
    """Texts [k1 c s] as rows [k1*c 1+s], each with the number of its owner in front."""
    owners = torch.arange(len(ids), device=ids.device).repeat_interleave(ids.shape[1])
    return torch.cat([owners[:, None], ids.flatten(0, 1)], dim=1)
