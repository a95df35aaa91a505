"""Methods: ways to propose texts. They know the Objective, and do not know each other."""

from optigram.methods import chains, presets
from optigram.methods.ascent import Ascent
from optigram.methods.base import Method, Proposal, Proposals
from optigram.methods.corpus import Corpus

__all__ = ["Ascent", "Corpus", "Method", "Proposal", "Proposals", "chains", "presets"]
