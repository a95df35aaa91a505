"""Merges the parts of a scan, all or some of them, into tables of results.

`examples.parquet` has a row per place that is shown, `targets.parquet` one per target, `curve.parquet` one per target and size of corpus;
`manifest.json` says what was scanned. Merging again after more shards replaces them.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from optigram.scanning.statistics import EDGES, ZERO
from optigram.scanning.worker import Worker
from optigram.targets.target import Target
from optigram.text.documents import Document
from optigram.text.formats import CUT_BITS
from optigram.text.shards import SPLITTABLE

ROWS = 1 << 15  # of a row group

Show = Callable[[float, int, str], None]  # done, of how many, what
EXAMPLE_COLUMNS = {
    "target": pa.string(),
    "split": pa.string(),
    "rank": pa.int32(),
    "activation": pa.float32(),
    "source": pa.string(),
    "place": pa.int64(),
    "document": pa.int64(),
    "position": pa.int32(),
    "begin": pa.int32(),
    "ids": pa.list_(pa.int32()),
    "activations": pa.list_(pa.float32()),
    "text": pa.string(),
    "text_begin": pa.int32(),
    "char_begin": pa.int32(),
    "char_end": pa.int32(),
    "spans": pa.list_(pa.int32()),
}


def merged(plan: Plan, folder: Path) -> State:
    """The state after the shards of a plan that are done. Raises InputError if there are none, or some belong to another plan."""
    done = [shard for shard in range(len(plan.shards)) if plan.part(folder, shard).exists()]
    if not done:
        raise InputError(f"no shard of the scan in {folder} is done yet; run `optigram work {folder}`")
    states = (_part(plan, folder, shard) for shard in done)  # one by one, for a state may be large
    return State.merged(states, plan.settings.sample)


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
    for name, table in _tables(state, worker.targets).items():
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
    number_of_source, place = Document.place_of(document)
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
        number, place = Document.place_of(document)
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


def _tables(state: State, targets: Iterable[Target]) -> dict[str, pa.Table]:
    """The tables `targets` and `curve`, by name, of a state and its targets."""
    known = {str(one): _index(target) for target in targets for one in (target, target.last())}  # in context a pool is left aside
    return {"targets": _target_table(state, [known[target] for target in state.targets]), "curve": _curve_table(state)}


def _index(target: Target) -> int | None:
    """The index of the unit, token or latent that a target is; None for a sum, a direction or a function."""
    return getattr(target.terms[0].readout, "index", None) if len(target.terms) == 1 else None


def _target_table(state: State, index: Sequence[int | None]) -> pa.Table:
    """One row per target: its index in the model, the number of places, extremes, moments, the share above 0, histogram and edges.

    `broken` of the places have a value that is not finite, and are in nothing else. Extremes are null where no place is left.
    Moments are NaN and the histogram is empty for a scan of n-grams alone.
    """
    seen = state.statistics
    in_context = bool(seen.sums.any() or seen.histogram.any())
    mean, variance, skewness, kurtosis = seen.moments().T if in_context else np.full((4, len(seen.sums)), np.nan)
    drawn = seen.histogram.sum(1)
    above = seen.histogram[:, ZERO + 1 :].sum(1) / np.where(drawn, drawn, 1)
    return pa.table(
        {
            "target": pa.array(state.targets),
            "index": pa.array(index, pa.int64()),
            "places": pa.array([seen.count] * len(state.targets)),
            "broken": pa.array(seen.broken[:, 0]),
            "highest": _or_null(state.top.score[:, 0]),
            "lowest": _or_null(-state.bottom.score[:, 0] + np.float32(0)),
            "mean": pa.array(mean),
            "variance": pa.array(variance),
            "skewness": pa.array(skewness),
            "kurtosis": pa.array(kurtosis),
            "above_zero": pa.array(np.where(drawn, above, np.nan)),
            "histogram": pa.array(list(seen.histogram)),
            "edges": pa.array([EDGES] * len(state.targets)),
        }
    )


def _curve_table(state: State) -> pa.Table:
    """One row per target and random part of the corpus: its tokens, and the best activation in it."""
    tokens, best = state.statistics.curve()
    m, n = best.shape
    return pa.table(
        {
            "target": pa.array(np.repeat(np.array(state.targets, dtype=object), n)),
            "tokens": pa.array(np.tile(tokens, m)),
            "highest": pa.array(best.ravel()),
        }
    )


def _or_null(values: np.ndarray) -> pa.Array:
    return pa.array(values, mask=~np.isfinite(values))
