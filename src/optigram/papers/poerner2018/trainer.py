"""Train Imaginet on alpha * cross-entropy + (1 - alpha) * (1 - cosine) (paper, section 3; authors' code: alpha 0.1).

The defaults are the authors'. The bundled model's card names the settings that differ.
"""

import copy
import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from optigram.models.imaginet import PATHS, Imaginet, Sizes
from optigram.papers.poerner2018.data import Batch, Captions, Dataset
from optigram.papers.poerner2018.features import Images
from optigram.text.vocabulary import UNKNOWN

LARGEST = 700.0  # nats per word whose exponential is a float
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what Adam keeps for each weight


@dataclass(frozen=True)
class Training:
    """Settings of a training run."""

    embedding: int = 1024  # paper: "joint 1024-d word embedding"
    hidden: int = 1024  # paper: "1024 units"
    alpha: float = 0.1  # authors' code: 0.1 for the language loss, 0.9 for the visual loss
    rate: float = 1e-3  # authors' code: Keras Adam's default
    batch: int = 16  # authors' code
    epochs: int = 1000  # authors' code
    patience: int = 10  # authors' code: epochs without a lower validation loss
    dropout: float = 0.0  # authors' code: none; applied to embeddings and states
    rare: float = 0.0  # probability of replacing a word seen once by <unk>; the authors' data has no unknown words
    decay: bool = False  # cosine decay of the rate to zero over `epochs`
    bucketed: bool = True  # batches of about equal length; the authors' are of random length
    held_out: str = "image"  # validation captions are of unseen images ("image"), or unseen captions of any image ("caption")
    seed: int = 123  # authors' code


@dataclass
class Metrics:
    """Validation of one epoch: `language` in nats per word, `visual` mean cosine, `recall` at 1, 5, 10."""

    epoch: int
    loss: float
    language: float
    visual: float
    recall: dict[int, float]

    def __str__(self) -> str:
        losses = f"epoch {self.epoch}: loss {self.loss:.4f}, language {self.language:.3f} nats per word (perplexity {self.perplexity:.1f})"
        recall = ", ".join(f"{share:.2f} at {k}" for k, share in self.recall.items())
        return losses if math.isnan(self.visual) else f"{losses}, visual cosine {self.visual:.3f}, recall {recall}"

    @property
    def perplexity(self) -> float:
        """The exponential of `language`."""
        return math.exp(min(self.language, LARGEST))

    def to_dict(self) -> dict[str, Any]:
        """All fields and the perplexity, for `config.json`; what was not measured, as without images, is None."""
        recall = {k: _measured(share) for k, share in self.recall.items()}
        numbers = {name: getattr(self, name) for name in ("epoch", "loss", "language", "visual", "perplexity")}
        return {name: _measured(value) for name, value in numbers.items()} | {"recall": recall}


def _measured(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _new_optimizer(model: Imaginet, settings: Training) -> torch.optim.Adam:
    return torch.optim.Adam(model.parameters(), lr=settings.rate, fused=True)


class Trainer:
    """One training run: `run()` yields the metrics of each epoch; `state` and `restore` let a killed run resume."""

    model: Imaginet
    images: Images | None
    settings: Training
    texts: dict[str, list[np.ndarray]]
    rows: dict[str, np.ndarray]
    optimizer: torch.optim.Adam
    steps: int  # per epoch
    epoch: int
    best: float
    stale: int

    def __init__(self, model: Imaginet, data: Dataset, settings: Training) -> None:
        self.model, self.images, self.settings = model, data.images, settings
        self.texts = {name: part.encode(model.vocabulary) for name, part in data.parts.items()}
        self.rows = {name: part.images for name, part in data.parts.items()}
        firsts = np.bincount([text[0] for text in self.texts["train"]], minlength=len(model.vocabulary))
        firsts[list(model.vocabulary.special)] = 0
        model.first_words.copy_(torch.from_numpy(firsts))
        self._seen_once = torch.from_numpy(np.bincount(np.concatenate(self.texts["train"]), minlength=len(model.vocabulary)) == 1)
        self.optimizer = _new_optimizer(model, settings)
        self.steps = math.ceil(len(self.texts["train"]) / settings.batch)
        self.epoch, self.best, self.stale = 0, math.inf, 0

    def run(self, watch: Callable[[int, int, str], None] = lambda done, total, what: None) -> Iterator[Metrics]:
        """Train until `patience` epochs in a row do not lower the validation loss; `stale == 0` after the best epoch so far."""
        while not self.done:
            self.train_epoch(watch)
            metrics = self.validate("validation")
            self.epoch += 1
            self.stale = 0 if metrics.loss < self.best else self.stale + 1
            self.best = min(self.best, metrics.loss)
            yield metrics

    @property
    def done(self) -> bool:
        """Whether the run is finished."""
        return self.epoch >= self.settings.epochs or self.stale >= self.settings.patience

    def train_epoch(self, watch: Callable[[int, int, str], None] = lambda done, total, what: None) -> None:
        """One pass over the training captions."""
        self.model.train()
        rng = np.random.default_rng([self.settings.seed, self.epoch])
        with torch.random.fork_rng():  # dropout takes no generator
            torch.manual_seed(int(rng.integers(1 << 31)))
            for step, batch in enumerate(self.batches(rng)):
                if self.settings.decay:
                    share = (self.epoch + step / self.steps) / self.settings.epochs
                    self.optimizer.param_groups[0]["lr"] = self.settings.rate * (1 + math.cos(math.pi * share)) / 2
                self.step(batch)
                watch(step + 1, self.steps, f"epoch {self.epoch + 1}")

    def twin(self) -> "Trainer":
        """A copy with weights and an optimizer of its own: its steps leave this run unchanged."""
        twin = copy.copy(self)
        twin.model = copy.deepcopy(self.model).train()
        twin.optimizer = _new_optimizer(twin.model, self.settings)
        return twin

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """One pass over the training captions, in an order drawn from `rng`."""
        return Batch.batches(self.texts["train"], self.rows["train"], self.settings.batch, rng, self.settings.bucketed)

    def step(self, batch: Batch) -> None:
        """One weight update."""
        self.optimizer.zero_grad()
        self.climb(self._hide_rare(batch))
        self.optimizer.step()

    def climb(self, batch: Batch) -> None:
        """Forward and backward pass of one batch."""
        language, visual = self.losses(batch)
        (self.settings.alpha * language + (1 - self.settings.alpha) * visual).backward()

    def _hide_rare(self, batch: Batch) -> Batch:
        """Randomly replace words seen once by `<unk>`, so that the model learns to read unknown words."""
        if not self.settings.rare:
            return batch
        hidden = self._seen_once[batch.ids] & (torch.rand(batch.ids.shape) < self.settings.rare)
        return dataclasses.replace(batch, ids=batch.ids.masked_fill(hidden, self.model.vocabulary.tokens.index(UNKNOWN)))

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy of the next word in nats (`<end>` follows the last word), and mean 1 - cosine of captions with an image."""
        hidden, last = self.states(batch)
        device = self.model.embedding.device
        real = torch.arange(batch.ids.shape[1]) < batch.lengths[:, None]
        targets = torch.cat([batch.ids[:, 1:], torch.zeros_like(batch.ids[:, :1])], dim=1)
        targets[torch.arange(len(batch)), batch.lengths - 1] = 1
        logits = self.model.projection("language")(hidden[real.to(device)])
        language = nn.functional.cross_entropy(logits, targets[real].to(device))
        known = batch.images >= 0
        if self.images is None or not known.any():
            return language, torch.zeros((), device=device)
        features = torch.from_numpy(self.images.features.gather(batch.images[known].numpy())).to(device)
        predicted = self.model.projection("visual")(last[known.to(device)])
        return language, (1 - nn.functional.cosine_similarity(predicted, features)).mean()

    def states(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Language states at every position [b s h], and the visual state after each caption's last word [b h]."""
        device, drop = self.model.embedding.device, nn.Dropout(self.settings.dropout).train(self.model.training)
        embeds = drop(self.model.word_embedding(batch.ids.to(device)))
        hidden, visual = (self.model.states(f"{path}.hidden", embeds) for path in PATHS)
        last = visual[torch.arange(len(batch), device=device), (batch.lengths - 1).to(device)]
        return drop(hidden), drop(last)

    @torch.no_grad()
    def validate(self, name: str) -> Metrics:
        """Losses and image retrieval on the split `name` (authors' code: loss is alpha * language + (1 - alpha) * visual)."""
        self.model.eval()
        words = pairs = language = visual = 0.0
        for batch in Batch.batches(self.texts[name], self.rows[name], 128):
            losses = [float(loss) for loss in self.losses(batch)]
            count, known = float(batch.lengths.sum()), 0.0 if self.images is None else float((batch.images >= 0).sum())
            language, words = language + losses[0] * count, words + count
            visual, pairs = visual + losses[1] * known, pairs + known
        language, visual = language / words, visual / max(pairs, 1)
        loss = self.settings.alpha * language + (1 - self.settings.alpha) * visual
        return Metrics(self.epoch + 1, loss, language, 1 - visual if pairs else math.nan, self.recall(name))

    @torch.no_grad()
    def recall(self, name: str, among: tuple[int, ...] = (1, 5, 10)) -> dict[int, float]:
        """Share of captions whose image is among the k nearest images of the split by cosine; tied images share ranks."""
        rows = self.rows[name]
        if self.images is None or not (rows >= 0).any():
            return dict.fromkeys(among, math.nan)
        known = np.flatnonzero(rows >= 0)
        shown, truth = np.unique(rows[known], return_inverse=True)
        features = nn.functional.normalize(torch.from_numpy(self.images.features.gather(shown)).to(self.model.embedding.device))
        ranks, done = [], 0
        for batch in Batch.batches([self.texts[name][i] for i in known], truth, 128):
            predicted = self.model.projection("visual")(self.states(batch)[1])
            cosines = nn.functional.normalize(predicted) @ features.T
            own = cosines.gather(1, batch.images[:, None].to(cosines.device))
            equal = ((cosines - own).abs() < 1e-6).sum(1) - 1
            ranks.append((cosines > own + 1e-6).sum(1) + equal / 2)
            done += len(batch)
        rank = torch.cat(ranks)
        return {k: float((rank < k).float().mean()) for k in among}

    def state(self) -> dict[str, Tensor]:
        """Tensors from which `restore` resumes the run at the end of an epoch.

        Adam keeps nothing for weights that had no gradient yet, such as those of the visual path where there are no images.
        """
        found = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            found |= {f"adam.{key}.{name}": value for key, value in self.optimizer.state.get(parameter, {}).items()}
        progress = torch.tensor([self.epoch, self.best, self.stale], dtype=torch.float64)
        return found | {"progress": progress}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Resume from the tensors of `state`. Raises KeyError where some are missing."""
        self.model.load_state_dict({name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")})
        for name, parameter in self.model.named_parameters():
            if any(f"adam.{key}.{name}" in state for key in MOMENTS):
                self.optimizer.state[parameter] = {key: state[f"adam.{key}.{name}"].to(parameter.device) for key in MOMENTS}
        epoch, self.best, stale = state["progress"].tolist()
        self.epoch, self.stale = int(epoch), int(stale)

    @staticmethod
    def new_model(captions: Captions, images: Images | None, settings: Training, least: int = 1) -> Imaginet:
        """An untrained Imaginet with the words of the training captions, most frequent first, ties in alphabetical order."""
        torch.manual_seed(settings.seed)
        counts = Counter(word for words in captions.words for word in words)
        words = tuple(word for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if count >= least)
        features = 1 if images is None else images.features.width
        labels = () if images is None else images.labels
        model = Imaginet(words, labels, Sizes(settings.embedding, settings.hidden, features))
        for path in PATHS:  # Keras's defaults, which the authors use: glorot uniform, orthogonal, zero
            weight, recurrent, *biases = model.gru(path).all_weights[0]
            nn.init.xavier_uniform_(weight)
            nn.init.orthogonal_(recurrent)
            nn.init.xavier_uniform_(model.projection(path).weight)
            for bias in (*biases, model.projection(path).bias):
                nn.init.zeros_(bias)
        return model
