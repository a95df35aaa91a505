"""Evidence: what only the model can compute about a run's neurons, kept beside the records as one Parquet file.

The activation without each word, the best replacements of each word, and statistics of the corpus. `collect` computes it with
the model; the report reads it without one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from optigram.files import written_whole
from optigram.runs.records import Record

EVIDENCE = "evidence.parquet"

NUMBERS = pa.list_(pa.float32())
HEAT = {
    "arm": pa.string(),
    "method": pa.string(),
    "seed": pa.int64(),
    "rank": pa.int64(),
    "words": pa.list_(pa.string()),
    "without": NUMBERS,
}
EXAMPLE = {
    "share": pa.float64(),
    "words": pa.list_(pa.string()),
    "activation": pa.float32(),
    "without": NUMBERS,
    "before": pa.string(),
    "after": pa.string(),
}
SUBSTITUTE = {"position": pa.int64(), "word": pa.string(), "activation": pa.float32()}
WRITTEN = {"word": pa.string(), "logit": pa.float32()}
COLUMNS = {
    "model": pa.string(),
    "target": pa.string(),
    "aliases": pa.list_(pa.string()),
    "heats": pa.list_(pa.struct(HEAT)),
    "substitutes": pa.list_(pa.struct(SUBSTITUTE)),
    "tried": pa.int64(),
    "examples": pa.list_(pa.struct(EXAMPLE)),
    "edges": NUMBERS,
    "counts": pa.list_(pa.int64()),
    "sizes": pa.list_(pa.int64()),
    "best": NUMBERS,
    "writes": pa.list_(pa.struct(WRITTEN)),
}


@dataclass(frozen=True)
class Heat:
    """The free `words` of a record's text, and the activation of the text `without` each of them (None: it cannot be left out).

    `arm`, `method`, `seed` and `rank` name the record, together with the model and target of its `Evidence`.
    """

    arm: str
    method: str
    seed: int
    rank: int
    words: Sequence[str]
    without: Sequence[float | None]


@dataclass(frozen=True)
class Substitute:
    """The activation of the neuron's best text with another `word` at a `position` among the free words, counted from 0."""

    position: int
    word: str
    activation: float


@dataclass(frozen=True)
class Example:
    """An n-gram of the corpus, scored by itself, with the text `before` and `after` it in the first sentence that has it.

    `share` is 0 for one of the best n-grams of the corpus; otherwise the share of sampled n-grams with a higher activation.
    """

    share: float
    words: Sequence[str]
    activation: float
    without: Sequence[float | None]
    before: str
    after: str


@dataclass(frozen=True)
class Evidence:
    """The evidence of one neuron, which `model` (as in the records) and `target` name.

    `aliases` are other tools' names of its site. `tried` is the number of words tried in place of each word of the best text.
    `counts` [b] are the sampled n-grams with an activation between `edges` [b + 1]. `best` [m] is the highest activation among
    the first `sizes` [m] n-grams of the corpus in a random order. `writes` are the words whose logits the unit by itself raises most, then
    as many that it lowers most, each {word, logit}, up to one factor; empty where that is not known.
    """

    model: str
    target: str
    aliases: Sequence[str]
    heats: Sequence[Heat]
    substitutes: Sequence[Substitute]
    tried: int
    examples: Sequence[Example]
    edges: Sequence[float]
    counts: Sequence[int]
    sizes: Sequence[int]
    best: Sequence[float]
    writes: Sequence[dict[str, Any]] = ()

    @staticmethod
    def write(rows: "Iterable[Evidence]", folder: Path) -> None:
        """Write a run's evidence into its folder, whole."""
        table = pa.Table.from_pylist([asdict(row) for row in rows], schema=pa.schema(COLUMNS))
        with written_whole(folder / EVIDENCE) as temporary:
            parquet.write_table(table, temporary, compression="zstd")

    @staticmethod
    def read(folder: Path) -> "list[Evidence]":
        """The evidence in a run's folder; empty if none was collected."""
        path = folder / EVIDENCE
        if not path.exists():
            return []
        rows = parquet.read_table(path).to_pylist()
        return [
            Evidence(
                **row
                | {
                    "heats": [Heat(**heat) for heat in row["heats"]],
                    "substitutes": [Substitute(**one) for one in row["substitutes"]],
                    "examples": [Example(**one) for one in row["examples"]],
                }
            )
            for row in rows
        ]

    @staticmethod
    def heat_lookup(evidence: "Iterable[Evidence]") -> Callable[[Record], Heat | None]:
        """A function from a record to its evidence, or None where there is none."""
        known = {(one.model, one.target, heat.arm, heat.method, heat.seed, heat.rank): heat for one in evidence for heat in one.heats}
        return lambda record: known.get((record.model, record.target, record.arm, record.method, record.seed, record.rank))
