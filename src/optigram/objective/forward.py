"""Forwards: texts through a model to the activations of targets, whole, as a tree of shared prefixes, or as mixtures.

`parts` are the groups of targets to score, with m members in all; k1 is 1 where all of them score the same texts, else there is
one part, and texts for each of its members.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from optigram.models.base import Model, States, Step
from optigram.objective.activations import TargetGroup
from optigram.objective.blocks import Blocks
from optigram.objective.functions import Groups
from optigram.objective.prefix_tree import Level, blocks_of, in_sizes, prefix_tree, sorted_order
from optigram.objective.whole_site import UnitGroup
from optigram.shapes import Bool, Float, Int

ROWS = 128  # texts in one forward at most; fewer texts are padded to a power of two
FEWEST = 4
CHUNK = 1 << 25  # numbers of state that texts sharing their prefixes may hold at once


def read_soft(model: Model, embeds: Float[Tensor, "k1 c s d"], parts: Groups, blocks: Blocks) -> Float[Tensor, "m c"]:
    """Differentiable activations of texts given as embeddings."""
    k1, c = embeds.shape[:2]
    sites, owned = _sites(parts), k1 == len(members_of(parts))

    def run(embeds: Tensor, owners: Tensor) -> Tensor:
        states = model.read(embeds.to(model.embedding.dtype), sites)
        return torch.cat([part.activations(states, owners if owned else None) for part in parts], dim=1)

    owners = torch.arange(k1, device=embeds.device).repeat_interleave(c)
    values = blocks.run(("soft", *sites, owned), run, embeds.flatten(0, 1), owners)
    return values.view(k1, c) if owned else values.T


def read(
    model: Model,
    ids: Int[Tensor, "k1 c s"],
    parts: Groups,
    ends: Sequence[int],
    blocks: Blocks,
    steady: bool = False,
    owned: bool = False,
) -> tuple[Float[Tensor, "m c"], Float[Tensor, " k1"]]:
    """Activations of texts, and what they cost each owner in forwards.

    An owner's texts are read by prefix if the model and all parts allow it and that is less work, else whole. If `steady`, they are
    read by prefix wherever possible, and in blocks of one size: then a text's activation depends on the text alone, to the last bit.
    `ends` are where each free word of a text ends with the fixed ones after it (`Template.ends`). If `owned`, one owner has one text.
    """
    (k1, c, s), shared = ids.shape, len(ids) == 1 and not owned
    groups = [group for part in parts if (group := part.by_prefix) is not None]
    rows, step = _with_owners(ids), model.step if len(groups) == len(parts) else None
    if step is None:
        values, cost = _whole(model, rows, parts, shared, blocks), torch.full((k1,), float(c))
        return values.T if shared else values.view(k1, c), cost
    if steady:
        step, shares = dataclasses.replace(step, blocks=step.blocks[:1]), torch.ones(k1, dtype=torch.bool, device=rows.device)
    else:
        shares = _shares(step, rows, ends, k1, c)
    chosen, cost = shares[rows[:, 0]], torch.full((k1,), float(c))
    found: list[Tensor] = []
    if chosen.any():
        values, cells = _by_prefix(step, rows[chosen], groups, ends, k1, c, shared)
        found.append(values)
        cost = torch.where(shares.cpu(), cells / s, cost)
    if not chosen.all():
        found.append(_whole(model, rows[~chosen], parts, shared, blocks))
    values = torch.cat(found)[torch.cat([torch.nonzero(chosen), torch.nonzero(~chosen)]).flatten().argsort()]
    return values.T if shared else values.view(k1, c), cost


def _read_whole(model: Model, ids: Int[Tensor, "k1 c s"], parts: Groups) -> Float[Tensor, "m c"]:
    """Activations of texts, each read from its first word, at a cost of one forward per text."""
    rows, shared = _with_owners(ids), len(ids) == 1
    values = _whole(model, rows, parts, shared, Blocks())
    return values.T if shared else values.view(ids.shape[:2])


def members_of(parts: Groups) -> list[int]:
    """The numbers of the targets of all parts."""
    return [i for part in parts for i in part.members]


def by_group(inputs: Tensor, parts: Groups, run: Callable[[Tensor, Groups], Tensor], apart: bool = False) -> Float[Tensor, "k c"]:
    """Activations of inputs [k1 c ...], by `run` for all parts that score the same texts, else for one part after the other.

    If `apart`, parts that need whole texts run by themselves, so that the others are scored as they would be without them.
    """
    shared = len(inputs) == 1
    whole = [part for part in parts if part.by_prefix is None] if apart else []
    others = [part for part in parts if part.by_prefix is not None or not apart]
    batches = [batch for batch in (others, whole) if batch] if shared else [[part] for part in parts]
    values = torch.cat([run(inputs if shared else inputs[members_of(batch)], batch) for batch in batches])
    order = [i for batch in batches for i in members_of(batch)]
    return values if order == sorted(order) else values[torch.tensor(order, device=values.device).argsort()]


def _block(texts: int) -> int:
    """How many of an owner's texts are thought of as read whole at once."""
    return min(ROWS, 1 << (max(texts, FEWEST) - 1).bit_length())


def _whole(model: Model, rows: Int[Tensor, "n w"], parts: Groups, shared: bool, blocks: Blocks) -> Tensor:
    """Activations of rows of texts, each with its owner in front: [n m] if all members score each text, else [n 1]."""
    sites = _sites(parts)

    def run(ids: Tensor, owners: Tensor) -> Tensor:
        states = model.read(model.embedding[ids], sites)
        return torch.cat([part.activations(states, None if shared else owners) for part in parts], dim=1)

    return blocks.run(("whole", *sites, shared), run, rows[:, 1:], rows[:, 0])


def _shares(step: Step, rows: Int[Tensor, "n w"], ends: Sequence[int], k1: int, c: int) -> Bool[Tensor, " k1"]:
    """Whether each owner's texts are read by prefix, which does not depend on the texts of others."""
    if not step.blocks:
        return torch.ones(k1, dtype=torch.bool, device=rows.device)
    tree, _ = prefix_tree(rows[sorted_order(rows)], ends)
    work = torch.zeros(k1, device=rows.device)
    for level in tree:
        counts = torch.bincount(level.owners, minlength=k1)
        for size, blocks in zip(step.blocks, blocks_of(counts, step.blocks), strict=True):
            work += blocks * (step.overhead + size * level.words.shape[1])
    block = _block(c)
    return work <= -(-c // block) * (step.overhead + block * ends[-1])


def _by_prefix(
    step: Step, rows: Int[Tensor, "n w"], parts: list[TargetGroup | UnitGroup], ends: Sequence[int], k1: int, c: int, shared: bool
) -> tuple[Tensor, Float[Tensor, " k1"]]:
    """The same as `_whole`, and the positions run for each owner: a beginning that its c texts have in common is run once."""
    order = sorted_order(rows)
    ordered, most = rows[order], max(CHUNK // step.carries(ends[-1]), 1)
    chunks = ordered.split(most // c * c) if c <= most else [part for own in ordered.split(c) for part in own.split(most)]
    found, cells = [], torch.zeros(k1)
    for chunk in chunks:
        tree, leaves = prefix_tree(chunk, ends)
        found.append(_climb(step, tree, parts, shared)[leaves])
        cells += sum(level.words.shape[1] * torch.bincount(level.owners, minlength=k1).cpu() for level in tree)
    values = torch.cat(found)
    return torch.empty_like(values).index_copy_(0, order, values), cells


def _climb(step: Step, tree: list[Level], parts: list[TargetGroup | UnitGroup], shared: bool) -> Tensor:
    """Activations of the texts at the leaves of a tree: [n m] if all members score each text, else [n 1]."""
    carried: States | None = None
    pooled: list[Tensor | None] = [None] * len(parts)
    position = 0
    for level in tree:
        if position:
            pooled = [None if values is None else values[level.parents] for values in pooled]
        states, carried = _step_on(step, level, carried, _sites(parts), last=level is tree[-1])
        members = None if shared else level.owners
        joined = [part.joined(states) for part in parts]
        for column in range(level.words.shape[1]):
            for number, part in enumerate(parts):
                if position in part.positions:
                    values = part.at(joined[number][:, column], members)
                    pooled[number] = part.pool_on(pooled[number], values, position, members)
            position += 1
    return torch.cat([values for values in pooled if values is not None], dim=1)


def _step_on(step: Step, level: Level, carried: States | None, sites: list[str], last: bool) -> tuple[States, States]:
    """The states {site: [n r h]} of a level, given what the level before it carries; and what it carries on, if it is not the last."""

    def run(rows: Tensor) -> tuple[States, States]:
        before = None if carried is None else {name: state.index_select(0, level.parents[rows]) for name, state in carried.items()}
        return step.run(level.words[rows], before, sites)

    everyone = torch.arange(len(level.words), device=level.words.device)
    if not step.blocks:
        return run(everyone)
    found, after, places = defaultdict(list), defaultdict(list), []
    for rows, size in in_sizes(level.owners, step.blocks):
        states, on = run(torch.cat([rows, rows[-1:].expand(size - len(rows))]))
        places.append(rows)
        for kept, parts in ((found, states), (after, {} if last else on)):
            for name, state in parts.items():
                kept[name].append(state[: len(rows)])
    order = torch.cat(places)
    back = None if torch.equal(order, everyone) else order.argsort()
    return _joined(found, back), _joined(after, back)


def _joined(parts: Mapping[str, list[Tensor]], back: Int[Tensor, " n"] | None) -> States:
    whole = {name: states[0] if len(states) == 1 else torch.cat(states) for name, states in parts.items()}
    return whole if back is None else {name: state.index_select(0, back) for name, state in whole.items()}


def _sites(parts: Groups) -> list[str]:
    return list(dict.fromkeys(site for part in parts for site in part.sites))


def _with_owners(ids: Int[Tensor, "k1 c s"]) -> Int[Tensor, "n w"]:
    """Texts [k1 c s] as rows [k1*c 1+s], each with the number of its owner in front."""
    owners = torch.arange(len(ids), device=ids.device).repeat_interleave(ids.shape[1])
    return torch.cat([owners[:, None], ids.flatten(0, 1)], dim=1)
