"""Every figure, table and page of a study from its records, without running anything.

python -m optigram.papers.poerner2018.show RECORDS_FOLDER [OUT]
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from optigram.errors import InputError
from optigram.files import writable_folder, written_whole
from optigram.papers.poerner2018 import claims, larger, readers, syntax, table1
from optigram.papers.poerner2018.growth import Growth
from optigram.papers.poerner2018.measures import Measures
from optigram.papers.poerner2018.omission import OmissionTable
from optigram.papers.poerner2018.recipe import MODERN
from optigram.papers.poerner2018.stored import read_records
from optigram.report import figures
from optigram.report.formats import FORMATS, Grid
from optigram.runs.records import Record
from optigram.study.statistics import grouped, site_of

TITLES = {"language": "language path", "visual": "visual path"}
RECORDS, MEASURES, GROWTH = "records.jsonl.xz", "measures.json", "growth.json"


def read(folder: Path) -> tuple[list[Record], Measures, Growth | None]:
    """The records of a folder, its measures, and the growth of corpus search if it was measured. Raises InputError for another folder."""
    if not (folder / RECORDS).is_file() or not (folder / MEASURES).is_file():
        raise InputError(f"expected {RECORDS} and {MEASURES} in {folder}, got no such files; give a folder of `optigram study poerner2018`")
    growth = folder / GROWTH
    return read_records(folder / RECORDS), Measures.read(folder / MEASURES), Growth.read(growth) if growth.is_file() else None


def pages(records: Sequence[Record], measures: Measures, growth: Growth | None) -> dict[str, str]:
    """All pages in Markdown, by file name."""
    found = syntax.Syntax.of([record for record in records if record.arm == MODERN], measures.corpus, set(measures.bigrams))
    omitted = OmissionTable.from_json(measures.omission)
    grown = [] if growth is None else larger.section(records, growth)
    parts = [*claims.page(records, measures), *grown, found.section(), omitted.section(found.contrasts), *_run(records, measures)]
    return {"claims.md": "\n".join(parts), "readers.md": readers.page(records, measures, growth), "table1.md": table1.page(records)}


def write(records: Sequence[Record], measures: Measures, growth: Growth | None, out: Path) -> None:
    """Write the pages, `table1` in every format, and Figure 1, the curves over the budget and the growth of the corpus as figures."""
    writable_folder(out)
    grid = table1.grid(records)
    for suffix, render in FORMATS.items():
        _write(out / f"table1.{suffix}", render(grid))
    for name, text in pages(records, measures, growth).items():
        _write(out / name, text)
    for arm in claims.drawn(records):
        here, name = [record for record in records if record.arm == arm], claims.FIGURES[arm]
        methods = list(dict.fromkeys(record.method for record in here))
        figures.save(figures.by_method(here, methods, TITLES), out / name)
        figures.save(figures.by_method(here, methods, TITLES, normalised=True), out / f"{name}-normalised")
    modern = [record for record in records if record.arm == MODERN]
    figures.save(
        figures.curves(modern, [name for name in dict.fromkeys(r.method for r in modern) if name != "crp"], TITLES), out / "budget"
    )
    if growth is not None:
        figures.save(larger.figure(records, growth, TITLES), out / "corpus-size")


def _run(records: Sequence[Record], measures: Measures) -> list[str]:
    """What of the study was run: neurons per path and seeds, beside those that the study names."""
    done = grouped(records, lambda record: (record.arm, record.method))
    rows = []
    for arm in measures.arms:
        planned = {target.split(":")[0]: target.count(",") + 1 for target in arm["targets"] if "*" not in target}
        for method in arm["methods"]:
            here = done.get((arm["name"], method), [])
            count = {site: len({one.target for one in group}) for site, group in grouped(here, lambda one: site_of(one.target)).items()}
            sites = planned or dict.fromkeys(count, sum("*" in target for target in arm["targets"]) // max(len(count), 1))
            told = ", ".join(f"{count.get(site, 0)} of {most} {site}" for site, most in sites.items())
            rows.append([arm["name"], method, told or "none", str(len({one.seed for one in here})), "" if here else "not run"])
    return [
        "## What was run\n",
        "A study names more than a small machine can run; this is what these records hold.\n",
        Grid(("settings", "method", "neurons", "seeds", ""), rows, frozenset({3})).markdown(),
    ]


def _write(path: Path, text: str) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(*read(Path(sys.argv[1])), Path(sys.argv[-1]))
