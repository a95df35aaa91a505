"""What was asked of the live page and takes a while: a search, or the concepts of a target."""

from dataclasses import dataclass, field
from typing import Any

DONE = ("done", "cancelled", "failed")
CONCEPTS = "concepts"  # what stands for the name of a method where concepts are asked for


@dataclass
class Job:
    """A search that was asked for. `state`: waiting, running, done, cancelled or failed; `events` only grow; `watchers` read them."""

    number: int
    target: str
    by: str
    length: int
    budget: float
    seed: int
    state: str = "waiting"
    unwanted: bool = False
    watchers: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, **event: Any) -> None:
        """Add an event that carries the state."""
        self.events.append({"state": self.state, **event})

    def check_wanted(self) -> None:
        """Raises KeyboardInterrupt where nobody wants it any more."""
        if self.unwanted:
            raise KeyboardInterrupt

    def look(self, stage: str) -> None:
        """Tell what is done next. Raises KeyboardInterrupt where nobody wants it any more."""
        self.check_wanted()
        self.tell(stage=stage)
