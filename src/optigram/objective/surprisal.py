"""The surprisal of texts of one layout to a language model, and the penalty for it."""

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.objective.fluency import Fluency, LanguageModel, are_mixtures, expected_repetition, repetition
from optigram.shapes import Float, Int
from optigram.text.template import Template, counted_places, layout
from optigram.text.vocabulary import Vocabulary


class Surprisal:
    """Scores texts of `length` free words in a template. `words` [v] are the ids that the weights of soft texts are over."""

    language: LanguageModel
    same_model: bool
    same_tokens: bool
    weight: float
    band: tuple[float, float]
    repetition: float
    words: Int[Tensor, " v"]
    judged: Vocabulary
    pieces: list[tuple[int, ...] | range]
    counted: list[bool]
    around: tuple[int, int]

    def __init__(self, fluency: Fluency, judged: Model, template: Template, length: int, words: Int[Tensor, " v"]) -> None:
        self.language = LanguageModel.of(fluency.model or judged)
        own = self.language.model.vocabulary
        self.same_model = self.language.model is judged
        self.same_tokens = self.same_model or own.tokens == judged.vocabulary.tokens
        self.weight, self.band, self.repetition = fluency.weight, fluency.band, fluency.repetition
        self.words, self.judged = words, judged.vocabulary
        self.pieces = list(template.pieces(length))
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
        free = [place for place, piece in enumerate(layout(self.pieces)) if piece is None]
        before = [max(place - 1, 0) for place in free]
        scores = self.language.scores_after(inputs.flatten(0, 1), before, self.words)
        if free[0] == 0:
            scores[:, 0] = 0
        return scores.view(*inputs.shape[:2], *scores.shape[1:])

    @property
    def source(self) -> str:
        """The site whose states the language model's scores are computed from."""
        return self.language.head.source

    def of_states(self, states: Float[Tensor, "n s h"], ids: Int[Tensor, "n s"]) -> Float[Tensor, " n"]:
        """Nats per token of discrete texts with these states at `source`."""
        return self.language.of_states(states, ids, [place for place, counted in enumerate(self.counted) if counted])

    def per_token(self, nats: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
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
        if weights is None or not are_mixtures(weights):
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
        value = activation - self.weight * surprisal - (self.repetition * repetition(free) if self.repetition else 0)
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
        return value - self.repetition * expected_repetition(weights) if self.repetition else value
