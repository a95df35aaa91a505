"""The surprisal of texts of one layout to a language model, and the penalty for it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Linear, Model, in_blocks
from optigram.models.vocabulary_logits import vocabulary_logits
from optigram.objective.fluency import Fluency
from optigram.shapes import Bool, Float, Int
from optigram.text.template import Template, counted_places
from optigram.text.vocabulary import Vocabulary

ROWS = 32  # texts per forward, so that every forward has one shape; their scores for all words must fit in memory
FEW = 8  # the same for scores that are wanted of few texts: on a processor the copies that fill a block up cost as much as texts


@dataclass(frozen=True)
class _LanguageModel:
    """A causal model that predicts the next token: `head` gives scores of all words from the states of its source."""

    model: Model
    head: Linear

    @classmethod
    def of(cls, model: Model) -> "_LanguageModel":
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

    def scores_after(
        self, ids: Int[Tensor, "n s"], places: Sequence[int], words: Int[Tensor, " v"] | None = None, block: int = ROWS
    ) -> Float[Tensor, "n p v"]:
        """Scores of `words` (None: all) as the token after each of the positions `places` of texts [n s], without a gradient."""

        def run(rows: Tensor) -> Tensor:
            states = self.states(self.model.embedding[rows])
            told = [self._scores(states[:, place]) for place in places]
            return torch.stack(told if words is None else [scores[:, words] for scores in told], dim=1)

        with torch.no_grad():
            return in_blocks(run, ids, block)

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


class Surprisal:
    """Scores texts of `length` free words in a template. `words` [v] are the ids that the weights of soft texts are over."""

    language: _LanguageModel
    same_model: bool
    same_tokens: bool
    weight: float
    band: tuple[float, float]
    repetition: float
    words: Int[Tensor, " v"]
    judged: Vocabulary
    pieces: list[tuple[int, ...] | range]
    free: list[int]
    counted: list[bool]
    around: tuple[int, int]

    def __init__(self, fluency: Fluency, judged: Model, template: Template, length: int, words: Int[Tensor, " v"]) -> None:
        self.language = _LanguageModel.of(fluency.model or judged)
        own = self.language.model.vocabulary
        self.same_model = self.language.model is judged
        self.same_tokens = self.same_model or own.tokens == judged.vocabulary.tokens
        self.weight, self.band, self.repetition = fluency.weight, fluency.band, fluency.repetition
        self.words, self.judged = words, judged.vocabulary
        self.pieces = list(template.pieces(length))
        self.free = [place for place, id_ in enumerate(template.fill([-1] * length)) if id_ < 0]
        self.counted = counted_places(template, length, judged.vocabulary)
        self.around = (len(judged.vocabulary.prefix), len(judged.vocabulary.suffix))
        if self.same_tokens and not any(self.counted):
            raise InputError("a single token with nothing before it has no surprisal; give a longer --length or a --template")

    @property
    def penalises_surprisal(self) -> bool:
        """Whether soft texts have a penalty with a gradient; a model with other tokens cannot read mixtures of this one's words."""
        return (self.weight > 0 or self.repetition > 0) and self.same_tokens

    def hard(self, inputs: Int[Tensor, "k1 c s"]) -> Float[Tensor, "k1 c"]:
        """Nats per token of discrete texts. For a model with other tokens, the whole text with its template is tokenized again."""
        if self.same_tokens:
            return self.language.surprisal(inputs.flatten(0, 1), torch.tensor(self.counted)).view(inputs.shape[:2])
        first, last = self.around
        texts = [self.judged.decode(ids[first : len(ids) - last]) for ids in inputs.flatten(0, 1).tolist()]
        return self.language.of_words(texts).to(inputs.device).view(inputs.shape[:2])

    def next_words(self, inputs: Int[Tensor, "k1 c s"]) -> Float[Tensor, "k1 c t v"]:
        """Scores of all words for each free position, given the tokens before it; 0 without any."""
        before = [max(place - 1, 0) for place in self.free]
        scores = self.language.scores_after(inputs.flatten(0, 1), before, self.words)
        if self.free[0] == 0:
            scores[:, 0] = 0
        return scores.view(*inputs.shape[:2], *scores.shape[1:])

    def of_word(self, inputs: Int[Tensor, "k1 c s"], free: int) -> tuple[Float[Tensor, "k1 c v"], float]:
        """What each of `words` at a free position would add to the nats per token of texts; 0 where the position is not counted.

        With the share of a text's forward that it takes: only the tokens before the position are read.
        """
        place = self.free[free]
        if not self.counted[place]:
            return torch.zeros(*inputs.shape[:2], len(self.words), device=inputs.device), 0.0
        block = FEW if inputs.device.type == "cpu" else ROWS
        scores = self.language.scores_after(inputs[..., :place].flatten(0, 1), [place - 1], block=block)[:, 0]
        nats = self.per_token(scores.logsumexp(-1, keepdim=True) - scores[:, self.words])
        return nats.view(*inputs.shape[:2], -1), place / inputs.shape[2]

    @property
    def source(self) -> str:
        """The site whose states the language model's scores are computed from."""
        return self.language.head.source

    def of_states(self, states: Float[Tensor, "n s h"], ids: Int[Tensor, "n s"]) -> Float[Tensor, " n"]:
        """Nats per token of discrete texts with these states at `source`."""
        return self.language.of_states(states, ids, [place for place, counted in enumerate(self.counted) if counted])

    def per_token(self, nats: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """The mean of the nats of all counted tokens, given their sum."""
        return nats / sum(self.counted)

    def of_mixtures(self, states: Float[Tensor, "n s h"], weights: Float[Tensor, "k1 c t v"]) -> Float[Tensor, "k1 c"]:
        """Expected nats per token of mixtures of words with these states at `source`, differentiable."""
        flat = weights.flatten(0, 1)
        labels = [flat[:, place] if isinstance(piece, range) else place for piece in self.pieces for place in piece]
        shown = [label if counted else None for label, counted in zip(labels, self.counted, strict=True)]
        return self.language.expected(states, shown, self.words).view(weights.shape[:2])

    def soft(self, weights: Float[Tensor, "k1 c t v"]) -> Float[Tensor, "k1 c"]:
        """The same by a forward of the language model, where that is another model."""
        return self.of_mixtures(self.language.states(self._read(weights.flatten(0, 1))), weights)

    def need_mixtures(self, weights: Tensor | None) -> Tensor:
        """The weights of soft texts. Raises InputError where they are not mixtures."""
        if weights is None or not _are_mixtures(weights):
            raise InputError("free embeddings and weights (emb, logit, pez) are no mixtures of words and have no surprisal; use smx or gbl")
        return weights

    def _read(self, weights: Float[Tensor, "n t v"]) -> Float[Tensor, "n s d"]:
        """Embeddings of the texts for a language model that is another model with the same tokens."""
        embedding = self.language.model.embedding.detach()
        table, parts = embedding[self.words].float(), []
        for piece in self.pieces:
            if isinstance(piece, range):
                parts.append(weights[:, piece.start : piece.stop] @ table)
            else:
                fixed = embedding[torch.tensor(piece, dtype=torch.int64, device=embedding.device)].float()
                parts.append(fixed.expand(len(weights), -1, -1))
        return torch.cat(parts, dim=1)

    def penalised(
        self, activation: Float[Tensor, "k c"], surprisal: Float[Tensor, "k c"], free: Int[Tensor, "k1 c t"]
    ) -> Float[Tensor, "k c"]:
        """The activation less the penalties on surprisal and on repetition of the free words; -inf outside the band."""
        least, most = self.band
        outside = (surprisal < least) | (surprisal > most)
        value = activation - self.weight * surprisal - (self.repetition * _repetition(free) if self.repetition else 0)
        return value.masked_fill(outside, -torch.inf)

    def penalised_soft(
        self,
        activation: Float[Tensor, "k c"],
        surprisal: Float[Tensor, "k c"],
        weights: Float[Tensor, "k1 c t v"],
        penalty: Float[Tensor, "k c"] | float = 0.0,
    ) -> Float[Tensor, "k c"]:
        """The same for mixtures, without the band, and with a further penalty per nat for each text; differentiable."""
        value = activation - (self.weight + penalty) * surprisal
        return value - self.repetition * _expected_repetition(weights) if self.repetition else value


def _are_mixtures(weights: Float[Tensor, "... v"]) -> bool:
    """Whether weights of words are at least 0 and sum to 1."""
    weights = weights.detach()
    return bool(weights.min() >= -1e-6) and bool(((weights.sum(-1) - 1).abs() < 1e-3).all())


def _expected_repetition(weights: Float[Tensor, "*b t v"]) -> Float[Tensor, "*b"]:
    """The same for mixtures, by the sums of their weights; differentiable, and equal for one-hot texts."""
    return ((weights.sum(-2) - 1).clamp(min=0) ** 1.5).sum(-1)


def _repetition(words: Int[Tensor, "*b t"]) -> Float[Tensor, "*b"]:
    """Repetition of a text: (count - 1)^1.5 summed over its distinct words (FLRT, Thompson & Sklar 2024)."""
    count = (words[..., :, None] == words[..., None, :]).sum(-1).float()
    return ((count - 1) ** 1.5 / count).sum(-1)
