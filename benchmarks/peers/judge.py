"""Every text that was found, scored twice: by optigram on the model file as it came, and by transformers alone on its copy.

    python benchmarks/peers/judge.py --working DIR

`judged.jsonl` holds the lines of `results.jsonl` with `judged`, `independent`, `survives` (the ids are what a reader's typing
gives), and the same of random texts in `floor.jsonl`. Lines that stand there are not judged again.
"""

import argparse
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

RANDOM = 200  # texts of random tokens, whose mean is the floor of each target


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
    known = {json.dumps([line["contest"], line["target"], line["ids"]]): line for line in read(working / "judged.jsonl")}
    new = [line for line in found.values() if json.dumps([line["contest"], line["target"], line["ids"]]) not in known]
    if new:
        ours, theirs = by_optigram(working), by_transformers(working)
        with (working / "judged.jsonl").open("a", encoding="utf-8") as file:
            for line in new:
                known[json.dumps([line["contest"], line["target"], line["ids"]])] = line | ours(line) | theirs(line)
                file.write(json.dumps(line | ours(line) | theirs(line)) + "\n")
    scores = ("judged", "floor", "independent", "survives", "log_probability")
    return [
        line | {name: value for name, value in known[json.dumps([line["contest"], line["target"], line["ids"]])].items() if name in scores}
        for line in found.values()
    ]


def by_optigram(working: Path) -> Callable[[Line], Line]:
    """The judge, on the model's own file; and the mean of random texts."""
    contest = json.loads((working / "contest.json").read_text(encoding="utf-8"))
    model = load(contest["model"])
    random = torch.from_numpy(np.random.default_rng(1).choice(contest["allowed"], (1, RANDOM, contest["length"])))
    floors: dict[tuple[str, str], float] = {}

    def score(line: Line) -> Line:
        judge = objective(model, working, contest, line["contest"], line["target"])
        named = line["contest"], line["target"]
        if named not in floors:
            floors[named] = float(judge.score(random).activation.mean())
        return {"judged": float(judge.score(torch.tensor([[line["ids"]]])).activation), "floor": floors[named]}

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


def read(path: Path) -> list[Line]:
    """The objects of a file of JSON lines; none if there is no file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
