"""Arrow tables as data frames of pandas and polars, either of which may not be installed."""

import importlib.util
from typing import TYPE_CHECKING

import pyarrow as pa

from optigram.errors import InputError

if TYPE_CHECKING:
    import pandas
    import polars


def pandas_of(table: pa.Table) -> "pandas.DataFrame":
    """The rows as a pandas data frame. Raises InputError if pandas is not installed."""
    _require("pandas")
    return table.to_pandas()


def polars_of(table: pa.Table) -> "polars.DataFrame":
    """The rows as a polars data frame. Raises InputError if polars is not installed."""
    _require("polars")
    import polars

    found = polars.from_arrow(table)
    assert isinstance(found, polars.DataFrame)
    return found


def _require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise InputError(f"data frames need the package {package}; install it with: pip install 'optigram[tables]'")
