"""optigram: what text makes this neuron fire?

The names that most users need; each is imported when it is first used, so that `optigram --help` needs no torch.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from optigram import methods
    from optigram.errors import InputError
    from optigram.models.loading import load
    from optigram.objective.objective import Objective
    from optigram.optimize.search import Budget, search
    from optigram.report.results import Results
    from optigram.runs.find import find
    from optigram.scanning.plan import ScanSettings
    from optigram.scanning.results import ScanResults
    from optigram.scanning.scan import scan
    from optigram.targets.target import Target, resolve
    from optigram.text.sources import Corpus, open_corpus
    from optigram.text.template import Template

__all__ = [
    "Budget",
    "Corpus",
    "InputError",
    "Objective",
    "Results",
    "ScanResults",
    "ScanSettings",
    "Target",
    "Template",
    "find",
    "load",
    "methods",
    "open_corpus",
    "resolve",
    "scan",
    "search",
]

_HOMES = {
    "Budget": "optimize.search",
    "ScanResults": "scanning.results",
    "InputError": "errors",
    "Objective": "objective.objective",
    "Results": "report.results",
    "Target": "targets.target",
    "Template": "text.template",
    "find": "runs.find",
    "load": "models.loading",
    "ScanSettings": "scanning.plan",
    "resolve": "targets.target",
    "scan": "scanning.scan",
    "open_corpus": "text.sources",
    "Corpus": "text.sources",
    "search": "optimize.search",
}


def __getattr__(name: str):
    if name == "methods":
        return importlib.import_module("optigram.methods")
    if name not in _HOMES:
        raise AttributeError(f"module 'optigram' has no attribute {name!r}")
    return getattr(importlib.import_module(f"optigram.{_HOMES[name]}"), name)
