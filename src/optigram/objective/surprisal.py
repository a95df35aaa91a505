"""The surprisal of texts under a language model, and the penalty that it takes off their activation."""

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.objective.fluency import Fluency, LanguageModel, are_mixtures, expected_repetition, repetition
from optigram.shapes import Float, Int
from optigram.text.template import Template, counted_places, layout
from optigram.text.vocabulary import Vocabulary


class Surprisal:
    """Measures texts of `length` free words in a template. `words` [v] are the ids that word weights are over."""

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
            raise InputError("a single word with nothing before it has no surprisal; give a longer --length or a --template")

    @property
    def penalises_surprisal(self) -> bool:
        """Whether something has a weight, and a gradient: another tokenizer cannot read a mixture of this one's words."""
        return (self.weight > 0 or self.repetition > 0) and self.same_tokens

    def hard(self, inputs: Int[Tensor, "k1 c s"]) -> Float[Tensor, "k1 c"]:
        """Nats per token of discrete texts. A model with other tokens hears the whole text anew, template and all."""
        if self.same_tokens:
            return self.language.surprisal(inputs.flatten(0, 1), torch.tensor(self.counted)).view(inputs.shape[:2])
        first, last = self.around
        texts = [self.judged.decode(ids[first : len(ids) - last]) for ids in inputs.flatten(0, 1).tolist()]
        return self.language.of_words(texts).to(inputs.device).view(inputs.shape[:2])

    def next_words(self, inputs: Int[Tensor, "k1 c s"]) -> Float[Tensor, "k1 c t v"]:
        """Scores of all words for each free place, by what stands before it; 0 where nothing does."""
        free = [place for place, piece in enumerate(layout(self.pieces)) if piece is None]
        before = [max(place - 1, 0) for place in free]
        scores = self.language.scores_after(inputs.flatten(0, 1), before, self.words)
        if free[0] == 0:
            scores[:, 0] = 0
        return scores.view(*inputs.shape[:2], *scores.shape[1:])

    def soft(self, embeds: Float[Tensor, "k1 c s d"], weights: Float[Tensor, "k1 c t v"] | None) -> Float[Tensor, "k1 c"]:
        """Expected nats per token of mixtures of words, differentiable: `embeds` as the judged model reads them, template and all.

        Raises InputError where the texts are no mixtures.
        """
        if weights is None or not are_mixtures(weights):
            raise InputError(
                "embeddings and free weights (emb, logit) have no surprisal, for they are no mixtures of words; use smx or gbl"
            )
        flat = weights.flatten(0, 1)
        labels = [flat[:, place] if isinstance(piece, range) else place for piece in self.pieces for place in piece]
        shown = [label if counted else None for label, counted in zip(labels, self.counted, strict=True)]
        heard = embeds.flatten(0, 1) if self.same_model else self._heard(flat)
        return self.language.expected(heard, shown, self.words).view(weights.shape[:2])

    def _heard(self, weights: Float[Tensor, "n t v"]) -> Float[Tensor, "n s d"]:
        """The texts as the language model reads them, where that is another model with the same tokens."""
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
        """The activation less what the surprisal and the repetition of the free words cost; -inf outside the band."""
        least, most = self.band
        outside = (surprisal < least) | (surprisal > most)
        worth = activation - self.weight * surprisal - (self.repetition * repetition(free) if self.repetition else 0)
        return worth.masked_fill(outside, -torch.inf)

    def penalised_soft(
        self,
        activation: Float[Tensor, "k c"],
        surprisal: Float[Tensor, "k c"],
        weights: Float[Tensor, "k1 c t v"],
        penalty: Float[Tensor, "k c"] | float = 0.0,
    ) -> Float[Tensor, "k c"]:
        """The same for mixtures, without the band, and with a further price of a nat of each text; differentiable."""
        worth = activation - (self.weight + penalty) * surprisal
        return worth - self.repetition * expected_repetition(weights) if self.repetition else worth
