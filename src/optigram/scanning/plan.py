"""The plan of a scan: model, targets, corpus, settings and shards, with all that tells whether any of them has changed.

A scan's folder holds `plan.json`, `parts/` with one file a finished shard, and what `merge` makes of them.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optigram.errors import InputError
from optigram.files import written_whole
from optigram.scanning.results import PLAN
from optigram.text.sources import Part, Shard, Source

QUESTIONS = ("context", "alone")


MANY_TOKENS = 16384  # of a forward, elsewhere than on a processor


@dataclass(frozen=True)
class ScanSettings:
    """`question` is whether the best place in context is sought, or the best n-gram of `length` tokens alone.

    `top` places of a target are kept, highest and lowest. In context: `context` tokens are read at a time; the first `skipped`
    positions of them are left out, and without `special` also tokens that have no text of their own; `per_document` places
    of a document are kept at the most; of places that end in the same `fold` tokens the first stays (0: all); `sample`
    places are drawn at random. A forward reads `tokens` tokens: results depend on that in their last bits.
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
    tokens: int = 512
    seed: int = 0

    def __post_init__(self):
        if self.question not in QUESTIONS:
            raise InputError(f"expected the question context or alone, got {self.question!r}")
        for name, least in (("length", 1), ("top", 1), ("context", 2), ("per_document", 1), ("tokens", 1)):
            if getattr(self, name) < least:
                raise InputError(f"expected {name} of at least {least}, got {getattr(self, name)}")
        for name in ("skipped", "fold", "sample", "seed"):
            if getattr(self, name) < 0:
                raise InputError(f"expected {name} of at least 0, got {getattr(self, name)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON keeps them."""
        return asdict(self)


FORMAT = "optigram-scan-1"
PARTS, STATE = "parts", "state.parquet"


@dataclass(frozen=True)
class Plan:
    """`model` and `dtype` are what `load` is given; `mark` is the fingerprint of the weights; `versions` those of the libraries."""

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
        """A hash of all that decides the parts; in which folder the files stand does not."""
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
        """Plain values, as JSON keeps them."""
        plain = {name: getattr(self, name) for name in ("model", "dtype", "mark", "targets", "skip_bad", "versions")}
        sources = [source._asdict() for source in self.sources]
        return {"format": FORMAT, "key": self.key, **plain, "settings": asdict(self.settings), "sources": sources, "shards": self.shards}


def write_plan(plan: Plan, folder: Path) -> None:
    """Write `plan.json`, or find the same plan there. Raises InputError if the folder holds another one."""
    if (folder / PLAN).exists():
        if differences := _differences(read_plan(folder).to_dict(), json.loads(json.dumps(plan.to_dict()))):
            raise InputError(f"{folder} holds another scan ({', '.join(differences)} differ); name another folder")
        return
    with written_whole(folder / PLAN) as path:
        path.write_text(json.dumps(plan.to_dict(), ensure_ascii=False) + "\n", encoding="utf-8")


def read_plan(folder: Path) -> Plan:
    """The plan of a folder. Raises InputError where there is none."""
    path = folder / PLAN if folder.is_dir() else folder
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']}")
        return Plan(
            found["model"],
            found["dtype"],
            found["mark"],
            tuple(found["targets"]),
            ScanSettings(**found["settings"]),
            tuple(Source(**source) for source in found["sources"]),
            tuple(tuple(Part(*part) for part in shard) for shard in found["shards"]),
            found["skip_bad"],
            found["versions"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"there is no plan of a scan in {folder} ({str(error)[:80]}); make one with `optigram scan ... --out`") from error


def _differences(old: dict[str, Any], new: dict[str, Any]) -> Sequence[str]:
    old = json.loads(json.dumps(old))
    return [name for name in new if name != "key" and old.get(name) != new[name]]
