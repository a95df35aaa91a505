"""The paper's five methods by their abbreviations: as its authors ran them (`faithful`), as they would have to be run for
a fair comparison (`fair`), and as we would (`modern`)."""

import dataclasses
from typing import NamedTuple

from optigram.errors import InputError, nearest
from optigram.methods.ascent import Ascent
from optigram.methods.relaxations import Embeddings, Gumbel, Logits, Relaxation, Softmax, Start
from optigram.optimize.baseline import BASELINE

CORPUS = BASELINE
GRADIENT = ("emb", "logit", "smx", "gbl")
UNMIXED = ("emb", "logit")  # their soft words are no mixtures of words
LABELS = (CORPUS, *GRADIENT)
VARIANTS = MODERN, FAITHFUL, FAIR = "modern", "faithful", "fair"
BUDGET = 5000  # forward-equivalents of a modern method when none are asked for

EVERY = 10  # steps between two looks at the discrete texts
STEPS, RESTARTS = 400, 16  # as many restarts, up to so many, as leave each about so many steps
HOTTEST, COLDEST = 3.0, 0.1
DRAWS = 2  # texts that gbl draws beside the likeliest at each look
RATES = {"emb": 0.03, "logit": 0.03, "smx": 1.0, "gbl": 0.5}

KERAS = Start(spread=0.05, normal=False)  # authors' code: Keras's default start of an embedding layer
SHORT_SAMPLES = 8  # noise samples of gbl in a shortened run; the authors' 64 make a step eight times as dear
EPOCHS = 500  # of a fair run: gbl's temperature is at its lowest after 300, and stays there for its patience of 200


class _Preset(NamedTuple):
    """A method's name taken apart: "gbl:faithful/200" is `label` gbl, `variant` faithful, `shorter` 200."""

    label: str
    variant: str
    shorter: int


def parse(name: str) -> _Preset:
    """Read a name such as "crp", "gbl", "gbl:faithful", "smx:fair/200"."""
    label, _, rest = name.partition(":")
    variant, slash, times = rest.partition("/")
    if label not in LABELS:
        raise InputError(f"unknown method {label!r}{nearest(label, LABELS)}; expected one of {', '.join(LABELS)}")
    if variant not in ("", *VARIANTS):
        raise InputError(f"unknown variant {variant!r} of {label}; expected {label} with {', '.join(f':{known}' for known in VARIANTS)}")
    if slash and (variant not in (FAITHFUL, FAIR) or not times.isdecimal() or not 1 <= int(times) <= 200):
        raise InputError(
            f"cannot shorten {name!r}; expected {label}:{FAITHFUL}/N or {label}:{FAIR}/N, in N times fewer steps, N from 1 to 200"
        )
    return _Preset(label, variant or MODERN, int(times) if slash else 1)


def faithful(label: str, shorter: int = 1) -> Ascent:
    """A gradient method with the authors' constants (their code, `optimize.py`; the paper gives none of them).

    Adam at 0.001, one start, at most 1000 epochs of 200 steps (emb: 20), stopped after so many epochs without a better
    *hard* activation (emb 25, logit and smx 100, gbl 200). Where we differ: they watch the mean hard activation of an
    epoch's steps, we the one at its end; they may choose special tokens, we may not.

    `shorter` is for machines that cannot carry that: as many epochs of so many times fewer steps (at least one), a
    rate and a cooling as much higher, so that logits and temperature go the same way, and 8 noise samples for 64.
    """
    authors = 20 if label == "emb" else 200
    epoch = max(1, round(authors / shorter))
    faster = authors / epoch
    samples = 64 if shorter == 1 else SHORT_SAMPLES
    relaxations: dict[str, Relaxation] = {
        "emb": Embeddings(KERAS),
        "logit": Logits(KERAS),
        "smx": Softmax(KERAS),
        "gbl": Gumbel(hottest=2.0, cooling=0.99995**faster, coldest=0.1, samples=samples, floor=1e-7, fresh=True, begin=KERAS),
    }
    patience = {"emb": 25, "logit": 100, "smx": 100, "gbl": 200}[label]
    return Ascent(relaxations[label], steps=1000 * epoch, rate=0.001 * faster, restarts=1, every=epoch, patience=patience)


def fair(label: str, budget: float = BUDGET, shorter: int = 1) -> Ascent:
    """The authors' settings, but as many restarts as `budget` forward-equivalents pay for (theirs: one start each).

    A run has 500 of the authors' epochs and no other end, so that all methods and restarts get the same steps. The
    authors' own budgets differ by a factor of 64 a step between gbl and the others.
    """
    once = faithful(label, shorter)
    samples = once.relaxation.samples if isinstance(once.relaxation, Gumbel) else 1
    steps = EPOCHS * once.every
    restarts = max(1, int(budget / (3 * samples * steps + EPOCHS + 1)))
    return dataclasses.replace(once, steps=steps, restarts=restarts, patience=None)


def named(name: str, budget: float | None = None) -> Ascent:
    """The gradient method of a name, for a budget of forward-equivalents."""
    label, variant, shorter = parse(name)
    match variant:
        case "faithful":
            return faithful(label, shorter)
        case "fair":
            return fair(label, budget or BUDGET, shorter)
        case _:
            return modern(label, budget or BUDGET)


def modern(label: str, budget: float = BUDGET) -> Ascent:
    """A gradient method that makes the most of `budget` forward-equivalents a target.

    Several restarts, a high rate, the discrete texts judged often and the best ever seen kept; for gbl a temperature
    that falls over the whole run. The figures behind the choices are in `docs/methods.md`.
    """
    looked = 1 + DRAWS if label == "gbl" else 1  # texts of a restart that are judged at a look
    cost = 3 + looked / EVERY  # of a step of one restart: forward, backward, and its share of the looks
    restarts = max(1, min(RESTARTS, round(budget / (cost * STEPS))))
    steps = max(1, int((budget / restarts - 2 * looked) / cost))  # there is a look before the first step and one after the last
    relaxations: dict[str, Relaxation] = {
        "emb": Embeddings(),
        "logit": Logits(),
        "smx": Softmax(),
        "gbl": Gumbel(hottest=HOTTEST, cooling=(COLDEST / HOTTEST) ** (1 / steps), coldest=COLDEST, draws=DRAWS),
    }
    return Ascent(relaxations[label], steps=steps, rate=RATES[label], restarts=restarts, every=EVERY)
