"""How much is tried to explain a target: more finds more, and costs more."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """The defaults are those of `optigram explain`.

    `rounds`: searches, each without words of those before. `places`: high corpus places that are kept. `levels`: shares of the
    activation that cores keep, and `tried` cores of each from which patterns are made. `listed`: words judged in a slot where not all
    are. `contrasts`: whether they are looked for.
    """

    rounds: int = 6
    places: int = 96
    levels: tuple[float, ...] = (0.9, 0.6, 0.3)
    tried: int = 2
    listed: int = 192
    contrasts: bool = True
