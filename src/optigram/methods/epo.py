"""EPO, evolutionary prompt optimization (Thompson, Straznickas & Sklar 2024, "Fluent dreaming for language models"): a few
texts per target evolve together, each with its own penalty per nat of surprisal, and so trace the Pareto front."""

import dataclasses
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from optigram.methods.moves import Words, initial_texts, propose_start
from optigram.methods.settings import check_settings
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import Scores
from optigram.optimize.method import Ids, Proposal, Proposals
from optigram.shapes import Float, Int

BLOCK = 2048  # texts that the targets of a batch have scored at once
NOT_ALLOWED = 1e5  # how far below all others a text that is not allowed ranks; of two such texts the less surprising survives


class _Population(NamedTuple):
    """Texts [k n t] with their values [k n] and surprisal [k n]."""

    ids: Int[Tensor, "k n t"]
    penalised: Float[Tensor, "k n"]
    surprisal: Float[Tensor, "k n"]


@dataclass(frozen=True)
class Epo:
    """`slots` texts per target with penalties per nat of 0 and from `gentlest` to `strictest`; each has `children` per round.

    A child gains one word and loses one: a word is removed anywhere and another inserted there (a swap), or, for the
    fraction `shifted`, one of the two happens at an end (a text has a fixed number of words: an insertion drops a word at
    an end, a deletion makes room at one). The new word is one of the `among` that the slot's own gradient ranks highest, or,
    for the fraction `spoken`, drawn from the language model's prediction after the words before it. A slot takes the best,
    at its own penalty, of all parents and children. Every `restart` rounds, except the first, all slots continue from
    the best text at one penalty, `collapse` times a random number from 1 to `stricter`.

    The published code takes the gradient of one slot at the penalty of another (it selects at the right ones), restarts at once, and
    draws the number without using it. With its 32 children per slot, the same budget buys fewer rounds.
    """

    slots: int = 8
    children: int = 6
    among: int = 512
    gentlest: float = 0.1
    strictest: float = 10.0
    shifted: float = 0.2
    spoken: float = 0.3
    restart: int = 50
    collapse: float = 2.0
    stricter: float = 3.0
    block: int = field(default=BLOCK, repr=False)

    patience = None
    ends = False

    def __post_init__(self) -> None:
        check_settings(self, slots=1, children=1, among=1, gentlest=1e-9, strictest=1e-9, shifted=0.0, spoken=0.0, restart=1, block=1)

    @property
    def batch(self) -> int:
        return max(self.block // (self.slots * self.children), 1)

    def cost(self, budget: float) -> float:
        return budget

    def with_block(self, texts: int) -> "Epo":
        return dataclasses.replace(self, block=texts)

    def probe(self) -> "Epo":
        return self

    @property
    def penalties(self) -> Float[Tensor, " slots"]:
        """The penalty of each slot per nat of surprisal per token."""
        first, last = torch.tensor([self.gentlest, self.strictest]).log10().tolist()
        return torch.cat([torch.zeros(1), torch.logspace(first, last, self.slots - 1)])

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The texts of the start, the first texts, then the children of every round."""
        streams = Streams(seed, [target.key for target in objective.targets], self.slots, objective.device)
        penalties = self.penalties.to(objective.device)
        first = initial_texts(objective, streams, None)
        if objective.has_language_model:
            first = Words.sampled(objective, streams, first, self.among)
        if start is not None:
            first = torch.cat([propose_start(objective, start).ids, first], dim=1)
        living = _living(first, (yield Proposal(first)))
        living = _fittest(living, penalties)
        step = 0
        while True:
            if step and step % self.restart == 0:
                penalty = self.collapse * (1 + (self.stricter - 1) * streams.uniform()[:, :1])
                living = _fittest(living, penalty.expand(-1, self.slots))
            step += 1
            children = self._children(living.ids, objective, streams, penalties)
            born = _living(children, (yield Proposal(children)))
            living = _fittest(_Population(*(torch.cat(pair, dim=1) for pair in zip(living, born, strict=True))), penalties)

    def _children(
        self, texts: Int[Tensor, "k s t"], objective: Objective, streams: Streams, penalties: Float[Tensor, " s"]
    ) -> Int[Tensor, "k n t"]:
        """The children of every slot: a word is removed at `out` and another inserted at `into`."""
        m, last = self.children, objective.length - 1
        place, chance = streams.integers(objective.length, m), streams.uniform(4, m)
        end = torch.where(chance[:, :, 1] < 0.5, 0, last)
        shifts, inserts = chance[:, :, 0] < self.shifted, chance[:, :, 2] < 0.5
        out = torch.where(shifts & inserts, end, place)
        into = torch.where(shifts & ~inserts, end, place)
        liked = Words.liked(objective, texts, penalties, self.among)
        words = liked.drawn(into, chance[:, :, 3])
        if objective.has_language_model and self.spoken:
            said = Words.expected(objective, texts, self.among).drawn(into, chance[:, :, 3])
            words = torch.where(streams.uniform(m) < self.spoken, said, words)
        return _replaced(texts, out, into, words).flatten(1, 2)


def _replaced(
    texts: Int[Tensor, "k s t"], out: Int[Tensor, "k s m"], into: Int[Tensor, "k s m"], words: Int[Tensor, "k s m"]
) -> Int[Tensor, "k s m t"]:
    """Each text without the word at `out` and with a new word at `into`; the words between them move by one."""
    places = torch.arange(texts.shape[2], device=texts.device)
    out, into = out[..., None], into[..., None]
    source = places + ((places >= out) & (places < into)).long() - ((places > into) & (places <= out)).long()
    moved = texts[:, :, None].expand(*source.shape).gather(3, source)
    return torch.where(places == into, words[..., None], moved)


def _living(ids: Int[Tensor, "k n t"], scores: Scores) -> _Population:
    """Texts with their scores; without a language model the surprisal is 0."""
    surprisal = torch.zeros_like(scores.value) if scores.surprisal is None else scores.surprisal.nan_to_num(nan=NOT_ALLOWED)
    return _Population(ids, scores.value.nan_to_num(nan=-torch.inf), surprisal)


def _fittest(living: _Population, penalties: Float[Tensor, "*k s"]) -> _Population:
    """The best text at each penalty, ties to the first; texts that are not allowed come last, the less surprising first."""
    worth = living.penalised[:, None] - penalties[..., None] * living.surprisal[:, None]
    worth = torch.where(living.penalised[:, None].isneginf(), -NOT_ALLOWED - living.surprisal[:, None], worth)
    best = worth.argmax(-1)
    return _Population(
        living.ids.gather(1, best[..., None].expand(-1, -1, living.ids.shape[2])), *(part.gather(1, best) for part in living[1:])
    )
