"""Records: what is kept of every text that was found, as rows of Parquet and lines of JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from optigram.files import written_whole

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
}


@dataclass(frozen=True)
class Record:
    """One text for one target.

    `text` is the free part; `tokens` and `ids` are the whole input as the model reads it. `activation` is the judge's,
    float32; `surprisal` nats per token, or None. `survives`: decoding and encoding gives the same ids. `forwards`,
    `backwards` (forward-equivalents) and `seconds` are the cost of the whole search for the target. `notes` are what the
    method believed of its best text, such as the mean `cosine` to the nearest words, or the `soft` value; and what the judge
    adds on each text: the `preactivation` of an autoencoder's latent, or what a search in half precision took the
    activation for (`searched`). `arm` is the part of a study that asked for it; `trace` are [forward-equivalents,
    activation, value] of every better text that the search met, and of its end. Both are in Parquet only.
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

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({name: value for name, value in asdict(self).items() if name not in ("arm", "trace")}, ensure_ascii=False)


def table(records: Iterable[Record]) -> pa.Table:
    """Records as an Arrow table. `notes` become a JSON string."""
    rows = [asdict(record) | {"notes": json.dumps(record.notes)} for record in records]
    return pa.Table.from_pylist(rows, schema=pa.schema(COLUMNS))


def write(records: Iterable[Record], path: Path) -> None:
    """Write `table` as a Parquet file, whole."""
    with written_whole(path) as temporary:
        parquet.write_table(table(records), temporary, compression="zstd")


def read(path: Path) -> list[Record]:
    """The records that `write` wrote."""
    rows = parquet.read_table(path).to_pylist()
    return [Record(**row | {"notes": json.loads(row["notes"])}) for row in rows]


assert [field.name for field in fields(Record)] == list(COLUMNS)
