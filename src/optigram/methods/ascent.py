"""Gradient ascent on a relaxation (paper, section 4): emb, logit, smx and gbl are this loop with four relaxations."""

from dataclasses import dataclass, field

import torch

from optigram.errors import InputError
from optigram.methods.moves import propose_start
from optigram.methods.relaxations import Embeddings, Gumbel, Relaxation
from optigram.methods.shortlist import COST, places, shortlist, words_at
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import SoftText
from optigram.optimize.method import Ids, Proposal, Proposals

BLOCK = 32  # soft texts in one batch; large enough for products at full speed, small enough to stay in cache


@dataclass(frozen=True)
class Ascent:
    """`steps` of Adam at `rate` on `restarts` texts a target; every `every` steps their discrete texts are proposed.

    `decay` is the weight decay of AdamW. With a `shortlist` only so many words are tried at a position. `block` soft texts make
    a batch. It changes speed and memory, not results.
    """

    relaxation: Relaxation
    steps: int
    rate: float
    restarts: int
    every: int
    patience: int | None = None
    decay: float = 0.0
    shortlist: int | None = None
    block: int = field(default=BLOCK, repr=False)

    def __post_init__(self):
        if self.shortlist is not None and (self.shortlist < 1 or isinstance(self.relaxation, Embeddings)):
            raise InputError(f"expected a shortlist of at least 1 word, for mixtures of words; got {self.shortlist} for {self.relaxation}")

    @property
    def batch_targets(self) -> int:
        """As many targets as fill a block: set by the settings alone, so that every batch has one shape."""
        return max(self.block // (self.restarts * self._samples), 1)

    @property
    def forwards(self) -> float:
        """Forward-equivalents of a target when no patience ends it: steps, and looks at the nearest discrete texts."""
        named = 0 if self.shortlist is None else COST
        return self.restarts * (named + 3 * self._samples * self.steps + self.steps // self.every + 1)

    @property
    def _samples(self) -> int:
        return self.relaxation.samples if isinstance(self.relaxation, Gumbel) else 1

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """Those of the start; the nearest discrete texts before every `every`-th step, and after the last."""
        streams = Streams(seed, [str(target) for target in objective.targets], self.restarts, objective.device)
        table, given, words = objective.table, None, None
        if start is not None:
            yield propose_start(objective, start)
            given = torch.full((len(start), self.restarts, objective.length), -1, device=objective.device)
            given[:, ::2] = objective.rows_of(start, -(-self.restarts // 2))  # every second restart begins by chance
        if self.shortlist is not None:
            words = shortlist(objective, streams, self.shortlist, given)
            table, given = table[words], places(words, given)
        theta = self.relaxation.start(streams, objective.length, table, given).requires_grad_()
        optimizer = torch.optim.AdamW([theta], lr=self.rate, weight_decay=self.decay, fused=theta.device.type in ("cpu", "cuda"))
        notes = {}
        for step in range(self.steps + 1):
            if step % self.every == 0 or step == self.steps:
                rows, nearness = self.relaxation.harden(theta.detach(), table, streams)
                beliefs = {name: note.repeat(1, rows.shape[1] // self.restarts) for name, note in notes.items()}
                yield Proposal(objective.lexicon[rows if words is None else words_at(words, rows)], beliefs | nearness)
            if step < self.steps:
                embeds, weights = self.relaxation.soften(theta, table, step, streams)
                samples = objective.relax(SoftText(embeds, weights if words is None else None)).value
                soft = samples.unflatten(1, (self.restarts, -1)).mean(dim=2)
                optimizer.zero_grad()
                soft.sum().neg().backward()
                optimizer.step()
                self.relaxation.settle(theta.data, step + 1)
                notes = {"soft": soft.detach()}
