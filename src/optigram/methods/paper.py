"""The paper's five methods by their abbreviations: as the authors ran them (`faithful`), at equal budgets (`fair`), and with
settings that make the most of a budget (`modern`, the default)."""

import dataclasses
from typing import NamedTuple

from optigram.errors import InputError, nearest
from optigram.methods.ascent import Ascent
from optigram.methods.gumbel import Gumbel
from optigram.methods.relaxations import Embeddings, Logits, Relaxation, Softmax, Start
from optigram.optimize.baseline import BASELINE

CORPUS = BASELINE
GRADIENT = ("emb", "logit", "smx", "gbl")
LABELS = (CORPUS, *GRADIENT)
VARIANTS = MODERN, FAITHFUL, FAIR = "modern", "faithful", "fair"
BUDGET = 5000  # default forward-equivalents per target of a modern method

EVERY = 10  # steps between two scores of the discrete texts
STEPS, RESTARTS = 400, 16  # about this many steps per restart, and at most this many restarts
HOTTEST, COLDEST = 3.0, 0.1
DRAWS = 2  # texts that gbl draws besides the most likely one at each score
RATES = {"emb": 0.03, "logit": 0.03, "smx": 1.0, "gbl": 0.5}

KERAS = Start(spread=0.05, normal=False)  # authors' code: Keras's default start of an embedding layer
SHORT_SAMPLES = 8  # noise samples of gbl in a shortened run; the authors' 64 cost eight times as much
EPOCHS = 500  # of a fair run: gbl's temperature is at its lowest after 300, and stays there for its patience of 200


class _Preset(NamedTuple):
    """A parsed name: "gbl:faithful/200" has the `label` gbl, the `variant` faithful, `shorter` 200."""

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

    Adam at 0.001, one start, at most 1000 epochs of 200 steps (emb: 20), stopped after a number of epochs without a better
    *hard* activation (emb 25, logit and smx 100, gbl 200). Two differences: the authors watch the mean hard activation over
    the steps of an epoch, we the one at its end; they may choose special tokens, we may not.

    `shorter` is for small machines: as many epochs with that many times fewer steps (at least one), a rate and a cooling
    higher by the same factor, so that logits and temperature follow the same course, and 8 noise samples instead of 64.
    """
    _check_gradient(label, shorter)
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


def _check_gradient(label: str, number: float) -> None:
    if label not in GRADIENT:
        raise InputError(f"expected a gradient method, one of {', '.join(GRADIENT)}, got {label!r}")
    if not number > 0:
        raise InputError(f"expected a budget, or a number of times shorter, of more than 0, got {number}")


def fair(label: str, budget: float = BUDGET, shorter: int = 1) -> Ascent:
    """The authors' settings with as many restarts as `budget` forward-equivalents pay for (the authors used one).

    A run has 500 of the authors' epochs and no other end, so that all methods and restarts take the same number of steps.
    The authors' own budgets differ by a factor of 64 per step between gbl and the others.
    """
    once = faithful(label, shorter)
    steps = EPOCHS * once.every
    restarts = max(1, int(budget / (3 * once.relaxation.samples * steps + EPOCHS + 1)))
    return dataclasses.replace(once, steps=steps, restarts=restarts, patience=None)


def modern(label: str, budget: float = BUDGET) -> Ascent:
    """A gradient method that makes the most of `budget` forward-equivalents per target.

    Several restarts, a high rate, the discrete texts scored often and the best ever seen kept; for gbl a temperature that
    falls over the whole run. `docs/methods.md` has the measurements behind these choices.
    """
    _check_gradient(label, budget)
    looked = 1 + DRAWS if label == "gbl" else 1  # texts of a restart at each score
    cost = 3 + looked / EVERY  # of a step of one restart: forward, backward, and its share of the scores
    restarts = max(1, min(RESTARTS, round(budget / (cost * STEPS))))
    steps = max(1, int((budget / restarts - 2 * looked) / cost))  # texts are scored before the first step and after the last
    relaxations: dict[str, Relaxation] = {
        "emb": Embeddings(),
        "logit": Logits(),
        "smx": Softmax(),
        "gbl": Gumbel(hottest=HOTTEST, cooling=(COLDEST / HOTTEST) ** (1 / steps), coldest=COLDEST, draws=DRAWS),
    }
    return Ascent(relaxations[label], steps=steps, rate=RATES[label], restarts=restarts, every=EVERY)
