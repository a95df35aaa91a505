"""Records: one row for every text that a search found, as rows of Parquet and lines of JSON."""

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from optigram.files import written_whole

CORPUS_SECONDS = "corpus_seconds"  # and the part of `seconds` that was spent on it
SHORTEST = "shortest"  # the note on the shortest text that is within 1% of the best, of texts of several lengths
CORPUS_FORWARDS = "corpus_forwards"  # the note on what the corpus search cost that a search started from

COLUMNS = {
    "model": pa.string(),
    "target": pa.string(),
    "method": pa.string(),
    "settings": pa.string(),
    "seed": pa.int64(),
    "rank": pa.int64(),
    "text": pa.string(),
    "tokens": pa.list_(pa.string()),
    "ids": pa.list_(pa.int64()),
    "activation": pa.float32(),
    "surprisal": pa.float32(),
    "survives": pa.bool_(),
    "forwards": pa.float64(),
    "backwards": pa.float64(),
    "seconds": pa.float64(),
    "notes": pa.string(),
    "arm": pa.string(),
    "trace": pa.list_(pa.list_(pa.float64(), 3)),
    "whole": pa.string(),
    "free": pa.list_(pa.list_(pa.int64(), 2)),
}


@dataclass(frozen=True)
class Record:
    """One text for one target.

    `text` holds the free words alone; `tokens` and `ids` are the whole input of the model. `whole` is the whole input as text,
    without the begin and end symbols that the model expects around every text, and `free` holds for each free word its
    characters [start, end) in `whole`. `activation` is the objective's, in float32; `surprisal` is in nats per token, or None.
    `survives`: the text re-tokenizes to the same ids. `forwards` and `backwards` (in forward-equivalents) are the cost of the search
    for this target, without the corpus search that it started from; `total_forwards` and `seconds` count that too.
    `notes` are what the method recorded of its best text, such as the mean `cosine` to the nearest words or the `soft` value, what it
    had at its end (`soft_at_end`, and `hard_at_end`: the discrete text of that), and remarks on each text: the `preactivation` of an
    autoencoder's latent, the activation in the precision of the search (`searched`), or that a text is the `shortest` within 1% of the
    best, where lengths are a range. `arm` is the part of a study that the record
    belongs to. `trace` holds [forward-equivalents, activation, value] at every improvement of the value (activation less penalties) and
    at the end of the search, for rank 1 only. `arm` and `trace` are in Parquet only.
    """

    model: str
    target: str
    method: str
    settings: str
    seed: int
    rank: int
    text: str
    tokens: Sequence[str]
    ids: Sequence[int]
    activation: float
    surprisal: float | None
    survives: bool
    forwards: float
    backwards: float
    seconds: float
    notes: dict[str, float]
    arm: str = ""
    trace: Sequence[Sequence[float]] = field(default_factory=list)
    whole: str = ""
    free: Sequence[Sequence[int]] = field(default_factory=list)

    @property
    def words(self) -> int:
        """How many free words the text has; 0 where the record does not say which they are."""
        return len(self.free)

    @property
    def corpus_forwards(self) -> float:
        """Forward-equivalents of the corpus search that this search started from; 0 if it started from none."""
        return self.notes.get(CORPUS_FORWARDS, 0.0)

    @property
    def total_forwards(self) -> float:
        """Forward-equivalents in all: forward passes, backward passes, and the corpus search that the search started from."""
        return self.forwards + self.backwards + self.corpus_forwards

    @property
    def total_trace(self) -> list[list[float]]:
        """`trace` with costs that count the corpus search that the search started from."""
        return [[spent + self.corpus_forwards, *rest] for spent, *rest in self.trace]

    def pieces(self) -> list[tuple[str, bool]]:
        """The whole text in pieces, each with whether it is free; free words that stand side by side are one piece.

        One free piece, `text`, where no template surrounds the free words.
        """
        spans = [(self.free[first][0], self.free[last - 1][1]) for first, last in self.runs()]
        edges = itertools.pairwise([0, *itertools.chain.from_iterable(spans), len(self.whole)])
        found = [(self.whole[start:end], number % 2 == 1) for number, (start, end) in enumerate(edges) if start < end]
        return found if any(piece.strip() for piece, free in found if not free) else [(self.text, True)]

    def marked(self) -> str:
        """The whole text in plain text, with ** around the free words where a template surrounds them."""
        pieces = self.pieces()
        return "".join(f"**{piece}**" if free and len(pieces) > 1 else piece for piece, free in pieces)

    def runs(self) -> list[tuple[int, int]]:
        """The first free word, and the one after the last, of each run of free words that stand side by side in `whole`."""
        breaks = [word for word in range(1, len(self.free)) if self.whole[self.free[word - 1][1] : self.free[word][0]].strip()]
        return list(itertools.pairwise([0, *breaks, len(self.free)])) if self.free else []

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({name: value for name, value in asdict(self).items() if name not in ("arm", "trace")}, ensure_ascii=False)


class RecordFile:
    """Records as an Arrow table, and as the Parquet file of a run."""

    @staticmethod
    def table(records: Iterable[Record]) -> pa.Table:
        """Records as an Arrow table. `notes` become a JSON string."""
        rows = [asdict(record) | {"notes": json.dumps(record.notes)} for record in records]
        return pa.Table.from_pylist(rows, schema=pa.schema(COLUMNS))

    @staticmethod
    def write(records: Iterable[Record], path: Path) -> None:
        """Write `table` as a Parquet file, whole."""
        with written_whole(path) as temporary:
            parquet.write_table(RecordFile.table(records), temporary, compression="zstd")

    @staticmethod
    def read(path: Path) -> list[Record]:
        """The records that `write` wrote."""
        rows = parquet.read_table(path).to_pylist()
        return [Record(**row | {"notes": json.loads(row["notes"])}) for row in rows]


assert [field.name for field in fields(Record)] == list(COLUMNS)
