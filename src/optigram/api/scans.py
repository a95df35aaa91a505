"""Scans of a corpus, and the folders that runs, studies and scans leave."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optigram.report.results import Results
from optigram.report.scan_results import ScanResults
from optigram.scanning.results import ScanFolder
from optigram.scanning.scan import scan as scan_tables
from optigram.targets.target import Target


def scan(
    model: Any,
    targets: str | Target | Iterable[str | Target],
    corpus: Any = None,
    *,
    question: str = "context",
    length: int = 5,
    top: int = 20,
    context: int = 256,
    skipped: int | None = None,
    special: bool = False,
    per_document: int = 1,
    fold: int = 8,
    sample: int = 200,
    tokens: int | None = None,
    seed: int = 0,
    column: str | None = None,
    out: Path | str | None = None,
    shards: int | None = None,
    skip_bad: bool = False,
    device: str | None = None,
    tokenizer: Any = None,
    quiet: bool | None = None,
) -> ScanResults:
    """Find the best places of many targets in a corpus, in one pass in this process.

    Args:
        model: as in `find`.
        targets: as in `find`.
        corpus: as in `find`; by default the texts that come with the bundled model.
        question: "context": the best positions in their documents; "alone": the best n-grams of `length` tokens, each by itself.
        length: the length of the n-grams of "alone".
        top: the number of highest and of lowest places to keep per target.
        context: tokens read at a time.
        skipped: first positions of them that do not count; by default 1, in recurrent models 0.
        special: let special tokens count.
        per_document: the largest number of places kept per document.
        fold: of places that end in the same `fold` tokens keep the first (0: keep all).
        sample: the number of random places, kept with all their values.
        tokens: tokens per forward pass, on which the last bits of results depend; by default 512 on a CPU, else 16384.
        seed: the seed of the random places, and of a `sampled:N` corpus.
        column: the column of the corpus that holds the texts.
        out: a folder that keeps everything; a scan that was interrupted goes on there with the shards that are missing.
        shards: the number of shards; by default one per 64 MB of text.
        skip_bad: skip what cannot be read, and list it in `about["skipped"]`.
        device: the device of a model opened by name.
        tokenizer: the tokenizer of a loaded model that does not know its own.
        quiet: True for no progress and no remarks; by default they are shown on a terminal and in a notebook.

    Returns:
        `ScanResults`: the places of every target, best first, and the statistics of its activations.

    Raises:
        InputError: one line that says what was expected.
    """
    asked: dict[str, Any] = {"question": question, "length": length, "top": top, "context": context, "skipped": skipped}
    asked |= {"special": special, "per_document": per_document, "fold": fold, "sample": sample, "tokens": tokens, "seed": seed}
    asked |= {"column": column, "out": out, "shards": shards, "skip_bad": skip_bad, "device": device, "tokenizer": tokenizer}
    found = scan_tables(model, targets, corpus, quiet=quiet, **asked)
    return ScanResults(found.about, found.examples, found.targets, found.curve)


def open(folder: str | Path) -> Results | ScanResults:
    """Open the folder of a run, a study or a scan. Raises InputError for any other, and for one that another version wrote."""
    place = Path(folder)
    return ScanResults.load(place) if ScanFolder.is_in(place) else Results.open(place)
