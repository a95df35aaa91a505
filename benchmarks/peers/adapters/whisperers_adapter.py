"""whisperers: maximises the cosine of the residual stream with a direction, at the end of the text and a probe prompt.

It has no other objective than the cosine. A probe prompt follows the text after a blank, here the one token of the contest.
"""

import sys
from pathlib import Path
from typing import Any

import torch
import whisperers
from counting import Counter, before_last, serve
from safetensors.torch import load_file
from whisperers.optimizers import GBDA, GCG, PEZ, Optimizer

OPTIMIZERS: dict[str, tuple[type[Optimizer], dict[str, int]]] = {
    "gcg": (GCG, {}),
    "gcg/44": (GCG, {"topk": 200, "candidates": 44}),  # optigram's settings
    "gbda": (GBDA, {}),
    "pez": (PEZ, {}),
}


def main() -> None:
    """Open the first blocks of the model, and answer."""
    working = Path(sys.argv[1])
    model, tokenizer = whisperers.load(str(working / "blocks"), dtype=torch.float32)
    counter, probe = Counter(model), load_file(working / "probe.safetensors")

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        kind, settings = OPTIMIZERS[request["method"]]
        optimizer, vector = kind(**settings), probe[request["direction"]]
        allowed = set(request["allowed"])
        step = 3 + {"gcg": settings.get("candidates", 128), "pez": 1, "gbda": 9}[optimizer.name]
        before = counter.spent
        found = whisperers.whisper(
            model,
            vector,
            layers=[request["layer"]],
            tokenizer=tokenizer,
            init=request["start"],
            probes=[request["read_at"]],
            optimizer=optimizer,
            forbid=[i for i in range(len(tokenizer)) if i not in allowed],
            compute=int(before_last(request, step)),
            seed=request["seed"],
            verbose=False,
        )
        return {
            "ids": found.ids,
            "text": found.text,
            "reported": found.score + alone(model, tokenizer, request, vector),
            "spent": counter.spent - before,
            "own_count": found.compute["cost"],
        }

    serve("whisperers", answer)


def alone(model: Any, tokenizer: Any, request: dict[str, Any], vector: torch.Tensor) -> float:
    """The cosine of the probe prompt alone, which whisperers subtracts from its score."""
    with torch.no_grad():
        states = model(**tokenizer(request["read_at"], return_tensors="pt"), output_hidden_states=True).hidden_states
    return float(torch.cosine_similarity(states[request["layer"] + 1][0, -1], vector, dim=0))


if __name__ == "__main__":
    main()
