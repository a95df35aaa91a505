"""The methods beyond the paper's five, by name, each with the settings that serve a budget of forward-equivalents best."""

import dataclasses
from collections.abc import Callable, Iterable

from optigram.methods import paper as presets
from optigram.methods.ascent import Ascent
from optigram.methods.beam import Beam
from optigram.methods.coordinate import Coordinate
from optigram.methods.epo import Epo
from optigram.methods.gcg import Gcg
from optigram.methods.genetic import Genetic
from optigram.methods.random import Random
from optigram.methods.relaxations import Embeddings, Gumbel, Relaxation, Start
from optigram.methods.shortlist import COST
from optigram.methods.simplex import Simplex

EVERY = 10  # steps between two looks at the discrete texts
STEPS = {"pez": 300, "straight": 300, "pgd": 300, "gbda": 100}
RATES = {"pez": 0.1, "straight": 0.5, "pgd": 0.1, "gbda": 0.3}
DECAY = 0.1  # of PEZ's AdamW
WIDTHS = ((600, 1, 16), (2000, 2, 16), (6000, 2, 32), (float("inf"), 4, 64))  # of coordinate: below a budget so many chains, and candidates
BEAMS = ((1000, 4, 16), (6000, 8, 16), (float("inf"), 8, 64))  # texts of a beam, and candidates of each
ATTENDING = ((600, 2, 8), (2000, 4, 16), (6000, 2, 64), (float("inf"), 8, 32))  # the same for a transformer
LEAD, SAMPLES, DRAWS = 12.0, 10, 4  # of GBDA: the head start of the first words, noises a step, texts drawn at a look
HOTTEST, COLDEST = 3.0, 0.1  # temperatures of straight-through gumbel
TRIED, BLOCK = 64, 64  # of sparse gumbel: words at a position, texts in a batch


def _relaxed(name: str, budget: float) -> Ascent:
    """A gradient method of the family of gumbel and emb: as many restarts of a usual run as the budget pays for, at least one."""
    samples = SAMPLES if name == "gbda" else 1
    looked = 1 + (DRAWS if name == "gbda" else 0)
    cost = 3 * samples + looked / EVERY
    restarts = max(1, round(budget / (cost * STEPS[name])))
    steps = max(1, int((budget / restarts - 2 * looked) / cost))
    relaxations: dict[str, Relaxation] = {
        "pez": Embeddings(projected=True),
        "straight": Gumbel(HOTTEST, (COLDEST / HOTTEST) ** (1 / steps), COLDEST, straight=True),
        "pgd": Simplex(steps),
        "gbda": Gumbel(1.0, 1.0, 1.0, samples=SAMPLES, draws=DRAWS, begin=Start(lead=LEAD)),
    }
    return Ascent(relaxations[name], steps, RATES[name], restarts, EVERY, decay=DECAY if name == "pez" else 0.0)


def sparse(budget: float) -> Ascent:
    """Gumbel over a shortlist of words, otherwise as usual."""
    restarts = presets.modern("gbl", budget).restarts
    usual = presets.modern("gbl", max(budget - restarts * COST, 1))
    return dataclasses.replace(usual, shortlist=TRIED, block=BLOCK)


def _coordinate(budget: float, attends: bool) -> Coordinate:
    """Coordinate ascent with as many chains and candidates as leave the budget some sweeps over all positions."""
    widths = ATTENDING if attends else WIDTHS
    return Coordinate(*_fitting(widths, budget))


def _fitting(widths: Iterable[tuple[float, int, int]], budget: float) -> tuple[int, int]:
    """The two numbers that serve a budget."""
    return next((first, second) for below, first, second in widths if budget < below)


Search = Ascent | Beam | Coordinate | Epo | Gcg | Genetic | Random
SEARCHES: dict[str, Callable[[float, bool], Search]] = {  # by the budget, and whether the words of the model attend to each other
    "random": lambda budget, attends: Random(),
    "genetic": lambda budget, attends: Genetic(),
    "coordinate": _coordinate,
    "epo": lambda budget, attends: Epo(),
    "beam": lambda budget, attends: Beam(*_fitting(BEAMS, budget)),
    "gcg": lambda budget, attends: Gcg(),
    "pez": lambda budget, attends: _relaxed("pez", budget),
    "straight": lambda budget, attends: _relaxed("straight", budget),
    "pgd": lambda budget, attends: _relaxed("pgd", budget),
    "gbda": lambda budget, attends: _relaxed("gbda", budget),
    "sgbl": lambda budget, attends: sparse(budget),
}
