"""Coordinate ascent: at one position after the other, the word is swapped for the best of those that the gradient ranks highest
(HotFlip, Ebrahimi et al. 2018; with the gradient averaged over neighbours, ARCA, Jones et al. 2023), from perturbed optima.

The gradient at the current word ranks words like it. To find words unlike it, a second gradient is taken at a mixture of a
few random words: it stands for ARCA's average over as many texts at the cost of one.
"""

import dataclasses
from collections.abc import Generator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from optigram.methods.fluent_moves import Within
from optigram.methods.moves import SPARE, initial_texts, swap_words, top_words
from optigram.methods.optima import Best, Windows
from optigram.methods.settings import check_settings
from optigram.methods.slopes import Slopes
from optigram.methods.surrogate import expected
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import Scores
from optigram.optimize.method import Ids, Proposal, Proposals
from optigram.optimize.topk import TopK
from optigram.shapes import Float, Int

BLOCK = 4096  # texts that the targets of a batch have scored at once
LATER = 1 << 40  # random numbers left out after the first sweep of scouts, which draw fewer
SCOUTED = 5  # positions of the scouts' sweep at most
TRIES = 4  # perturbations of a text to choose from, if not every text is allowed

Climb = Generator[Proposal, Scores, tuple[Int[Tensor, "k c t"], Float[Tensor, "k c"]]]


@dataclass(frozen=True)
class Coordinate:
    """`chains` texts per target climb by swaps of single words, from the last position to the first, until no swap improves them.

    At each position the `candidates` that the gradient ranks highest are scored: more of them at late positions, where a model
    that shares prefixes has less to compute again. The gradient is that at the text, plus that at an even mixture of `blend`
    random words at the position (0: none), plus those at `neighbours` single random words there. A chain that no swap improves
    goes on from the best text of its target with `shaken` of its words swapped: with equal probability for those of another
    chain or for any; the next swap is then made in any case. A chain that comes to that best text again first looks further
    down the gradient's ranking, for `deepened` sweeps: short texts soon repeat, and the optimum often differs in a word that
    the gradient ranks some hundreds lower. `sweeps` bounds the number of passes over all positions (None: no end).

    With more `scouts` than chains the first sweep has that many chains, with fewer candidates each, and the best of them go on
    (successive halving); it passes over at most 5 positions. With several `rounds` the candidates of a position are scored part by part:
    first those that the gradient ranks highest, then those that a Gaussian process over embeddings expects to be best, given the scores
    so far (`surrogate`). Both are left out where texts share the work on their prefixes, or the surprisal has bounds.

    With `relp` the ranking is that of an ensemble: the gradient and RelP's of the same texts, each standardised over the words, are
    added, where the model gives both.

    Where the surprisal has an upper bound, each word is charged in the ranking for its own, exactly, activations are looked at before
    whole scores where they cost less, and chains may pass through texts above the bound, at a price (`fluent_moves`).
    For a Pareto front each chain has a bound of its own.
    """

    chains: int = 4
    candidates: int = 64
    blend: int = 8
    neighbours: int = 0
    shaken: int = 2
    deepened: int = 2
    sweeps: int | None = None
    scouts: int = 0
    rounds: int = 1
    relp: bool = True
    block: int = field(default=BLOCK, repr=False)

    patience = None

    def __post_init__(self) -> None:
        check_settings(self, chains=1, candidates=1, blend=0, neighbours=0, shaken=0, deepened=0, scouts=0, rounds=1, block=1)
        if self.sweeps is not None:
            check_settings(self, sweeps=1)

    @property
    def ends(self) -> bool:
        return self.sweeps is not None

    @property
    def batch(self) -> int:
        return max(self.block // (self.chains * self.candidates), 1)

    def cost(self, budget: float) -> float:
        return budget

    def with_block(self, texts: int) -> "Coordinate":
        return dataclasses.replace(self, block=texts)

    def probe(self) -> "Coordinate":
        return self

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The first texts, then the swaps at one position after the other."""
        streams = Streams(seed, [target.key for target in objective.targets], self.chains, objective.device)
        if self.scouts > self.chains and not objective.shares_prefixes and not objective.surprisal_bounds:
            candidates = max(self.candidates * self.chains // self.scouts, 1)
            first = dataclasses.replace(self, chains=self.scouts, candidates=candidates)
            scouting = Streams(seed, [target.key for target in objective.targets], self.scouts, objective.device)
            ends = yield from first._climb(objective, scouting, start, min(objective.length, SCOUTED))
            streams.skip(LATER)
            start = TopK.of(*ends, self.chains).ids
        yield from self._climb(objective, streams, start, None if self.sweeps is None else self.sweeps * objective.length)

    def _climb(self, objective: Objective, streams: Streams, start: Ids | None, steps: int | None) -> Climb:
        """The proposals of `steps` positions in turn (None: no end); then the text of each chain [k c t] and its value [k c]."""
        texts, length = initial_texts(objective, streams, start), objective.length
        if len(objective.surprisal_bounds) > 1:
            texts = yield from Within.begun(objective, streams, texts, start)
        first = yield Proposal(texts)
        values, within = first.value, Within(objective, first) if objective.surprisal_bounds else None
        slopes = Slopes(objective, texts, self.relp and objective.linearises)
        best_end = Best.unknown(texts[:, : 1 if within is None else within.most.shape[1]])
        windows = Windows(texts, self.deepened, len(objective.lexicon) // self.candidates)
        stale, step = torch.zeros_like(values), 0
        while True:
            place = length - 1 - step % length
            slope, words = self._ranked(objective, texts, place, streams, windows.at, slopes, within)
            if within is None:
                words, worth = yield from self._in_rounds(objective, texts, place, slope, words, windows.at)
                children, (best, which) = swap_words(texts, place, words), worth.max(dim=2)
                better = best > values
            else:
                children = within.children(texts, place, words, values)
                told = yield Proposal(children.flatten(1, 2))
                worth, values = within.worths(told, children, values)
                best, which = worth.view(children.shape[:3]).max(dim=2)
                better = best > values
                within.update(told, better, which)
            texts = torch.where(better[..., None], children.gather(2, which[..., None, None].expand(-1, -1, 1, length))[:, :, 0], texts)
            values, stale, step = torch.where(better, best, values), torch.where(better, 0, stale + 1), step + 1
            if step == steps:
                return texts, values
            ended = stale >= length
            allowed = values[:, None] if within is None else within.kept(values)
            before, best_end = best_end, best_end.or_one_of(texts, allowed.masked_fill(~ended[:, None], -torch.inf))
            stale = stale.masked_fill(ended, 0)
            if best_end.value.shape[1] == 1:  # chains that aim at different bounds seldom meet
                ended &= ~windows.deeper(better, ended, texts, best_end, before)
            shaken = self._shaken(texts, best_end.ids, streams, objective)  # always drawn: random numbers must not depend on other targets
            texts = torch.where(ended[..., None], shaken, texts)
            values = values.masked_fill(ended, -torch.inf)

    def _ranked(
        self,
        objective: Objective,
        texts: Int[Tensor, "k c t"],
        place: int,
        streams: Streams,
        window: Int[Tensor, "k c"],
        slopes: Slopes,
        within: Within | None,
    ) -> tuple[Float[Tensor, "k c v"], Int[Tensor, "k c m"]]:
        """The gradient at a position, and the words that it ranks highest, without the current one; a `window` w skips w times as many."""
        blend = objective.lexicon[streams.integers(len(objective.lexicon), self.blend)] if self.blend else None
        *changed, deepest = torch.cat([slopes.changed(texts), window.max()[None]]).tolist()  # one wait for the device
        slope = slopes.at(texts, place, blend, torch.tensor(changed))
        for _ in range(self.neighbours):
            near = texts.clone()
            near[..., place] = objective.lexicon[streams.integers(len(objective.lexicon))]
            slope = slope + objective.gradient(near, [place])[:, :, 0]
        slope = slope if within is None else within.ranked(slope, texts, place)
        share = (objective.length + 1) / 2 / (objective.length - place) if objective.shares_prefixes else 1
        return slope, top_words(objective, slope, texts, place, max(1, round(self.candidates * share)), window, deepest)

    def _in_rounds(
        self,
        objective: Objective,
        texts: Int[Tensor, "k c t"],
        place: int,
        slope: Float[Tensor, "k c v"],
        words: Int[Tensor, "k c m"],
        window: Int[Tensor, "k c"],
    ) -> Generator[Proposal, Scores, tuple[Int[Tensor, "k c m"], Float[Tensor, "k c m"]]]:
        """The words that are scored at a position, and the scores of the texts with them. After the first round chains at the top of the
        gradient's ranking leave the rest of their `words` for those that the surrogate expects to be best."""
        most = SPARE * words.shape[2] + 1  # `words` are among so many, the text's own word included
        size, scores = -(-words.shape[2] // (1 if objective.shares_prefixes else self.rounds)), words[..., :0].float()
        for due in words.split(size, dim=2):
            if scores.shape[2]:
                ranking = expected(objective, slope, texts, place, words[..., : scores.shape[2]], scores, most)
                due = torch.where(window[..., None] > 0, due, top_words(objective, ranking, texts, place, due.shape[2]))
                words = torch.cat([words[..., : scores.shape[2]], due, words[..., scores.shape[2] + due.shape[2] :]], dim=2)
            told = yield Proposal(swap_words(texts, place, due).flatten(1, 2))
            scores = torch.cat([scores, told.value.view(due.shape)], dim=2)
        return words, scores

    def _shaken(
        self, texts: Int[Tensor, "k c t"], best: Int[Tensor, "k g t"], streams: Streams, objective: Objective
    ) -> Int[Tensor, "k c t"]:
        """The best text of each target, or of each chain, with other words swapped; of several tries the first that is allowed."""
        tries, best = TRIES if objective.has_constraints else 1, best.to(objective.device)
        best = torch.where(best < 0, texts, best)[:, :, None]
        anywhere = objective.lexicon[streams.integers(len(objective.lexicon), tries, objective.length)]
        chain = streams.integers(self.chains, tries, objective.length)
        elsewhere = texts.gather(1, chain.flatten(1, 2)).view(chain.shape)
        chance = streams.uniform(tries, objective.length + 1)
        words = torch.where(chance[..., :1] < 0.5, elsewhere, anywhere)
        places = chance[..., 1:].argsort(dim=-1)[..., : self.shaken]
        shaken = best.expand_as(words).scatter(-1, places, words.gather(-1, places))
        if tries == 1:
            return shaken[:, :, 0]
        allowed = objective.is_allowed(shaken.flatten(1, 2)).view(shaken.shape[:3])
        return shaken.gather(2, allowed.long().argmax(-1)[..., None, None].expand(-1, -1, 1, objective.length))[:, :, 0]
