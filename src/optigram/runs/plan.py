"""Plans: what the name of a method stands for, in view of what is asked of the texts and of the corpus at hand."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from optigram.errors import InputError
from optigram.methods import Corpus, Method, chains, registry
from optigram.methods import paper as presets
from optigram.methods.coordinate import Coordinate
from optigram.objective.objective import Objective
from optigram.optimize.search import Budget
from optigram.text.ngrams import NGrams
from optigram.text.sources import Corpus as Texts

LARGE = 50_000  # words from which gbl keeps a shortlist at each position: the memory and time of all words grow with words x length
DENSE, SPARSE = "gbl", "sgbl"
MOST, HELD = 16_384, 24  # texts of a block on a GPU; numbers held at once per word and position of a soft text, Adam's among them
FRONT_WORDS = 16  # that coordinate ascent scores at a position, for a Pareto front
LONG, DRAWS = 9, "mcgcg"  # words from which auto swaps words at any position, in a transformer without shared prefixes


@dataclass(frozen=True)
class Plan:
    """What a method's name stands for: a corpus search, a `method`, or the one from the best texts of the other."""

    name: str
    corpus: Corpus | None
    method: Method | None

    @property
    def batch(self) -> int | None:
        """Targets that run as one batch; None: all."""
        return None if self.method is None else self.method.batch

    def bounded(self, budget: Budget) -> Budget:
        """A budget with the usual bound, where it has none and the method no end of its own."""
        endless = self.method is not None and not self.method.ends
        free = budget.forwards is None and budget.seconds is None and budget.rounds is None
        return dataclasses.replace(budget, forwards=presets.BUDGET) if endless and free else budget

    def __repr__(self) -> str:
        return " + ".join(repr(part) for part in (self.corpus, self.method) if part is not None)

    @classmethod
    def of(cls, by: str | Method, objective: Objective, corpus: Corpus | None, forwards: float | None) -> "Plan":
        """The plan that a name or a Method object stands for, for texts of the objective's length and a budget of forward-equivalents.

        Raises InputError for what is unknown, or cannot be had of this objective.
        """
        chain = chains.Chain.parse(by, corpus is not None)
        if by == registry.AUTO and objective.length >= LONG and objective.model.attends and not objective.shares_prefixes:
            chain = chain._replace(links=(DRAWS,))
        if cls.shortens(chain, objective):
            chain = chain._replace(links=tuple(SPARSE if link == DENSE else link for link in chain.links))
        if chain.corpus and corpus is None:
            raise InputError("corpus search needs a corpus; give one")
        return cls(
            chain.name, corpus if chain.corpus else None, _fitted(_climb(chain, objective, forwards), objective) if chain.links else None
        )

    @staticmethod
    def shortens(chain: chains.Chain, objective: Objective) -> bool:
        """Whether a method of the chain runs over a shortlist because of the size of the vocabulary; surprisal needs all words."""
        return len(objective.lexicon) > LARGE and DENSE in chain.links and not objective.penalises_surprisal


def reads_corpus(by: Sequence[str | Method], corpus: bool = True) -> bool:
    """Whether any of these methods begins with a corpus search; `corpus` tells whether there is one, for `auto`."""
    return any(chains.Chain.parse(name, corpus).corpus for name in by)


def corpus_search(objective: Objective, corpus: Texts) -> Corpus:
    """Search of all the n-grams of a corpus that the objective allows."""
    allowed = objective.lexicon.cpu().numpy()
    return Corpus(corpus.name, NGrams.read(corpus.texts(), objective.model.vocabulary, objective.length, allowed).ids)


def _climb(chain: chains.Chain, objective: Objective, forwards: float | None) -> Method:
    """What follows on a corpus search."""
    labels = [link.partition(":")[0] for link in chain.links if isinstance(link, str)]
    if (unmixed := next((label for label in labels if label in registry.WITHOUT_SURPRISAL), None)) and objective.penalises_surprisal:
        raise InputError(f"{unmixed} climbs on no mixture of all words and so hears no surprisal; use smx or gbl, or leave out the fluency")
    looks = objective.activation_first and chain.links == (chains.WITHOUT,)  # its widths are counted in texts that are looked at
    text = objective.activation_cost if looks else objective.passes
    if (bounds := len(objective.surprisal_bounds)) > 1 and chain.links == (chains.WITHOUT,):
        return Coordinate(bounds, FRONT_WORDS)
    return chain.method((forwards or presets.BUDGET) / text, objective.model.attends)


def _fitted(method: Method, objective: Objective) -> Method:
    """The method with as many texts per batch as a quarter of a GPU's memory holds, if they are more than its own.

    It is the whole memory, not what is free: the batches of a run must be the same when it is resumed. A processor's cache is small.
    """
    if objective.device.type != "cuda":
        return method
    text = 4 * objective.length * (HELD * len(objective.lexicon) + 64 * objective.table.shape[1])
    texts = min(torch.cuda.get_device_properties(objective.device).total_memory // 4 // text, MOST)
    larger = method.with_block(1 << max(int(texts).bit_length() - 1, 0))
    return larger if (larger.batch or 0) > (method.batch or 0) else method
