"""Training Imaginet: the share of time inside forward and backward, and length-bucketed against unsorted batches.

    python benchmarks/training.py [--captions FILE] [--batches 150] [--threads 1]

Without captions it trains on the sentences that the bundled model wrote.
"""

import argparse
import dataclasses
import time

import torch

from optigram.models.loading import load
from optigram.papers.poerner2018.data import SHARES, read_captions, split
from optigram.papers.poerner2018.trainer import Trainer, Training, new_model
from optigram.runs.corpus import sentences_for
from optigram.text.formats import Sentence


class Timed(Trainer):
    """A trainer that notes how long forward and backward took."""

    inside = 0.0

    def climb(self, batch) -> None:
        """Forward and backward, timed."""
        begun = time.perf_counter()
        super().climb(batch)
        self.inside += time.perf_counter() - begun


def run(sentences: list[Sentence], settings: Training) -> tuple[float, float]:
    """Seconds of one pass over the sentences, and the share of them inside forward and backward."""
    data = split(sentences, None, SHARES, settings.seed)
    trainer = Timed(new_model(data.parts["train"], None, settings), data, settings)
    begun = time.perf_counter()
    trainer.train_epoch()
    seconds = time.perf_counter() - begun
    return seconds, trainer.inside / seconds


def main() -> None:
    """Print both figures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--captions", action="append")
    options.add_argument("--batches", type=int, default=150)
    options.add_argument("--threads", type=int, default=1)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    own = sentences_for(load("imaginet"), None).texts if not chosen.captions else []
    sentences = read_captions(chosen.captions) if chosen.captions else [Sentence(text) for text in own]
    settings = Training(embedding=256, hidden=256, alpha=0.5, batch=64, rate=2e-3, dropout=0.15, rare=0.5)
    sentences = sentences[: chosen.batches * settings.batch]
    bucketed, inside = run(sentences, settings)
    unsorted, _ = run(sentences, dataclasses.replace(settings, bucketed=False))
    print(f"{chosen.batches} batches of {settings.batch} captions, {chosen.threads} thread(s)")
    print(f"  inside forward and backward       {inside:.0%}")
    print(f"  unsorted / length-bucketed time   {unsorted / bucketed:.2f}")


if __name__ == "__main__":
    main()
