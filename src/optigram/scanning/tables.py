"""The tables of a finished scan, as written to Parquet."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from optigram.scanning.state import State
from optigram.scanning.statistics import EDGES, ZERO
from optigram.targets.target import Target

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


def tables(state: State, targets: Iterable[Target]) -> dict[str, pa.Table]:
    """The tables `targets` and `curve`, by name, of a state and its targets."""
    known = {str(target): _index(target) for target in targets}
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
