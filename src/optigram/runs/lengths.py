"""Texts of several lengths: one search that grows from short to long, so that the best texts of one length begin the next."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import torch

from optigram.methods.combinators import HANDOVER
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.optimize.baseline import BASELINE
from optigram.optimize.checkpoint import Checkpoints
from optigram.optimize.search import Budget
from optigram.runs.cache import Cache
from optigram.runs.find import MethodResult, Watch, run_plan
from optigram.runs.options import FindOptions
from optigram.runs.plan import Plan, corpus_search, reads_corpus
from optigram.runs.records import CORPUS_FORWARDS, CORPUS_SECONDS, SHORTEST, Record
from optigram.shapes import Int
from optigram.text.sources import Corpus

WITHIN = 0.01  # of the best: what a shorter text may lose


def run_lengths(
    objectives: Sequence[Objective],
    options: FindOptions,
    corpus: Corpus | None = None,
    start: Int[torch.Tensor, "k n t"] | None = None,
    watch: Watch = lambda method, done, best: None,
    checkpoints: Checkpoints | None = None,
) -> Iterator[MethodResult]:
    """The best texts of every length by each method of `options.by`; `objectives` are of the same targets, short texts first.

    The lengths share the budget evenly. A search of a length begins from the best texts of the length before, with a random word more at
    one of their places. What comes before the first method, a corpus search or the texts `start`, is of the shortest length; corpus
    search alone (`crp`) is of all. A record's cost is that of all lengths, and its rank is among all of them.
    """
    cache = None if options.no_cache else Cache.usual()
    for by in options.by:
        parts, begin, first = list[MethodResult](), start, None
        for objective in objectives:
            if corpus is not None and reads_corpus([by]) and (first is None or by == BASELINE):
                first = corpus_search(objective, corpus)
            plan = Plan.of(by, objective, first, None if options.budget is None else options.budget / len(objectives))
            plan = plan if not parts or plan.method is None else dataclasses.replace(plan, corpus=None)
            whole = plan.bounded(Budget(forwards=options.budget)).forwards
            budget = Budget(forwards=None if whole is None else whole / len(objectives))
            show = functools.partial(watch, f"{plan.name}, {objective.length} words")
            kept = checkpoints and checkpoints.next()
            parts.append(
                run_plan(
                    objective, plan, budget, options.seed, options.n, show, apart=options.apart, start=begin, cache=cache, checkpoint=kept
                )
            )
            if parts[-1].interrupted:
                break
            begin = _grown(objective, parts[-1].records, options.seed)
        records = _ranked(objectives, [part.records for part in parts])
        yield MethodResult(parts[-1].method, records, sum(part.broken for part in parts), parts[-1].interrupted)
        if parts[-1].interrupted:
            return


def _free(objective: Objective, record: Record) -> list[int]:
    """The ids of a record's free words."""
    marks = objective.template.fill([-1] * objective.length)
    return [id_ for id_, mark in zip(record.ids, marks, strict=True) if mark < 0]


def _grown(objective: Objective, records: Sequence[Record], seed: int) -> Int[torch.Tensor, "k n t"]:
    """Texts [k n t] of one word more than those found, each with a random word at one of its places; -1 for targets without texts."""
    keys, length = [target.key for target in objective.targets], objective.length + 1
    texts = torch.full((len(keys), HANDOVER, length), -1)
    drawn = objective.lexicon[Streams(seed, keys, 1, objective.device).integers(len(objective.lexicon), HANDOVER)[:, 0]].tolist()
    for row, name in enumerate(map(str, objective.targets)):
        found = [_free(objective, record) for record in records if record.target == name]
        for number in range(HANDOVER if found else 0):
            text, place = found[number // length % len(found)], (length - 1 - number) % length
            texts[row, number] = torch.tensor([*text[:place], drawn[row][number], *text[place:]])
    return texts


def _ranked(objectives: Sequence[Objective], parts: Sequence[Sequence[Record]]) -> list[Record]:
    """The records of all lengths, those of a target best first, with the cost of them all; the shortest near the best is marked."""
    made = []
    for number, target in enumerate(map(str, objectives[0].targets)):
        rows = [[record for record in part if record.target == target] for part in parts]
        values = [_values(objective.subset([number]), own) for objective, own in zip(objectives, rows, strict=False)]
        found = sorted(
            ((value, record) for pair in zip(values, rows, strict=True) for value, record in zip(*pair, strict=True)), key=_order
        )
        firsts = [own[0] for own in rows if own]
        whole = {name: sum(getattr(record, name) for record in firsts) for name in ("forwards", "backwards", "seconds")}
        corpus = {name: sum(record.notes.get(name, 0.0) for record in firsts) for name in (CORPUS_FORWARDS, CORPUS_SECONDS)}
        near = [record for value, record in found if value >= found[0][0] - WITHIN * abs(found[0][0])]
        shortest = min(near, key=lambda record: record.words, default=None)
        for rank, (_, record) in enumerate(found, start=1):
            notes = (
                record.notes | {name: value for name, value in corpus.items() if value} | ({SHORTEST: 1.0} if record is shortest else {})
            )
            before = sum(one.forwards + one.backwards for one in firsts if one.words < record.words)
            trace = [[spent + before, *rest] for spent, *rest in record.trace] if rank == 1 else []
            made.append(dataclasses.replace(record, rank=rank, notes=notes, trace=trace, **whole))
    return made


def _order(row: tuple[float, Record]) -> tuple[float, int]:
    """Best first, of equal ones the shorter."""
    return -row[0], row[1].words


def _values(objective: Objective, records: Sequence[Record]) -> list[float]:
    """What is maximised of each record of one target: its activation less penalties. Not charged."""
    if not records:
        return []
    if objective.fluency is None:
        return [record.activation for record in records]
    scores = objective.score(torch.tensor([[_free(objective, record) for record in records]]), owned=True)
    lost = (scores.activation - scores.value)[0].nan_to_num(posinf=0.0).tolist()
    return [record.activation - penalty for record, penalty in zip(records, lost, strict=True)]
