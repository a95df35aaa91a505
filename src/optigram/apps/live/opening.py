"""What the live page opens with: a target with a text and, of the bundled model, its stored concepts; and targets for what one types."""

import itertools
import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from optigram.explaining.evidence import Evidence
from optigram.models.base import Model
from optigram.report.explained import Explained
from optigram.runs.site_list import list_sites
from optigram.targets.build import neuron

STORED = "example.json"  # {"fingerprint", "said", "description", "evidence"} of the bundled model
TEXT = "The quick brown fox jumps over the lazy dog"
METHODS = {
    "auto": "Corpus search, then coordinate ascent",
    "coordinate": "Coordinate ascent",
    "crp": "Corpus search",
    "gbl": "Gumbel softmax",
    "smx": "Softmax",
    "emb": "Free embeddings",
    "logit": "Free weights of words",
    "beam": "Beam search",
    "genetic": "Genetic algorithm",
    "gcg": "Greedy coordinate gradient",
    "mcgcg": "Greedy coordinate gradient, swaps merged",
    "epo": "Evolution under surprisal",
    "pez": "Projected embeddings",
    "straight": "Straight-through Gumbel softmax",
    "pgd": "Projected gradient descent",
    "sgbl": "Gumbel softmax over a shortlist",
    "gbda": "Gumbel softmax at one temperature",
    "random": "Random texts",
}
SHOWN, FEW = 12, 3  # suggestions; units of each site where a site is typed


class Opening:
    """What the page shows before anything was asked, and while somebody types."""

    @staticmethod
    def example(model: Model) -> dict[str, Any]:
        """A target, a text for it, and what was found before about it (`explained`), with what `said` how it was found."""
        stored = json.loads((files("optigram.apps.live") / STORED).read_text(encoding="utf-8"))
        if model.name == stored["evidence"]["model"] and model.fingerprint == stored["fingerprint"]:
            found = Evidence.from_json(stored["evidence"])
            known = {"explained": Explained.values(found), "description": stored["description"], "said": stored["said"]}
            return {"target": found.target, "text": found.concepts[0].examples[0].text, **known}
        first = next(list_sites(model)).address
        words = next((text for text in (TEXT, TEXT.lower()) if model.vocabulary.known_ids(text)), "") if _reads(model) else ""
        return {"target": first, "text": words}

    @staticmethod
    def suggestions(model: Model, typed: str) -> list[dict[str, str]]:
        """Up to 12 targets for what is typed, {address, note}: units of a site by label or index, sites, and units with such a label."""
        site, colon, unit = typed.strip().lstrip("-").partition(":")
        found = (
            _units(model, site, unit.strip().strip('"').lower()) if colon else itertools.chain(_sites(model, site), _labelled(model, site))
        )
        return list(itertools.islice(found, SHOWN))


def _reads(model: Model) -> bool:
    try:
        return bool(model.vocabulary.known_ids(TEXT.lower()))
    except ValueError:  # a word that it does not know
        return False


def _sites(model: Model, typed: str) -> Iterator[dict[str, str]]:
    names = [name for name in model.sites if typed.lower() in name.lower()]
    for name in sorted(names, key=lambda name: (not name.lower().startswith(typed.lower()), len(name)))[:FEW]:
        yield _suggestion(model, name, 0, f"site with {model.sites[name].width:,} units")


def _units(model: Model, site: str, unit: str) -> Iterator[dict[str, str]]:
    """Units of a site whose index or label begins with what is typed, then those whose label contains it."""
    if site not in model.sites:
        yield from _sites(model, site)
        return
    names, width = model.sites[site].names, model.sites[site].width
    if unit.isdecimal() and int(unit[:12]) < width:
        yield _suggestion(model, site, int(unit[:12]), "this unit")
    if not unit and not names:
        yield from (_suggestion(model, site, number, "") for number in range(min(width, SHOWN)))
    folded = [name.strip().lower() for name in names]
    for begins in (True, False):
        for number, name in enumerate(folded):
            if unit in name and name.startswith(unit) == begins:
                yield _suggestion(model, site, number, f"unit {number:,}")


def _labelled(model: Model, typed: str) -> Iterator[dict[str, str]]:
    """Units of any site whose label begins with what is typed."""
    if typed:
        for name, site in model.sites.items():
            for number in [at for at, label in enumerate(site.names) if label.strip().lower().startswith(typed.lower())][:FEW]:
                yield _suggestion(model, name, number, f"unit {number:,}")


def _suggestion(model: Model, site: str, number: int, note: str) -> dict[str, str]:
    names = model.sites[site].names
    named = bool(names) and names[number].replace(" ", "").isalnum() and not names[number].isdecimal() and names.count(names[number]) == 1
    return {"address": str(neuron(site, names[number] if named else number)), "note": note}
