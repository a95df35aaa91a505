"""Sampling: a causal language model writes its own corpus, one token at a time."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Linear, Model, States
from optigram.models.tokenizers import BYTE, UNKNOWNS, UNUSED
from optigram.shapes import Bool, Float, Int
from optigram.text.vocabulary import Vocabulary

SITES = "logits", "language"  # where a language model predicts the next token
BLOCK = 128  # texts that are written at once: a fixed number, so memory is bounded and results do not depend on `count`
PATIENCE = 8  # blocks in a row without a new text, after which the model has no more to say
MARKUP = re.compile(r"[<\[]\S+[>\]]")  # special tokens that end a text, such as </s> and <|endoftext|>
BEGINS = ("<|endoftext|>", "<|begin_of_text|>", "<|startoftext|>", "<bos>", "<s>", "[BOS]")  # what a text may begin with


def sample_texts(
    model: Model,
    count: int,
    seed: int = 0,
    length: int = 12,
    temperature: float = 1.0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """`count` different, non-empty texts of at most `length` tokens, drawn from a causal model by ancestral sampling.

    A text begins after the model's begin symbol, or with a random token if it has none, and ends at a line break or a special token;
    no special token is in it. The texts depend on the model, `seed`, `length` and `temperature`; those of a smaller `count` are
    the first ones of a larger. `progress(done)` is called with the number of texts so far. Memory is bounded: a block of 128
    texts with its KV cache and logits.

    A model with a method `sample(count, generator)`, as Imaginet has one, writes in its own way, and texts may repeat;
    `length` and `temperature` do not apply.

    Raises InputError for a model that does not predict the next token from those before it (an encoder, a masked model), for one
    that has not `count` different texts, and for values out of range.
    """
    if count < 1 or length < 1 or not temperature > 0:
        raise InputError(f"expected count and length of at least 1 and a temperature above 0, got {count}, {length} and {temperature}")
    own, generator = getattr(model, "sample", None), torch.Generator().manual_seed(seed)
    if own is not None:
        found = list(own(count, generator))
        progress(len(found))
        return found
    writer, texts, stale = _writer(model, length, temperature), dict[str, None](), 0
    while len(texts) < count:
        before = len(texts)
        texts |= dict.fromkeys(text for text in writer.block(generator) if text)
        stale = stale + 1 if len(texts) == before else 0
        if stale == PATIENCE:
            raise InputError(f"expected {count} different texts, but {model.name} wrote only {before}; ask for fewer, or for longer ones")
        progress(min(len(texts), count))
    return list(texts)[:count]


def complete(model: Model, ids: Sequence[int], most: int = 60) -> str:
    """What a causal model writes after the token ids [t]: the likeliest token each time, up to a line break or `most` tokens.

    Line breaks before the first word are skipped. Raises InputError for a model that cannot write (see `sample_texts`).
    """
    return dataclasses.replace(_writer(model, most, 1.0), begin=tuple(ids)).likeliest()


@dataclass(frozen=True)
class _Writer:
    """Writes texts in blocks. Tokens that are `blocked` [v] are never drawn, those in `ends` [v] end a text."""

    model: Model
    head: Linear
    length: int
    temperature: float
    begin: tuple[int, ...]
    blocked: Bool[Tensor, " v"]
    ends: Bool[Tensor, " v"]

    def block(self, generator: torch.Generator) -> list[str]:
        """The next BLOCK texts, some of them empty. All rows run to the end, also those that have ended: one shape for all calls."""
        ids = torch.tensor(self.begin, dtype=torch.int64, device=self.blocked.device).expand(BLOCK, -1)
        going, drawn, fresh, carried = torch.ones(BLOCK, dtype=torch.bool, device=ids.device), [], ids, None
        with torch.no_grad():
            for _ in range(self.length):
                scores, carried = self._scores(ids, fresh, carried)
                tokens = self._draw(scores, generator)
                going = going & ~self.ends[tokens]
                if not going.any():
                    break
                drawn.append(torch.where(going, tokens, -1))
                fresh = tokens[:, None]
                ids = torch.cat([ids, fresh], 1)
        rows = torch.stack(drawn, 1).tolist() if drawn else []
        return [self.model.vocabulary.decode([i for i in row if i >= 0]).strip() for row in rows]

    def likeliest(self) -> str:
        """The text that goes on from the begin, the likeliest token each time, up to a line break or a special token."""
        ids, carried, drawn = torch.tensor([self.begin], dtype=torch.int64, device=self.blocked.device), None, list[int]()
        fresh = ids
        with torch.no_grad():
            for _ in range(self.length):
                scores, carried = self._scores(ids, fresh, carried)
                token = int(scores[0].masked_fill(self.blocked, -torch.inf).argmax())
                written = self.model.vocabulary.decode(drawn).strip()
                if self.ends[token] and (written or token in self.model.vocabulary.special):
                    break
                drawn.append(token)
                fresh = torch.tensor([[token]], device=ids.device)
                ids = torch.cat([ids, fresh], 1)
        return self.model.vocabulary.decode(drawn).strip()

    def _scores(self, ids: Int[Tensor, "n s"], fresh: Int[Tensor, "n r"], carried: States | None) -> tuple[Tensor, States | None]:
        """Scores of the next token [n v] of texts whose last tokens are `fresh`, and what to carry on."""
        if not ids.shape[1]:  # nothing to predict from: all tokens alike
            return torch.zeros(len(ids), len(self.blocked), device=ids.device), None
        step, source = self.model.step, self.head.source
        if step is None or not step.serves([source]):
            states = self.model.read(self.model.embedding[ids], [source])
        else:
            states, carried = step.run(fresh, carried, [source])
        return _projected(self.head, states[source][:, -1]), carried

    def _draw(self, scores: Float[Tensor, "n v"], generator: torch.Generator) -> Int[Tensor, " n"]:
        """A token for each row, by inverting the distribution function at one random number: no noise of the vocabulary's size."""
        shares = (scores / self.temperature).masked_fill(self.blocked, -torch.inf).softmax(-1).cumsum(-1)
        numbers = torch.rand(len(scores), 1, generator=generator).to(shares)
        return torch.searchsorted(shares, numbers * shares[:, -1:] * (1 - 1e-6), right=True)[:, 0]


def _writer(model: Model, length: int, temperature: float) -> _Writer:
    where = next((name for name in SITES if name in model.sites), None)
    head = None if where is None else model.sites[where].linear
    if head is None or len(head.weight) != len(model.vocabulary):
        raise InputError(f"expected a model that predicts the next token, but {model.name} has no logits of its tokens; give a corpus")
    if not _is_causal(model, head):
        raise InputError(f"expected a causal model, but {model.name} reads a text from both sides and cannot write one; give a corpus")
    vocabulary, device = model.vocabulary, model.embedding.device
    ends = [_ends(vocabulary, i) for i in range(len(vocabulary))]
    blocked = [i in vocabulary.special and not end for i, end in enumerate(ends)]
    marks = (torch.tensor(mark, device=device) for mark in (blocked, ends))
    return _Writer(model, head, length, temperature, _begin(vocabulary), *marks)


def can_sample(model: Model) -> bool:
    """Whether `sample_texts` can write texts with the model."""
    if getattr(model, "sample", None) is not None:
        return True
    try:
        _writer(model, 1, 1.0)
    except InputError:
        return False
    return True


def _is_causal(model: Model, head: Linear) -> bool:
    """Whether states are independent of the tokens after them, tried on two texts."""
    texts = torch.tensor([[0, 0, 0], [0, 0, len(model.vocabulary) // 2]], device=model.embedding.device)
    with torch.no_grad():
        states = model.read(model.embedding[texts], [head.source])[head.source][:, :2]
    return torch.allclose(states[0], states[1], rtol=1e-3, atol=1e-4)


def _projected(head: Linear, states: Float[Tensor, "n h"]) -> Float[Tensor, "n v"]:
    scores = (states.to(head.weight) @ head.weight.T + head.bias).to(states)
    return scores if head.softcap is None else head.softcap * torch.tanh(scores / head.softcap)


def _begin(vocabulary: Vocabulary) -> tuple[int, ...]:
    """What the model expects before a text, else its begin symbol if it has one."""
    found = (vocabulary.tokens.index(token) for token in BEGINS if token in vocabulary.tokens)
    return vocabulary.prefix or tuple(i for i in found if i in vocabulary.special)[:1]


def _ends(vocabulary: Vocabulary, i: int) -> bool:
    """Whether a token ends a text: a line break, or a special token that is no byte, unused or unknown."""
    token = vocabulary.tokens[i]
    if i not in vocabulary.special:
        return "\n" in token or "\r" in token
    return bool(MARKUP.fullmatch(token)) and token not in UNKNOWNS and not (UNUSED.fullmatch(token) or BYTE.match(token))
