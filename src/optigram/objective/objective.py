"""The objective: the activations of targets on texts, exactly (`score`), on relaxed texts (`relax`), and their `gradient` per word.

Axes: k targets, c texts per target, t free tokens, s all tokens (with the template), v words, d embedding width; k1 is k, or 1.
"""

import copy
import functools
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.objective.activations import View
from optigram.objective.blocks import Blocks
from optigram.objective.cost import Cost
from optigram.objective.exact import Answer, Beside, Exact
from optigram.objective.fluency import Fluency
from optigram.objective.forward import by_group, members_of, reads_on
from optigram.objective.functions import Groups, all_groups
from optigram.objective.layout import Layout
from optigram.objective.prefix_forward import sites_of
from optigram.objective.relaxed import Relaxed
from optigram.objective.scores import Scores, SoftText
from optigram.objective.surprisal import Surprisal
from optigram.objective.whole_site import Whole
from optigram.shapes import Bool, Float, Int, unchecked
from optigram.targets.target import Target, resolve
from optigram.text.lexicon import lexicon
from optigram.text.overlap import KnownTexts
from optigram.text.template import Template


class Objective:
    """Scores texts of `length` free words for `targets` of `model`. Token ids are the model's own, here and in all methods.

    `targets` are addresses, targets, or several of both, as `resolve` takes them. `template` surrounds the free words; None adds only
    what the model expects around every text. `words` int64 [v] are the ids that may be proposed, `fluency` is what is asked of the
    surprisal; with `must_survive` a text that does not survive re-tokenization scores -inf. `exact` loads the same model in float32,
    for the final re-scoring of what a search in half precision found. Raises InputError.

    `lexicon` int64 [v] are the ids that may be proposed, `table` float32 [v d] their embeddings.
    """

    model: Model
    targets: tuple[Target, ...]
    length: int
    template: Template
    fluency: Fluency | None
    must_survive: bool
    exact: Callable[[], Model] | None
    device: torch.device
    lexicon: Int[Tensor, " v"]
    table: Float[Tensor, "v d"]
    cost: Cost

    @unchecked  # wrong types are an InputError of `resolve`
    def __init__(
        self,
        model: Model,
        targets: str | Target | Iterable[str | Target],
        length: int,
        template: Template | None = None,
        words: np.ndarray | None = None,
        fluency: Fluency | None = None,
        must_survive: bool = False,
        exact: Callable[[], Model] | None = None,
    ) -> None:
        found = resolve(targets, model)
        if not isinstance(length, int) or length < 1:
            raise InputError(f"expected a length of at least 1 word, got {length!r}")
        template = Template.bare(model.vocabulary) if template is None else template
        if template.length not in (None, length):
            raise InputError(f"the template's slots hold {template.length} words, but the length is {length}; leave --length out")
        self.targets, self.length, self.template = found, length, template
        self.fluency, self.must_survive, self.exact = fluency, must_survive, exact
        self.known: KnownTexts | None = None
        self._deterministic = False
        self._words = lexicon(model.vocabulary) if words is None else words
        positions = len(template.fill([0] * length))
        for target in self.targets:
            if isinstance(target.pool, int) and target.pool >= positions:
                raise InputError(f"{target} reads position {target.pool}, but the text has positions 0 to {positions - 1}")
        self._bind(model, "search")

    def __repr__(self) -> str:
        shown = repr(str(self.targets[0])) if len(self.targets) == 1 else f"{len(self.targets)} targets"
        vocabulary, pieces = self.model.vocabulary, self.template.pieces(self.length)
        texts = [f"{{{len(piece)}}}" if isinstance(piece, range) else vocabulary.decode(piece).strip() for piece in pieces]
        around = "" if self.template == Template.bare(vocabulary) else f", template={' '.join(filter(None, texts))!r}"
        return f"Objective({self.model.name}, {shown}, length={self.length}{around})"

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from other objectives: the weights, the targets, the fixed words, the words that may be proposed, the fluency."""
        one, around = self.fluency, self.template.fill([-1] * self.length)
        models = () if one is None else tuple(model and model.fingerprint for model in (one.model, one.second))
        asked = None if one is None else (one.weight, one.band, one.repetition, *models)
        words = self.lexicon.tolist()
        return self.model.fingerprint, [target.key for target in self.targets], around, self.must_survive, asked, words

    def _bind(self, model: Model, view: View) -> None:
        """Set the fields that depend on the model and the view."""
        self.model, self.device = model, model.embedding.device
        self.view: View = view
        self._answer: Answer | None = None
        self._beside: Beside | None = None
        self.lexicon = torch.from_numpy(self._words).to(self.device)
        self.table = model.embedding.detach()[self.lexicon].float()
        self.cost = Cost.at_zero(len(self.targets))
        self._layout = Layout(self.template, self.length, model)
        self._groups = all_groups(model, self.targets, self._layout.looked, view)
        self._blocks = Blocks() if any(target.custom for target in self.targets) else Blocks.of(model)
        self._surprisal = None if self.fluency is None else Surprisal(self.fluency, model, self.template, self.length, self.lexicon)
        self._hearing = self._blocks if self._surprisal is None else Blocks.of(self._surprisal.language.model)

    def viewed(self, view: View, model: Model | None = None) -> "Objective":
        """The same objective with another view of latents that are off (`TargetGroup`), and perhaps another model with the same sites."""
        other = copy.copy(self)
        other._bind(model or self.model, view)
        return other

    def untried(self) -> "Objective":
        """The same objective without trials of how many texts give the same bits.

        It is quicker for few texts of each length. The last bits of an activation may differ with the texts that are scored with it.
        """
        other = copy.copy(self)
        other._blocks = other._hearing = Blocks(tried=False)
        return other

    @property
    def shares_prefixes(self) -> bool:
        """Whether texts with a common prefix share the work on it, so that a swap at a late position costs less."""
        return self.model.step is not None

    @property
    def passes(self) -> int:
        """Forwards per text: 1, and 1 more for its surprisal if that is another model's."""
        return 1 if self._surprisal is None or self._surprisal.same_model else 2

    @property
    def _joint(self) -> Surprisal | None:
        """The surprisal that the forward for the activations gives too."""
        return self._surprisal if self._surprisal is not None and self._surprisal.same_model else None

    @property
    def penalises_surprisal(self) -> bool:
        """Whether `relax` subtracts a penalty for surprisal or repetition."""
        return self._surprisal is not None and self._surprisal.penalises_surprisal

    def _penalises(self, penalty: Tensor | None) -> bool:
        return self.penalises_surprisal or (penalty is not None and self.has_language_model)

    @property
    def has_language_model(self) -> bool:
        """Whether there is a language model with the same tokens, which can score the next word (`expected`)."""
        return self._surprisal is not None and self._surprisal.same_tokens

    def rows_of(self, ids: Int[Tensor, "k n t"], most: int) -> Int[Tensor, "k most t"]:
        """The places in `lexicon` of the words of the first `most` texts; -1 for words outside it, and for missing texts."""
        ids = ids[:, :most].to(self.device).contiguous()
        rows = torch.searchsorted(self.lexicon, ids).clamp(max=len(self.lexicon) - 1)
        rows = rows.masked_fill(self.lexicon[rows] != ids, -1)
        return torch.nn.functional.pad(rows, (0, 0, 0, most - ids.shape[1]), value=-1)

    def target_groups(self) -> list[list[int]]:
        """The numbers of the targets that read each set of sites, so that a batch runs one path of the model."""
        return [group.members for group in self._groups]

    def climbing(self) -> "Objective":
        """The same objective, for methods that climb: neurons of an MLP that are off count by how much they lack (`TargetGroup`)."""
        part = copy.copy(self)
        part.view = "climb" if self.view == "search" else self.view
        return part.subset(range(len(self.targets)))

    @property
    def contexts(self) -> int:
        """In how many templates the free words stand at once (`Contexts`)."""
        return 1

    def each(self, ids: Int[Tensor, "k1 c t"]) -> Float[Tensor, "contexts k c"]:
        """The activations of texts in each context. Not charged."""
        with self.cost.charged(torch.zeros_like(self.cost.active)):
            return self.score(ids, owned=True).activation[None]

    def raised(self) -> list[int]:
        """The numbers of the targets that neurons of an MLP add to, whose scores are not exact where these are off (`climbing`)."""
        return [i for part in self._groups if part.pre is not None for i in part.members]

    def subset(self, members: Sequence[int]) -> "Objective":
        """The same objective for some of its targets, by number, with a cost of its own that starts at zero."""
        part = copy.copy(self)
        part.targets = tuple(self.targets[i] for i in members)
        part.cost = Cost.at_zero(len(members))
        part.known = None if self.known is None else self.known.of(members)
        part._groups = all_groups(self.model, part.targets, self._layout.looked, self.view)
        return part

    def running(self, members: Sequence[int]) -> "Objective":
        """The same objective for some of its targets, by number, which charges its cost to this one."""
        part = self.subset(members)
        part.cost = self.cost.of(members)
        return part

    def excluding(self, known: KnownTexts) -> "Objective":
        """The same objective, for which texts too similar to these score -inf."""
        part = self.subset(range(len(self.targets)))
        part.known = known
        return part

    def deterministic(self) -> "Objective":
        """The same objective, whose score of a text depends on the text alone, to the last bit, at a slightly higher cost."""
        part = self.subset(range(len(self.targets)))
        part._deterministic = True
        return part

    def beside(self, wholes: Sequence[Whole], see: Callable[[Tensor], None]) -> "Objective":
        """The same objective, which reads whole sites too: `see` gets the activations [m c] of all their units, one site after another.

        It gets them for texts that all targets share. They are not charged, and they change nothing for the targets.
        """
        part = self.subset(range(len(self.targets)))
        part._beside = [whole.group(self.model, self._layout.looked) for whole in wholes], see
        return part

    @property
    def places(self) -> list[Whole]:
        """The states that activations are computed from, as whole sites at single positions; none where functions read whole texts."""
        groups = [group for part in self._groups if (group := part.by_prefix) is not None]
        if len(groups) < len(self._groups):
            return []
        read = {(site, position) for group in groups for site in group.sites for position in group.positions}
        return [Whole(site, 1.0, position) for site, position in sorted(read)]

    def answered(self, answer: Answer) -> "Objective":
        """The same objective, for which `answer` says what activations [m c] of groups on texts [1 c s] are, and their cost [1]."""
        part = self.subset(range(len(self.targets)))
        part._answer = answer
        return part

    def score(self, ids: Int[Tensor, "k1 c t"], owned: bool = False) -> Scores:
        """Exact activations of texts [k1 c t], without a gradient, and their surprisal where there is a fluency.

        Texts [1 c t] are shared by all targets, unless they are `owned`: then each target scores them as its own, with the bits that
        it gives them when other targets score other texts.
        """
        if owned and len(ids) < len(self.targets):
            ids = ids.expand(len(self.targets), -1, -1)
        with torch.no_grad():
            run = functools.partial(self._exactly, owned=owned, joint=self._joint)
            inputs = self._layout.whole(ids)
            values = by_group(inputs, self._groups, run, functools.partial(reads_on, self.model))
            activation = penalised = values[..., 0]
            surprisal = None if self._joint is None else values[..., 1]
            if self._surprisal is not None:
                if surprisal is None:
                    surprisal = self._surprisal.hard(inputs).expand_as(activation)
                    self.cost.charge(forwards=float(inputs.shape[1]))
                penalised = self._surprisal.penalised(activation, surprisal, ids.to(self.device))
            if self.has_constraints:
                penalised = penalised.masked_fill(~self.is_allowed(ids), -torch.inf)
            return Scores(activation, surprisal, penalised)

    @property
    def activation_cost(self) -> float:
        """What the activation of a text alone costs, in forwards, of the `passes` of its whole score.

        That is 1, but under a bound on the surprisal by the model itself only the share of the blocks up to the targets' sites.
        """
        share: Callable[[Iterable[str]], float] | None = getattr(self.model.sites, "share_of_blocks", None)
        return 1.0 if share is None or self._joint is None or not self.surprisal_bounds else share(sites_of(self._groups, None))

    @property
    def activation_first(self) -> bool:
        """Whether it pays to look at activations before whole scores: under a bound on the surprisal, if they cost at most half as much."""
        return bool(self.surprisal_bounds) and self.activation_cost <= self.passes / 2

    def activations(self, ids: Int[Tensor, "k c t"]) -> Float[Tensor, "k c"]:
        """Exact activations without the surprisal, at the `activation_cost`; -inf for texts that are ruled out by their words."""
        with torch.no_grad():
            run = functools.partial(self._exactly, owned=True, joint=None, share=self.activation_cost)
            values = by_group(self._layout.whole(ids), self._groups, run, functools.partial(reads_on, self.model))[..., 0]
            return values.masked_fill(~self.is_allowed(ids), -torch.inf) if self.has_constraints else values

    @property
    def has_constraints(self) -> bool:
        """Whether a text may be ruled out by its words alone."""
        return self.must_survive or self.known is not None

    def is_allowed(self, ids: Int[Tensor, "k1 c t"]) -> Bool[Tensor, "k c"]:
        """Which texts survive re-tokenization, where they must, and are not too similar to known ones. Nothing is run or charged."""
        ids = ids.to(self.device)
        ones = torch.ones(ids.shape[:2], dtype=torch.bool, device=self.device)
        kept = self._layout.survive(ids) if self.must_survive else ones
        return kept if self.known is None else kept & ~self.known.near(ids)

    def surviving(self, words: Int[Tensor, "k c t m"]) -> Int[Tensor, "k c t"]:
        """Texts of one of the m words per position: the first with which the text so far survives, where texts must, else the first."""
        return self._layout.surviving(words) if self.must_survive else words[..., 0]

    def expected(self, ids: Int[Tensor, "k1 c t"]) -> Float[Tensor, "k1 c t v"]:
        """Logits of the words of `lexicon` at each free position, given the words before it. Needs a language model."""
        assert self._surprisal is not None
        self.cost.charge(forwards=float(ids.shape[1]))
        return self._surprisal.next_words(self._layout.whole(ids))

    @property
    def surprisal_bounds(self) -> tuple[float, ...]:
        """The bounds that searches aim at (`Fluency.bounds`), if there is a language model with the same tokens."""
        return self.fluency.bounds if self.fluency is not None and self.has_language_model else ()

    def word_surprisal(self, ids: Int[Tensor, "k1 c t"], place: int) -> Float[Tensor, "k1 c v"]:
        """What each word of `lexicon` at one free position of texts would add to their nats per token, given the words before it.

        Needs a language model with the same tokens. Only what stands before the position is read and charged.
        """
        assert self._surprisal is not None
        nats, share = self._surprisal.of_word(self._layout.whole(ids), place)
        self.cost.charge(forwards=ids.shape[1] * share)
        return nats

    def second_opinion(self, ids: Int[Tensor, "k1 c t"]) -> Float[Tensor, "k1 c"] | None:
        """The surprisal of texts under the second language model, if there is one. Not charged."""
        if self.fluency is None or self.fluency.second is None:
            return None
        told = Surprisal(Fluency(model=self.fluency.second), self.model, self.template, self.length, self.lexicon)
        return told.hard(self._layout.whole(ids))

    @property
    def linearises(self) -> bool:
        """Whether the model gives `linearised` gradients too."""
        return hasattr(self.model, "linearised")

    def relax(self, text: SoftText, penalty: Float[Tensor, "k1 c"] | None = None, linearised: bool = False) -> Scores:
        """Differentiable activations of soft texts; for one-hot mixtures they equal those of `score`, except for the -inf.

        A language model with other tokens cannot read mixtures, and is left out. `penalty` is the price of a nat beyond the weight.
        With `linearised` the values are the same, and gradients follow RelP's rules, if the model can (`linearises`).
        """
        rules: Callable[[], AbstractContextManager[None]] = getattr(self.model, "linearised", nullcontext) if linearised else nullcontext
        told = self._surprisal if self._penalises(penalty) else None
        joint = None if told is None else self._joint
        with rules():
            asked = Relaxed(self.model, self._layout, self._groups, self._blocks, self._hearing, told, joint)
            scores = asked.scores(text, penalty, linearised)
            texts = float(scores.activation.shape[1] * (self.activation_cost if told is None else self.passes))
            self.cost.charge(forwards=texts)
            if scores.value.requires_grad:
                scores.value.register_hook(lambda _: self.cost.charge(backwards=2.0 * texts))
            return scores

    def gradient(
        self,
        ids: Int[Tensor, "k1 c t"],
        at: Sequence[int] | None = None,
        blend: Int[Tensor, "k1 c m"] | None = None,
        penalty: Float[Tensor, "k1 c"] | None = None,
        beside: bool = False,
        linearised: bool = False,
    ) -> Float[Tensor, "k1 c p v"]:
        """The gradient of the sum of values with respect to one-hot texts [k1 c t], for the words of `lexicon`: [k1 c p v].

        It is taken at the p free positions `at`, or all. Words of the texts themselves may be outside the lexicon. With a `blend` of
        m words, their even mixture replaces the text's own word at each of these positions; with `beside`, the gradient at the text
        itself is added. `penalty` and `linearised` are those of `relax`.
        """
        relax, embedding = functools.partial(self.relax, linearised=linearised), self.model.embedding.detach()
        words = self.lexicon, self.table
        return Relaxed.gradient(relax, embedding, words, ids.to(self.device), at, blend, penalty, beside, self._penalises(penalty))

    def slopes(self, ids: Int[Tensor, "k1 c t"], linearised: bool = False) -> Float[Tensor, "k1 c t d"]:
        """The gradient of the sum of activations with respect to the embeddings of texts [k1 c t]; `linearised` as in `relax`."""
        embeds = self.model.embedding.detach()[ids.to(self.device)].float().requires_grad_()
        (slope,) = torch.autograd.grad(self.relax(SoftText(embeds, None), linearised=linearised).activation.sum(), embeds)
        return slope

    def _exactly(
        self, inputs: Int[Tensor, "k1 c s"], parts: Groups, owned: bool, joint: Surprisal | None, share: float = 1.0
    ) -> Float[Tensor, "m c o"]:
        """Activations of the members of `parts`, which are charged a `share` for it, and the surprisal that the same forward gives."""
        exact = Exact(self.model, self._blocks, self._layout.ends, self._deterministic, self._answer, self._beside)
        values, cost = exact.values(inputs, parts, owned, joint)
        costs = torch.zeros(len(self.targets))
        costs[members_of(parts)] = cost * share
        self.cost.charge(forwards=costs)
        return values
