"""What a search gives back."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class TargetResult:
    """What a search found for one target, and what it cost.

    `ids` [n t] and `activation` [n]: best first; fewer than n if no more texts had a value. `surprisal` [n]: nats per
    token, with a fluency. `remarks`: notes [n] of the final re-scoring. `notes`: what the method believed of its best text.
    `forwards`, `backwards`: forward-equivalents. `seconds`: an even share of the batch's time. `broken`: texts that scored NaN or infinity.
    `trace`: (forward-equivalents, activation, value) of the best text so far, after every round; the value is the activation
    less penalties, and both are -inf while no text has a value. Of a method with soft texts, `notes` also hold the activation
    of the best soft text at the end of the search, and that of the discrete text that it becomes (`ENDS`).
    """

    ids: Tensor
    activation: Tensor
    forwards: float
    backwards: float
    seconds: float
    notes: dict[str, float]
    broken: int
    trace: list[tuple[float, float, float]]
    surprisal: Tensor | None = None
    remarks: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class SearchResult:
    """One `TargetResult` per target, in order; None for targets that a Ctrl-C came before (`interrupted`)."""

    found: list[TargetResult | None]
    interrupted: bool = False
