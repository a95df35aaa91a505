"""optigram finds the text that makes a neuron of a language model fire most.

    import optigram as og
    og.find("imaginet", "visual:pizza")

Names are imported when they are first used, so that `optigram --help` needs no torch.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.2.0"

if TYPE_CHECKING:
    from optigram import methods
    from optigram.api import explain, find, open, scan, score
    from optigram.errors import InputError, Interrupted
    from optigram.methods import relaxations
    from optigram.models.base import Model, Site
    from optigram.models.loading import load
    from optigram.objective.objective import Objective
    from optigram.optimize.method import Method, Proposal
    from optigram.optimize.search import Budget, SearchResult, TargetResult, search
    from optigram.report.explanations import Explanations
    from optigram.report.results import Results
    from optigram.runs.options import FindOptions
    from optigram.runs.records import Record
    from optigram.scanning.results import ScanResults
    from optigram.targets.build import custom, direction, latent, log_prob, logit, neuron
    from optigram.targets.target import Target, resolve
    from optigram.text.template import Template

_HOMES = {
    "Budget": "optimize.search",
    "Explanations": "report.explanations",
    "FindOptions": "runs.options",
    "InputError": "errors",
    "Interrupted": "errors",
    "Method": "optimize.method",
    "Model": "models.base",
    "Objective": "objective.objective",
    "Proposal": "optimize.method",
    "Record": "runs.records",
    "Results": "report.results",
    "ScanResults": "scanning.results",
    "SearchResult": "optimize.search",
    "Site": "models.base",
    "Target": "targets.target",
    "TargetResult": "optimize.search",
    "Template": "text.template",
    "custom": "targets.build",
    "direction": "targets.build",
    "explain": "api",
    "find": "api",
    "latent": "targets.build",
    "load": "models.loading",
    "log_prob": "targets.build",
    "logit": "targets.build",
    "neuron": "targets.build",
    "open": "api",
    "resolve": "targets.target",
    "scan": "api",
    "score": "api",
    "search": "optimize.search",
}
_MODULES = {"methods": "methods", "relaxations": "methods.relaxations"}

__all__ = [
    "Budget",
    "Explanations",
    "FindOptions",
    "InputError",
    "Interrupted",
    "Method",
    "Model",
    "Objective",
    "Proposal",
    "Record",
    "Results",
    "ScanResults",
    "SearchResult",
    "Site",
    "Target",
    "TargetResult",
    "Template",
    "custom",
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
    "relaxations",
    "resolve",
    "scan",
    "score",
    "search",
]


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"optigram.{_MODULES[name]}")
    if name not in _HOMES:
        raise AttributeError(f"module 'optigram' has no attribute {name!r}")
    return getattr(importlib.import_module(f"optigram.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
