"""What decides the result of a scan, beside model, targets and corpus; it is kept with every part of a result."""

from dataclasses import asdict, dataclass
from typing import Any

from optigram.errors import InputError

QUESTIONS = ("context", "alone")
MANY_TOKENS = 16384  # of a forward, elsewhere than on a processor


@dataclass(frozen=True)
class Settings:
    """`question` is whether the best place in context is sought, or the best n-gram of `length` tokens alone.

    `top` places of a target are kept, highest and lowest. In context: `context` tokens are read at a time; the first `skipped`
    positions of them are left out, and without `special` also tokens that have no text of their own; `per_document` places
    of a document are kept at the most; of places that end in the same `fold` tokens the first stays (0: all); `sample`
    places are drawn at random. A forward reads `tokens` tokens: results hang on that in their last bits.
    """

    question: str = "context"
    length: int = 5
    top: int = 20
    context: int = 256
    skipped: int = 1
    special: bool = False
    per_document: int = 1
    fold: int = 8
    sample: int = 200
    tokens: int = 512
    seed: int = 0

    def __post_init__(self):
        if self.question not in QUESTIONS:
            raise InputError(f"expected the question context or alone, got {self.question!r}")
        for name, least in (("length", 1), ("top", 1), ("context", 2), ("per_document", 1), ("tokens", 1)):
            if getattr(self, name) < least:
                raise InputError(f"expected {name} of at least {least}, got {getattr(self, name)}")
        for name in ("skipped", "fold", "sample", "seed"):
            if getattr(self, name) < 0:
                raise InputError(f"expected {name} of at least 0, got {getattr(self, name)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON keeps them."""
        return asdict(self)
