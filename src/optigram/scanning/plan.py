"""The plan of a scan: model, targets, corpus, settings and shards, with fingerprints of all that the results depend on.

The folder of a scan holds `plan.json`, `parts/` with one file per finished shard, and the tables that `merge` makes of them.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optigram.errors import InputError
from optigram.files import parse_json, written_whole
from optigram.models.base import Model
from optigram.scanning.results import FORMAT, PLAN, ScanFolder
from optigram.text.formats import Part, Source
from optigram.text.hub import HUB
from optigram.text.shards import Shard

QUESTIONS = ("context", "alone")
TOKENS, MANY_TOKENS = 512, 16384  # of a forward pass, on a CPU and on other devices
PARTS, STATE = "parts", "state.parquet"
LEAST = {"length": 1, "top": 1, "context": 2, "per_document": 1, "tokens": 1, "skipped": 0, "fold": 0, "sample": 0, "seed": 0}
MOST = {"length": 10_000, "top": 100_000, "context": 1 << 20, "per_document": 1 << 20, "tokens": 1 << 30, "skipped": 1 << 20}
MOST |= {"fold": 1 << 20, "sample": 1 << 24, "seed": 2**63 - 1}


@dataclass(frozen=True)
class ScanSettings:
    """`question` is "context" (the best places in context) or "alone" (the best n-grams of `length` tokens, each by itself).

    `top` places of a target are kept, highest and lowest. In context, `context` tokens are read at a time. The first `skipped`
    positions of them do not count, nor do special tokens without `special`. At most `per_document` places of a document are kept. Among
    places that end in the same `fold` tokens the first is kept (0: all). `sample` places are drawn at random. A forward pass reads
    `tokens` tokens: the last bits of results depend on that. Raises InputError for a wrong type or value.
    """

    question: str = "context"
    length: int = 5
    top: int = 20
    context: int = 256
    skipped: int = 1
    special: bool = False
    per_document: int = 1
    fold: int = 8
    sample: int = 200
    tokens: int = TOKENS
    seed: int = 0

    def __post_init__(self) -> None:
        if self.question not in QUESTIONS:
            raise InputError(f"expected the question context or alone, got {self.question!r}")
        if not isinstance(self.special, bool):
            raise InputError(f"expected special to be True or False, got {self.special!r}")
        for name, least in LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(f"expected {name} of at least {least}, a whole number, got {value!r:.40}")
            if value > MOST[name]:
                raise InputError(f"expected {name} of at most {MOST[name]:,}, got {value:,}"[:120])

    @classmethod
    def for_model(cls, model: Model, **given: Any) -> "ScanSettings":
        """The settings that are given and not None, with defaults for the model.

        A recurrent model has no attention sink, so no position is skipped; on a GPU forward passes are larger.
        """
        default: dict[str, Any] = {
            "skipped": 1 if model.attends else 0,
            "tokens": TOKENS if model.embedding.device.type == "cpu" else MANY_TOKENS,
        }
        return cls(**default | {name: value for name, value in given.items() if value is not None})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """`model` and `dtype` are the arguments of `load`, `mark` is the fingerprint of the weights, `versions` those of the libraries."""

    model: str
    dtype: str
    mark: str
    targets: tuple[str, ...]
    settings: ScanSettings
    sources: tuple[Source, ...]
    shards: tuple[Shard, ...]
    skip_bad: bool
    versions: dict[str, str]

    @property
    def key(self) -> str:
        """A hash of all that the parts depend on; the folder of the corpus is not among it."""
        corpus = [source._replace(path=Path(source.path).name) for source in self.sources]
        asked = [FORMAT, self.mark, self.dtype, self.targets, asdict(self.settings), corpus, self.shards, self.skip_bad, self.versions]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]

    def part(self, folder: Path, shard: int) -> Path:
        """The file of a shard."""
        return folder / PARTS / f"shard-{shard:05d}.parquet"

    def missing(self, folder: Path) -> list[int]:
        """The shards that have no file yet."""
        return [shard for shard in range(len(self.shards)) if not self.part(folder, shard).exists()]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = {name: getattr(self, name) for name in ("model", "dtype", "mark", "targets", "skip_bad", "versions")}
        sources = [source._asdict() for source in self.sources]
        return {"format": FORMAT, "key": self.key, **plain, "settings": asdict(self.settings), "sources": sources, "shards": self.shards}

    def write(self, folder: Path) -> None:
        """Write `plan.json`, unless the same plan is there already; of one with the same corpus elsewhere the new place is kept.

        Raises InputError if the folder holds another plan.
        """
        if (folder / PLAN).exists():
            old = Plan.read(folder)
            differences = _differences(old.to_dict(), self.to_dict())
            if differences and old.key != self.key:
                raise InputError(f"{folder} holds another scan ({', '.join(differences)} differ); name another folder")
            if not differences:
                return
        # where the sources are, seen from the folder, so that both may be moved together
        beside = [None if source.kind == HUB else os.path.relpath(source.path, folder) for source in self.sources]
        with written_whole(folder / PLAN) as path:
            path.write_text(json.dumps(self.to_dict() | {"beside": beside}, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Plan":
        """The plan in a folder. Raises InputError if there is none, or one of another version of optigram."""
        path = folder / PLAN if folder.is_dir() else folder
        try:
            found = parse_json(path.read_text(encoding="utf-8"))
            ScanFolder.refuse_other_format(folder, found)
            plan = cls(
                found["model"],
                found["dtype"],
                found["mark"],
                tuple(found["targets"]),
                ScanSettings(**found["settings"]),
                _found_again([Source(**source) for source in found["sources"]], found.get("beside", ()), path.parent),
                tuple(tuple(Part(*part) for part in shard) for shard in found["shards"]),
                found["skip_bad"],
                found["versions"],
            )
            if found["key"] != plan.key:
                raise InputError(f"{path} was changed after it was written; put it back, or plan anew in another folder")
            return plan
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"there is no plan of a scan in {folder} ({str(error)[:80]}); make one with `optigram scan ... --out`"
            ) from error


def _found_again(sources: Sequence[Source], beside: Sequence[str | None], folder: Path) -> tuple[Source, ...]:
    """The sources; one that is no longer there, but where it was seen from the folder of the plan, was moved together with it."""
    moved = [None if near is None else os.path.normpath(folder / near) for near in beside] or [None] * len(sources)
    return tuple(
        source._replace(path=near) if near is not None and not Path(source.path).exists() and Path(near).exists() else source
        for source, near in zip(sources, moved, strict=True)
    )


def _differences(old: dict[str, Any], new: dict[str, Any]) -> Sequence[str]:
    """The fields that differ once both are read from JSON."""
    old, new = (json.loads(json.dumps(plan)) for plan in (old, new))
    return [name for name in new if name != "key" and old.get(name) != new[name]]
