"""One run of `find`, from what is asked for to a folder: `manifest.json` (versions, settings, fingerprints) and Parquet."""

import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from optigram.errors import InputError
from optigram.files import writable_folder, written_whole
from optigram.loop import Budget
from optigram.methods import presets
from optigram.study.corpus import sentences_for
from optigram.study.find import Finds, Watch, find
from optigram.study.folders import MANIFEST, RECORDS
from optigram.study.judging import Request, judge_of, remarks_on
from optigram.study.records import Record, write


def run(request: Request, out: Path | None, watch: Callable[[int], Watch], remark: Callable[[str], None]) -> list[Finds]:
    """What each method of a request found, written to the new folder `out` if there is one.

    `watch` is told the number of targets and gives what watches the search. `remark` is told what is worth saying.
    All that is asked for is looked at before the work begins; raises InputError.
    """
    bounds = Budget(forwards=request.budget)
    labels = [presets.parse(name).label for name in request.by]
    objective = judge_of(request)
    folder = None if out is None else new_folder(out)
    corpus = sentences_for(objective.model, request.corpus, request.seed) if presets.CORPUS in labels else None
    if corpus is not None:
        remark(f"corpus: {corpus.name}")
    for remarked in remarks_on(objective, () if corpus is None else corpus.texts):
        remark(remarked)
    watched = watch(len(objective.targets))
    finds = list(find(objective, request.by, corpus, bounds, request.seed, request.top, watched))
    for one in finds:
        if one.broken:
            remark(f"{one.method}: {one.broken} scores were not a number and were left out; is the model sound?")
        if one.interrupted:
            remark(f"{one.method}: interrupted; kept {len(one.records)} of {len(objective.targets) * request.top} texts")
    if folder is not None:
        prints = {"model": model_fingerprint(objective.model), "corpus": corpus and text_fingerprint(corpus.texts)}
        about = {"settings": asdict(request), "corpus": corpus and corpus.name, "fingerprints": prints}
        write_run(folder, [record for one in finds for record in one.records], about)
    return finds


def new_folder(path: Path) -> Path:
    """A folder that can be written to and holds no other run."""
    if (path / MANIFEST).exists():
        raise InputError(f"{path} already holds a run; name another folder, or remove it")
    return writable_folder(path)


def write_run(folder: Path, records: Sequence[Record], settings: dict[str, Any]) -> None:
    """Write records and manifest; the manifest comes last, so a folder that has one is complete."""
    write(records, folder / RECORDS)
    with written_whole(folder / MANIFEST) as path:
        path.write_text(json.dumps({"versions": versions(), **settings}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Versions of all that numbers hang on."""
    return {name: version(name) for name in ("optigram", "torch", "numpy")} | {"python": platform.python_version()}


def model_fingerprint(model: object) -> str:
    """A hash of all weights, the same for the same numbers wherever they are stored."""
    assert isinstance(model, nn.Module)
    found = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())  # numpy knows no bfloat16
    return found.hexdigest()


def text_fingerprint(texts: Iterable[str]) -> str:
    """A hash of sentences in their order."""
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode() + b"\n")
    return found.hexdigest()
