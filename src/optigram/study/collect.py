"""Collect the evidence of a run: its texts and their neighbours are scored once more, and so is the corpus."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from optigram.engine.imports import is_import_path, refuse_imports
from optigram.errors import InputError
from optigram.files import writable_folder
from optigram.methods import registry
from optigram.models.base import Model
from optigram.models.heads import Head
from optigram.models.loading import load
from optigram.models.sites import Sites
from optigram.objective.objective import Objective
from optigram.runs.ablation import with_others, without_each
from optigram.runs.corpus import corpus_for
from optigram.runs.corpus_stats import CorpusStatistics
from optigram.runs.folder import RunFolder
from optigram.runs.objective import make_objective
from optigram.runs.options import FindOptions
from optigram.runs.records import Record
from optigram.shapes import Int
from optigram.study.cells import StudyContext
from optigram.study.evidence import Evidence, Example, Heat, Substitute
from optigram.study.spec import Study
from optigram.study.statistics import grouped
from optigram.targets.readouts import Unit
from optigram.text.ngrams import NGrams
from optigram.text.sources import Corpus

WRITES = 10  # words whose logits a unit raises most, and lowers most
SUBSTITUTES = 5  # words kept per place of a neuron's best text
TARGETS = 256  # in one batch

Show = Callable[[int, int, str], None]  # neurons done, neurons in all, model


@dataclass(frozen=True)
class _Source:
    """The objective of any targets of one model, and the corpus of the run, if it had one."""

    objective: Callable[[Sequence[str]], Objective]
    corpus: Corpus | None


def collect(folder: Path, device: str = "cpu", show: Show = lambda done, total, what: None, allow_imports: bool = False) -> list[Evidence]:
    """Compute the evidence of all neurons of a run and write it into its folder.

    Raises InputError if the model cannot be loaded, or has other weights than that of the run; and for a folder that names code by
    an import path, unless `allow_imports`: it may come from somebody else.
    """
    kept = RunFolder.open(folder)
    writable_folder(folder)
    if not allow_imports:
        models = [kept.settings.get(name) for name in ("model", "fluency_model", "second_opinion")]
        arms = (kept.study or {}).get("arms", ())
        methods = [method for arm in arms for method in arm["methods"] if registry.imports(method)]
        targets = [*(target for arm in arms for target in arm["targets"]), *(record.target for record in kept.records)]
        refuse_imports(folder, [name for name in models if isinstance(name, str)], targets, methods)
    if "fingerprints" not in kept.manifest:
        raise InputError(f"{folder} was saved without its settings, so its evidence cannot be computed")
    neurons = grouped(kept.records, lambda record: (record.model, record.target))
    sources, rows = _sources(kept, device), []
    for model, keys in grouped(neurons, lambda key: key[0]).items():
        for start in range(0, len(keys), TARGETS):
            part = [neurons[key] for key in keys[start : start + TARGETS]]
            rows += _of(sources[model], part)
            show(len(rows), len(neurons), model)
    Evidence.write(rows, folder)
    return rows


def _sources(kept: RunFolder, device: str) -> dict[str, _Source]:
    """The sources of a run's evidence, by the model's name in the records."""
    if kept.study is not None:
        context = StudyContext(Study(**kept.study), device)
        _same_model(kept, context.model)
        corpus = context.corpus if kept.manifest["fingerprints"]["corpus"] else None
        objectives = {context.model_of(name).name: _of_arm(context, name) for name in reversed(context.arms)}
        return {name: _Source(objective, corpus) for name, objective in objectives.items()}
    asked = FindOptions.checked({name: value for name, value in kept.settings.items() if name in FindOptions.model_fields})
    named = str(kept.settings["model"])
    model = load(named, device=device, dtype=None if is_import_path(named) else "float32")
    bare = {"fluency": 0.0, "surprisal": None, "fluency_model": None, "front": False, "repetition": 0.0, "second_opinion": None}
    options = asked.model_copy(update={"dtype": "float32", **bare})
    corpus = corpus_for(model, asked.corpus, asked.seed) if kept.manifest["fingerprints"]["corpus"] else None
    if asked.dtype == "float32":
        _same_model(kept, model)
    return {model.name: _Source(lambda targets: make_objective(model, targets, options), corpus)}


def _of_arm(context: StudyContext, arm: str) -> Callable[[Sequence[str]], Objective]:
    return lambda targets: context.objective(arm, targets)


def _same_model(kept: RunFolder, network: Model) -> None:
    if network.fingerprint != kept.manifest["fingerprints"]["model"]:
        raise InputError(f"the model has other weights than when {kept.folder} was made; run the same again into a new folder")


def _of(source: _Source, neurons: Sequence[Sequence[Record]]) -> list[Evidence]:
    """The evidence of neurons, each given by its records."""
    objective = source.objective([records[0].target for records in neurons])
    free = torch.tensor([mark < 0 for mark in objective.template.fill([-1] * objective.length)])
    texts = _padded([[_free(record, free) for record in records] for records in neurons])
    heats = without_each(objective, texts)
    best = torch.stack([rows[_top(records)] for rows, records in zip(texts, neurons, strict=True)])
    others, tried = with_others(objective, best, SUBSTITUTES)
    corpus = None if source.corpus is None else _corpus_part(objective, source.corpus)
    made = []
    for n, records in enumerate(neurons):
        words = [[objective.model.vocabulary.tokens[i] for i in row] for row in texts[n].tolist()]
        heat = [
            Heat(record.arm, record.method, record.seed, record.rank, words[i], _known(heats[n, i])) for i, record in enumerate(records)
        ]
        substitutes = [
            Substitute(place, objective.model.vocabulary.tokens[word], value) for place, row in enumerate(others[n]) for word, value in row
        ]
        edges, counts, sizes, level, examples = ([], [], [], [], []) if corpus is None else corpus[n]
        names = _aliases(objective, n)
        target = records[0].target
        made.append(
            Evidence(
                records[0].model, target, names, heat, substitutes, tried, examples, edges, counts, sizes, level, _writes(objective, n)
            )
        )
    return made


def _corpus_part(objective: Objective, corpus: Corpus) -> list[tuple[list[float], list[int], list[int], list[float], list[Example]]]:
    """For each target: edges, counts, sizes, best, examples."""
    allowed = objective.lexicon.cpu().numpy()
    known = NGrams.read(corpus.texts(), objective.model.vocabulary, objective.length, allowed)
    found = CorpusStatistics.of(objective, known.ids)
    examples = list(_examples(objective, corpus, known, found))
    return [
        (found.edges[n].tolist(), found.counts[n].tolist(), found.sizes, found.best[n].tolist(), examples[n])
        for n in range(len(objective.targets))
    ]


def _examples(objective: Objective, corpus: Corpus, known: NGrams, found: CorpusStatistics) -> Iterator[list[Example]]:
    contexts = known.in_context([ids for rows in found.shown for _, ids, _ in rows], corpus.texts(), objective.model.vocabulary)
    heats = without_each(objective, _padded([[ids for _, ids, _ in rows] for rows in found.shown]))
    for rows, heat in zip(found.shown, heats, strict=True):
        yield [
            Example(share, [objective.model.vocabulary.tokens[i] for i in ids], value, _known(heat[i]), *contexts[tuple(ids)])
            for i, (share, ids, value) in enumerate(rows)
        ]


def _free(record: Record, free: torch.Tensor) -> list[int]:
    return torch.tensor(record.ids)[free].tolist()


def _top(records: Sequence[Record]) -> int:
    """The first record with the highest activation."""
    return max(range(len(records)), key=lambda i: (records[i].activation, -i))


def _padded(rows: Sequence[Sequence[Sequence[int]]]) -> Int[torch.Tensor, "k c t"]:
    """Rows of texts, padded to one length with copies of their first text, whose scores are ignored."""
    most = max(map(len, rows))
    return torch.tensor([[*texts, *[texts[0]] * (most - len(texts))] for texts in rows])


def _known(values: torch.Tensor) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


def _writes(objective: Objective, number: int) -> list[dict[str, Any]]:
    """The words whose logits a target that is one unit raises most, then those that it lowers most; empty where that is not known."""
    target, model = objective.targets[number], objective.model
    term = target.terms[0]
    if (
        len(target.terms) > 1
        or not isinstance(term.readout, Unit)
        or (logits := Head.written(model, term.site, term.readout.index)) is None
    ):
        return []
    logits = logits * math.copysign(1, term.weight)
    order, most = logits.argsort(descending=True).tolist(), min(WRITES, len(logits) // 2)
    return [{"word": model.vocabulary.tokens[i], "logit": float(logits[i])} for i in (*order[:most], *order[: -most - 1 : -1])]


def _aliases(objective: Objective, number: int) -> list[str]:
    """Other tools' names for the site of a target's first term."""
    site = objective.targets[number].terms[0].site
    return [name for name in dict.fromkeys(Sites.aliases(objective.model, site).values()) if name != site]
