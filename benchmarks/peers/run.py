"""Run peers and our methods on the same targets, and keep what they found: python benchmarks/peers/run.py --working DIR

    [--peers whisperers:gcg,tropt:gaslite,nanogcg:gcg] [--ours auto,coordinate] [--contests projection,cosine,word]
    [--budgets 1000,3000] [--targets 12] [--again] [--corpus FILE]

A line of `results.jsonl` is one search: texts, ids, what the peer says of it, forward-equivalents, seconds, seconds of the
processor, seed, version. What stands there is not run a second time, but with `--again`. With `--corpus` our methods
begin from its best texts, and their names end in `:corpus`.
"""

import argparse
import functools
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from setup import python_of

import optigram
from optigram import Budget, Objective, load, resolve, sentences
from optigram.models.base import Model
from optigram.runs.find import find
from optigram.runs.plan import Sentences
from optigram.text.template import Template

CONTESTS = {"whisperers": ("cosine",), "tropt": ("projection", "cosine"), "nanogcg": ("word",)}  # what each can express
OURS = "optigram"
SENTENCES = 300  # of a corpus
KEY = ("tool", "method", "contest", "target", "budget", "seed")
Line = dict[str, Any]


def main() -> None:
    """Run what is missing."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--working", type=Path, required=True)
    options.add_argument("--peers", default="")
    options.add_argument("--ours", default="")
    options.add_argument("--contests", default="projection,cosine,word")
    options.add_argument("--budgets", default="1000,3000")
    options.add_argument("--targets", type=int, default=12)
    options.add_argument("--words", type=int, default=6)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--again", action="store_true")
    options.add_argument("--corpus")
    asked = options.parse_args()
    os.environ["HF_HUB_OFFLINE"] = os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    contest = json.loads((asked.working / "contest.json").read_text(encoding="utf-8"))
    kept = Kept(asked.working / "results.jsonl", asked.again)
    for entrant in filter(None, asked.peers.split(",")):
        tool, _, method = entrant.partition(":")
        wanted = [line for line in lines(contest, tool, method, asked) if kept.lacks(line)]
        for line in by_peer(asked.working, tool, contest, wanted):
            kept.add(line)
    wanted = [line for method in filter(None, asked.ours.split(",")) for line in lines(contest, OURS, method, asked) if kept.lacks(line)]
    for line in by_ours(asked.working, contest, wanted, asked.corpus):
        kept.add(line)


class Kept:
    """The lines of a file, one for each search."""

    def __init__(self, path: Path, again: bool):
        self.path, self.again = path, again
        known = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        self.keys = set() if again else {tuple(line[name] for name in KEY) for line in known}

    def lacks(self, line: Line) -> bool:
        """Whether a search is still to be run."""
        return tuple(line[name] for name in KEY) not in self.keys

    def add(self, line: Line) -> None:
        """Keep a line; of two of the same search, the later counts."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(*(line[name] for name in (*KEY[:-1], "spent", "reported", "text")), f"{line['processor']:.0f}s", flush=True)


def lines(contest: Line, tool: str, method: str, asked: argparse.Namespace) -> Iterator[Line]:
    """The searches of an entrant: what each is of."""
    for budget in asked.budgets.split(","):
        for kind in asked.contests.split(","):
            if kind not in CONTESTS.get(tool, (kind,)):
                continue
            targets = contest["words"][: asked.words] if kind == "word" else spread(contest["directions"], asked.targets)
            for number, target in enumerate(targets):
                first = contest["starts"][number % len(contest["starts"])]
                named = f"{method}:corpus" if tool == OURS and asked.corpus else method
                yield {
                    "tool": tool,
                    "method": named,
                    "contest": kind,
                    "target": target,
                    "budget": float(budget),
                    "seed": asked.seed,
                    "start": first,
                }


def spread(directions: list[str], count: int) -> list[str]:
    """So many of the directions, a fifth of them placebos."""
    placebos = [name for name in directions if name.startswith("placebo")][: max(1, count // 5)]
    return [name for name in directions if not name.startswith("placebo")][: count - len(placebos)] + placebos


def by_peer(working: Path, tool: str, contest: Line, wanted: list[Line]) -> Iterator[Line]:
    """Have the peer's adapter answer, in the peer's environment; one process for all searches."""
    if not wanted:
        return
    adapter = Path(__file__).parent / "adapters" / f"{tool}_adapter.py"
    with (working / f"{tool}.log").open("a", encoding="utf-8") as log:
        command = [str(python_of(working, tool)), str(adapter), str(working)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as peer:
            assert peer.stdin is not None
            assert peer.stdout is not None
            for line in wanted:
                common = {name: contest[name] for name in ("layer", "length", "read_at", "allowed")}
                peer.stdin.write(json.dumps(line | common | {"direction": line["target"], "word": line["target"]}) + "\n")
                peer.stdin.flush()
                answer = peer.stdout.readline()
                if not answer:
                    raise SystemExit(f"{tool} ended without an answer; see {log.name}")
                yield line | json.loads(answer)
            peer.stdin.close()


def by_ours(working: Path, contest: Line, wanted: list[Line], corpus: str | None) -> Iterator[Line]:
    """Run our methods, one target after the other, so that each has its own time."""
    opened = functools.cache(lambda folder: load(str(working / folder)))
    texts = None if corpus is None else Sentences(corpus, [one.text for one, _ in zip(sentences(corpus), range(SENTENCES), strict=False)])
    for line in wanted:
        task = objective(opened("whole" if line["contest"] == "word" else "blocks"), working, contest, line["contest"], [line["target"]])
        begun, worked = time.perf_counter(), time.process_time()
        (found,) = find(task, [line["method"].removesuffix(":corpus")], texts, Budget(forwards=line["budget"]), line["seed"])
        record = found.records[0]
        yield line | {
            "ids": record.ids[: contest["length"]],
            "text": record.text,
            "reported": record.activation,
            "spent": record.forwards + record.backwards,
            "seconds": time.perf_counter() - begun,
            "processor": time.process_time() - worked,
            "version": optigram.__version__,
            "settings": record.settings,
        }


def objective(model: Model, working: Path, contest: Line, kind: str, targets: Sequence[str]) -> Objective:
    """Our judge of some targets: what all tools are scored by."""
    words = np.array(contest["allowed"], dtype=np.int64)
    found = resolve([address(working, contest, kind, target) for target in targets], model)
    template = Template() if kind == "word" else Template.parse(f"{{}} {contest['read_at']}", model.vocabulary)
    return Objective(model, found, contest["length"], template, words, must_survive=True)


def address(working: Path, contest: Line, kind: str, target: str) -> str:
    """A target as optigram names it. The next block's norm makes a projection on its output the cosine before it."""
    if kind == "word":
        return f"logits:{json.dumps(target)}"
    site, name = (
        (f"resid_post.{contest['layer']}", target)
        if kind == "projection"
        else (f"model.layers.{contest['layer'] + 1}.input_layernorm", f"{target}.cosine")
    )
    return f"{site}:{working / 'probe.safetensors'}#{name}"


if __name__ == "__main__":
    main()
