"""optigram: what text makes this neuron fire?

The names that most users need; each is imported when it is first used, so that `optigram --help` needs no torch.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from optigram import methods
    from optigram.corpora import sentences
    from optigram.errors import InputError
    from optigram.loop import Budget, search
    from optigram.models.loading import load
    from optigram.objective import Objective
    from optigram.report.results import Results
    from optigram.scanning.findings import Findings
    from optigram.scanning.scan import scan
    from optigram.scanning.settings import Settings
    from optigram.study.find import find
    from optigram.targets import Target, resolve
    from optigram.text import Template

__all__ = [
    "Budget",
    "Findings",
    "InputError",
    "Objective",
    "Results",
    "Settings",
    "Target",
    "Template",
    "find",
    "load",
    "methods",
    "resolve",
    "scan",
    "search",
    "sentences",
]

_HOMES = {
    "Budget": "loop",
    "Findings": "scanning.findings",
    "InputError": "errors",
    "Objective": "objective",
    "Results": "report.results",
    "Target": "targets",
    "Template": "text",
    "find": "study.find",
    "load": "models.loading",
    "Settings": "scanning.settings",
    "resolve": "targets",
    "scan": "scanning.scan",
    "search": "loop",
    "sentences": "corpora",
}


def __getattr__(name: str):
    if name == "methods":
        return importlib.import_module("optigram.methods")
    if name not in _HOMES:
        raise AttributeError(f"module 'optigram' has no attribute {name!r}")
    return getattr(importlib.import_module(f"optigram.{_HOMES[name]}"), name)
