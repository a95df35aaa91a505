"""Merges the parts of a scan, all or some of them, into tables of results.

`examples.parquet` has a row per place that is shown, `targets.parquet` one per target, `curve.parquet` one per target and size of corpus;
`manifest.json` says what was scanned. Merging again after more shards replaces them.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from optigram.errors import InputError
from optigram.files import written_whole
from optigram.scanning.activations import ActivationReader
from optigram.scanning.contexts import Context, Contexts
from optigram.scanning.examples import SPLITS, Examples
from optigram.scanning.plan import STATE, Plan
from optigram.scanning.results import MANIFEST
from optigram.scanning.state import State
from optigram.scanning.tables import EXAMPLE_COLUMNS, tables
from optigram.scanning.worker import Worker
from optigram.text.documents import place_of
from optigram.text.formats import CUT_BITS
from optigram.text.shards import SPLITTABLE

ROWS = 1 << 15  # of a row group

Show = Callable[[float, int, str], None]  # done, of how many, what


def merged(plan: Plan, folder: Path) -> State:
    """The state after the shards of a plan that are done. Raises InputError if there are none, or some belong to another plan."""
    done = [shard for shard in range(len(plan.shards)) if plan.part(folder, shard).exists()]
    if not done:
        raise InputError(f"no shard of the scan in {folder} is done yet; run `optigram work {folder}`")
    states = (_part(plan, folder, shard) for shard in done)  # one by one, for a state may be large
    first = next(states)
    for state in states:
        first = first.merged(state, plan.settings.sample)
    return first


def _part(plan: Plan, folder: Path, shard: int) -> State:
    """The state of one shard. Raises InputError if its file is of another plan or shard, as a renamed one is."""
    path = plan.part(folder, shard)
    state = State.read(path)
    if state.plan != plan.key:
        raise InputError(f"{path} is of another scan than the plan beside it; remove it, and its shard is read again")
    if state.shards != (shard,):
        raise InputError(f"{path} holds shard {', '.join(map(str, state.shards))}; remove it, and shard {shard} is read again")
    return state


def publish(state: State, worker: Worker, folder: Path, show: Show = lambda done, of, what: None) -> None:
    """Write the state and its tables. Raises InputError if no place of the corpus has a finite value."""
    _refuse_nothing(state)
    state.write(folder / STATE)
    for name, table in tables(state, worker.targets).items():
        with written_whole(folder / f"{name}.parquet") as path:
            parquet.write_table(table, path, compression="zstd")
    found, schema = Examples.of(state), pa.schema(EXAMPLE_COLUMNS)
    with written_whole(folder / "examples.parquet") as path, parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        rows = []
        for number, row in enumerate(_rows(worker, state, found)):
            rows.append(row)
            if len(rows) == ROWS:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                show(number, len(found.target), "contexts")
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    _write_manifest(worker.plan, state, folder)


def _rows(worker: Worker, state: State, found: Examples) -> Iterator[dict]:
    plan, how = worker.plan, worker.read_settings
    if plan.settings.question == "alone":
        how = dataclasses.replace(how, context=1 << 40)  # an n-gram may stand anywhere
        contexts = Contexts(worker.model, None, how, plan.settings.tokens, (plan.settings.length - 1, 0))
    else:
        reader = ActivationReader.of(worker.model, worker.targets)
        assert tuple(map(str, reader.targets)) == state.targets
        contexts = Contexts(worker.model, reader, how, plan.settings.tokens)
    for number, context in contexts.of(plan.sources, found):
        yield _row(plan, state, found, number, context)


def _row(plan: Plan, state: State, found: Examples, number: int, context: Context) -> dict:
    document = int(found.document[number])
    number_of_source, place = place_of(document)
    source = plan.sources[number_of_source]
    return {
        "target": state.targets[found.target[number]],
        "split": SPLITS[found.split[number]],
        "rank": int(found.rank[number]),
        "activation": float(found.value[number]),
        "source": source.path,
        "place": place if source.kind in SPLITTABLE else place >> CUT_BITS,
        "document": document,
        "position": int(found.position[number]),
        **dataclasses.asdict(context),
    }


def _refuse_nothing(state: State) -> None:
    skipped = f"; {len(state.skipped):,} rows or files were skipped, such as {state.skipped[0]}" if state.skipped else ""
    if not state.statistics.count:
        what = f"{state.documents:,} documents have no place that counts" if state.documents else "the corpus has no text that can be read"
        raise InputError(f"{what}{skipped}; give longer texts, or another corpus")
    if not (state.top.score > -np.inf).any():
        raise InputError("every activation is NaN or infinite; check the model's weights, its dtype and the weights of the targets")


def _named(plan: Plan, state: State) -> Iterator[str]:
    """Where the first documents with values that are not finite stand."""
    for document in state.statistics.broken_in.tolist():
        number, place = place_of(document)
        source = plan.sources[number]
        lines = source.kind in SPLITTABLE
        yield f"{source.path} at {'byte' if lines else 'row'} {place if lines else place >> CUT_BITS}"


def _write_manifest(plan: Plan, state: State, folder: Path) -> None:
    about = {
        "scan": {name: value for name, value in plan.to_dict().items() if name not in ("shards", "targets")},
        "shards": {"done": list(state.shards), "of": len(plan.shards)},
        **{name: getattr(state, name) for name in ("documents", "tokens", "skipped", "seconds")},
        "broken": {"values": int(state.statistics.broken.sum()), "in": list(_named(plan, state))},
    }
    with written_whole(folder / MANIFEST) as path:
        path.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
