"""A directory of the benchmark as optigram opens it: targets, allowed words, objectives, the reference, and the best texts known."""

import functools
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from optigram.errors import InputError
from optigram.files import written_whole
from optigram.models.base import Model
from optigram.models.loading import load
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.study.statistics import grouped
from optigram.text.lexicon import lexicon

Target = dict[str, Any]
SETS = ("optimum", "triggers", "placebos", "transformers")
TOGETHER = ("model", "length", "words", "surprisal")  # targets with the same of these are searched in one go


@dataclass(frozen=True)
class Directory:
    """The content of `targets.json` and `answers.json`; `reference` is the directory's own program, by which every text is scored."""

    folder: Path
    targets: Sequence[Target]
    words: Mapping[str, Sequence[str]]
    models: Mapping[str, Mapping[str, Any]]
    answers: Mapping[str, Mapping[str, Any]]
    reference: ModuleType

    @classmethod
    def open(cls, folder: Path) -> "Directory":
        """Read a directory that `make` wrote. Its own program is not run: that of this package is, which is the same. Raises InputError."""
        try:
            told, answers = (json.loads((folder / name).read_text(encoding="utf-8")) for name in ("targets.json", "answers.json"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"expected a directory of the benchmark, got {folder}; write one with: python -m benchmarks open make DIR"
            ) from error
        return cls(folder, told["targets"], told["words"], told["models"], answers, _reference(folder))

    def model(self, name: str) -> Model:
        """A model as optigram reads it."""
        return _opened(self.models[name].get("path", str(self.folder / "models" / name)))

    def of(self, *sets: str) -> list[Target]:
        """The targets of some sets; of all if none is named. Raises InputError for an unknown set."""
        if unknown := [name for name in sets if name not in SETS]:
            raise InputError(f"expected sets among {', '.join(SETS)}, got {unknown[0]!r}")
        return [target for target in self.targets if not sets or target["set"] in sets]

    def together(self, targets: Sequence[Target]) -> list[list[Target]]:
        """Targets in groups that one objective can hold."""
        return list(grouped(targets, lambda target: tuple(str(target.get(name)) for name in TOGETHER)).values())

    def allowed(self, target: Target) -> list[int]:
        """The ids that a text of a target may have, ascending."""
        vocabulary = self.model(target["model"]).vocabulary
        if target["words"] == "any":
            return lexicon(vocabulary).tolist()
        return sorted(vocabulary.encode(" ".join(self.words[target["words"]])))

    def objective(self, targets: Sequence[Target]) -> Objective:
        """Our objective of targets that belong together."""
        first, addresses = targets[0], [self._address(target) for target in targets]
        band = first.get("surprisal")
        return Objective(
            self.model(first["model"]),
            addresses,
            first["length"],
            words=np.array(self.allowed(first), dtype=np.int64),
            fluency=None if band is None else Fluency(band=(band[0], band[1])),
            must_survive=first["words"] == "any",
        )

    def _address(self, target: Target) -> str:
        pool = "" if target["pool"] == "last" else f"@{target['pool']}"
        if "unit" in target:
            return f"{target['site']}:{target['unit']}{pool}"
        file = self.folder.resolve() / "models" / target["model"] / "directions.safetensors"
        return f"{target['site']}:{json.dumps(str(file))}#{target['direction']}{pool}"

    def random_texts(self, target: Target, count: int, seed: int) -> Iterator[str]:
        """Texts of random words; of a larger model only those that survive re-tokenization."""
        vocabulary, allowed, rng = self.model(target["model"]).vocabulary, self.allowed(target), np.random.default_rng(seed)
        while count:
            ids = rng.choice(allowed, target["length"]).tolist()
            if target["words"] != "any" or vocabulary.survives([*vocabulary.prefix, *ids, *vocabulary.suffix]):
                count -= 1
                yield vocabulary.decode(ids)

    @property
    def _best(self) -> Path:
        return self.folder / "best_known.json"

    def best_known(self) -> dict[str, dict[str, Any]]:
        """The best text of each target: the optimum, the trigger, or the best that was ever submitted, with its activation."""
        found = {name: {"activation": one["activation"], "text": one.get("text", one.get("phrase"))} for name, one in self.answers.items()}
        submitted = json.loads(self._best.read_text(encoding="utf-8")) if self._best.exists() else {}
        for name, one in submitted.items():
            if one["activation"] > found.get(name, {"activation": -np.inf})["activation"]:
                found[name] = one
        return found

    def keep_best(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the best texts known."""
        with written_whole(self._best) as temporary:
            temporary.write_text(json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")


@functools.lru_cache(maxsize=8)
def _opened(path: str) -> Model:
    """A model, opened once: nothing that stands in a directory changes."""
    return load(path)


def _reference(folder: Path) -> ModuleType:
    """The program that every directory holds a copy of, looking at this directory."""
    spec = importlib.util.spec_from_file_location("open_benchmark_reference", Path(__file__).with_name("reference.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.HERE = folder  # pyright: ignore[reportAttributeAccessIssue]
    return module
