"""Texts through a model by prefix: a beginning that several texts of an owner have in common is run once."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from optigram.models.base import States, Step
from optigram.objective.activations import TargetGroup
from optigram.objective.prefix_tree import Level, prefix_counts
from optigram.objective.surprisal import Surprisal
from optigram.objective.whole_site import UnitGroup
from optigram.shapes import Float, Int

CHUNK = 1 << 25  # numbers of state that texts sharing their prefixes may hold at once


def read_by_prefix(
    step: Step,
    rows: Int[Tensor, "n w"],
    parts: Sequence[TargetGroup | UnitGroup],
    levels: Sequence[tuple[int, ...]],
    shared: bool,
    surprisal: Surprisal | None,
) -> tuple[Float[Tensor, "n o"], Float[Tensor, " k"]]:
    """Values of sorted `rows` of texts, each with its owner in front, and the positions that were run for each of k owners.

    `levels` [k] are the positions up to which the prefixes of an owner's texts are shared; only some owners need have texts, and
    each of them equally many. o: activations for all members if all of them score each text, else one; then the surprisal, if asked for.
    """
    k, alike = len(levels), defaultdict[tuple[int, ...], list[int]](list)
    for owner in rows[:, 0].unique().tolist():
        alike[levels[owner]].append(owner)
    found, numbers, cells = [], [], torch.zeros(k)
    for ends, owners in alike.items():
        if len(alike) == 1:
            chosen = torch.arange(len(rows), device=rows.device)
        else:
            chosen = torch.nonzero(torch.isin(rows[:, 0], torch.tensor(owners, device=rows.device))).flatten()
        for chunk in _chunks(step, rows, chosen.split(len(chosen) // len(owners)), ends):
            tree, leaves = Level.tree(rows if len(chunk) == len(rows) else rows[chunk], ends)
            found.append(_climb(step, tree, parts, shared, surprisal)[leaves])
            numbers.append(chunk)
            cells += sum(level.words.shape[1] * torch.bincount(level.owners, minlength=k).cpu() for level in tree)
    return found[0] if len(found) == 1 else torch.cat(found)[torch.cat(numbers).argsort()], cells


def _chunks(step: Step, rows: Int[Tensor, "n w"], owners: Sequence[Int[Tensor, " c"]], ends: Sequence[int]) -> Iterator[Int[Tensor, " m"]]:
    """The rows in parts that fit into memory: those of several owners, or some of those of one, whatever the others are."""
    c, together, room = len(owners[0]), [], CHUNK
    for own in owners:
        held = c * step.carries(ends[-1])
        if step.blocks:
            lengths = zip(prefix_counts(rows[own][None], ends)[0].tolist(), ends, (0, *ends), strict=False)
            held = sum(count * step.carries(end - begin) for count, end, begin in lengths)
        if together and held > room:
            yield torch.cat(together)
            together, room = [], CHUNK
        if held > CHUNK:
            yield from own.split(max(c * CHUNK // held, 1))
        else:
            together.append(own)
            room -= held
    if together:
        yield torch.cat(together)


def _climb(
    step: Step, tree: list[Level], parts: Sequence[TargetGroup | UnitGroup], shared: bool, surprisal: Surprisal | None
) -> Float[Tensor, "n o"]:
    """The values of the texts at the leaves of a tree; o as above."""
    carried: States | None = None
    pooled: list[Tensor | None] = [None] * len(parts)
    sites = sites_of(parts, surprisal)
    nats, before, position = torch.zeros(len(tree[0].words), device=tree[0].words.device), None, 0
    for level in tree:
        if position:
            pooled = [None if values is None else values[level.parents] for values in pooled]
            nats = nats if surprisal is None else nats[level.parents]
        states, carried = _step_on(step, level, carried, sites, last=level is tree[-1])
        members = None if shared else level.owners
        joined = [part.joined(states) for part in parts]
        heard = None if surprisal is None else states[surprisal.source]
        for column in range(level.words.shape[1]):
            for number, part in enumerate(parts):
                if position in part.positions:
                    values = part.at(joined[number][:, column], members)
                    pooled[number] = part.pool_on(pooled[number], values, position, members)
            if surprisal is not None and before is not None and surprisal.counted[position]:
                nats = nats + surprisal.language.nats(before, level.words[:, column], None if column else level.parents)
            before = None if heard is None else heard[:, column]
            position += 1
    told = [values for values in pooled if values is not None]
    return torch.cat(told if surprisal is None else [*told, surprisal.per_token(nats)[:, None]], dim=1)


def sites_of(parts: Sequence, surprisal: Surprisal | None) -> list[str]:
    """The sites that `parts` read, and that of the surprisal."""
    return list(dict.fromkeys([*(site for part in parts for site in part.sites), *([] if surprisal is None else [surprisal.source])]))


def _step_on(step: Step, level: Level, carried: States | None, sites: list[str], last: bool) -> tuple[States, States]:
    """The states {site: [n r h]} of a level, given what the level before it carries; and what it carries on, if it is not the last."""

    def run(words: Tensor, parents: Tensor) -> tuple[States, States]:
        before = None if carried is None else {name: state.index_select(0, parents) for name, state in carried.items()}
        return step.run(words, before, sites)

    if not step.blocks:
        return run(level.words, level.parents)
    everyone = torch.arange(len(level.words), device=level.words.device)
    found, after, places = defaultdict(list), defaultdict(list), []
    for rows, size in level.in_sizes(step.blocks):
        filled = torch.cat([rows, rows[-1:].expand(size - len(rows))])
        states, on = run(level.words[filled], level.parents[filled])
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
