"""Fluency: how surprising a text is to a language model, in nats per token; for discrete texts, and for mixtures of words.

Counted are the tokens from the first free one on, each given all before it; not special ones, and not the very first of
the input, which nothing comes before. So with a begin symbol or a template's words in front every free word counts, and
without them the first does not.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Linear, Model, in_blocks
from optigram.models.vocabulary_logits import vocabulary_logits
from optigram.shapes import Bool, Float, Int

ROWS = 32  # texts in one forward, so that every forward has the same shape: their scores for all words must fit


@dataclass(frozen=True)
class Fluency:
    """What is asked of a text's surprisal: `weight` nats of it are taken off the activation, texts outside `band` are not kept.

    `model` is the language model that is surprised; None is the one that is judged. `repetition` is what a word that stands
    there again costs (see `repetition`), for a language model is fond of those. `second` is another language model, which is
    told nothing and says in the end how surprising it finds what was kept.
    """

    weight: float = 0.0
    band: tuple[float, float] = (0.0, float("inf"))
    model: Model | None = None
    repetition: float = 0.0
    second: Model | None = None

    def __post_init__(self) -> None:
        least, most = self.band
        if not 0 <= self.weight < float("inf"):
            raise InputError(f"expected a weight of fluency of at least 0, got {self.weight}")
        if not 0 <= self.repetition < float("inf"):
            raise InputError(f"expected a weight of repetition of at least 0, got {self.repetition}")
        if not 0 <= least < most:
            raise InputError(f"expected a band of surprisal such as 2-6, in nats per token, got {least}-{most}")


def parse_band(text: str) -> tuple[float, float]:
    """Read "2-6", "-6" or "2-": the least and the most nats per token."""
    least, dash, most = text.partition("-")
    try:
        if not dash:
            raise ValueError
        return float(least or 0), float(most or "inf")
    except ValueError as error:
        raise InputError(f"expected a band of surprisal such as 2-6, in nats per token, got {text!r}") from error


@dataclass(frozen=True)
class LanguageModel:
    """A model that says of every text what comes next: `head` gives scores of all words from the states of its source."""

    model: Model
    head: Linear

    @classmethod
    def of(cls, model: Model) -> "LanguageModel":
        """The model as a language model; an InputError if it does not say what comes next, or has already seen it."""
        where = vocabulary_logits(model)
        head = None if where is None else model.sites[where].linear
        if head is None:
            raise InputError(f"{model.name} does not say which word comes next; name a language model for the fluency")
        found = cls(model, head)
        if not found._looks_back_only():
            raise InputError(f"{model.name} reads a text from both sides, so what comes next is no surprise to it; name a causal model")
        return found

    def _looks_back_only(self) -> bool:
        first, last = 0, len(self.model.vocabulary) // 2
        texts = torch.tensor([[first, first, first], [first, first, last]], device=self.model.embedding.device)
        with torch.no_grad():
            states = self._states(self.model.embedding[texts])[:, :2].float()
        return torch.allclose(states[0], states[1], rtol=1e-3, atol=1e-4)

    def _states(self, embeds: Float[Tensor, "n s d"]) -> Float[Tensor, "n s h"]:
        return self.model.read(embeds.to(self.model.embedding.dtype), [self.head.source])[self.head.source]

    def _scores(self, states: Float[Tensor, "n h"]) -> Float[Tensor, "n v"]:
        weight = self.head.weight.detach()
        scores = (states.to(weight.dtype) @ weight.T + self.head.bias.detach()).float()
        cap = self.head.softcap
        return scores if cap is None else cap * torch.tanh(scores / cap)

    def surprisal(self, ids: Int[Tensor, "n s"], counted: Bool[Tensor, " s"]) -> Float[Tensor, " n"]:
        """Mean nats of the counted tokens of texts [n s]; NaN if none is counted."""
        embedding, places = self.model.embedding, torch.nonzero(counted).flatten().tolist()

        def run(rows: Tensor) -> Tensor:
            states = self._states(embedding[rows])
            nats = torch.zeros(len(rows), device=rows.device)
            for place in places:
                scores = self._scores(states[:, place - 1])
                nats = nats + scores.logsumexp(-1) - scores.gather(1, rows[:, place, None])[:, 0]
            return nats / len(places) if places else nats * torch.nan

        with torch.no_grad():
            return in_blocks(run, ids, ROWS)

    def scores_after(self, ids: Int[Tensor, "n s"], places: Sequence[int], words: Int[Tensor, " v"]) -> Float[Tensor, "n p v"]:
        """Scores of `words` for what comes after each of the places of texts [n s], without a gradient."""

        def run(rows: Tensor) -> Tensor:
            states = self._states(self.model.embedding[rows])
            return torch.stack([self._scores(states[:, place])[:, words] for place in places], dim=1)

        with torch.no_grad():
            return in_blocks(run, ids, ROWS)

    def expected(
        self, embeds: Float[Tensor, "n s d"], labels: Sequence[Tensor | int | None], words: Int[Tensor, " v"]
    ) -> Float[Tensor, " n"]:
        """Differentiable mean nats of texts of mixtures [n s d].

        `labels` says for each position which token it is: an id, weights [n v] of `words`, or None if it is not counted.
        """
        states = self._states(embeds)
        nats = torch.zeros(len(embeds), device=embeds.device)
        for place, label in enumerate(labels):
            if label is not None:
                scores = self._scores(states[:, place - 1])
                told = scores[:, label] if isinstance(label, int) else (scores[:, words] * label).sum(-1)
                nats = nats + scores.logsumexp(-1) - told
        return nats / sum(label is not None for label in labels)

    def of_words(self, texts: Sequence[str]) -> Float[Tensor, " n"]:
        """Mean nats a token of texts in this model's own tokens, after its begin symbol if it has one; NaN for one token without."""
        vocabulary, device = self.model.vocabulary, self.model.embedding.device
        begin = vocabulary.prefix
        rows = defaultdict(list)
        ids = [[*begin, *vocabulary.encode(text)] for text in texts]
        for number, text in enumerate(ids):
            rows[len(text)].append(number)
        nats = torch.full((len(texts),), torch.nan, device=device)
        for length, numbers in rows.items():
            counted = torch.arange(length, device=device) >= max(len(begin), 1)
            if counted.any():
                nats[numbers] = self.surprisal(torch.tensor([ids[number] for number in numbers], device=device), counted)
        return nats


def repetition(words: Int[Tensor, "*b t"]) -> Float[Tensor, "*b"]:
    """How much a text repeats itself: (count - 1)^1.5 summed over its different words (FLRT, Thompson & Sklar 2024)."""
    count = (words[..., :, None] == words[..., None, :]).sum(-1).float()
    return ((count - 1) ** 1.5 / count).sum(-1)


def expected_repetition(weights: Float[Tensor, "*b t v"]) -> Float[Tensor, "*b"]:
    """The same of mixtures, by the sums of their weights; differentiable, and equal for texts of whole words."""
    return ((weights.sum(-2) - 1).clamp(min=0) ** 1.5).sum(-1)


def are_mixtures(weights: Float[Tensor, "... v"]) -> bool:
    """Whether weights of words are at least 0 and sum to 1."""
    weights = weights.detach()
    return bool(weights.min() >= -1e-6) and bool(((weights.sum(-1) - 1).abs() < 1e-3).all())
