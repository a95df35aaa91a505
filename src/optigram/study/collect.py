"""Gathering evidence: the judge of a run that is done looks once more at its texts, at texts next to them, and at the corpus."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.models.loading import load
from optigram.models.sites import aliases
from optigram.objective.objective import Objective
from optigram.runs.ablation import with_others, without_each
from optigram.runs.corpus import sentences_for
from optigram.runs.corpus_stats import CorpusStatistics, corpus_statistics, in_context
from optigram.runs.folder import RunFolder, open_folder
from optigram.runs.options import FindOptions, make_objective
from optigram.runs.plan import Sentences
from optigram.runs.records import Record
from optigram.shapes import Int
from optigram.study.cells import StudyContext
from optigram.study.evidence import Evidence, Example, Heat, Substitute, write_evidence
from optigram.study.spec import Study
from optigram.study.statistics import grouped
from optigram.text.formats import ngrams

SUBSTITUTES = 5  # words shown for each place of a neuron's best text
TARGETS = 256  # looked at side by side

Show = Callable[[int, int, str], None]  # neurons done, of how many, which model's


@dataclass(frozen=True)
class _Bench:
    """Who judged the records of one model, and the corpus of the run, if it had one."""

    judge: Callable[[Sequence[str]], Objective]
    corpus: Sentences | None


def collect(folder: Path, device: str = "cpu", show: Show = lambda done, total, what: None) -> list[Evidence]:
    """Make the evidence of all neurons of a run and write it into its folder.

    Raises InputError if the model is not to be had, or is another one than that of the run.
    """
    kept = open_folder(folder)
    neurons = grouped(kept.records, lambda record: (record.model, record.target))
    benches, rows = _benches_of(kept, device), []
    for model, keys in grouped(neurons, lambda key: key[0]).items():
        for start in range(0, len(keys), TARGETS):
            part = [neurons[key] for key in keys[start : start + TARGETS]]
            rows += _of(benches[model], part)
            show(len(rows), len(neurons), model)
    write_evidence(rows, folder)
    return rows


def _benches_of(kept: RunFolder, device: str) -> dict[str, _Bench]:
    """The judges of a run's records, by what the records call their model."""
    if kept.study is not None:
        workshop = StudyContext(Study(**kept.study), device)
        _same_model(kept, workshop.model)
        corpus = workshop.corpus if kept.manifest["fingerprints"]["corpus"] else None
        judges = {workshop.model_of(name).name: _judge_of_arm(workshop, name) for name in reversed(workshop.arms)}
        return {name: _Bench(judge, corpus) for name, judge in judges.items()}
    request = FindOptions(**kept.settings)
    network = load(request.model, device=device, dtype=None if request.dtype == "float32" else "float32")
    request = dataclasses.replace(request, dtype="float32", device=device, fluency=0.0, surprisal=None, fluency_model=None)
    request = dataclasses.replace(request, front=False, repetition=0.0, second_opinion=None)
    corpus = sentences_for(network, request.corpus, request.seed) if kept.manifest["fingerprints"]["corpus"] else None
    if kept.settings["dtype"] == "float32":
        _same_model(kept, network)
    return {network.name: _Bench(lambda targets: make_objective(dataclasses.replace(request, targets=targets), network), corpus)}


def _judge_of_arm(workshop: StudyContext, arm: str) -> Callable[[Sequence[str]], Objective]:
    return lambda targets: workshop.objective(arm, targets)


def _same_model(kept: RunFolder, network: Model) -> None:
    if network.fingerprint != kept.manifest["fingerprints"]["model"]:
        raise InputError(f"the model has other weights than when {kept.folder} was made; run the same again into a new folder")


def _of(bench: _Bench, neurons: Sequence[Sequence[Record]]) -> list[Evidence]:
    """The evidence of neurons, each given by its records."""
    objective = bench.judge([records[0].target for records in neurons])
    free = torch.tensor([mark < 0 for mark in objective.template.fill([-1] * objective.length)])
    texts = _padded([[_free(record, free) for record in records] for records in neurons])
    heats = without_each(objective, texts)
    best = torch.stack([rows[_top(records)] for rows, records in zip(texts, neurons, strict=True)])
    others, tried = with_others(objective, best, SUBSTITUTES)
    corpus = None if bench.corpus is None else _corpus_part(objective, bench.corpus)
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
        made.append(Evidence(records[0].model, target, names, heat, substitutes, tried, examples, edges, counts, sizes, level))
    return made


def _corpus_part(objective: Objective, corpus: Sentences) -> list[tuple[list[float], list[int], list[int], list[float], list[Example]]]:
    """For each target: edges, counts, sizes, best, examples."""
    allowed = objective.lexicon.cpu().numpy()
    found = corpus_statistics(objective, ngrams(corpus.texts, objective.model.vocabulary, objective.length, allowed))
    examples = list(_examples(objective, corpus, found))
    return [
        (found.edges[n].tolist(), found.counts[n].tolist(), found.sizes, found.best[n].tolist(), examples[n])
        for n in range(len(objective.targets))
    ]


def _examples(objective: Objective, corpus: Sentences, found: CorpusStatistics) -> Iterator[list[Example]]:
    contexts = in_context([ids for rows in found.shown for _, ids, _ in rows], corpus, objective)
    heats = without_each(objective, _padded([[ids for _, ids, _ in rows] for rows in found.shown]))
    for rows, heat in zip(found.shown, heats, strict=True):
        yield [
            Example(share, [objective.model.vocabulary.tokens[i] for i in ids], value, _known(heat[i]), *contexts[tuple(ids)])
            for i, (share, ids, value) in enumerate(rows)
        ]


def _free(record: Record, free: torch.Tensor) -> list[int]:
    return torch.tensor(record.ids)[free].tolist()


def _top(records: Sequence[Record]) -> int:
    """The record with the highest activation; of equals the first."""
    return max(range(len(records)), key=lambda i: (records[i].activation, -i))


def _padded(rows: Sequence[Sequence[Sequence[int]]]) -> Int[torch.Tensor, "k c t"]:
    """Rows of texts filled up to one length with copies of their first; the copies are judged and not looked at."""
    most = max(map(len, rows))
    return torch.tensor([[*texts, *[texts[0]] * (most - len(texts))] for texts in rows])


def _known(values: torch.Tensor) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


def _aliases(objective: Objective, number: int) -> list[str]:
    """What other tools call the site of a target's first term."""
    site = objective.targets[number].terms[0].site
    return [name for name in dict.fromkeys(aliases(objective.model, site).values()) if name != site]
