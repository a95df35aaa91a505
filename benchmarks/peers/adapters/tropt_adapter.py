"""TROPT: its loss of steered activations, the product with a direction of norm 1 or the cosine, at the last token of a template.

TROPT 0.1.1 asks for Python 3.10 but imports only from 3.12 on, where a slice may be the default of a dataclass's field. Its code is run
as it is; while it is imported, dataclasses take such a default as a default factory, which has the same effect.
"""

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from counting import Counter, before_last, serve
from safetensors.torch import load_file


@contextlib.contextmanager
def slices_as_defaults() -> Iterator[None]:
    """Let dataclasses that are defined within have fields whose default is a slice."""
    made = dataclasses.dataclass

    def lenient(kind: type | None = None, **settings: Any) -> Any:
        if kind is None:
            return functools.partial(lenient, **settings)
        for name, value in list(vars(kind).items()):
            if isinstance(value, slice):
                setattr(kind, name, dataclasses.field(default_factory=functools.partial(slice, value.start, value.stop, value.step)))
        return made(kind, **settings)

    dataclasses.dataclass = lenient
    try:
        yield
    finally:
        dataclasses.dataclass = made


with slices_as_defaults():
    from tropt.common import SliceKey, Targets
    from tropt.loss import SteeringActivationLoss
    from tropt.model.huggingface import LMHFModel
    from tropt.optimizer import BaseOptimizer
    from tropt.optimizer.gaslite_optimizer import GASLITEOptimizer
    from tropt.optimizer.gcg_optimizer import GCGOptimizer
    from tropt.optimizer.utils.token_constraints import TokenConstraints

NEVER = 1_000_000  # steps; the budget ends the run
OPTIMIZERS: dict[str, tuple[type[BaseOptimizer], dict[str, Any], int]] = {  # with the most that a step costs
    "gcg": (GCGOptimizer, {"n_candidates": 512, "sample_topk": 256}, 515),  # of its recipes
    "gcg/44": (GCGOptimizer, {"n_candidates": 44, "sample_topk": 200}, 47),  # optigram's settings
    "gaslite": (GASLITEOptimizer, {"n_candidates": 128, "n_grad": 50, "n_flip": 20}, 50 * 3 + 5 * 129),  # of its recipe
    "gaslite/44": (GASLITEOptimizer, {"n_candidates": 44, "n_grad": 4, "n_flip": 20}, 4 * 3 + 5 * 45),
}


def main() -> None:
    """Open the first blocks of the model, and answer."""
    working = Path(sys.argv[1])
    model = LMHFModel(model_name=str(working / "blocks"), dtype="float32", use_prefix_cache=False)
    model.set_flop_counting("manual")
    counter, probe = Counter(model._model), load_file(working / "probe.safetensors")

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        kind, settings, step = OPTIMIZERS[request["method"]]
        allowed, layer = set(request["allowed"]), request["layer"]
        if "sample_topk" in settings:  # of more than are allowed it would draw some that are not
            settings = settings | {"sample_topk": min(settings["sample_topk"], len(allowed))}
        loss = SteeringActivationLoss(
            targeted_layers=slice(layer, layer + 1), slc_name=SliceKey.INPUT_LAST_TOKEN, do_cosine_sim=request["contest"] == "cosine"
        )
        forbidden = [i for i in range(model.vocab_size) if i not in allowed]
        constraints = TokenConstraints(disallow_custom_token_ids=forbidden)
        optimizer = kind(model=model, loss=loss, seed=request["seed"], num_steps=NEVER, token_constraints=constraints, **settings)
        tokens = request["length"] + 1
        optimizer.set_budget(
            int(before_last(request, step) * tokens * 2 * model._model.num_parameters(exclude_embeddings=True)), "total_flops"
        )
        before = counter.spent
        found = optimizer.optimize_trigger(
            templates=[f"{{{{OPTIMIZED_TRIGGER}}}} {request['read_at']}"],
            targets=Targets(target_directions=probe[request["direction"]][None]),
            initial_trigger=request["start"],
        )
        used = model.get_usage_stats()
        return {
            "ids": torch.as_tensor(found.best_trigger_ids).tolist(),
            "text": found.best_trigger_str,
            "reported": -float(found.best_loss),
            "spent": counter.spent - before,
            "own_count": used["forward_samples"] + 2 * used["grad_samples"],
        }

    serve("tropt", answer)


if __name__ == "__main__":
    main()
