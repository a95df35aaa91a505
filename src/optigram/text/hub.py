"""Data sets of the Hugging Face Hub, streamed: `hf:NAME[@REVISION][:SPLIT]`, or a folder of data files in place of a name."""

import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any

from optigram.errors import InputError

HUB = "hf:"


class HubData:
    """A data set by its name, such as `hf:NAME:SPLIT`. Raises InputError where it cannot be opened."""

    def __init__(self, name: str) -> None:
        self.name, self._data = name, _opened(name)
        self.shards: int = self._data.num_shards
        self.columns: list[str] | None = self._data.column_names  # None: known only when it is read

    @property
    def mark(self) -> str:
        """What changes with its version."""
        return f"{self.name} {self.shards}"

    def rows(self, shard: int) -> Iterator[dict[str, Any]]:
        """The rows of one shard."""
        yield from self._data.shard(num_shards=self.shards, index=shard)


def _opened(name: str) -> Any:
    if importlib.util.find_spec("datasets") is None:
        raise InputError("data sets of the Hub need the package datasets; install it with: pip install 'optigram[hub]'")
    datasets = importlib.import_module("datasets")
    where, _, split = name.removeprefix(HUB).partition(":")
    where, _, revision = where.partition("@")
    try:
        return datasets.load_dataset(where, split=split or "train", revision=revision or None, streaming=True)
    except Exception as error:  # the library raises what its many readers raise
        raise InputError(f"cannot open {name!r} ({' '.join(str(error).split())[:200]}); expected hf:NAME[@REVISION][:SPLIT]") from error
