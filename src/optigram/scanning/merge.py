"""Merging: the parts of a scan, all or some of them, to tables that show what was found.

`examples.parquet` has a row for each place that is shown, `targets.parquet` one for each target, `curve.parquet` one for each
target and size of corpus; `manifest.json` says of what. Merging again after more shards replaces them.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from optigram.errors import InputError
from optigram.files import written_whole
from optigram.models.base import Model
from optigram.scanning.activations import activation_reader
from optigram.scanning.chunks import read_settings
from optigram.scanning.contexts import Context, Contexts
from optigram.scanning.examples import SPLITS, Examples, examples
from optigram.scanning.plan import STATE, Plan
from optigram.scanning.state import State, merge_states, read_state, write_state
from optigram.scanning.tables import EXAMPLE_COLUMNS, curve_table, target_table
from optigram.targets.target import resolve
from optigram.text.documents import place_of

EXAMPLES, TARGETS, CURVE, MANIFEST = "examples.parquet", "targets.parquet", "curve.parquet", "manifest.json"
ROWS = 1 << 15  # of a row group


def merged(plan: Plan, folder: Path) -> State:
    """What is known after the shards of a plan that are done. Raises InputError if there are none, or some are of another plan."""
    done = [plan.part(folder, shard) for shard in range(len(plan.shards)) if plan.part(folder, shard).exists()]
    if not done:
        raise InputError(f"no shard of the scan in {folder} is done yet; run `optigram work {folder}`")
    states = map(read_state, done)
    first = next(states)
    if first.plan != plan.key:
        raise InputError(f"{done[0]} is of another scan than the plan beside it; remove it, and its shard is read again")
    for state in states:
        first = merge_states([first, state], plan.settings.sample)
    return first


def publish(
    plan: Plan, state: State, model: Model, folder: Path, show: Callable[[int, int, str], None] = lambda done, of, what: None
) -> None:
    """Write the state and the tables of it."""
    write_state(state, folder / STATE)
    for name, table in ((TARGETS, target_table(state)), (CURVE, curve_table(state))):
        with written_whole(folder / name) as path:
            parquet.write_table(table, path, compression="zstd")
    found = examples(state)
    with written_whole(folder / EXAMPLES) as path, parquet.ParquetWriter(path, pa.schema(EXAMPLE_COLUMNS), compression="zstd") as writer:
        rows = []
        for number, row in enumerate(_rows(plan, state, model, found)):
            rows.append(row)
            if len(rows) == ROWS:
                writer.write_table(pa.Table.from_pylist(rows, schema=writer.schema))
                show(number, len(found.target), "windows")
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema=writer.schema))
    _write_manifest(plan, state, folder)


def _rows(plan: Plan, state: State, model: Model, found: Examples) -> Iterator[dict]:
    settings = plan.settings
    how = read_settings(model.vocabulary, settings.context, settings.skipped, settings.special)
    alone = settings.question == "alone"
    around = (settings.length - 1, 0) if alone else None
    shown = None if alone else activation_reader(model, resolve(plan.targets, model))
    assert shown is None or tuple(map(str, shown.targets)) == state.targets
    if alone:
        how = dataclasses.replace(how, context=1 << 40)  # an n-gram may stand anywhere
    reader = Contexts(model, shown, how, settings.tokens, around) if around else Contexts(model, shown, how, settings.tokens)
    for number, window in reader.of(plan.sources, found):
        yield _row(plan, state, found, number, window)


def _row(plan: Plan, state: State, found: Examples, number: int, window: Context) -> dict:
    document = int(found.document[number])
    source, place = place_of(document)
    return {
        "target": state.targets[found.target[number]],
        "split": SPLITS[found.split[number]],
        "rank": int(found.rank[number]),
        "activation": float(found.value[number]),
        "source": plan.sources[source].path,
        "place": place,
        "document": document,
        "position": int(found.position[number]),
        **dataclasses.asdict(window),
    }


def _write_manifest(plan: Plan, state: State, folder: Path) -> None:
    about = {
        "scan": {name: value for name, value in plan.to_dict().items() if name not in ("shards", "targets")},
        "shards": {"done": list(state.shards), "of": len(plan.shards)},
        **{name: getattr(state, name) for name in ("documents", "tokens", "skipped", "seconds")},
        "broken": state.statistics.broken,
    }
    with written_whole(folder / MANIFEST) as path:
        path.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
