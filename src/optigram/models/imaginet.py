"""Imaginet (Kadar et al. 2017; Poerner et al. 2018, section 3): one word embedding, two GRUs, two linear projections.

The language path predicts the next word, the visual path the features of the scene that the sentence describes. The
GRUs are `torch.nn.GRU`. Keras's GRU of 2018, which the authors used, differs in three ways: its gates are the hard
sigmoid clip(0.2 x + 0.5, 0, 1), it applies the reset gate before the recurrent product, and it has one bias a gate.
"""

import functools
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from optigram.errors import InputError
from optigram.models.base import Linear, Model, Site, States, Step, pack_left
from optigram.models.gru import gru_states, gru_step
from optigram.models.module_state import Frozen
from optigram.models.products import transposed
from optigram.shapes import Bool, Float, Int
from optigram.text.vocabulary import END, PAD, UNKNOWN, Vocabulary

PATHS = ("language", "visual")
HELD = 8  # numbers for each unit that a step holds at once: state, gates, candidate
PLACEBO_SEED = 0


@dataclass(frozen=True)
class Sizes:
    """Widths of the layers; the defaults are the paper's ("1024 units")."""

    embedding: int = 1024
    hidden: int = 1024
    features: int = 4096


class Imaginet(nn.Module):
    """The network, as a `base.Model`. `words` are the vocabulary without the special tokens, `labels` name the visual features.

    Its sites are `language` and `visual` (projections, before any softmax), and the hidden states that they are linear in.
    """

    attends = False

    def __init__(self, words: tuple[str, ...], labels: tuple[str, ...] = (), sizes: Sizes | None = None, name: str = "imaginet") -> None:
        super().__init__()
        self.name = name
        self.sizes = sizes or Sizes()
        self.words, self.labels = words, labels
        self.vocabulary: Vocabulary = Vocabulary.of_words(words)
        v, d, h = len(self.vocabulary), self.sizes.embedding, self.sizes.hidden
        self.word_embedding = nn.Embedding(v, d)
        nn.init.uniform_(self.word_embedding.weight, -0.05, 0.05)  # Keras's default for an embedding, as the authors'
        self.paths = nn.ModuleDict({path: nn.GRU(d, h) for path in PATHS})
        self.projections = nn.ModuleDict({"language": nn.Linear(h, v), "visual": nn.Linear(h, self.sizes.features)})
        self.first_words: Tensor
        self.register_buffer("first_words", torch.zeros(v))  # how often a training sentence begins with each word

    @property
    def embedding(self) -> Float[Tensor, "v d"]:
        """The effective embedding matrix [v d]."""
        return self.word_embedding.weight.detach()

    @property
    def fingerprint(self) -> str:
        """A hash of the weights as they were at the first call."""
        return self._fingerprint

    @functools.cached_property
    def _fingerprint(self) -> str:
        return Frozen.weights_fingerprint(self)

    @functools.cached_property
    def _frozen(self) -> Frozen:
        return Frozen(self)

    def __getstate__(self) -> dict:
        """A copy computes afresh what depends on the weights, for its own may be changed."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_fingerprint", "_inputs", "_frozen")}

    @property
    def sites(self) -> dict[str, Site]:
        """What can be targeted; the weights are those of now, wherever they are."""
        names = {"language": self.vocabulary.tokens, "visual": self.labels}
        found = {}
        for path in PATHS:
            layer = self.projection(path)
            found[path] = Site(layer.out_features, names[path], Linear(f"{path}.hidden", layer.weight.detach(), layer.bias.detach()))
            found[f"{path}.hidden"] = Site(self.sizes.hidden)
        return found

    def read(self, embeds: Float[Tensor, "b s d"], sites: Collection[str], keep: Bool[Tensor, "b s"] | None = None) -> States:
        """States of the hidden sites for texts [b s d]: {site: [b s h]}, from a zero start state (paper, section 3)."""
        with self._frozen:
            if keep is None:
                return {site: self._states(site, embeds) for site in sites}
            order, back = pack_left(keep)  # a unidirectional GRU does not see what follows
            packed = embeds.gather(1, order[..., None].expand_as(embeds))
            back = back[..., None].expand(-1, -1, self.sizes.hidden)
            return {site: self._states(site, packed).gather(1, back) for site in sites}

    @property
    def step(self) -> Step:
        """Only a state is carried, and a text's is independent of the batch."""
        return Step(self.read_on, lambda words: HELD * self.sizes.hidden)

    def read_on(self, ids: Int[Tensor, "n r"], states: States | None, sites: Collection[str]) -> tuple[States, States]:
        """Ids [n r] and the states before them {site: [n h]} (None: zero) to their states {site: [n r h]}, and the last of them."""
        found: dict[str, list[Tensor]] = {site: [] for site in sites}
        for site, after in found.items():
            _, recurrent, _, own = self.gru(site).all_weights[0]
            state, turned = None if states is None else states[site], transposed(recurrent)
            for inputs in self._inputs[site][ids].unbind(1):
                state = gru_step(inputs, turned, own, state)
                after.append(state)
        return {site: torch.stack(after, 1) for site, after in found.items()}, {site: after[-1] for site, after in found.items()}

    def states(self, site: str, embeds: Float[Tensor, "b s d"]) -> Float[Tensor, "b s h"]:
        """States [b s h] of one path over embeddings [b s d]; run with time first, for contiguous products.

        cuDNN gives no gradient of a layer in evaluation mode, and rounds its products to TF32 unless it is told not to.
        """
        differentiable = torch.is_grad_enabled() and embeds.requires_grad
        with torch.backends.cudnn.flags(enabled=not (differentiable and not self.training), allow_tf32=False):
            return self.gru(site)(embeds.transpose(0, 1).contiguous())[0].transpose(0, 1)

    def _states(self, site: str, embeds: Float[Tensor, "b s d"]) -> Float[Tensor, "b s h"]:
        """The same with a gradient for the embeddings only, and for each text the same bits in any batch."""
        weight, recurrent, bias, own = self.gru(site).all_weights[0]
        return gru_states(embeds.transpose(0, 1), weight, recurrent, bias, own).transpose(0, 1)

    def gru(self, site: str) -> nn.GRU:
        """The recurrent layer of a path, named by the path or by its hidden site."""
        layer = self.paths[site.removesuffix(".hidden")]
        assert isinstance(layer, nn.GRU)
        return layer

    def projection(self, path: str) -> nn.Linear:
        """The linear layer at the end of a path."""
        layer = self.projections[path]
        assert isinstance(layer, nn.Linear)
        return layer

    @functools.cached_property
    def _inputs(self) -> dict[str, Tensor]:
        """The input's part of each gate, per word, computed once: {site: [v 3h]}."""
        tables = {}
        for path in PATHS:
            weight, _, bias, _ = self.gru(path).all_weights[0]
            tables[f"{path}.hidden"] = nn.functional.linear(self.embedding, weight, bias).detach()
        return tables

    def sample(self, count: int, generator: torch.Generator, longest: int = 20, block: int = 512) -> Iterator[str]:
        """`count` sentences drawn from the language path at temperature 1, each from a first word of the training data.

        A sentence has at most `longest` words. Raises InputError for a network that was trained on no sentence.
        """
        if not self.first_words.any():
            raise InputError(f"{self.name} cannot write sentences, for it was trained on none; give a corpus")
        site, device = "language.hidden", self.embedding.device
        forbidden = [self.vocabulary.tokens.index(token) for token in (PAD, UNKNOWN)]
        end = self.vocabulary.tokens.index(END)
        for start in range(0, count, block):
            words = torch.multinomial(self.first_words.cpu(), min(block, count - start), replacement=True, generator=generator)
            texts: list[list[int]] = [[] for _ in words]
            rows, states = torch.arange(len(words)), None
            while len(rows):
                for row, word in zip(rows.tolist(), words.tolist(), strict=True):
                    texts[row].append(word)
                _, states = self.read_on(words.to(device)[:, None], states, [site])
                logits = self.projection("language")(states[site])
                logits[:, forbidden] = -torch.inf
                words = torch.multinomial(logits.softmax(-1).cpu(), 1, generator=generator)[:, 0]
                lengths = torch.tensor([len(texts[row]) for row in rows.tolist()])
                goes_on = (words != end) & (lengths < longest)
                rows, words, states = rows[goes_on], words[goes_on], {site: states[site][goes_on.to(device)]}
            yield from map(self.vocabulary.decode, texts)

    def settings(self) -> dict:
        """The arguments that build the network again, for `config.json`."""
        return {"sizes": asdict(self.sizes), "words": list(self.words), "labels": list(self.labels)}

    @staticmethod
    def placebo_of(model: Model, kind: str) -> "Imaginet":
        """A placebo, to show how much of a gain the optimizer makes by itself: an Imaginet whose neurons mean nothing.

        It has random "directions" for neurons, of each neuron's own norm and bias, or new "weights" throughout.
        Raises InputError for a model of another kind.
        """
        if not isinstance(model, Imaginet):
            raise InputError(f"expected an Imaginet to make a placebo of, got {model.name}; leave out `placebo`")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(PLACEBO_SEED)
            made = Imaginet(model.words, model.labels, model.sizes, name=f"{model.name} (random {kind})")
            drawn = {path: torch.randn(model.projection(path).weight.shape) for path in PATHS}
        if kind == "directions":
            made.load_state_dict(model.state_dict())
            for path, directions in drawn.items():
                norms = made.projection(path).weight.data.norm(dim=1, keepdim=True)
                made.projection(path).weight.data = torch.nn.functional.normalize(directions, dim=1) * norms
        made.first_words.copy_(model.first_words)
        return made.to(model.embedding.device).eval().requires_grad_(False)
