"""Methods: ways to propose texts. They know the Objective, and do not know each other."""

from optigram.methods import chains
from optigram.methods import paper as presets
from optigram.methods.ascent import Ascent
from optigram.methods.corpus import Corpus
from optigram.optimize.method import Method, Proposal, Proposals

__all__ = ["Ascent", "Corpus", "Method", "Proposal", "Proposals", "chains", "presets"]
