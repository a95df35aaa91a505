"""Gradient ascent on a relaxation (paper, section 4): emb, logit, smx and gbl are this loop with four relaxations."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.methods.moves import propose_start
from optigram.methods.relaxations import Relaxation
from optigram.methods.settings import check_settings
from optigram.methods.shortlist import COST, Shortlist
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import SoftText
from optigram.optimize.method import Ids, Proposal, Proposals
from optigram.shapes import Float, Int

BLOCK = 32  # soft texts per batch; large enough for matrix products at full speed, small enough to stay in cache
PROBED = 3  # steps of a probe
WORTH = 0.75  # of the targets of a batch, as many as still run when it is copied without the others
LANES = 64  # numbers that a processor takes at once, or a multiple of them


@dataclass(frozen=True)
class Ascent:
    """`steps` of Adam at `rate` on `restarts` texts per target; every `every` steps their discrete texts are proposed.

    `decay` is the weight decay of AdamW. With a `shortlist`, only that many words are used at each position. `block` soft
    texts make a batch.
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

    ends = True

    def __post_init__(self) -> None:
        check_settings(self, steps=0, rate=0.0, restarts=1, every=1, decay=0.0, block=1)
        if self.shortlist is not None and (self.shortlist < 1 or not self.relaxation.mixes):
            raise InputError(f"expected a shortlist of at least 1 word, for mixtures of words; got {self.shortlist} for {self.relaxation}")

    @property
    def batch(self) -> int:
        return max(self.block // (self.restarts * self.relaxation.samples), 1)

    @property
    def forwards(self) -> float:
        """Forward-equivalents per target if no patience ends it: the steps, and the scores of the nearest discrete texts."""
        ranked = 0 if self.shortlist is None else COST
        return self.restarts * (ranked + 3 * self.relaxation.samples * self.steps + self.steps // self.every + 1)

    def cost(self, budget: float) -> float:
        return min(float(self.forwards), budget)

    def with_block(self, texts: int) -> "Ascent":
        return dataclasses.replace(self, block=texts)

    def probe(self) -> "Ascent":
        return dataclasses.replace(self, steps=PROBED, every=PROBED)

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The texts of `start`; the nearest discrete texts before every `every`-th step and after the last one."""
        streams = self._streams(objective, seed)
        table, given, words = objective.table, None, None
        if start is not None:
            yield propose_start(objective, start)
            given = torch.full((len(start), self.restarts, objective.length), -1, device=objective.device)
            given[:, ::2] = objective.rows_of(start, -(-self.restarts // 2))  # every second restart begins at random
        if self.shortlist is not None:
            words = Shortlist.of(objective, streams, self.shortlist, given)
            table, given = words.table(table), words.places(given)
        theta = self.relaxation.start(streams, objective.length, table, given)
        climb = _Climb(objective, streams, table, words, *self._optimized(theta), [*range(len(theta))])
        first = self._proposal(climb, 0, {}, torch.empty(len(theta), 0, objective.length, dtype=torch.int64, device=theta.device))
        yield first
        yield from self._ascend(objective, climb, 0, first.ids)

    def resume(self, objective: Objective, seed: int, state: Mapping[str, Any]) -> Proposals:
        """The proposals after that of the state."""
        members, device = state["members"], objective.device
        streams = self._streams(objective, seed).of(members)
        streams.skip(state["drawn"])
        words = None if state["words"] is None else Shortlist(state["words"].to(device))
        table = objective.table if words is None else words.table(objective.table)
        theta, optimizer = self._optimized(state["theta"].to(device))
        optimizer.load_state_dict(state["optimizer"])
        part = objective if len(members) == len(objective.targets) else objective.running(members)
        climb = _Climb(part, streams, table, words, theta, optimizer, members)
        yield from self._ascend(objective, climb, state["step"], state["ids"].to(device))

    def _streams(self, objective: Objective, seed: int) -> Streams:
        return Streams(seed, [target.key for target in objective.targets], self.restarts, objective.device)

    def _ascend(self, objective: Objective, climb: "_Climb", step: int, ids: Int[Tensor, "k n t"]) -> Proposals:
        """The proposals after those of `step`, which were `ids`."""
        while step < self.steps:
            climb, notes = self._without_ended(climb, objective), {}
            until = min(step + self.every - step % self.every, self.steps)
            with _without_denormals():
                for number in range(step, until):
                    notes = {"soft": self._stepped(climb, number)}
            step = until
            proposal = self._proposal(climb, step, notes, ids)
            yield proposal
            ids = proposal.ids

    def _proposal(self, climb: "_Climb", step: int, notes: dict[str, Tensor], ids: Int[Tensor, "k n t"]) -> Proposal:
        """The discrete texts at a step, with those of the proposal before it, `ids`, for the targets that have ended."""
        rows, nearness = self.relaxation.harden(climb.theta.detach(), climb.table, climb.streams)
        beliefs = {name: note.repeat(1, rows.shape[1] // self.restarts) for name, note in notes.items()}
        ids = climb.among(climb.ids(rows), ids)
        told = {name: climb.among(note, torch.zeros(ids.shape[:2], device=note.device)) for name, note in (beliefs | nearness).items()}
        return Proposal(ids, told, self.relaxation.schedule(step), functools.partial(climb.state, step, ids))

    def _stepped(self, climb: "_Climb", step: int) -> Tensor:
        """One step of theta; the values [k c] of the soft texts before it."""
        theta = climb.theta
        embeds, weights = self.relaxation.soften(theta, climb.table, step, climb.streams)
        samples = climb.objective.relax(SoftText(embeds, weights if climb.words is None else None)).value
        soft = samples.unflatten(1, (self.restarts, -1)).mean(dim=2)
        (slope,) = torch.autograd.grad(soft.sum().neg(), theta)
        (memory,) = climb.optimizer.param_groups[0]["params"]
        memory.grad = _filled_up(slope)
        climb.optimizer.step()
        self.relaxation.settle(theta.data, step + 1)
        return soft.detach()

    def _optimized(self, start: Tensor) -> tuple[Tensor, torch.optim.Optimizer]:
        """Theta, and Adam on the memory that it lies in: a multiple of `LANES` numbers, since what is left over is rounded otherwise."""
        whole = _filled_up(start)
        theta = whole[: start.numel()].view_as(start).requires_grad_()
        fused = whole.device.type in ("cpu", "cuda")
        return theta, torch.optim.AdamW([whole], lr=self.rate, weight_decay=self.decay, fused=fused)

    def _without_ended(self, climb: "_Climb", objective: Objective) -> "_Climb":
        """The climb of the targets that still run, once they are few enough of those that it moves to be worth a copy."""
        active = objective.cost.active.tolist()
        kept = [place for place, member in enumerate(climb.members) if active[member]]
        if not 0 < len(kept) <= WORTH * len(climb.members):
            return climb
        theta, optimizer = self._optimized(climb.theta.detach()[kept])
        ((memory,), (old,)) = (one.param_groups[0]["params"] for one in (optimizer, climb.optimizer))
        for name, value in climb.optimizer.state[old].items():
            of_theta = value.shape == old.shape
            optimizer.state[memory][name] = _filled_up(value[: climb.theta.numel()].view_as(climb.theta)[kept]) if of_theta else value
        members = [climb.members[place] for place in kept]
        words = None if climb.words is None else Shortlist(climb.words.words[kept])
        table = climb.table if words is None else climb.table[kept]
        return _Climb(objective.running(members), climb.streams.of(kept), table, words, theta, optimizer, members)


class _Climb(NamedTuple):
    """The targets that still run, by number: `members`; what is optimized for them, and what it takes."""

    objective: Objective
    streams: Streams
    table: Tensor
    words: Shortlist | None
    theta: Tensor
    optimizer: torch.optim.Optimizer
    members: list[int]

    def state(self, step: int, ids: Int[Tensor, "k n t"]) -> dict[str, Any]:
        """What `Ascent.resume` needs after the proposal `ids` at a step."""
        return {
            "step": step,
            "ids": ids,
            "members": self.members,
            "drawn": self.streams.drawn,
            "words": None if self.words is None else self.words.words,
            "theta": self.theta.detach().clone(),
            "optimizer": self.optimizer.state_dict(),
        }

    def ids(self, rows: Int[Tensor, "k m t"]) -> Int[Tensor, "k m t"]:
        """The ids of words of the table."""
        return self.objective.lexicon[rows if self.words is None else self.words.rows(rows)]

    def among(self, mine: Tensor, others: Tensor) -> Tensor:
        """Values of the targets that still run among those of all targets."""
        if len(mine) == len(others):
            return mine
        whole = others.clone()
        whole[self.members] = mine
        return whole


def _filled_up(numbers: Tensor) -> Float[Tensor, " n"]:
    """The numbers in one row, and zeros up to a multiple of `LANES`."""
    missing = -numbers.numel() % LANES
    return torch.nn.functional.pad(numbers.flatten(), (0, missing)) if missing else numbers.flatten()


@contextlib.contextmanager
def _without_denormals() -> Iterator[None]:
    """Let this thread take numbers below 1e-38 for 0, which are slow to compute with, and be as it was afterwards."""
    least = torch.full((1,), torch.finfo(torch.float32).tiny)
    if not (least / 2).item():
        yield
        return
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
