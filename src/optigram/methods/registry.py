"""Names of single methods: the paper's five, the others with their best settings for a budget, and import paths."""

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from optigram.engine.imports import working_directory_first
from optigram.errors import InputError, nearest
from optigram.methods import paper as presets
from optigram.methods import shortlist
from optigram.methods.ascent import Ascent
from optigram.methods.beam import Beam
from optigram.methods.coordinate import Coordinate
from optigram.methods.epo import Epo
from optigram.methods.gcg import Gcg
from optigram.methods.genetic import Genetic
from optigram.methods.gumbel import Gumbel
from optigram.methods.random import Random
from optigram.methods.relaxations import Embeddings, Relaxation, Start
from optigram.methods.simplex import Simplex
from optigram.optimize.method import Method, check_method

MERGES, STALL = 4, 6  # of mcgcg: swaps that are merged with the best of a round; rounds without a better text before it begins anew
EVERY = 10  # steps between two scores of the discrete texts
STEPS = {"pez": 300, "straight": 300, "pgd": 300, "gbda": 100}
RATES = {"pez": 0.1, "straight": 0.5, "pgd": 0.1, "gbda": 0.3}
DECAY = 0.1  # of PEZ's AdamW
# below these budgets; for a model whose tokens attend to each other, and for any other
COORDINATES_ATTENDING = (
    (100, Coordinate(1, 4)),
    (600, Coordinate(2, 8)),
    (2000, Coordinate(4, 16)),
    (6000, Coordinate(2, 64, scouts=8, rounds=4)),
    (float("inf"), Coordinate(8, 32)),
)
COORDINATES = ((600, Coordinate(1, 16)), (2000, Coordinate(2, 16)), (6000, Coordinate(2, 32)), (float("inf"), Coordinate(4, 64)))
BEAMS = ((100, Beam(1, 8)), (1000, Beam(4, 16)), (6000, Beam(8, 16)), (float("inf"), Beam(8, 64)))
TIGHT = 300  # forward-equivalents below which epo has 2 slots with 4 children each
LEAD, SAMPLES, DRAWS = 12.0, 10, 4  # of GBDA: lead of the first words, noise samples per step, texts drawn at each score
HOTTEST, COLDEST = 3.0, 0.1  # temperatures of straight-through gumbel
SHORTLIST, BLOCK = 64, 64  # of sparse gumbel: words at a position, texts per batch


def _relaxed(name: str, budget: float) -> Ascent:
    """A gradient method: as many restarts of a usual run as the budget pays for, at least one."""
    samples = SAMPLES if name == "gbda" else 1
    looked = 1 + (DRAWS if name == "gbda" else 0)
    cost = 3 * samples + looked / EVERY
    restarts = max(1, round(budget / (cost * STEPS[name])))
    steps = max(1, int((budget / restarts - 2 * looked) / cost))
    relaxations: dict[str, Callable[[], Relaxation]] = {
        "pez": lambda: Embeddings(projected=True),
        "straight": lambda: Gumbel(HOTTEST, (COLDEST / HOTTEST) ** (1 / steps), COLDEST, straight=True),
        "pgd": lambda: Simplex(steps),
        "gbda": lambda: Gumbel(1.0, 1.0, 1.0, samples=SAMPLES, draws=DRAWS, begin=Start(lead=LEAD)),
    }
    return Ascent(relaxations[name](), steps, RATES[name], restarts, EVERY, decay=DECAY if name == "pez" else 0.0)


def _sparse(budget: float) -> Ascent:
    """gbl over a shortlist of words."""
    restarts = presets.modern("gbl", budget).restarts
    usual = presets.modern("gbl", max(budget - restarts * shortlist.COST, 1))
    return dataclasses.replace(usual, shortlist=SHORTLIST, block=BLOCK)


def _papers(name: str, budget: float) -> Ascent:
    """A gradient method of the paper: "gbl", "gbl:faithful", "smx:fair/200"."""
    label, variant, shorter = presets.parse(name)
    match variant:
        case presets.FAITHFUL:
            return presets.faithful(label, shorter)
        case presets.FAIR:
            return presets.fair(label, budget, shorter)
        case _:
            return presets.modern(label, budget)


def _coordinate(budget: float, attends: bool) -> Method:
    """Coordinate ascent with as many chains and candidates as leave the budget several sweeps over all positions."""
    return _for_budget(COORDINATES_ATTENDING if attends else COORDINATES, budget)


def _within(usual: int, budget: float) -> int:
    """Texts of a round: as usual, or so few that four rounds fit into the budget."""
    return max(min(usual, int(budget // 4)), 1)


def _for_budget(rows: Iterable[tuple[float, Method]], budget: float) -> Method:
    return next(method for below, method in rows if budget < below)


SEARCHES: dict[str, Callable[[float, bool], Method]] = {  # built from the budget, and whether the tokens of the model attend to each other
    "random": lambda budget, attends: Random(_within(Random.texts, budget)),
    "genetic": lambda budget, attends: Genetic(_within(Genetic.population, budget)),
    "coordinate": _coordinate,
    "epo": lambda budget, attends: Epo() if budget >= TIGHT else Epo(2, 4),
    "beam": lambda budget, attends: _for_budget(BEAMS, budget),
    "gcg": lambda budget, attends: Gcg(candidates=_within(Gcg.candidates, budget)),
    "mcgcg": lambda budget, attends: Gcg(candidates=_within(Gcg.candidates, budget), merges=MERGES, stall=STALL),
    "pez": lambda budget, attends: _relaxed("pez", budget),
    "straight": lambda budget, attends: _relaxed("straight", budget),
    "pgd": lambda budget, attends: _relaxed("pgd", budget),
    "gbda": lambda budget, attends: _relaxed("gbda", budget),
    "sgbl": lambda budget, attends: _sparse(budget),
}
KNOWN = (*presets.LABELS, *SEARCHES)
AUTO, JOIN = "auto", "+"  # of names of chains
WITHOUT_SURPRISAL = ("emb", "logit", "pez", "sgbl")  # they have no mixtures over the whole vocabulary, so no soft surprisal


def build(name: str, budget: float = presets.BUDGET, attends: bool = False) -> Method:
    """The method of a single name ("gbl", "gbl:faithful/200", "coordinate") or import path, for a budget of forward-equivalents.

    `attends`: whether the tokens of the model attend to each other. Raises InputError for an unknown name, and for `crp`,
    which needs a corpus.
    """
    label, colon, _ = name.partition(":")
    if label == presets.CORPUS:
        raise InputError(f"{label} needs a corpus; name it in a call that has one, or use methods.Corpus(source, texts)")
    if label in SEARCHES:
        if colon:
            raise InputError(f"{label} has no variants; expected {label}, got {name!r}")
        return SEARCHES[label](budget, attends)
    return _imported(name, budget) if imports(name) else _papers(name, budget)


def imports(name: str) -> bool:
    """Whether a name, or a link of a chain of names, is an import path such as "package.module.MyMethod" or "module:make".

    Such a name runs code from outside: never build one that came over a network, or that was found in a folder.
    """
    links = ((link, link.partition(":")[0]) for link in name.split(JOIN))
    return any(head not in (*KNOWN, AUTO) and ("." in link or ":" in link) for link, head in links)


def _imported(path: str, budget: float) -> Method:
    """The method of an import path: an object, or what a class or function gives; it gets the budget if it needs an argument."""
    found: Any = _attribute(path)
    made = found if hasattr(found, "propose") and not isinstance(found, type) else _called(path, found, budget)
    check_method(made)
    return made


def _called(path: str, factory: Any, budget: float) -> Any:
    if not callable(factory):
        raise InputError(f"expected {path} to be a method, or a class or function that gives one, got {type(factory).__name__}")
    parameters = inspect.signature(factory).parameters.values()
    needed = [one.name for one in parameters if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    if len(needed) > 1:
        raise InputError(f"expected {path} to need the budget or nothing, but it needs {', '.join(needed)}; give the others defaults")
    return factory(*(budget for _ in needed))


def _attribute(path: str) -> Any:
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    try:
        with working_directory_first():
            return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"unknown method {path!r} ({error}){nearest(path.partition(':')[0], KNOWN)}; expected one of {', '.join(KNOWN)}, "
            "or an importable package.module.Method or module:function"
        ) from error
