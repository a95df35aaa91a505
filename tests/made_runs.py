"""Runs made up for the report: any number of neurons, and words that try to break out of a page."""

from pathlib import Path

import numpy as np

from optigram.study.evidence import Evidence, Example, Heat, Substitute
from optigram.study.folders import Kept
from optigram.study.records import Record

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
SETTINGS = {"model": "tiny", "by": list(METHODS), "length": 5, "budget": 2500, "seed": 0}


def made_run(count: int, words: tuple[str, ...] = PLAIN, site: str = "visual") -> tuple[Kept, list[Evidence]]:
    """A run of `count` neurons by five methods, and its evidence; neuron i is SITE:WORD."""
    rng = np.random.default_rng(0)
    records, evidence = [], []
    for number in range(count):
        name = words[number] if number < len(words) else f"unit{number}"
        target = f"{site}:{name}"
        texts = [_record(target, method, words, rng) for method in METHODS]
        records += texts
        evidence.append(_evidence(target, texts, words, rng))
    return Kept(Path("made"), {"settings": SETTINGS, "versions": VERSIONS}, records, whole=True), evidence


def _record(target, method, words, rng) -> Record:
    text = [words[i] for i in rng.integers(len(words), size=5)]
    activation = float(rng.normal(10 if method != "logit" else 2, 1))
    trace = [[10.0 * 2**i, activation - 5 / (i + 1)] for i in range(12)]
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
    return Evidence("tiny", target, ["blocks.0.hook"], heats, substitutes, 50, examples, edges, counts, SIZES, best)
