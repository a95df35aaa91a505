"""What a page is told of a scan: the places of each target in their texts, moments, histogram and curve, as plain values."""

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as compute

from optigram.errors import InputError
from optigram.report.escape import Word
from optigram.report.page_data import short
from optigram.runs.folder import RunFolder
from optigram.scanning.export.rows import Neuron
from optigram.scanning.results import ScanTables
from optigram.study.statistics import grouped, site_of

SHOWN = {"top": 10, "bottom": 5, "random": 5}  # of each split; of a quantile group:
OF_A_GROUP = 2
DIGITS = 3  # of a token's activation
NARROWEST = 1 / 40  # bin of a histogram, of its width
SCANNED = {"per_document": 1, "fold": 8, "sample": 200, "tokens": 512, "top": 20, "context": 256, "skipped": 1, "seed": 0}
BUNDLED = "optigram/models/weights"  # sources there need no option
MOMENTS = {"mean": "mean", "skewness": "skewness", "kurtosis": "kurtosis"}
POOLS = re.compile("@(last|max|anywhere)$")  # left aside in context, where every position is looked at


def scan_contents(found: ScanTables, targets: Sequence[str]) -> dict[str, Any]:
    """All that the page of a scan alone is made of, in the form of `page_data.contents`."""
    known = _places(found, targets)
    neurons = [
        {"model": found.about["scan"]["model"], "target": target, "site": site_of(target), "texts": [], "places": known[target]}
        | {"base": known[target]["highest"]}
        for target in targets
    ]
    return {"series": [], "marked": False, "neurons": neurons}


def _names_in_scan(kept: RunFolder, scan: ScanTables) -> dict[str, str]:
    """The scan's names of those targets of a run that it has. Raises InputError for a scan of another model, and if it has none."""
    if kept.manifest.get("fingerprints", {}).get("model") != scan.about["scan"]["mark"]:
        raise InputError("the scan is of a model with other weights than the run, or the run does not say which; scan the run's own model")
    alone = scan.about["scan"]["settings"]["question"] == "alone"
    known, model = {row["target"] for row in scan.best}, kept.records[0].model
    wanted = {one.target: one.target if alone else _bare(one.target) for one in kept.records if one.model == model}
    names = {target: name for target, name in wanted.items() if name in known}
    if not names:
        raise InputError(f"none of the run's neurons was scanned, such as {kept.records[0].target}; name them to `optigram scan`")
    return names


def add_places(kept: RunFolder, neurons: Sequence[dict[str, Any]], scan: ScanTables) -> dict[str, str]:
    """Add the places of a scan to the neurons of a run; the scan's names of the targets that it has."""
    names, model = _names_in_scan(kept, scan), kept.records[0].model
    seen = _places(scan, list(names.values()))
    for neuron in neurons:
        if neuron["model"] == model and neuron["target"] in names:
            neuron["places"] = seen[names[neuron["target"]]]
            neuron["base"] = neuron["places"]["highest"] if neuron["base"] is None else neuron["base"]
    return names


def _places(found: ScanTables, targets: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is known of each of some targets, by target."""
    wanted = compute.field("target").isin(list(targets))
    rows = grouped(found.examples.filter(wanted).sort_by("rank").to_pylist(), lambda row: row["target"])
    curves = grouped(found.curve.to_pylist(), lambda row: row["target"])
    tallies = {row["target"]: row for row in found.targets.to_pylist()}
    return {target: _of(found, tallies[target], rows.get(target, []), curves.get(target, [])) for target in targets}


def _bare(target: str) -> str:
    """The address without a pool that a scan in context leaves aside."""
    return POOLS.sub("", target)


def _of(
    found: ScanTables, tally: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], curve: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    splits = grouped(rows, lambda row: row["split"])
    titles = ["top", *sorted((name for name in splits if name.startswith("quantile")), reverse=True), "random", "bottom"]
    return {
        "highest": short(tally["highest"]),
        "lowest": short(tally["lowest"]),
        "kurtosis": short(tally["kurtosis"]),
        "groups": [[name, [_place(row) for row in splits[name][: SHOWN.get(name, OF_A_GROUP)]]] for name in titles if name in splits],
        "facts": _facts(tally),
        "histogram": _histogram(tally),
        "curve": [[row["tokens"], short(row["highest"])] for row in curve if math.isfinite(row["highest"])],
        "command": _command(tally["target"], found.about["scan"]),
    }


def _place(row: Mapping[str, Any]) -> dict[str, Any]:
    """One place: the words of its window, the activation at each, and which of them was found."""
    values = row["activations"]
    words: list[str] = []
    kept: list[float] = []
    at = 0
    tokens = [row["text"]] if row["spans"] is None else Neuron.tokens_of(row)
    for i, word in enumerate(tokens):
        value = None if values is None or row["spans"] is None else values[i]
        if word or not words:
            words.append(Word.visible(word))
            kept += [] if value is None else [value]
        elif value is not None and abs(value) > abs(kept[-1]):  # a further piece of the same character
            kept[-1] = value
        if i <= row["position"] - row["begin"]:
            at = len(words) - 1
    made: dict[str, Any] = {"words": words, "at": at, "activation": short(row["activation"]), "where": _where(row)}
    return (
        made
        | ({"values": [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in kept]} if kept else {})
        | ({"cut": True} if row["begin"] else {})
    )


def _where(row: Mapping[str, Any]) -> str:
    return f"{row['source'].rpartition('/')[2]} at {row['place']:,}, token {row['position']}"


def _facts(tally: Mapping[str, Any]) -> dict[str, str]:
    """The moments, in words."""
    if not math.isfinite(tally["mean"]):
        return {}
    told = {"places": f"{tally['places']:,}"} | ({"not finite": f"{tally['broken']:,} of them"} if tally["broken"] else {})
    told |= {"standard deviation": f"{math.sqrt(tally['variance']):.3g}"}
    told |= {words: f"{tally[name]:.3g}" for name, words in MOMENTS.items()}
    return told | {"above 0": f"{tally['above_zero']:.1%}"}


def _histogram(tally: Mapping[str, Any]) -> dict[str, list[Any]] | None:
    """Counts between edges: the bins of the scan, cut to the range of the values; neighbours that are too narrow to be seen are one."""
    low, high = tally["lowest"], tally["highest"]
    if not any(tally["histogram"]) or not high > low:
        return None
    ends = np.clip([*tally["edges"], np.inf], low, high).tolist()
    edges, counts, open_ = [low], [], 0
    for end, count in zip(ends, tally["histogram"], strict=True):
        open_ += count
        if end - edges[-1] >= (high - low) * NARROWEST:
            edges, counts, open_ = [*edges, end], [*counts, open_], 0
    counts[-1] += open_
    return {"edges": [*map(short, edges[:-1]), short(high)], "counts": counts}


def _command(target: str, scan: Mapping[str, Any]) -> str:
    """The command that scans for one target; `scan` is from a scan's manifest."""
    settings = scan["settings"]
    words = ["optigram", "scan", scan["model"], target]
    words += [part for source in scan["sources"] if BUNDLED not in source["path"] for part in ("--corpus", source["path"])]
    if settings["question"] == "alone":
        words += ["--question", "alone", "--length", str(settings["length"])]
    words += ["--special"] if settings["special"] else []
    words += [] if scan["dtype"] == "saved" else ["--dtype", scan["dtype"]]
    words += [
        part
        for name, usual in SCANNED.items()
        if settings[name] != usual
        for part in (f"--{name.replace('_', '-')}", f"{settings[name]:g}")
    ]
    return shlex.join(words)
