"""Seam 3: a method proposes texts and is told their exact scores. It knows the Objective and nothing behind it."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from optigram.errors import InputError
from optigram.objective.objective import Objective
from optigram.objective.scores import Scores
from optigram.shapes import Int

Ids = Int[Tensor, "k n t"]
_MEMBERS = ("patience", "ends", "batch", "cost", "with_block", "probe", "propose")


@dataclass(frozen=True)
class Proposal:
    """Texts to score: ids [k1 c t], on the objective's device or on the CPU. k1 is k, or 1 for texts shared by all targets.

    `notes` [k c] are what the method believes of each text. They are kept beside the score and never replace it.
    `progress` are numbers to display while the method runs, such as a temperature. They are not recorded.
    `state` gives what a `Resumable` method needs to go on after these texts: tensors, numbers, and lists and dicts of them.
    """

    ids: Int[Tensor, "k1 c t"]
    notes: Mapping[str, Tensor] = field(default_factory=dict)
    progress: Mapping[str, float] = field(default_factory=dict)
    state: Callable[[], Mapping[str, Any]] | None = None


Proposals = Generator[Proposal, Scores, None]


@runtime_checkable
class Method(Protocol):
    """Seam 3. A frozen dataclass of settings; its repr identifies it in records and cell keys.

    All members are required. Tensors that a method gets from the objective are on the objective's device; what `TopK` and
    `ParetoFront` keep is on the CPU.
    """

    @property
    def patience(self) -> int | None:
        """Rounds without a better text after which a target stops; None: no such limit."""
        ...

    @property
    def ends(self) -> bool:
        """Whether the method ends by itself; if not, only a budget ends it."""
        ...

    @property
    def batch(self) -> int | None:
        """Targets per batch, from the settings alone; the last batch may have fewer. None: all targets share their texts."""
        ...

    def cost(self, budget: float) -> float:
        """Forward-equivalents per target that the method spends at most, given a budget (`inf`: no bound).

        A method that does not end, or cannot say, spends the budget.
        """
        ...

    def with_block(self, texts: int) -> "Method":
        """The same method with about `texts` texts per batch: it changes speed and memory, not results. May be the method itself."""
        ...

    def probe(self) -> "Method":
        """A version with short rounds, to measure the time of a forward-equivalent. May be the method itself."""
        ...

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """Yield texts and receive their scores. `start` are texts [k n t] to begin from, best first; -1 where there are fewer."""
        ...


@runtime_checkable
class Resumable(Method, Protocol):
    """A method that another process can go on with after any of its proposals: a checkpoint keeps their `state`."""

    def resume(self, objective: Objective, seed: int, state: Mapping[str, Any]) -> Proposals:
        """Yield what `propose` yields after the proposal of this state, whose tensors are on the CPU."""
        ...


def check_method(method: object) -> None:
    """Raise InputError if `method` lacks a member of the protocol."""
    lacking = [name for name in _MEMBERS if not hasattr(method, name)]
    if lacking or isinstance(method, type):
        found = f"the class {method.__name__}" if isinstance(method, type) else f"{type(method).__name__} without {', '.join(lacking)}"
        raise InputError(f"expected a method with {', '.join(_MEMBERS)}, got {found}; see CONTRIBUTING.md")
