"""optigram finds the text that makes a neuron of a language model fire most.

    import optigram as og
    og.find("imaginet", "visual:pizza")

Names are imported when they are first used, so that `optigram --help` needs no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from optigram import methods
    from optigram.api import concepts, explain, find, open, scan, score, verify
    from optigram.errors import InputError, Interrupted
    from optigram.explaining.descriptions import Description, describe
    from optigram.explaining.pattern import Pattern
    from optigram.explaining.verification import Verification
    from optigram.methods import relaxations
    from optigram.models.base import Model, Site
    from optigram.models.loading import load
    from optigram.objective.objective import Objective
    from optigram.optimize.checkpoint import Checkpoint
    from optigram.optimize.method import Method, Proposal
    from optigram.optimize.result import SearchResult, TargetResult
    from optigram.optimize.search import Budget, search
    from optigram.report.evidences import Evidences
    from optigram.report.explanations import Explanations
    from optigram.report.results import Results
    from optigram.report.scan_results import ScanResults
    from optigram.runs.options import FindOptions
    from optigram.runs.records import Record
    from optigram.targets.build import custom, direction, latent, log_prob, logit, neuron
    from optigram.targets.target import Target, resolve
    from optigram.text.sources import Corpus, open_corpus
    from optigram.text.template import Template

__all__ = [
    "Budget",
    "Checkpoint",
    "Corpus",
    "Description",
    "Evidences",
    "Explanations",
    "FindOptions",
    "InputError",
    "Interrupted",
    "Method",
    "Model",
    "Objective",
    "Pattern",
    "Proposal",
    "Record",
    "Results",
    "ScanResults",
    "SearchResult",
    "Site",
    "Target",
    "TargetResult",
    "Template",
    "Verification",
    "concepts",
    "custom",
    "describe",
    "direction",
    "explain",
    "find",
    "latent",
    "load",
    "log_prob",
    "logit",
    "methods",
    "neuron",
    "open",
    "open_corpus",
    "relaxations",
    "resolve",
    "scan",
    "score",
    "search",
    "verify",
]

_HOMES = {
    "api": "concepts explain find open scan score verify",
    "explaining.descriptions": "Description describe",
    "explaining.verification": "Verification",
    "errors": "InputError Interrupted",
    "explaining.pattern": "Pattern",
    "models.base": "Model Site",
    "models.loading": "load",
    "objective.objective": "Objective",
    "optimize.checkpoint": "Checkpoint",
    "optimize.method": "Method Proposal",
    "optimize.result": "SearchResult TargetResult",
    "optimize.search": "Budget search",
    "report.evidences": "Evidences",
    "report.explanations": "Explanations",
    "report.results": "Results",
    "report.scan_results": "ScanResults",
    "runs.options": "FindOptions",
    "runs.records": "Record",
    "targets.build": "custom direction latent log_prob logit neuron",
    "targets.target": "Target resolve",
    "text.sources": "Corpus open_corpus",
    "text.template": "Template",
}
_MODULES = {"methods": "methods", "relaxations": "methods.relaxations"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"optigram.{_MODULES[name]}")
    for home, names in _HOMES.items():
        if name in names.split():
            return getattr(importlib.import_module(f"optigram.{home}"), name)
    raise AttributeError(f"module 'optigram' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
