"""Draw the table of a run as an SVG picture: `optigram demo --out run; python docs/picture.py run docs/demo.svg`."""

import io
import re
import sys
from pathlib import Path

from rich.console import Console

from optigram.report.results import Results


def main(folder: Path, picture: Path) -> None:
    """Write the table of the records in `folder` to `picture`, as a terminal shows it, without the web fonts that rich links to."""
    console = Console(record=True, width=114, file=io.StringIO(), force_terminal=True)
    Results.open(folder).show(console)
    drawn = console.export_svg(title="optigram demo")
    picture.write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
