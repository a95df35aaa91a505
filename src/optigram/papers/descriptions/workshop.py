"""What one process does of the study: it trains the autoencoder, scores the texts of a class, describes units and tests descriptions."""

import functools
import itertools
import json
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from optigram.errors import InputError
from optigram.explaining.concepts import concepts
from optigram.explaining.descriptions import describe
from optigram.explaining.exact import Exact, Ids
from optigram.explaining.ground import Ground
from optigram.explaining.judges import LEXICAL, Judge, open_judges
from optigram.explaining.prediction import predict
from optigram.explaining.texts import Scorer
from optigram.explaining.verification import Prediction
from optigram.files import written_whole
from optigram.methods import Corpus
from optigram.models.base import Model
from optigram.models.loading import BUNDLED, CAPTIONS, bundled, load
from optigram.objective.objective import Objective
from optigram.papers.descriptions.autoencoder import Autoencoder
from optigram.papers.descriptions.recipe import CORPUS, PARTS, SAE, SEARCH, SOURCES, Settings
from optigram.runs.objective import make_objective
from optigram.runs.options import ConceptOptions
from optigram.shapes import Int
from optigram.targets.build import latent, neuron
from optigram.targets.target import Target, resolve
from optigram.text.ngrams import NGrams
from optigram.text.sources import Corpus as Texts
from optigram.text.sources import open_corpus

AUTOENCODER = "autoencoder.safetensors"
TRAINED = 60_000  # states that the autoencoder is trained on
OTHERS, SHUFFLED = 24, 3  # descriptions that a judge compares with; other units' descriptions as the placebo
TRAIN, VALUES, DESCRIBE, TEST = "train", "values", "describe", "test"  # what there is to do
STAGES = ("texts", "latents", DESCRIBE, TEST)  # in this order
BLOCK, STATES = 2048, 64  # texts scored at once; texts whose states are read at once


@dataclass(frozen=True)
class _Task:
    """Something to do: `number` is that of a part of the texts, or of a unit of the class `kind`."""

    what: str
    kind: str
    number: int

    @property
    def file(self) -> str:
        """The name of its file."""
        if self.what == TRAIN:
            return AUTOENCODER
        return f"{self.what}-{self.kind}-{self.number}.{'npz' if self.what == VALUES else 'json'}"


class Workshop:
    """What the tasks of a process share. `folder` holds the files of all tasks; a task reads those of the tasks before."""

    settings: Settings
    folder: Path
    device: str

    def __init__(self, settings: Settings, folder: Path, device: str = "cpu") -> None:
        self.settings, self.folder, self.device = settings, folder, device

    def do(self, task: _Task) -> None:
        """Do a task, and write its file whole."""
        path = self.folder / task.file
        match task.what:
            case "train":
                self._train(path)
            case "values":
                found = self._values(task.kind, task.number)
                with written_whole(path) as temporary, temporary.open("wb") as file:
                    np.savez(file, **found)  # pyright: ignore[reportArgumentType]  (a name could be allow_pickle)
            case "describe":
                _write(path, self._described(task.kind, task.number))
            case _:
                _write(path, self._tested(task.kind, task.number))

    def stage(self, name: str) -> list[_Task]:
        """All tasks of a stage: those that need no file but those of the stages before."""
        if name == STAGES[0]:  # the autoencoder, and what does not wait for it
            return [*self.tasks(TRAIN), *(task for task in self.tasks(VALUES) if task.kind != SAE)]
        return [task for task in self.tasks(VALUES) if task.kind == SAE] if name == STAGES[1] else self.tasks(name)

    def tasks(self, what: str) -> list[_Task]:
        """All tasks of a kind."""
        kinds = self.settings.classes
        if what == TRAIN:
            return [_Task(TRAIN, SAE, 0)] if SAE in kinds else []
        if what == VALUES:
            return [_Task(VALUES, kind, part) for kind in kinds for part in range(PARTS)]
        return [_Task(what, kind, number) for number in range(self.settings.sizes.units) for kind in kinds if number < self._count(kind)]

    def _count(self, kind: str) -> int:
        return len(self._targets(kind))

    def model(self, kind: str) -> Model:
        """The model of a class."""
        return self._loaded(self.settings.encoder or "" if self.settings.of_encoder(kind) else self.settings.model)

    @functools.cache  # noqa: B019 - a workshop lives as long as its process
    def _loaded(self, name: str) -> Model:
        return load(name, device=self.device)

    @functools.cache  # noqa: B019
    def _targets(self, kind: str) -> tuple[Target, ...]:
        file, model, site = self.folder / AUTOENCODER, self.model(kind), self.settings.site(kind)
        units = self.settings.units(kind, model, Autoencoder.read(file).latents if kind == SAE else ())
        targets = [latent(site, file, unit) if kind == SAE else neuron(site, unit) for unit in units]
        return resolve([one.max() for one in targets] if self.settings.of_encoder(kind) else targets, model)

    @functools.cache  # noqa: B019
    def halves(self, kind: str) -> tuple[Texts, Texts]:
        """The corpus of a class: the half that descriptions are made from, and the half that they are tested on; no text is in both."""
        of_encoder = self.settings.of_encoder(kind)
        named = self.settings.encoder_corpus if of_encoder else self.settings.corpus
        corpus = open_corpus(bundled() / CAPTIONS if named is None else named)
        name = f"{BUNDLED}'s captions" if named is None else corpus.name
        texts = [text for text, _ in zip(corpus.texts(), range(self.settings.sizes.texts), strict=False)]
        parts: tuple[list[str], list[str]] = [], []
        for text in dict.fromkeys(texts):
            parts[zlib.crc32(" ".join(text.lower().split()).encode()) % 2].append(text)
        return Texts(name, held=parts[0]), Texts(name, held=parts[1])

    @functools.cache  # noqa: B019
    def ngrams(self, kind: str) -> Int[np.ndarray, "c t"]:
        """n-grams of the training half, drawn at random where there are more than are asked for."""
        objective = self._objective(kind, 0)
        found = NGrams.read(
            self.halves(kind)[0].texts(), self.model(kind).vocabulary, objective.length, objective.lexicon.cpu().numpy()
        ).ids
        most = self.settings.sizes.ngrams[self.settings.of_encoder(kind)]
        return found[np.sort(np.random.default_rng(self.settings.seed).permutation(len(found))[:most])]

    @functools.cache  # noqa: B019
    def windows(self, kind: str) -> list[str]:
        """Windows of the other half."""
        most = self.settings.sizes.windows[self.settings.of_encoder(kind)]
        return Ground.drawn(self.model(kind), self.halves(kind)[1], most, self.settings.seed)

    def _objective(self, kind: str, number: int | None) -> Objective:
        targets = self._targets(kind)
        asked = targets if number is None else [targets[number]]
        return make_objective(self.model(kind), asked, ConceptOptions())

    def _train(self, path: Path) -> None:
        model, site, sizes = self.model(SAE), self.settings.site(SAE), self.settings.sizes
        rows = [[*model.vocabulary.prefix, *model.vocabulary.encode(text)] for text in self.halves(SAE)[0].texts()]
        by_length: dict[int, list[list[int]]] = {}
        for row, _ in zip(rows, itertools.takewhile(TRAINED.__gt__, itertools.accumulate(map(len, rows))), strict=False):
            by_length.setdefault(len(row), []).append(row)
        found: list[torch.Tensor] = []
        for same in by_length.values():
            for ids in torch.tensor(same, device=model.embedding.device).split(STATES):
                with torch.no_grad():
                    found.append(model.read(model.embedding[ids], [site])[site].flatten(0, 1).cpu())
        states = torch.cat(found).float()
        Autoencoder.train(states, sizes.latents, sizes.active, sizes.steps, sizes.batch, self.settings.seed, path)

    def _values(self, kind: str, part: int) -> dict[str, np.ndarray]:
        """Activations of all units of a class on a part of the n-grams and windows; those of random directions on the windows too."""
        begun, objective = time.process_time(), self._objective(kind, None).viewed("exact")
        ids, texts = self.ngrams(kind)[part::PARTS], self.windows(kind)[part::PARTS]
        values = [objective.score(block[None]).activation.cpu().numpy() for block in torch.from_numpy(ids).split(BLOCK)]
        asked, placebos, _ = Ground.read_of(self.model(kind), self._targets(kind), self.settings.seed)
        windows = Scorer(self.model(kind), (*asked, *placebos))(texts)
        found = {"ids": ids.T, "ngrams": np.concatenate(values, axis=1), "texts": np.array([texts]), "windows": windows}
        return found | {"seconds": np.array(time.process_time() - begun)}

    def facts(self, kind: str) -> dict[str, Any]:
        """What the texts of a class are, and what it took to score them."""
        parts = [np.load(self.folder / _Task(VALUES, kind, part).file, allow_pickle=False) for part in range(PARTS)]
        return {
            "corpus": Path(self.halves(kind)[0].name).name,
            "texts": [sum(1 for _ in half.texts()) for half in self.halves(kind)],
            "ngrams": sum(part["ngrams"].shape[1] for part in parts),
            "windows": sum(part["windows"].shape[1] for part in parts),
            "seconds": float(sum(part["seconds"] for part in parts)),
        }

    @functools.cache  # noqa: B019
    def _known(self, kind: str) -> dict[str, np.ndarray]:
        """What `_values` found, put together: [k n], in the order of the n-grams and of the windows."""
        parts = [np.load(self.folder / _Task(VALUES, kind, part).file, allow_pickle=False) for part in range(PARTS)]
        found: dict[str, np.ndarray] = {}
        for name in ("ids", "ngrams", "texts", "windows"):
            pieces = [part[name] for part in parts]
            whole = np.empty((len(pieces[0]), sum(piece.shape[1] for piece in pieces)), max(piece.dtype for piece in pieces))
            for number, piece in enumerate(pieces):
                whole[:, number::PARTS] = piece
            found[name] = whole
        return found

    def _described(self, kind: str, number: int) -> dict[str, Any]:
        """Three descriptions of a unit, each from the evidence of its own sources."""
        objective, scored = self._objective(kind, number), self._known(kind)
        ngrams = np.ascontiguousarray(scored["ids"].T)
        known: dict[Ids, float] = dict(zip(map(tuple, ngrams.tolist()), scored["ngrams"][number].tolist(), strict=True))
        read, exact, found = Corpus(self.halves(kind)[0].name, ngrams), Exact(objective, known), dict[str, Any]()
        for source in SOURCES:
            begun, sizes = time.process_time(), self.settings.sizes
            texts, budget = (
                (None if source == SEARCH else read),
                (0.0 if source == CORPUS else sizes.budget[self.settings.of_encoder(kind)]),
            )
            try:
                with torch.random.fork_rng(devices=[]):
                    evidence = concepts(objective, texts, budget, self.settings.seed, effort=sizes.effort, exact=exact)
            except InputError as error:
                found[source] = {"problem": str(error), "seconds": time.process_time() - begun}
                continue
            found[source] = {
                "text": describe(evidence)[0].text,
                "best": next(one.text for one in evidence.concepts[0].examples if one.activation == evidence.maximum),
                "maximum": evidence.maximum,
                "concepts": len(evidence.concepts),
                "forwards": evidence.forwards,
                "seconds": time.process_time() - begun,
                "evidence": evidence.to_json(),
            }
        return {"kind": kind, "target": self._name(kind, number), "sources": found}

    def _name(self, kind: str, number: int) -> str:
        """The address of a unit, without the folder that the autoencoder lies in."""
        return str(self._targets(kind)[number]).replace(f"{self.folder / AUTOENCODER}", AUTOENCODER)

    def description(self, kind: str, number: int) -> dict[str, Any]:
        """What `describe` left of a unit."""
        return json.loads((self.folder / _Task(DESCRIBE, kind, number).file).read_text(encoding="utf-8"))

    @functools.cache  # noqa: B019
    def _ground(self, kind: str) -> Ground:
        targets, _, rows = Ground.read_of(self.model(kind), self._targets(kind), self.settings.seed)
        scored = self._known(kind)
        return Ground(
            self.model(kind), self.halves(kind)[1], targets, scored["texts"][0].tolist(), scored["windows"], rows, self.settings.seed
        )

    @functools.cache  # noqa: B019
    def _judges(self, kind: str) -> Sequence[Judge]:
        """The encoder where there is one, and the judge that learns from the training half: in this order for units of the Imaginet."""
        others = self._ground(kind).phrases(OTHERS, 2, np.random.default_rng(self.settings.seed))
        encoder = [] if self.settings.encoder is None else [self._loaded(self.settings.encoder)]
        return open_judges([*encoder, LEXICAL], list(self.halves(kind)[0].texts()), others)

    def _tested(self, kind: str, number: int) -> dict[str, Any]:
        """The detection of held-out texts by each description, beside its placebos, by every judge."""
        begun, ground, rows = time.process_time(), self._ground(kind), list[dict[str, Any]]()
        own = self.description(kind, number)["sources"]
        for source, judge in [(source, judge) for source in SOURCES for judge in self._judges(kind)]:
            if "text" not in own[source]:
                continue
            found = predict(ground, number, own[source]["text"], list(self._shuffled(kind, number, source)), judge, (), fuzzing=False)
            rows.append({"source": source} | _figures(found))
        about = {"kind": kind, "target": self._name(kind, number), "number": number}
        return about | {"tests": rows, "seconds": time.process_time() - begun}

    def _shuffled(self, kind: str, number: int, source: str) -> Iterator[str]:
        """Descriptions of other units of the class, from the same source."""
        count = self._count(kind)
        rng = np.random.default_rng([self.settings.seed, number])
        others = [other for other in rng.permutation(count).tolist() if other != number]
        texts = (self.description(kind, other)["sources"][source].get("text") for other in others)
        yield from (text for text, _ in zip((text for text in texts if text), range(SHUFFLED), strict=False))


def _figures(found: Prediction) -> dict[str, Any]:
    plain = {"auc": found.detection.value, "low": found.detection.low, "high": found.detection.high}
    plain |= {name: getattr(found, name) for name in ("shuffled", "directions", "examples")}
    known = {name: float(value) if np.isfinite(value) else None for name, value in plain.items()}
    return {"judge": found.judge} | known | {"firing": found.firing, "silent": found.silent}


def _write(path: Path, found: dict[str, Any]) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(found, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
