"""Methods propose texts: the paper's five, more from the literature, combinators, and the relaxations of gradient methods.

`method_named` gives a method by its name; `modern`, `faithful` and `fair` give the paper's gradient methods by label.
"""

from optigram.methods.ascent import Ascent
from optigram.methods.beam import Beam
from optigram.methods.chains import method_named
from optigram.methods.combinators import Repeat, Then
from optigram.methods.coordinate import Coordinate
from optigram.methods.corpus import Corpus
from optigram.methods.epo import Epo
from optigram.methods.gcg import Gcg
from optigram.methods.genetic import Genetic
from optigram.methods.gumbel import Gumbel
from optigram.methods.paper import fair, faithful, modern
from optigram.methods.random import Random
from optigram.methods.relaxations import Embeddings, Logits, Relaxation, Softmax, Start
from optigram.methods.simplex import Simplex
from optigram.optimize.method import Method, Proposal, Proposals

__all__ = [
    "Ascent",
    "Beam",
    "Coordinate",
    "Corpus",
    "Embeddings",
    "Epo",
    "Gcg",
    "Genetic",
    "Gumbel",
    "Logits",
    "Method",
    "Proposal",
    "Proposals",
    "Random",
    "Relaxation",
    "Repeat",
    "Simplex",
    "Softmax",
    "Start",
    "Then",
    "fair",
    "faithful",
    "method_named",
    "modern",
]
