"""Peers and our methods on the same targets: every text is scored by optigram, and by transformers alone as a reader would type it."""

import functools
import itertools
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from benchmarks.peers.contest import Contest, prepared, python_of
from benchmarks.quality.search import plain
from benchmarks.results import Row
from benchmarks.setup import Result, Settings, Unit, targets_at
from safetensors.torch import load_file

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.models.loading import load
from optigram.objective.objective import Objective
from optigram.runs.find import run_methods
from optigram.runs.options import FindOptions
from optigram.study import statistics
from optigram.study.statistics import grouped
from optigram.text.template import Template

KINDS = {"whisperers": ("cosine",), "tropt": ("projection", "cosine"), "nanogcg": ("word",)}  # what each can express
OURS, WHOLE = "optigram", "whole"  # with the work on common prefixes shared, and with every text read whole, as peers do
AUTO, AUTO_WHOLE, RANDOM = "optigram:auto", "whole:auto", 100  # texts of random tokens, whose mean is the floor of each target
KEPT = "target", "text", "activation", "floor", "processor", "curve"  # of each search, in the results
Line = dict[str, Any]
Found = Mapping[str, Any]  # what the results keep of a search


class _ReadWhole:
    """A model that reads every text from its first word."""

    step = None

    def __init__(self, model: Model) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


@dataclass(frozen=True)
class Match:
    """A contest in its working folder; models are opened and peers are started when they are first needed."""

    working: Path
    contest: Contest
    settings: Settings
    peers: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def __hash__(self) -> int:
        return id(self)

    @functools.cache  # noqa: B019, an instance lives as long as its run
    def model(self, folder: str) -> Model:
        """The whole model, or its first blocks."""
        return load(str(self.working / folder))

    def objective(self, kind: str, targets: Sequence[str], whole: bool = False) -> Objective:
        """Our objective of some targets, by which all tools are scored; if `whole`, texts share no work."""
        contest, model = self.contest, self.model("whole" if kind == "word" else "blocks")
        model = cast(Model, _ReadWhole(model)) if whole else model
        template = Template() if kind == "word" else Template.parse(f"{{}} {contest['read_at']}", model.vocabulary)
        words = np.array(contest["allowed"], dtype=np.int64)
        found = targets_at(model, [self._address(kind, target) for target in targets])
        return Objective(model, found, contest["length"], template, words, must_survive=True)

    def _address(self, kind: str, target: str) -> str:
        """A target as optigram names it. The next block's norm makes a projection on its output the cosine before it."""
        if kind == "word":
            return f"logits:{json.dumps(target)}"
        layer = self.contest["layer"]
        norm = f"model.layers.{layer + 1}.input_layernorm"
        site, name = (f"resid_post.{layer}", target) if kind == "projection" else (norm, f"{target}.cosine")
        return f"{site}:{self.working / 'probe.safetensors'}#{name}"

    def asked(self, peer: str, request: Line) -> Line:
        """A peer's answer, by its adapter in its own environment: one process for all requests."""
        if peer not in self.peers:
            adapter = Path(__file__).parent / "adapters" / f"{peer}_adapter.py"
            command = [str(python_of(self.working, peer)), str(adapter), str(self.working)]
            with (self.working / f"{peer}.log").open("a", encoding="utf-8") as log:
                self.peers[peer] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        process = self.peers[peer]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        if not (answer := process.stdout.readline()):
            raise InputError(f"{peer} ended without an answer; read {peer}.log in the working folder")
        found = json.loads(answer)
        if "refused" in found:
            raise InputError(f"{peer}: {found['refused']}")
        return found


def setup(settings: Settings) -> Match:
    """The contest of the folder that the option `working` names."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["OMP_NUM_THREADS"] = "1"
    working = Path(settings.option("working", ""))
    if not str(settings.options.get("working", "")):
        raise InputError("expected a folder for models and environments; give --option working=DIR")
    return Match(working, prepared(working, settings), settings)


def units(settings: Settings) -> Iterator[Unit]:
    """A unit per budget, kind of contest and tool, such as tropt:gaslite or optigram:auto."""
    kinds = settings.option("contests", "projection,cosine,word").split(",")
    for budget, (kind, name) in itertools.product(settings.budgets, itertools.product(kinds, settings.by)):
        if kind in KINDS.get(name.partition(":")[0], (kind,)):
            yield {"contest": kind, "budget": float(budget), "tool": name}


def play(match: Match, unit: Unit, seed: int) -> list[Result]:
    """What one tool finds for the targets of a contest, and what it costs."""
    tool, _, method = unit["tool"].partition(":")
    lines = [_line(match, tool, method, unit, seed, number, target) for number, target in enumerate(_targets(match, unit["contest"]))]
    metrics: dict[str, Any] = {
        "targets": len(lines),
        "spent": float(np.median([line["spent"] for line in lines])),
        "processor": float(np.median([line["processor"] for line in lines])),
        "survive": float(np.mean([line["survives"] for line in lines])),
        "reported_gap": max(abs(line["reported"] - line["log_probability" if tool == "nanogcg" else "activation"]) for line in lines),
        "independent_gap": max(abs(line["independent"] - line["activation"]) for line in lines),
        "log_probability": float(np.median([line["log_probability"] for line in lines])) if unit["contest"] == "word" else None,
        "version": lines[0].get("version"),
    }
    return [Result(metrics, [{name: line[name] for name in KEPT if name in line} for line in lines])]


def _targets(match: Match, kind: str) -> list[str]:
    """So many words; or so many directions, a fifth of them placebos."""
    contest, count = match.contest, match.settings.targets
    if kind == "word":
        return contest["words"][:count]
    placebos = [name for name in contest["directions"] if name.startswith("placebo")][: max(1, count // 5)]
    return [name for name in contest["directions"] if not name.startswith("placebo")][: count - len(placebos)] + placebos


def _line(match: Match, tool: str, method: str, unit: Unit, seed: int, number: int, target: str) -> Line:
    """One search, and the scores of its text."""
    kind, contest = unit["contest"], match.contest
    if tool in (OURS, WHOLE):
        found = _ours(match.objective(kind, [target], tool == WHOLE), method, unit["budget"], seed, contest["length"])
    else:
        common = {name: contest[name] for name in ("layer", "length", "read_at", "allowed")}
        request = {"method": method, "contest": kind, "budget": unit["budget"], "seed": seed, "direction": target, "word": target}
        found = match.asked(tool, common | request | {"start": contest["starts"][number % len(contest["starts"])]})
    floor = _floors(match, kind)[target]
    activation = float(match.objective(kind, [target]).score(torch.tensor([[found["ids"]]])).activation)
    return found | {"target": target, "activation": activation, "floor": floor} | _independent(match, kind, target, found)


def _ours(objective: Objective, method: str, budget: float, seed: int, length: int) -> Line:
    begun = time.process_time()
    (found,) = run_methods(objective, FindOptions(by=(method,), budget=budget, seed=seed))
    (record,) = found.records
    spent, processor = record.total_forwards, time.process_time() - begun
    curve = [[spent, activation] for spent, activation, *_ in record.trace]
    told = {"ids": record.ids[:length], "text": record.text, "reported": record.activation, "curve": curve}
    return told | {"spent": spent, "processor": processor}


@functools.cache
def _floors(match: Match, kind: str) -> dict[str, float]:
    """The mean of random texts for each target."""
    contest, targets = match.contest, _targets(match, kind)
    random = torch.from_numpy(np.random.default_rng(1).choice(contest["allowed"], (1, RANDOM, contest["length"])))
    return dict(zip(targets, match.objective(kind, targets).score(random).activation.mean(1).tolist(), strict=True))


@functools.cache
def _independent_model(working: Path) -> tuple[Any, Any, Mapping[str, torch.Tensor]]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(working / "whole", dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(working / "whole"), load_file(working / "probe.safetensors")


def _independent(match: Match, kind: str, target: str, found: Line) -> Line:
    """The score of the text by transformers alone, as a reader would type it, and whether its ids survive that."""
    (model, tokenizer, probe), contest = _independent_model(match.working), match.contest
    inputs = tokenizer(found["text"] + ("" if kind == "word" else f" {contest['read_at']}"), return_tensors="pt")
    survives = inputs.input_ids[0].tolist()[: contest["length"]] == found["ids"]
    with torch.no_grad():
        output = model(**inputs, output_hidden_states=True)
    if kind == "word":
        (unit,), logits = tokenizer.encode(target, add_special_tokens=False), output.logits[0, -1]
        return {"independent": float(logits[unit]), "log_probability": float(logits.log_softmax(0)[unit]), "survives": survives}
    state, vector = output.hidden_states[contest["layer"] + 1][0, -1], probe[target]
    value = state @ vector if kind == "projection" else torch.cosine_similarity(state, vector, dim=0)
    return {"independent": float(value), "survives": survives}


def derive(rows: Sequence[Row]) -> list[Row]:
    """Add worth, from the mean of random texts (0) to the best text that any tool found for the target (1), and what `auto` wins.

    Over all seeds together: a win is a target and a seed. `auto_wins` at equal forward-equivalents, `whole_wins` where no text of ours
    shares work either, `time_wins` in the peer's processor seconds, or in fewer where `auto` had ended before.
    """
    best: dict[tuple[str, str], float] = {}
    for contest, text in ((row.settings["contest"], text) for row in rows for text in row.texts):
        key = contest, text["target"]
        best[key] = max(text["activation"], best.get(key, -np.inf))
    known = {(_unit(row), row.settings["tool"], row.seed, text["target"]): text for row in rows for text in row.texts}
    groups = grouped([row for row in rows if row.texts], lambda row: (_unit(row), row.settings["tool"]))
    wins = {key: _wins(group, known) for key, group in groups.items()}
    return [_with_worth(row, best, wins[_unit(row), row.settings["tool"]]) if row.texts else row for row in rows]


def _unit(row: Row) -> tuple[Any, ...]:
    return row.settings["contest"], row.settings.get("budget"), row.settings.get("targets"), row.settings.get("themes")


def _wins(rows: Sequence[Row], known: Mapping[tuple[Any, ...], Found]) -> dict[str, Any]:
    """How often `auto` is above the tool of some rows, by what is held equal."""
    tool, made = rows[0].settings["tool"], {}
    for name, ours, value in (("auto_wins", AUTO, _final), ("whole_wins", AUTO_WHOLE, _final), ("time_wins", AUTO, _in_time)):
        theirs = {(_unit(row), ours, row.seed, text["target"]): text for row in rows for text in row.texts}
        pairs = [(value(known[key], text), text["activation"]) for key, text in theirs.items() if key in known]
        pairs = [(mine, other) for mine, other in pairs if mine is not None]
        if pairs and tool.partition(":")[0] not in (OURS, WHOLE):
            made[name] = plain(statistics.Interval.share(sum(mine > other for mine, other in pairs), len(pairs)))
    return made


def _final(ours: Found, theirs: Found) -> float:
    return ours["activation"]


def _in_time(ours: Found, theirs: Found) -> float | None:
    """Our best activation in the peer's seconds, if both were kept; work is taken to be even over a search."""
    if "curve" not in ours or "processor" not in theirs:
        return None
    spent = ours["curve"][-1][0] * min(1.0, theirs["processor"] / ours["processor"])
    return max((activation for at, activation in ours["curve"] if at <= spent), default=ours["floor"])


def _with_worth(row: Row, best: Mapping[tuple[str, str], float], wins: Mapping[str, Any]) -> Row:
    kind = row.settings["contest"]
    worth = [(text["activation"] - text["floor"]) / (best[kind, text["target"]] - text["floor"]) for text in row.texts]
    return replace(row, metrics={**row.metrics, "worth": plain(statistics.Interval.median(worth)), **wins})
