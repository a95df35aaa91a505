"""A causal transformer small enough to follow by hand, with a tokenizer whose tokens melt together, behind the seam."""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
import torch

from optigram.models.base import Linear, Site
from optigram.text.vocabulary import Vocabulary

TOKENS = ("<s>", "</s>", "<unk>", "\n", "\ufffd", " a", " dog", " d", "og", " cat", "dog", "s", " 7", " Dog", ",")
SPECIAL, WIDTH = 3, 8


def encode(text: str) -> list[int]:
    """The longest token that fits, from left to right."""
    ids = []
    while text:
        token = max((token for token in TOKENS if text.startswith(token)), key=len, default="")
        ids.append(TOKENS.index(token) if token else TOKENS.index("<unk>"))
        text = text[len(token) or 1 :]
    return ids


def decode(ids: Iterable[int]) -> str:
    return "".join(TOKENS[i] for i in ids)


def vocabulary(prefix=(0,), suffix=(), tokens=TOKENS) -> Vocabulary:
    return Vocabulary(tokens, frozenset(range(SPECIAL)), encode, decode, prefix, suffix, lambda message: f"<s> a{message},")


class Toy:
    """One head of causal attention, read at `resid`; `logits` are a projection of it."""

    attends = True
    step = None
    fingerprint = "toy"

    def __init__(self, seed=0, prefix=(0,), suffix=(), softcap=None, causal=True, name="toy", tokens=TOKENS, dtype=torch.float32):
        rng = np.random.default_rng(seed)
        self.name, self.causal, self.dtype = name, causal, dtype
        self.vocabulary = vocabulary(prefix, suffix, tokens)
        self.embedding, self.mix, self.head = (
            torch.from_numpy(rng.normal(size=size)).float() for size in ((len(TOKENS), WIDTH), (WIDTH, WIDTH), (len(TOKENS), WIDTH))
        )
        bias = torch.from_numpy(rng.normal(size=len(TOKENS))).float()
        self.sites = {
            "resid": Site(WIDTH),
            "early": Site(WIDTH),
            "logits": Site(len(TOKENS), tokens, Linear("resid", self.head, bias, softcap)),
        }

    def read(self, embeds, sites, keep=None):
        assert keep is None
        mix = self.mix.to(self.dtype)
        embeds = embeds.to(self.dtype)
        place = torch.arange(embeds.shape[1])
        seen = place[:, None] >= place if self.causal else torch.ones(len(place), len(place), dtype=torch.bool)
        weights = (embeds @ mix @ embeds.mT / math.sqrt(WIDTH)).masked_fill(~seen, -torch.inf).softmax(-1)
        states = {"early": embeds @ mix, "resid": torch.tanh(embeds + weights @ embeds)}
        return {site: states[site].float() for site in sites}

    def state(self, ids, site="resid") -> np.ndarray:
        """States [s h] of one text, in NumPy, from the definition."""
        x, mix = self.embedding.numpy().astype(float)[list(ids)], self.mix.numpy().astype(float)
        if site == "early":
            return x @ mix
        scores = x @ mix @ x.T / math.sqrt(WIDTH)
        if self.causal:
            scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
        weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        return np.tanh(x + weights @ x)

    def logits(self, ids) -> np.ndarray:
        """Logits [s v] of one text, in NumPy."""
        linear = self.sites["logits"].linear
        values = self.state(ids) @ self.head.numpy().astype(float).T + linear.bias.numpy()
        return values if linear.softcap is None else linear.softcap * np.tanh(values / linear.softcap)

    def in_half(self) -> "Toy":
        """The same network in bfloat16."""
        other = Toy.__new__(Toy)
        other.__dict__ |= self.__dict__ | {"dtype": torch.bfloat16}
        return other

    def with_vocabulary(self, **changes) -> "Toy":
        other = Toy.__new__(Toy)
        other.__dict__ |= self.__dict__ | {"vocabulary": dataclasses.replace(self.vocabulary, **changes)}
        return other
