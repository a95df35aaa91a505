"""Counts what a peer spends, by a hook on its model: in an environment of its own, without optigram.

The forward of one text is 1, its backward 2: a forward that keeps a graph counts as one with a backward.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch


class Counter:
    """A forward hook that counts texts; `called` is run after every call, with what was spent so far."""

    def __init__(self, model: torch.nn.Module, called: Callable[[float], None] = lambda spent: None):
        self.spent, self.called = 0.0, called
        model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = kwargs.get("inputs_embeds", kwargs.get("input_ids", args[0] if args else None))
        assert given is not None, "the model was called without a text"
        climbs = torch.is_grad_enabled() and given.is_floating_point() and given.requires_grad
        self.spent += len(given) * (3 if climbs else 1)
        self.called(self.spent)


class RefusedError(Exception):
    """A request that the peer cannot be asked; its one line is sent back."""


def before_last(request: dict[str, Any], step: int) -> float:
    """The part of a request's budget after which a step, which costs `step` at the most, could exceed it. Raises RefusedError for none."""
    if request["budget"] <= step:
        method, budget = request["method"], request["budget"]
        raise RefusedError(
            f"expected a budget of more than {step} forward-equivalents for {method}, got {budget:.0f}; give a larger --budget"
        )
    return request["budget"] - step


def serve(peer: str, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer requests, one JSON object a line, on the real standard output; what the peer prints goes to standard error.

    A request that cannot be met is answered by `refused`, which says why.
    """
    out, sys.stdout = sys.stdout, sys.stderr
    torch.set_num_threads(1)
    for line in sys.stdin:
        begun, worked = time.perf_counter(), time.process_time()
        try:
            found = answer(json.loads(line))
        except RefusedError as refused:
            found = {"refused": str(refused)}
        spans = {"seconds": time.perf_counter() - begun, "processor": time.process_time() - worked}
        print(json.dumps(found | spans | {"version": version(peer)}), file=out, flush=True)
