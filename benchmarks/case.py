"""A case of the registry, and how it is run: what is missing of its units is measured and appended to the results."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.results import Row
from benchmarks.setup import Result, Settings, Unit, once

DEFAULTS = Settings()


@dataclass(frozen=True)
class Metric:
    """A figure by name, with its heading and format. One that is `single` is shown once per row: for the last column that has it."""

    name: str
    heading: str
    form: str = "{:,.2f}"
    single: bool = False

    def told(self, value: Any) -> str:
        """The value as a cell: an estimate with its interval, a number, a text, or nothing."""
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            first, *bounds = map(self.form.format, value)
            return f"{first} [{', '.join(bounds)}]"
        return self.form.format(value)


@dataclass(frozen=True)
class Case:
    """A benchmark: `setup` is called once, `run` for each of the `units`, at each seed; `metrics` are what its results hold.

    A result belongs to one row and column of the table by the settings named in `rows` and `columns`. `sort` is the metric that orders
    the rows, best first. `derive` adds to all rows of a case what only all of them together tell.
    """

    name: str
    description: str
    setup: Callable[[Settings], Any]
    run: Callable[[Any, Unit, int], Sequence[Result]]
    metrics: tuple[Metric, ...]
    defaults: Settings = DEFAULTS
    units: Callable[[Settings], Iterable[Unit]] = once
    rows: tuple[str, ...] = ("what",)
    columns: tuple[str, ...] = ()
    sort: str | None = None
    derive: Callable[[Sequence[Row]], Sequence[Row]] = list

    def settings(self, **given: Any) -> Settings:
        """The defaults, but for what is given."""
        return replace(self.defaults, **given)


def run_case(case: Case, settings: Settings, path: Path, again: bool = False) -> Iterator[Row]:
    """Measure every unit and seed that has no results at this commit yet, append its results to the file, and yield them."""
    known, commit, machine, context = results.read(path), results.commit(), results.machine(), None
    shared = settings.described()
    for seed, unit in itertools.product(range(settings.seeds), case.units(settings)):
        if not again and results.is_done(known, case.name, commit, seed, shared | unit):
            continue
        context = case.setup(settings) if context is None else context
        found = case.run(context, unit, seed)
        when = results.today()
        made = [Row(case.name, commit, machine, seed, shared | unit | dict(r.settings), r.metrics, list(r.texts), when) for r in found]
        results.append(path, made)
        yield from made


def metrics(*specs: str) -> tuple[Metric, ...]:
    """Metrics from `name: heading format`, separated by semicolons; a name with a star is shown once per row."""
    parts = re.findall(r"(\w+)(\*?): (.+?) (\S+?)(?:;|$)", "; ".join(specs))
    return tuple(Metric(name, heading, f"{{:{form}}}", bool(star)) for name, star, heading, form in parts)
