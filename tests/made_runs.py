"""Made-up runs for the report: any number of neurons, and words that try to break out of a page."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from optigram.explaining.evidence import Concept, Contrast, Pattern, Slot
from optigram.explaining.evidence import Evidence as Known
from optigram.explaining.evidence import Example as Text
from optigram.explaining.verification import FIRES, FITS, Auc, Counterexample, Prediction, Verification
from optigram.runs.folder import RUN_FORMAT, RunFolder
from optigram.runs.records import Record
from optigram.scanning.merge import EXAMPLE_COLUMNS
from optigram.scanning.plan import ScanSettings
from optigram.scanning.results import ScanTables
from optigram.scanning.statistics import BINS, EDGES
from optigram.study.evidence import Evidence, Example, Heat, Substitute

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</script><script>window.broken=1</script>",
    "\"'><b onmouseover=alert(1)>",
    "javascript:alert(1)",
    "{{ 7*7 }}",
    "<!--",
    "\u200b",
    "\u202eabc",
    "\u200f",
    "\u2028",
    "سلام",
    "שלום",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\n",
    " ",
    "&amp;",
    "日本",
    "a" * 60,
)
PLAIN = tuple(f"word{n}" for n in range(50))
METHODS = ("crp", "emb", "logit", "smx", "gbl")
SIZES = [256, 512, 1024]
VERSIONS = {"optigram": "0", "torch": "0"}
MARK = "the same weights"
SETTINGS = {"model": "tiny", "by": list(METHODS), "length": 5, "budget": 2500, "seed": 0}


def made_run(count: int, words: tuple[str, ...] = PLAIN, site: str = "visual") -> tuple[RunFolder, list[Evidence]]:
    """A run of `count` neurons by five methods, and its evidence; neuron i is SITE:WORD."""
    rng = np.random.default_rng(0)
    records, evidence = [], []
    for number in range(count):
        name = words[number] if number < len(words) else f"unit{number}"
        target = f"{site}:{name}"
        texts = [_record(target, method, words, rng) for method in METHODS]
        records += texts
        evidence.append(_evidence(target, texts, words, rng))
    manifest = {"format": RUN_FORMAT, "settings": SETTINGS, "versions": VERSIONS, "fingerprints": {"model": MARK}}
    return RunFolder(Path("made"), manifest, records, whole=True), evidence


def made_scan(count: int, words: tuple[str, ...] = PLAIN, site: str = "visual", alone: bool = False) -> ScanTables:
    """A scan of the same neurons, in context or of n-grams alone."""
    rng = np.random.default_rng(1)
    targets = [f"{site}:{words[number] if number < len(words) else f'unit{number}'}" for number in range(count)]
    splits = ("top", "bottom") if alone else ("top", "bottom", "random", *(f"quantile {n} of 5" for n in range(1, 6)))
    examples = [_example(target, split, rank, words, rng, alone) for target in targets for split in splits for rank in range(1, 13)]
    histogram = [0 if alone else int(n) for n in rng.integers(0, 900, BINS)]
    moments = dict.fromkeys(("mean", "variance", "skewness", "kurtosis", "above_zero"), float("nan") if alone else 0.5)
    tally = {
        "index": 0,
        "places": 9000,
        "broken": 0,
        "highest": 12.0,
        "lowest": -2.0,
        **moments,
        "histogram": histogram,
        "edges": EDGES.tolist(),
    }
    curve = [{"target": target, "tokens": 100 * 2**i, "highest": 5.0 + i} for target in targets for i in range(8)]
    settings = ScanSettings("alone" if alone else "context").to_dict()
    scan = {
        "model": "tiny",
        "mark": MARK,
        "dtype": "saved",
        "settings": settings,
        "sources": [{"path": "far/corpus.txt"}],
        "versions": VERSIONS,
    }
    about = {"scan": scan, "shards": {"done": [0], "of": 1}, "documents": 900, "tokens": 9000, "seconds": 3.0, "skipped": []}
    about |= {"broken": {"values": 0, "in": []}}
    tables = (examples, [{"target": target, **tally} for target in targets], curve)
    schemas = (pa.schema(EXAMPLE_COLUMNS), None, None)
    return ScanTables(about, *(pa.Table.from_pylist(rows, schema=schema) for rows, schema in zip(tables, schemas, strict=True)))


def made_explained(count: int, words: tuple[str, ...] = PLAIN, site: str = "visual") -> tuple[list[Known], list[Verification]]:
    """Two concepts of three slots, contrasts and a tested description of each of the neurons of `made_run`."""
    rng = np.random.default_rng(2)

    def text(source: str = "corpus") -> Text:
        return Text(" ".join(words[i] for i in rng.integers(len(words), size=5)), float(rng.normal(8, 2)), source)

    known, tested = [], []
    for number in range(count):
        target = f"{site}:{words[number] if number < len(words) else f'unit{number}'}"
        slots = [Slot([(words[(i + n) % len(words)], 12.0 - i / 8) for i in range(48)], gap=n == 2) for n in range(3)]
        pattern = Pattern(text("search"), slots, 0.875, 32, 0.6, begins=True, ends=True, without=[(words[0], 1.0)])
        concepts = [Concept([text(source) for source in ("search", "corpus") for _ in range(7)], pattern, 0.5, 0.25) for _ in range(2)]
        contrasts = [
            Contrast(kind, text(), text("edit")) for kind in ("off", "on", "order", "inhibits", "near miss", "surprise") for _ in range(3)
        ]
        known.append(Known("tiny", target, "max", concepts, contrasts, 0.9, "made", 0.1, 60, 1000.0, 1.0))
        areas = Auc(0.9, 0.8, 0.97), Auc(0.7, 0.5, 0.9)
        prediction = Prediction("a judge", *areas, 0.5, 0.55, float("nan"), 30, 60)
        counters = [Counterexample(kind, text().text, 5.0, (0.1,), "corpus") for kind in (FIRES, FITS) for _ in range(4)]
        said = " ".join([words[number % len(words)], *words[:3]])
        levels, shares = (6.0, 1.0), ((20, 24), (0, 0), 0.9, float("nan"))
        tested.append(
            Verification("tiny", f"{target}@max", said, text(), *levels, (prediction,), counters, *shares, "made", 0, 3000.0, 2.0)
        )
    return known, tested


def _example(target, split, rank, words, rng, alone) -> dict:
    tokens = [words[i] for i in rng.integers(len(words), size=5 if alone else 14)]
    ends = np.cumsum([len(token) + 1 for token in tokens]).tolist()
    spans = [place for token, end in zip(tokens, ends, strict=True) for place in (end - len(token), end)]
    values = None if alone else rng.normal(3, 3, len(tokens)).tolist()
    at = 4 if alone else 8
    place = {"position": 20 + at, "begin": 20, "source": "far/corpus.txt", "place": 77, "document": 3, "char_begin": None, "char_end": None}
    found = {"target": target, "split": split, "rank": rank, "activation": 13.0 - rank if values is None else values[at]}
    return (
        found
        | place
        | {"ids": [1] * len(tokens), "activations": values, "text": "".join(f" {t}" for t in tokens), "text_begin": 0, "spans": spans}
    )


def _record(target, method, words, rng) -> Record:
    text = [words[i] for i in rng.integers(len(words), size=5)]
    activation = float(rng.normal(10 if method != "logit" else 2, 1))
    trace = [[10.0 * 2**i, *[activation - 5 / (i + 1)] * 2] for i in range(12)]
    return Record(
        "tiny", target, method, "", 0, 1, " ".join(text), text, [1] * 5, activation, None, True, 800.0, 1600.0, 1.0,
        {"soft": activation * 1.2} if method != "crp" else {}, "", trace,
    )  # fmt: skip


def _evidence(target, records, words, rng) -> Evidence:
    heats = [Heat("", record.method, 0, 1, record.tokens, rng.normal(record.activation - 1, 1, 5).tolist()) for record in records]
    substitutes = [Substitute(place, words[rng.integers(len(words))], float(rng.normal(9, 1))) for place in range(5) for _ in range(5)]
    examples = [
        Example(share, [words[i] for i in rng.integers(len(words), size=5)], 9.0, [8.0] * 5, "a very long way before it", words[0])
        for share in (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.001, 0.01, 0.1, 0.5)
    ]
    edges, counts = np.linspace(-3, 10, 41).tolist(), rng.integers(0, 900, 40).tolist()
    best = np.maximum.accumulate(rng.normal(8, 1, len(SIZES))).tolist()
    writes = [{"word": words[i % len(words)], "logit": 2.0 - i} for i in range(4)]
    return Evidence("tiny", target, ["blocks.0.hook"], heats, substitutes, 50, examples, edges, counts, SIZES, best, writes)
