"""Every text that was found, scored twice: by optigram, and by transformers alone as a reader would type it.

    python benchmarks/peers/judge.py --working DIR

`judged.jsonl` holds the lines of `results.jsonl` with `judged`, `independent`, `survives` (the ids are what a reader's typing
gives), and `floor`, the mean of random texts. Lines that stand there are not judged again.
"""

import argparse
import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from run import KEY, Line, objective
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from optigram import load

RANDOM = 100  # texts of random tokens, whose mean is the floor of each target


def main() -> None:
    """Judge what is new."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--working", type=Path, required=True)
    asked = options.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    print(f"{len(judged(asked.working))} searches judged")


def judged(working: Path) -> list[Line]:
    """The lines of all searches, the last of each, with their scores."""
    found = {key_of(line): line for line in read(working / "results.jsonl")}
    known = {text_of(line): line for line in read(working / "judged.jsonl")}
    new = [line for line in found.values() if text_of(line) not in known]
    if new:
        ours, theirs = by_optigram(working), by_transformers(working)
        with (working / "judged.jsonl").open("a", encoding="utf-8") as file:
            for line in new:
                scored = line | ours(line) | theirs(line)
                known[text_of(line)] = scored
                file.write(json.dumps(scored) + "\n")
    scores = ("judged", "floor", "independent", "survives", "log_probability")
    return [line | {name: value for name, value in known[text_of(line)].items() if name in scores} for line in found.values()]


def by_optigram(working: Path) -> Callable[[Line], Line]:
    """The judge; and the mean of random texts."""
    contest = json.loads((working / "contest.json").read_text(encoding="utf-8"))
    model = load(str(working / "whole"))
    random = torch.from_numpy(np.random.default_rng(1).choice(contest["allowed"], (1, RANDOM, contest["length"])))

    @functools.cache
    def floors(kind: str) -> dict[str, float]:
        targets = contest["words"] if kind == "word" else contest["directions"]
        means = objective(model, working, contest, kind, targets).score(random).activation.mean(1)
        return dict(zip(targets, means.tolist(), strict=True))

    def score(line: Line) -> Line:
        judge = objective(model, working, contest, line["contest"], [line["target"]])
        return {"judged": float(judge.score(torch.tensor([[line["ids"]]])).activation), "floor": floors(line["contest"])[line["target"]]}

    return score


def by_transformers(working: Path) -> Callable[[Line], Line]:
    """An independent score, of the text as a reader would type it."""
    contest = json.loads((working / "contest.json").read_text(encoding="utf-8"))
    model = AutoModelForCausalLM.from_pretrained(working / "whole", dtype=torch.float32).eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(working / "whole")
    probe = load_file(working / "probe.safetensors")

    def score(line: Line) -> Line:
        inputs = tokenizer(line["text"] + ("" if line["contest"] == "word" else f" {contest['read_at']}"), return_tensors="pt")
        survives = inputs.input_ids[0].tolist()[: contest["length"]] == line["ids"]
        with torch.no_grad():
            output = model(**inputs, output_hidden_states=True)
        if line["contest"] == "word":
            (unit,) = tokenizer.encode(line["target"])
            logits = output.logits[0, -1]
            return {"independent": float(logits[unit]), "log_probability": float(logits.log_softmax(0)[unit]), "survives": survives}
        return {
            "independent": worth(output.hidden_states[contest["layer"] + 1][0, -1], probe[line["target"]], line["contest"]),
            "survives": survives,
        }

    return score


def worth(state: Tensor, vector: Tensor, contest: str) -> float:
    """The product of a state with a direction of norm 1, or their cosine."""
    return float(state @ vector if contest == "projection" else torch.cosine_similarity(state, vector, dim=0))


def key_of(line: Line) -> tuple[Any, ...]:
    """What tells searches apart."""
    return tuple(line[name] for name in KEY)


def text_of(line: Line) -> str:
    """What is scored: a text for a target."""
    return json.dumps([line["contest"], line["target"], line["ids"]])


def read(path: Path) -> list[Line]:
    """The objects of a file of JSON lines; none if there is no file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
