"""Results: the records of a search as a sequence, with tables, figures, files and a report."""

import html
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import pyarrow as pa
from rich.console import Console

from optigram.errors import InputError, nearest, one_line
from optigram.files import versions
from optigram.optimize.baseline import BASELINE
from optigram.report import figures
from optigram.report.colours import INK, shade
from optigram.report.escape import Word
from optigram.report.frames import pandas_of, polars_of
from optigram.report.tables import COST, ngram_table, ratio
from optigram.runs.folder import MANIFEST, RunFolder
from optigram.runs.records import Record, RecordFile
from optigram.study.evidence import Evidence, Heat
from optigram.study.statistics import site_of

if TYPE_CHECKING:
    import pandas
    import polars
    from matplotlib.figure import Figure

    from optigram.report.scan_results import ScanResults
    from optigram.runs.find import MethodResult


LINES, SHOWN = 6, 60  # records in a repr; rows of a table in a notebook
CELL = "padding:.2em .8em .2em 0;text-align:{};vertical-align:top"
SIDES = ("left", "left", "left", "right", "right", "right")


@dataclass(frozen=True, repr=False)
class Results(Sequence[Record]):
    """A sequence of records. A slice, a filter or the records of one target are `Results` again.

    `evidence` is what was collected of their neurons. `settings` are those of the search, where they are known, and `about` is
    what else its manifest says: the corpus, fingerprints, versions, a study. Without settings a report names no commands.
    """

    records: Sequence[Record]
    evidence: Sequence[Evidence] = ()
    settings: Mapping[str, Any] | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: str | Path) -> "Results":
        """The results in the folder of a run or a study. Raises InputError if it holds neither."""
        kept = RunFolder.open(Path(folder))
        about = {name: value for name, value in kept.manifest.items() if name not in ("format", "settings")}
        return cls(kept.records, Evidence.read(Path(folder)), kept.manifest.get("settings"), about)

    @classmethod
    def of(cls, finds: "Iterable[MethodResult]", settings: Mapping[str, Any] | None = None) -> "Results":
        """The records of all methods of a search, in their order."""
        return cls([record for one in finds for record in one.records], (), settings)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice | str) -> "Results": ...
    def __getitem__(self, index: int | slice | str) -> "Record | Results":
        """A record by its number, some records by a slice, or those of one target by its address.

        Raises InputError for a target of which there are no records.
        """
        if isinstance(index, slice):
            return self._with(self.records[index])
        if not isinstance(index, str):
            return self.records[index]
        found = self.filter(target=index)
        if not found:
            known = list(dict.fromkeys(record.target for record in self.records))
            raise InputError(f"no results of {index!r}{nearest(index, known)}; there are those of {', '.join(known[:5]) or 'no target'}")
        return found

    @property
    def best(self) -> Record:
        """The record with the highest activation; `top()` has the best of each target. Raises InputError if there is none."""
        self._require_records()
        return max(self.records, key=lambda record: record.activation)

    def top(self, count: int = 1) -> "Results":
        """The `count` best texts of each target, best first, whatever the method."""
        targets = dict.fromkeys((record.model, record.target) for record in self.records)
        ordered = sorted(self.records, key=lambda record: -record.activation)
        return self._with([record for key in targets for record in [one for one in ordered if (one.model, one.target) == key][:count]])

    def filter(self, keep: Callable[[Record], bool] = lambda record: True, **columns: Any) -> "Results":
        """The records that `keep` accepts and whose columns have the given values: `results.filter(method="gbl", seed=0)`."""
        return self._with(
            [one for one in self.records if keep(one) and all(getattr(one, name) == value for name, value in columns.items())]
        )

    def show(self, console: Console | None = None) -> None:
        """Print the table on a `rich` console, by default standard output."""
        (console or Console()).print(ngram_table(self.records, self.evidence) if self.records else repr(self))

    def to_arrow(self) -> pa.Table:
        """One row per record, with the columns of `records.parquet`."""
        return RecordFile.table(self.records)

    def to_pandas(self) -> "pandas.DataFrame":
        """The rows of `to_arrow` as a pandas data frame; pandas must be installed."""
        return pandas_of(self.to_arrow())

    def to_polars(self) -> "polars.DataFrame":
        """The rows of `to_arrow` as a polars data frame; polars must be installed."""
        return polars_of(self.to_arrow())

    def save(self, folder: str | Path) -> None:
        """Write a folder that `Results.open` and `optigram report` read.

        Raises InputError if it holds a run already, or the results are empty.
        """
        place = Path(folder)
        self._require_records()
        if (place / MANIFEST).exists():
            raise InputError(f"{place} already holds a run; name another folder, or remove it")
        if self.evidence:
            Evidence.write(self.evidence, place)
        RunFolder.write(place, self.records, self._manifest())

    def report(self, file: str | Path, title: str | None = None, scan: "ScanResults | None" = None, explanations: Any = None) -> None:
        """Write the one-file page of these results, with their evidence, the places of a scan, and what explains their neurons.

        `explanations` is what `concepts`, `describe` or `verify` returned, a file of theirs, or several of these.

        Raises InputError if the results are empty, or the scan or the explanations are of another model or of other neurons.
        """
        from optigram.report.explained import Explained
        from optigram.report.html import write_report

        self._require_records()
        path = Path(file)
        kept = RunFolder(path.with_suffix(""), {"versions": versions(), **self._manifest()}, list(self.records), whole=True)
        explained = None if explanations is None else Explained.of(explanations)
        write_report(kept, self.evidence, path, title, scan, explained)

    def figure(self) -> "Figure":
        """A panel per site and a box per method: each neuron's ratio to its best corpus text, or its activation without corpus search."""
        figures.require_matplotlib()
        self._require_records()
        methods = list(dict.fromkeys(record.method for record in self.records))
        sites = {site: site for site in dict.fromkeys(site_of(record.target) for record in self.records)}
        return figures.by_method(self.records, methods, sites, normalised=BASELINE in methods)

    def __repr__(self) -> str:
        if not self.records:
            return "Results: no texts"
        targets, methods = {record.target for record in self.records}, dict.fromkeys(record.method for record in self.records)
        head = f"Results: {_count(len(self.records), 'text')} of {_count(len(targets), 'target')} by {', '.join(methods)}"
        lines = [f"  {one.target}  {one.method}  {one.activation:.3f}  {one_line(one.marked())}" for one in self.records[:LINES]]
        return "\n".join([head, *lines, *["  ..."] * (len(self.records) > LINES)])

    def _repr_html_(self) -> str:
        """The table, for a notebook: words in the colours of what they add."""
        if not self.records:
            return "<p>Results: no texts</p>"
        heat_of = Evidence.heat_lookup(self.evidence)
        base = {record.target: record.activation for record in self.records if record.method == BASELINE and record.rank == 1}
        rows = [
            (
                html.escape(one.target),
                html.escape(one.method),
                _text(one, heat_of(one)),
                f"{one.activation:.3f}",
                ratio(one.activation, base.get(one.target)),
                f"{one.total_forwards:,.0f}" if one.rank == 1 else "",
            )
            for one in self.records[:SHOWN]
        ]
        head = _row(("neuron", "method", "text", "activation", f"/ {BASELINE}", COST), "th")
        more = f"<p>and {len(self.records) - SHOWN} more; see .to_pandas()</p>" if len(self.records) > SHOWN else ""
        return f"<table><thead>{head}</thead><tbody>{''.join(_row(cells, 'td') for cells in rows)}</tbody></table>{more}"

    def _with(self, records: Sequence[Record]) -> "Results":
        """Other records of the same search, with the evidence of their targets."""
        targets = {(record.model, record.target) for record in records}
        return replace(self, records=records, evidence=[one for one in self.evidence if (one.model, one.target) in targets])

    def _manifest(self) -> dict[str, Any]:
        return dict(self.about) | ({} if "study" in self.about else {"settings": self.settings})

    def _require_records(self) -> None:
        if not self.records:
            raise InputError("expected some texts, got empty results; run a search first")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f'<{tag} style="{CELL.format(side)}">{cell}</{tag}>' for cell, side in zip(cells, SIDES, strict=True)) + "</tr>"


def _text(record: Record, heat: Heat | None) -> str:
    """The words, escaped, each by itself, so that none changes the direction of the others; free ones are bold beside fixed text."""
    pieces = record.pieces()
    if heat is None:
        bold = len(pieces) > 1
        shown = [(html.escape(Word.visible(piece)), free and bold) for piece, free in pieces]
        return "".join(f"<bdi><b>{piece}</b></bdi>" if free else f"<bdi>{piece}</bdi>" for piece, free in shown)
    words = Word.of_record(record, heat)
    shades, top = shade(record.activation, [word.without for word in words])
    made = []
    for i, (word, colour) in enumerate(zip(words, shades, strict=True)):
        style = f"background:{colour};color:{INK};border-radius:3px;padding:0 .2em" if colour else "padding:0 .2em"
        style += ";font-weight:bold" if word.free and len(pieces) > 1 else ""
        style += ";text-decoration:underline 2px" if i == top else ""
        change = "" if word.without is None else f' title="{record.activation - word.without:+.3f}"'
        made.append(f'<bdi style="{style}"{change}>{html.escape(Word.visible(word.text))}</bdi>')
    return " ".join(made)
