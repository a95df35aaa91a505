"""The tables of a finished scan, as written to Parquet."""

import numpy as np
import pyarrow as pa

from optigram.scanning.state import State
from optigram.scanning.statistics import EDGES, ZERO

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


def tables(state: State) -> dict[str, pa.Table]:
    """The tables `targets` and `curve`, by name."""
    return {"targets": _target_table(state), "curve": _curve_table(state)}


def _target_table(state: State) -> pa.Table:
    """One row per target: the number of places, extremes, moments, the share above 0, and the histogram with its edges.

    Moments are NaN and the histogram is empty for a scan of n-grams alone.
    """
    seen = state.statistics
    in_context = bool(seen.histogram.any())
    mean, variance, skewness, kurtosis = seen.moments().T if in_context else np.full((4, len(seen.sums)), np.nan)
    drawn = seen.histogram.sum(1)
    above = seen.histogram[:, ZERO + 1 :].sum(1) / np.where(drawn, drawn, 1)
    return pa.table(
        {
            "target": pa.array(state.targets),
            "places": pa.array([seen.count] * len(state.targets)),
            "highest": pa.array(state.top.score[:, 0]),
            "lowest": pa.array(-state.bottom.score[:, 0] + np.float32(0)),
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
