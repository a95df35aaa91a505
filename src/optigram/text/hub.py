"""Data sets of the Hugging Face Hub, streamed: `hf:NAME[@REVISION][:SPLIT]`, or a folder of data files in place of a name."""

import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any

from optigram.errors import InputError

HUB = "hf:"


def hub_shards(name: str) -> tuple[int, str, list[str] | None]:
    """The number of shards of a data set, a mark of its version, and its columns, where they are known before it is read."""
    data = _opened(name)
    return data.num_shards, f"{name} {data.num_shards}", data.column_names


def hub_rows(name: str, shard: int) -> Iterator[dict[str, Any]]:
    """The rows of one shard of a data set."""
    data = _opened(name)
    yield from data.shard(num_shards=data.num_shards, index=shard)


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
