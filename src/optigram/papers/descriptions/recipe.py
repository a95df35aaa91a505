"""The study's settings: which units of which models, at which scale, and what may be tried for each."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from optigram.explaining.effort import Effort
from optigram.models.base import Model
from optigram.models.loading import BUNDLED

LANGUAGE, VISUAL, MLP, SAE = "language", "visual", "mlp", "sae"  # the classes of units
CLASSES = {
    LANGUAGE: "Imaginet, language path",
    VISUAL: "Imaginet, visual path",
    MLP: "MLP neurons of the encoder",
    SAE: "latents of a TopK autoencoder",
}
CORPUS, SEARCH, BOTH = "corpus alone", "optimized texts alone", "both"  # what a description is made from
SOURCES = (CORPUS, SEARCH, BOTH)
FREQUENT = 1024  # words of the language path among which units are drawn, as the authors of the paper draw theirs
LAYER = 3  # of the encoder: blocks from 0
PARTS = 4  # files into which the activations of a class are divided, so that processes share the pass


@dataclass(frozen=True)
class Scale:
    """`units` of each class; `texts` of a corpus that are read; `ngrams` of its training half that all units of a class are scored on, and
    `windows` of the other half, and `budget` forward-equivalents of each search, all for Imaginet and encoder.

    `latents`, `active` per position, and `steps` of `batch` states are those of the autoencoder.
    """

    units: int
    texts: int
    ngrams: tuple[int, int]
    windows: tuple[int, int]
    budget: tuple[float, float]
    effort: Effort
    latents: int
    active: int
    steps: int
    batch: int


LESS = Effort(rounds=3, places=32, levels=(0.9, 0.6), tried=1, listed=64, contrasts=False)
SCALES = {
    "small": Scale(8, 8000, (10_000, 3000), (2000, 700), (2400, 1000), LESS, 512, 8, 250, 512),
    "full": Scale(50, 50_000, (60_000, 12_000), (6000, 2000), (2400, 1000), LESS, 768, 12, 500, 512),
}


@dataclass(frozen=True)
class Settings:
    """What identifies a study, and the results of its cells. `encoder` None: the two classes of the Imaginet alone."""

    scale: str
    model: str = BUNDLED
    corpus: str | None = None
    encoder: str | None = None
    encoder_corpus: str | None = None
    seed: int = 0
    sizes: Scale = field(default=SCALES["small"])

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of units."""
        return (LANGUAGE, VISUAL) if self.encoder is None else tuple(CLASSES)

    def of_encoder(self, kind: str) -> bool:
        """Whether a class is one of the encoder."""
        return kind in (MLP, SAE)

    def site(self, kind: str) -> str:
        """The site of a class."""
        return {MLP: f"mlp_act.{LAYER}", SAE: f"resid_post.{LAYER}"}.get(kind, kind)

    def units(self, kind: str, model: Model, latents: Sequence[int]) -> list[int]:
        """The units of a class, drawn at random; of `latents`, which are on now and then, for the class of the autoencoder."""
        width = model.sites[self.site(kind)].width
        special = model.vocabulary.special if kind == LANGUAGE else frozenset()
        known = [unit for unit in range(min(width, FREQUENT) if kind == LANGUAGE else width) if unit not in special]
        among = np.asarray(list(latents) if kind == SAE else known)
        return np.random.default_rng([self.seed, list(CLASSES).index(kind)]).permutation(among)[: self.sizes.units].tolist()

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON keeps it."""
        return asdict(self)
