"""One run of `find`, from what is asked for to a folder: `manifest.json` (versions, settings, fingerprints) and Parquet."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from optigram.errors import InputError
from optigram.files import text_fingerprint, versions, writable_folder, written_whole
from optigram.methods import chains
from optigram.models.base import model_fingerprint
from optigram.models.loading import BUNDLED
from optigram.optimize.search import Budget
from optigram.runs.corpus import sentences_for
from optigram.runs.find import MethodResult, Watch, find
from optigram.runs.folder import MANIFEST, RECORDS
from optigram.runs.options import FindOptions, make_objective, remarks
from optigram.runs.plan import reads_corpus
from optigram.runs.records import Record, write
from optigram.runs.scan_start import starts_from_scan


def run(request: FindOptions, out: Path | None, watch: Callable[[int], Watch], remark: Callable[[str], None]) -> list[MethodResult]:
    """What each method of a request found, written to the new folder `out` if there is one.

    `watch` is told the number of targets and gives what watches the search. `remark` is told what is worth saying.
    All that is asked for is looked at before the work begins; raises InputError.
    """
    bounds = Budget(forwards=request.budget)
    for name in request.by:
        chains.parse(name)
    objective = make_objective(request)
    reads = reads_corpus(request.by, request.corpus is not None or objective.model.name == BUNDLED)
    folder = None if out is None else _new_folder(out)
    corpus = sentences_for(objective.model, request.corpus, request.seed) if reads else None
    if corpus is not None:
        remark(f"corpus: {corpus.name}")
    for remarked in remarks(objective, () if corpus is None else corpus.texts):
        remark(remarked)
    if chains.AUTO in request.by:
        remark(f"{chains.AUTO} is {chains.parse(chains.AUTO, corpus is not None).expanded} here; its settings stand in the records")
    starts = None if request.start is None else starts_from_scan(request.start, objective)
    watched = watch(len(objective.targets))
    finds = list(find(objective, request.by, corpus, bounds, request.seed, request.top, watched, request.apart, starts, request.front))
    for one in finds:
        if one.broken:
            remark(f"{one.method}: {one.broken} scores were not a number and were left out; is the model sound?")
        if one.interrupted:
            remark(f"{one.method}: interrupted; kept {len(one.records)} of {len(objective.targets) * request.top} texts")
    if folder is not None:
        prints = {"model": model_fingerprint(objective.model), "corpus": corpus and text_fingerprint(corpus.texts)}
        about = {"settings": asdict(request), "corpus": corpus and corpus.name, "fingerprints": prints}
        _write_run(folder, [record for one in finds for record in one.records], about)
    return finds


def _new_folder(path: Path) -> Path:
    """A folder that can be written to and holds no other run."""
    if (path / MANIFEST).exists():
        raise InputError(f"{path} already holds a run; name another folder, or remove it")
    return writable_folder(path)


def _write_run(folder: Path, records: Sequence[Record], settings: dict[str, Any]) -> None:
    """Write records and manifest; the manifest comes last, so a folder that has one is complete."""
    write(records, folder / RECORDS)
    with written_whole(folder / MANIFEST) as path:
        path.write_text(json.dumps({"versions": versions(), **settings}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
