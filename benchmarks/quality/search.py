"""Search methods at equal budgets, against corpus search and the best known text; and how near their texts are to a local optimum."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from benchmarks.results import Row
from benchmarks.setup import PATHS, SEEDS, Result, Searches, Settings, Unit, by_method, objective_of

from optigram.runs.ablation import with_others
from optigram.runs.records import Record
from optigram.study import statistics
from optigram.study.statistics import grouped

CORPUS, AUTO = "crp", "auto"
KNOWN = "best known"  # a row of texts that no single method found
FIRST = 100.0  # forward-equivalents at which the area under a curve begins
EVERY = "auto,coordinate,beam,gcg,genetic,random,gbl,sgbl,gbl+coordinate,sgbl+coordinate,smx,emb,pez,straight,pgd,gbda"
SAME = ("model", "corpus", "sentences", "targets", "length", "site")  # rows with the same of these are about the same neurons


def units(settings: Settings) -> Iterator[Unit]:
    """Corpus search at each site, then every method."""
    yield from ({"site": site, "method": CORPUS} for site in settings.sites)
    yield from by_method(settings)


def contest(searches: Searches, unit: Unit, seed: int) -> list[Result]:
    """What one method finds for the neurons of a site."""
    site, method = unit["site"], unit["method"]
    records = searches.records(site, method, unit.get("budget"), seed)
    texts = [{"target": r.target, "text": r.text, "activation": r.activation, "area": area(r)} for r in records]
    return [Result(_cost(records) | _quality(records, searches.corpus_best(site), method), texts)]


def _cost(records: Sequence[Record]) -> dict[str, Any]:
    """Forward-equivalents per neuron of the method and, once for all neurons, of the corpus search that it begins from; seconds."""
    corpus = float(max(record.notes.get("corpus_forwards", 0.0) for record in records))
    spent = float(np.median([record.forwards + record.backwards for record in records]))
    return {
        "spent": spent,
        "corpus_search": corpus,
        "total": float(np.median([r.total_forwards for r in records])),
        "seconds": float(np.mean([r.seconds for r in records])),
    }


def _quality(records: Sequence[Record], corpus: Mapping[str, float], method: str) -> dict[str, Any]:
    """Activations, alone and against the best n-grams of the corpus; NaN becomes None."""
    found = {record.target: record.activation for record in records}
    made: dict[str, Any] = {"mean": float(np.mean([*found.values()])), "survive": sum(r.survives for r in records) / len(records)}
    if method != CORPUS:
        made["ratio"] = plain(statistics.Interval.median([value / corpus[target] for target, value in found.items() if corpus[target] > 0]))
        made["won"] = plain(statistics.Interval.share(sum(value > corpus[target] for target, value in found.items()), len(found)))
    near = statistics.Interval.median(
        [record.notes["cosine"] for record in records if record.method == method and "cosine" in record.notes]
    )
    for name, interval in (("soft_gap", statistics.Comparison.soft_gap(records, method)), ("cosine", near)):
        made[name] = None if np.isnan(interval.value) else interval.value
    return made


def plain(interval: statistics.Interval) -> list[float] | float | None:
    """An interval as JSON has it: [estimate, low, high]; the estimate alone where one value gives no interval; None of nothing."""
    if np.isnan(interval.value):
        return None
    return float(interval.value) if np.isnan(interval.low) else [float(value) for value in interval]


def area(record: Record) -> float:
    """The mean of best-so-far along the logarithm of the cost, from `FIRST` to what was spent; 0 before the first text.

    The cost is the method's own: a corpus search before it is not counted.
    """
    trace = np.asarray(record.trace, dtype=float).reshape(len(record.trace), -1)
    if not len(trace):
        return record.activation
    spent, value = np.maximum(trace[:, 0], FIRST), np.maximum(trace[:, 1], 0)
    steps = np.diff(np.log(spent), append=np.log(spent[-1]))
    whole = np.log(spent[-1]) - np.log(FIRST)
    return float((steps * value).sum() / whole) if whole > 0 else float(value[-1])


def derive(rows: Sequence[Row]) -> list[Row]:
    """Add what only all rows together tell: shares of the best known activation, and ratios to `auto` at the same budget.

    The sites of a transformer are shown together too.
    """
    made = []
    for group in grouped(rows, lambda row: tuple(str(row.settings.get(name)) for name in SAME)).values():
        known: dict[str, float] = {}
        for text in (text for row in group for text in row.texts):
            known[text["target"]] = max(text["activation"], known.get(text["target"], -np.inf))
        first = {_run(row): row for row in group if row.settings["method"] == AUTO}
        made += [_with_shares(row, known, first.get(_run(row))) for row in group if row.settings["method"] not in (CORPUS, KNOWN)]
    return [*made, *_together([row for row in made if row.texts and row.settings.get("site") not in (*PATHS, None)])]


def _together(rows: Sequence[Row]) -> Iterator[Row]:
    """A row for all sites and seeds of a search: the median over neurons of the mean over seeds."""
    searches = grouped(rows, lambda row: tuple(sorted((name, str(value)) for name, value in row.settings.items() if name != "site")))
    for group in searches.values():
        if len({row.settings["site"] for row in group}) > 1:
            shares: dict[str, list[float]] = {}
            for text in (text for row in group for text in row.texts):
                shares.setdefault(text["target"], []).append(text.get("share", 0.0))
            means, seeds = [float(np.mean(each)) for each in shares.values()], len({row.seed for row in group})
            settings = {**group[0].settings, "site": "all", "targets": len(means), **({SEEDS: seeds} if seeds > 1 else {})}
            yield dataclasses.replace(group[0], settings=settings, metrics={"share": plain(statistics.Interval.median(means))}, texts=[])


def _run(row: Row) -> tuple[Any, int]:
    return row.settings.get("budget"), row.seed


def _with_shares(row: Row, known: Mapping[str, float], auto: Row | None) -> Row:
    found = [text for text in row.texts if known[text["target"]] > 0]
    if not found:
        return row
    shares = [text["activation"] / known[text["target"]] for text in found]
    more: dict[str, Any] = {"share": plain(statistics.Interval.median(shares)), "lowest": min(shares)}
    more["area"] = float(np.median([text["area"] / known[text["target"]] for text in found]))
    if auto is not None and auto.texts and auto is not row:
        base = {text["target"]: text["activation"] for text in auto.texts}
        ratios = [text["activation"] / base[text["target"]] for text in found if base.get(text["target"], 0) > 0]
        more |= {"to_auto": float(np.mean(ratios)), "above": sum(r > 1 for r in ratios), "below": sum(r < 1 for r in ratios)}
    texts = [{**text, "share": share} for text, share in zip(found, shares, strict=True)]
    return dataclasses.replace(row, metrics={**row.metrics, **more}, texts=texts)


def optimality(searches: Searches, unit: Unit, seed: int) -> list[Result]:
    """The share of positions of a method's texts at which another word of the whole vocabulary would be better."""
    records = searches.records(unit["site"], unit["method"], unit["budget"], seed)
    settings, improved = searches.settings, 0
    objective = objective_of(searches.model, unit["site"], settings.targets, settings.length)
    free = [place for place, word in enumerate(objective.template.fill([-1] * settings.length)) if word == -1]
    ids = torch.tensor([[record.ids[place] for place in free] for record in records])
    others, _ = with_others(objective, ids, 1, len(objective.lexicon))
    for record, places in zip(records, others, strict=True):
        improved += sum(best[0][1] > record.activation + 1e-4 for best in places)
    return [Result({"improved": improved / ids.numel(), "positions": ids.numel()} | _cost(records))]
