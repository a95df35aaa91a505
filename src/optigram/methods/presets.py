"""The paper's five methods by their abbreviations, each as its authors ran it (`faithful`) and as we would (`modern`)."""

from optigram.errors import InputError, nearest
from optigram.methods.ascent import Ascent
from optigram.relaxations import Embeddings, Gumbel, Logits, Relaxation, Softmax, Start

CORPUS = "crp"
GRADIENT = ("emb", "logit", "smx", "gbl")
UNMIXED = ("emb", "logit")  # their soft words are no mixtures of words
LABELS = (CORPUS, *GRADIENT)
MODERN, FAITHFUL = "modern", "faithful"
BUDGET = 5000  # forward-equivalents of a modern method when none are asked for

EVERY = 10  # steps between two looks at the discrete texts
STEPS, RESTARTS = 400, 16  # as many restarts, up to so many, as leave each about so many steps
HOTTEST, COLDEST = 3.0, 0.1
DRAWS = 2  # texts that gbl draws beside the likeliest at each look
RATES = {"emb": 0.03, "logit": 0.03, "smx": 1.0, "gbl": 0.5}

KERAS = Start(spread=0.05, normal=False)  # authors' code: Keras's default start of an embedding layer


def parse(name: str) -> tuple[str, str]:
    """Label and variant of "gbl" or "gbl:faithful"."""
    label, _, variant = name.partition(":")
    if label not in LABELS:
        raise InputError(f"unknown method {label!r}{nearest(label, LABELS)}; expected one of {', '.join(LABELS)}")
    if variant not in ("", MODERN, FAITHFUL):
        raise InputError(f"unknown variant {variant!r} of {label}; expected {label}:{MODERN} or {label}:{FAITHFUL}")
    return label, variant or MODERN


def faithful(label: str) -> Ascent:
    """A gradient method with the authors' constants (their code, `optimize.py`; the paper gives none of them).

    Adam at 0.001, one start, at most 1000 epochs of 200 steps (emb: 20), stopped after so many epochs without a better
    *hard* activation (emb 25, logit and smx 100, gbl 200). Where we differ: they watch the mean hard activation of an
    epoch's steps, we the one at its end; they may choose special tokens, we may not.
    """
    epoch = 20 if label == "emb" else 200
    relaxations: dict[str, Relaxation] = {
        "emb": Embeddings(KERAS),
        "logit": Logits(KERAS),
        "smx": Softmax(KERAS),
        "gbl": Gumbel(hottest=2.0, cooling=0.99995, coldest=0.1, samples=64, floor=1e-7, fresh=True, begin=KERAS),
    }
    patience = {"emb": 25, "logit": 100, "smx": 100, "gbl": 200}[label]
    return Ascent(relaxations[label], steps=1000 * epoch, rate=0.001, restarts=1, every=epoch, patience=patience)


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
