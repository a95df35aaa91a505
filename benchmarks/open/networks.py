"""The small networks of the benchmark, GPT-2s of two blocks: one trained on captions, one on triggers, one with random weights."""

import gzip
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.open.phrases import SPECIAL, Phrases
from optigram.models.loading import CAPTIONS, bundled

BLOCKS, HEADS, POSITIONS, SPREAD, LARGE = 2, 4, 32, 0.1, 0.2
TEXTS, LONGEST = 200, 16  # of a batch; words of a caption
UNKNOWN, END = "<unk>", "<end>"
READ_AT = f"resid_post.{BLOCKS - 1}"  # where the directions are read


@dataclass(frozen=True)
class Sizes:
    """How large everything is. The defaults are the benchmark; tests take less."""

    words: int = 1000
    width: int = 64
    caption_steps: int = 400
    trigger_steps: int = 1200
    phrases: int = 100
    listed: int = 50  # words of a list
    optimum: int = 20  # targets of each kind
    placebos: int = 20
    transformers: int = 100


def captions() -> list[str]:
    """The sentences that come with optigram: sampled from its bundled model."""
    with gzip.open(bundled() / CAPTIONS, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def frequent(texts: Iterable[str], count: int) -> list[str]:
    """The words that texts have most often, equal ones by name."""
    counts = Counter(word for text in texts for word in text.split())
    return sorted(counts, key=lambda word: (-counts[word], word))[:count]


def network(sizes: Sizes, seed: int, spread: float = SPREAD) -> Any:
    """A GPT-2 with random weights, on the processor."""
    import transformers

    torch.manual_seed(seed)
    shape: dict[str, Any] = {
        "vocab_size": sizes.words + SPECIAL,
        "n_embd": sizes.width,
        "n_layer": BLOCKS,
        "n_head": HEADS,
        "n_positions": POSITIONS,
    }
    still: dict[str, Any] = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    config = transformers.GPT2Config(**shape, **still, initializer_range=spread, bos_token_id=1, eos_token_id=1)
    return transformers.GPT2LMHeadModel(config)


def train_captions(sizes: Sizes, words: Sequence[str], seed: int) -> tuple[Any, float]:
    """A language model of the captions, and its loss in nats per word on captions that it was not trained on."""
    texts, held = _padded(captions(), words).split([18_000, 2_000])
    made, rng = network(sizes, seed), np.random.default_rng(seed)

    def loss(ids: Tensor) -> Tensor:
        logits = made(ids.clamp(min=0)).logits[:, :-1]
        return nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=-1)

    _trained(list(made.parameters()), sizes.caption_steps, lambda: loss(texts[rng.choice(len(texts), TEXTS)]))
    with torch.no_grad():
        return made.eval(), float(loss(held))


def _padded(texts: Iterable[str], words: Sequence[str]) -> Tensor:
    """Ids [c LONGEST] that end with <end>; -1 after that."""
    known = {word: number for number, word in enumerate(words, start=SPECIAL)}
    rows = [[*(known.get(word, 0) for word in text.split()), 1][:LONGEST] for text in texts]
    return torch.tensor([row + [-1] * (LONGEST - len(row)) for row in rows])


def train_triggers(sizes: Sizes, phrases: Phrases, seed: int) -> tuple[Any, Tensor]:
    """A network, and for each phrase the direction [k d] whose product with the state at the phrase's last word says that it is there."""
    made, rng = network(sizes, seed), np.random.default_rng(seed)
    directions = nn.Parameter(SPREAD * torch.randn(len(phrases.phrases), sizes.width))

    def loss() -> Tensor:
        texts, ends = map(torch.from_numpy, phrases.batch(TEXTS, rng))
        values = states(made, texts) @ directions.T
        return nn.functional.softplus(torch.where(ends, -values, values)).sum() / TEXTS

    _trained([*made.transformer.parameters(), directions], sizes.trigger_steps, loss)
    return made.eval(), directions.detach()


def states(made: Any, texts: Tensor) -> Tensor:
    """The residual stream [b s d] after the last block."""
    found: list[Tensor] = []
    hook = made.transformer.h[BLOCKS - 1].register_forward_hook(
        lambda module, given, out: found.append(out[0] if isinstance(out, tuple) else out)
    )
    made.transformer(texts)
    hook.remove()
    return found[0]


def _trained(weights: list[nn.Parameter], steps: int, loss: Any) -> None:
    optimizer = torch.optim.AdamW(weights, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=max(steps, 2), pct_start=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()


def save(made: Any, words: Sequence[str], folder: Path) -> None:
    """Write a network and its tokenizer, whole words between blanks, in the layout of transformers."""
    import tokenizers
    import transformers
    from tokenizers import models, pre_tokenizers

    ids = {word: number for number, word in enumerate([UNKNOWN, END, *words])}
    tokenizer = tokenizers.Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=UNKNOWN, eos_token=END).save_pretrained(folder)
