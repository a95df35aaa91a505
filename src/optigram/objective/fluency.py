"""Fluency: the surprisal of a text to a language model, in nats per token, for discrete texts and for mixtures of words.

The mean is over the tokens from the first free one on, each given all tokens before it, without special tokens and
without the first token of the input. So after a begin token or a template's words every free word counts; otherwise the
first does not.
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

ROWS = 32  # texts per forward, so that every forward has one shape; their scores for all words must fit in memory


@dataclass(frozen=True)
class Fluency:
    """Penalties and bounds on the surprisal of a text.

    `weight` is subtracted from the value per nat per token; texts with a surprisal outside `band` are not allowed. `model` is
    the language model; None is the searched model itself. `repetition` is the weight of repeated words (see `repetition`),
    which language models favour. `second` is another language model that takes no part in the search and scores the kept texts.
    """

    weight: float = 0.0
    band: tuple[float, float] = (0.0, float("inf"))
    model: Model | None = None
    repetition: float = 0.0
    second: Model | None = None

    def __post_init__(self) -> None:
        least, most = self.band
        if not 0 <= self.weight < float("inf"):
            raise InputError(f"expected a fluency weight of at least 0, got {self.weight}")
        if not 0 <= self.repetition < float("inf"):
            raise InputError(f"expected a repetition weight of at least 0, got {self.repetition}")
        if not 0 <= least < most:
            raise InputError(f"expected a band of surprisal such as 2-6, in nats per token, got {least}-{most}")


def parse_band(text: str) -> tuple[float, float]:
    """Parse "2-6", "-6" or "2-": the least and the most nats per token. Raises InputError."""
    least, dash, most = text.partition("-")
    try:
        if not dash:
            raise ValueError
        return float(least or 0), float(most or "inf")
    except ValueError as error:
        raise InputError(f"expected a band of surprisal such as 2-6, in nats per token, got {text!r}") from error


@dataclass(frozen=True)
class LanguageModel:
    """A causal model that predicts the next token: `head` gives scores of all words from the states of its source."""

    model: Model
    head: Linear

    @classmethod
    def of(cls, model: Model) -> "LanguageModel":
        """The model as a language model. Raises InputError if it has no scores of the next token, or is not causal."""
        where = vocabulary_logits(model)
        head = None if where is None else model.sites[where].linear
        if head is None:
            raise InputError(f"{model.name} does not predict the next token; name a causal language model as the fluency model")
        found = cls(model, head)
        if not found._is_causal():
            raise InputError(f"{model.name} is not causal: a token changes the states before it; name a causal fluency model")
        return found

    def _is_causal(self) -> bool:
        first, last = 0, len(self.model.vocabulary) // 2
        texts = torch.tensor([[first, first, first], [first, first, last]], device=self.model.embedding.device)
        with torch.no_grad():
            states = self.states(self.model.embedding[texts])[:, :2].float()
        return torch.allclose(states[0], states[1], rtol=1e-3, atol=1e-4)

    def states(self, embeds: Float[Tensor, "n s d"]) -> Float[Tensor, "n s h"]:
        """The states at the head's source of texts given as embeddings, differentiable."""
        return self.model.read(embeds.to(self.model.embedding.dtype), [self.head.source])[self.head.source]

    def _scores(self, states: Float[Tensor, "n h"]) -> Float[Tensor, "n v"]:
        weight = self.head.weight.detach()
        scores = (states.to(weight.dtype) @ weight.T + self.head.bias.detach()).float()
        cap = self.head.softcap
        return scores if cap is None else cap * torch.tanh(scores / cap)

    def nats(self, states: Float[Tensor, "p h"], words: Int[Tensor, " n"], after: Int[Tensor, " n"] | None = None) -> Float[Tensor, " n"]:
        """The surprisal of each of `words` after the state with the number `after` [n], which ascend; None: the state of its own row."""
        after = torch.arange(len(words), device=words.device) if after is None else after
        found = []
        for start in range(0, len(states), ROWS):
            block = states[start : start + ROWS]
            scores = self._scores(torch.cat([block, block[-1:].expand(ROWS - len(block), -1)]))
            mine = (after >= start) & (after < start + ROWS)
            rows = after[mine] - start
            found.append(scores.logsumexp(-1)[rows] - scores[rows, words[mine]])
        return torch.cat(found)

    def of_states(self, states: Float[Tensor, "n s h"], ids: Int[Tensor, "n s"], places: Sequence[int]) -> Float[Tensor, " n"]:
        """Mean nats of the tokens at `places` of texts with these states at the head's source; NaN without places."""
        nats = torch.zeros(len(ids), device=ids.device)
        for place in places:
            nats = nats + self.nats(states[:, place - 1], ids[:, place])
        return nats / len(places) if places else nats * torch.nan

    def surprisal(self, ids: Int[Tensor, "n s"], counted: Bool[Tensor, " s"]) -> Float[Tensor, " n"]:
        """Mean nats of the counted tokens of texts [n s]; NaN if none is counted."""
        places = torch.nonzero(counted).flatten().tolist()
        with torch.no_grad():
            return in_blocks(lambda rows: self.of_states(self.states(self.model.embedding[rows]), rows, places), ids, ROWS)

    def scores_after(self, ids: Int[Tensor, "n s"], places: Sequence[int], words: Int[Tensor, " v"]) -> Float[Tensor, "n p v"]:
        """Scores of `words` as the token after each of the positions `places` of texts [n s], without a gradient."""

        def run(rows: Tensor) -> Tensor:
            states = self.states(self.model.embedding[rows])
            return torch.stack([self._scores(states[:, place])[:, words] for place in places], dim=1)

        with torch.no_grad():
            return in_blocks(run, ids, ROWS)

    def expected(
        self, states: Float[Tensor, "n s h"], labels: Sequence[Tensor | int | None], words: Int[Tensor, " v"]
    ) -> Float[Tensor, " n"]:
        """Mean nats of texts of mixtures with these states at the head's source, differentiable.

        `labels` has for each position its token: an id, weights [n v] of `words`, or None if it is not counted.
        """
        nats = torch.zeros(len(states), device=states.device)
        for place, label in enumerate(labels):
            if label is not None:
                scores = self._scores(states[:, place - 1])
                told = scores[:, label] if isinstance(label, int) else (scores[:, words] * label).sum(-1)
                nats = nats + scores.logsumexp(-1) - told
        return nats / sum(label is not None for label in labels)

    def of_words(self, texts: Sequence[str]) -> Float[Tensor, " n"]:
        """Mean nats per token of texts in this model's own tokens, after its begin token, if any; NaN for a single token without one."""
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
    """Repetition of a text: (count - 1)^1.5 summed over its distinct words (FLRT, Thompson & Sklar 2024)."""
    count = (words[..., :, None] == words[..., None, :]).sum(-1).float()
    return ((count - 1) ** 1.5 / count).sum(-1)


def expected_repetition(weights: Float[Tensor, "*b t v"]) -> Float[Tensor, "*b"]:
    """The same for mixtures, by the sums of their weights; differentiable, and equal for one-hot texts."""
    return ((weights.sum(-2) - 1).clamp(min=0) ** 1.5).sum(-1)


def are_mixtures(weights: Float[Tensor, "... v"]) -> bool:
    """Whether weights of words are at least 0 and sum to 1."""
    weights = weights.detach()
    return bool(weights.min() >= -1e-6) and bool(((weights.sum(-1) - 1).abs() < 1e-3).all())
