"""Results in a notebook or a program: records with what is known around them, shown, turned into tables, and drawn."""

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from optigram.errors import InputError, nearest
from optigram.report import figures
from optigram.report.colours import INK, key_of, shade
from optigram.report.escape import visible
from optigram.report.tables import ngram_table, ratio
from optigram.runs.folder import open_folder
from optigram.runs.records import Record, table
from optigram.study.evidence import Evidence, Heat, read_evidence
from optigram.study.statistics import BASELINE, site_of

if TYPE_CHECKING:
    import pandas
    import polars
    from matplotlib.figure import Figure

    from optigram.runs.find import MethodResult


SHOWN = 60  # rows of a table in a notebook
CELL = "padding:.2em .8em .2em 0;text-align:{};vertical-align:top"


@dataclass(frozen=True, repr=False)
class Results:
    """Records, in their order; and the evidence of their neurons, where there is any."""

    records: Sequence[Record]
    evidence: Sequence[Evidence] = ()

    @classmethod
    def open(cls, folder: str | Path) -> "Results":
        """The results in a run's folder. Raises InputError if it holds no run."""
        return cls(open_folder(Path(folder)).records, read_evidence(Path(folder)))

    @classmethod
    def of(cls, finds: "Iterable[MethodResult]") -> "Results":
        """What `find` yields, of all methods together."""
        return cls([record for one in finds for record in one.records])

    def __repr__(self) -> str:
        targets, methods = {record.target for record in self.records}, dict.fromkeys(record.method for record in self.records)
        return f"Results({len(self.records)} texts of {len(targets)} targets by {', '.join(methods)})"

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __getitem__(self, target: str) -> "Results":
        """The results of one target, named by its address; raises InputError if there is none."""
        found = [record for record in self.records if record.target == target]
        if not found:
            known = list(dict.fromkeys(record.target for record in self.records))
            raise InputError(f"no results of {target!r}{nearest(target, known)}; there are those of {', '.join(known[:5])}")
        return Results(found, [one for one in self.evidence if one.target == target])

    def top(self, count: int = 1) -> "Results":
        """The `count` best texts of each target, best first, whatever the method."""
        targets = dict.fromkeys((record.model, record.target) for record in self.records)
        ordered = sorted(self.records, key=lambda record: -record.activation)
        kept = [record for key in targets for record in [one for one in ordered if (one.model, one.target) == key][:count]]
        return Results(kept, self.evidence)

    def show(self) -> None:
        """Print the table."""
        from rich.console import Console

        Console().print(ngram_table(self.records, self.evidence))

    def to_arrow(self) -> pa.Table:
        """A row a record, with the columns of `records.parquet`."""
        return table(self.records)

    def to_pandas(self) -> "pandas.DataFrame":
        """The same as a data frame of pandas, which must be installed."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> "polars.DataFrame":
        """The same as a data frame of polars, which must be installed."""
        import polars

        found = polars.from_arrow(self.to_arrow())
        assert isinstance(found, polars.DataFrame)
        return found

    def figure(self) -> "Figure":
        """A panel a site, a box a method: each neuron over its best of the corpus, or the model's own units without corpus search."""
        figures.require_matplotlib()
        methods = list(dict.fromkeys(record.method for record in self.records))
        sites = {site: site for site in dict.fromkeys(map(site_of, self.records))}
        return figures.by_method(self.records, methods, sites, normalised=BASELINE in methods)

    def _repr_html_(self) -> str:
        """The table, for a notebook: words in the colours of what they add."""
        heats = {key_of(one, heat): heat for one in self.evidence for heat in one.heats}
        base = {record.target: record.activation for record in self.records if record.method == BASELINE and record.rank == 1}
        head = _row(("neuron", "method", "text", "activation", "/ corpus"), "th")
        rows = [
            _row(
                (
                    html.escape(record.target),
                    html.escape(record.method),
                    _text(record, heats.get(key_of(record, record))),
                    f"{record.activation:.3f}",
                    ratio(record.activation, base.get(record.target)),
                ),
                "td",
            )
            for record in self.records[:SHOWN]
        ]
        more = f"<p>and {len(self.records) - SHOWN} more; see .to_pandas()</p>" if len(self.records) > SHOWN else ""
        return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>{more}"


def _row(cells: Sequence[str], tag: str) -> str:
    sides = ("left", "left", "left", "right", "right")
    return "<tr>" + "".join(f'<{tag} style="{CELL.format(side)}">{cell}</{tag}>' for cell, side in zip(cells, sides, strict=True)) + "</tr>"


def _text(record: Record, heat: Heat | None) -> str:
    """The words, escaped, each by itself, so that none changes the direction of the others."""
    if heat is None:
        return f"<bdi>{html.escape(visible(record.text))}</bdi>"
    shades, top = shade(record.activation, heat.without)
    words = []
    for i, (word, colour, rest) in enumerate(zip(heat.words, shades, heat.without, strict=True)):
        style = f"background:{colour};color:{INK};border-radius:3px;padding:0 .2em" if colour else "padding:0 .2em"
        line = ";text-decoration:underline 2px" if i == top else ""
        told = "" if rest is None else f' title="{record.activation - rest:+.3f}"'
        words.append(f'<bdi style="{style}{line}"{told}>{html.escape(visible(word))}</bdi>')
    return " ".join(words)
