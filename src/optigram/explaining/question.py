"""A description put to judges: texts that do not fit and fire, texts that fit and are silent, paraphrases, members of patterns."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from optigram.errors import InputError
from optigram.explaining.evidence import Evidence, Example
from optigram.explaining.ground import Ground
from optigram.explaining.judges import NO, YES, Judge
from optigram.explaining.texts import Words
from optigram.explaining.verification import FIRES, FITS, Counterexample
from optigram.methods.chains import method_named
from optigram.runs.find import run_methods
from optigram.runs.objective import make_objective
from optigram.runs.options import FindOptions
from optigram.shapes import Int

METHOD, LENGTH, STARTS = "coordinate", 5, 8  # of the searches: free words, and windows of the corpus that they start from
ROUNDS = 3  # searches with more and more words denied
SOURCES = "corpus", "pattern", "edit"  # of texts that fit and may be silent
MOST = 3  # counterexamples of a kind and source
JUDGED, FEW_JUDGED = 96, 16  # candidates that a judge reads at most; a slow one
MENTIONS, MEMBERS = 200, 32  # windows with words of the description, and members of patterns
EDITED, INSERTED = 6, 24  # texts in which a word is replaced or put in, and how many words are put in


@dataclass(frozen=True)
class Question:
    """A description of the target `number` of a ground, and who judges it."""

    ground: Ground
    number: int
    description: str
    judges: Sequence[Judge]
    evidence: Evidence | None

    def fits(self, texts: Sequence[str]) -> np.ndarray:
        """What the judges say [judges n]."""
        return np.stack([judge.scores(self.description, texts) for judge in self.judges]) if texts else np.zeros((len(self.judges), 0))

    def _first(self, kind: str, texts: Iterable[tuple[str, str]], most: int = MOST) -> list[Counterexample]:
        """The first texts (text, source) on which all judges say that they fit, or do not; each is scored again."""
        few = any(judge.slow for judge in self.judges)
        listed = list(itertools.islice(dict(texts).items(), FEW_JUDGED if few else JUDGED))
        fits = self.fits([text for text, _ in listed])
        chosen = (fits < NO).all(0) if kind == FIRES else (fits > YES).all(0)
        scorer = self.ground.scorer(self.number)
        return [
            Counterexample(kind, listed[at][0], scorer.again(listed[at][0]), tuple(map(float, fits[:, at])), listed[at][1])
            for at in np.flatnonzero(chosen)[:most].tolist()
        ]

    def searched(self, budget: float, without: Sequence[str] = (), seed: int = 0) -> Example | None:
        """The best text of a search that starts from the highest windows; words `without` are not proposed. None if no word is left."""
        ground, number = self.ground, self.number
        target = ground.targets[number]
        method = method_named(METHOD, budget, ground.model.attends, block=1)  # one target alone, and not one of a batch
        for words in ("whole", "any"):
            options = FindOptions(by=(method,), budget=budget, length=LENGTH, without=tuple(without), words=words, seed=seed, no_cache=True)
            try:
                objective = make_objective(ground.model, [target], options)
            except InputError:
                continue
            (found,) = run_methods(objective, options, None, _starts(ground, number))
            if found.records:
                text = found.records[0].text.strip()
                if ground.readable(text):
                    return Example(text, ground.scorer(number).again(text), "search")
        return None

    def firing(self, fires: float, tops: Sequence[Example], budget: float, seed: int) -> list[Counterexample]:
        """Texts that fire, and of which all judges say that they do not fit: of the corpus, the best ones known, and searched ones.

        The words of the description and what the model's embedding holds for alike may not be proposed; a text that fits after all has the
        word that adds most denied too, and the search begins again.
        """
        ground, number = self.ground, self.number
        values = ground.values[number]
        high = [at for at in np.argsort(-values, kind="stable").tolist() if values[at] >= fires]
        found = self._first(FIRES, ((ground.windows[at], "corpus") for at in high))
        found += self._first(FIRES, ((top.text, top.source) for top in tops if top.activation >= fires))
        near = ground.lexis
        denied = dict.fromkeys(_denied(self.description, ground))
        for turn in range(ROUNDS):
            best = self.searched(budget / ROUNDS, near.known(denied), seed + turn)
            if best is None or best.activation < fires:
                break
            found += self._first(FIRES, [(best.text, "search")])
            worst = self._strongest(best.text)
            denied |= dict.fromkeys(form for word in worst for form in Words.forms(word))
        return list({one.text: one for one in found}.values())

    def _strongest(self, text: str) -> list[str]:
        """The word of a text without which the target fires least."""
        words = text.split()
        without = [" ".join(words[:place] + words[place + 1 :]) for place in range(len(words))]
        kept = [place for place in range(len(words)) if self.ground.readable(without[place])]
        if not kept:
            return Words.content(text)
        values = self.ground.scorer(self.number)([without[place] for place in kept])[0]
        return [words[kept[int(values.argmin())]].lower()]

    def silent(self, quiet: float, tops: Sequence[Example], most: int) -> list[Counterexample]:
        """Texts that are silent, and of which all judges say that they fit.

        Tried are windows of the corpus with words of the description, members of the patterns of the evidence, and of the highest texts
        with a word replaced by one that is alike, or with a frequent word put in, `most` drawn at random. Then all other windows.
        """
        ground, number = self.ground, self.number
        rng = ground.rng(number, "edits")
        words = [form for word in Words.content(self.description) for form in Words.forms(word)]
        asked = dict.fromkeys(ground.mentioning(words, MENTIONS), "corpus")
        edited = [*(text for _, text in self.paraphrases(tops)), *self._inserted(tops)]
        drawn = rng.permutation(len(edited))[:most].tolist()
        asked |= dict.fromkeys((text for _, text in self.members(ground.seed)), "pattern") | {edited[at]: "edit" for at in drawn}
        texts = [text for text in asked if ground.readable(text)]
        values = ground.scorer(number)(texts)[0] if texts else np.zeros(0)
        low = [(texts[at], asked[texts[at]]) for at in np.argsort(values, kind="stable").tolist() if values[at] <= quiet]
        found = [one for source in SOURCES for one in self._first(FITS, (pair for pair in low if pair[1] == source))]
        if not found:
            others = rng.permutation(len(ground.windows)).tolist()
            found = self._first(FITS, ((ground.windows[at], "corpus") for at in others if ground.values[number][at] <= quiet))
        return found

    def paraphrases(self, texts: Sequence[Example]) -> list[tuple[Example, str]]:
        """The texts with one content word replaced by one that the model's embedding holds for alike."""
        found: list[tuple[Example, str]] = []
        for one in texts[:EDITED]:
            words = one.text.split()
            for place, word in enumerate(words):
                near = self.ground.lexis.like(word.lower(), 3) if Words.content(word) else []
                made = (" ".join([*words[:place], other, *words[place + 1 :]]) for other in near)
                found += [(one, text) for text in made if self.ground.readable(text)]
        return found

    def members(self, seed: int) -> list[tuple[Example, str]]:
        """Texts drawn from the patterns of the evidence, each with the core of its pattern; none without an evidence."""
        patterns = [concept.pattern for concept in self.evidence.concepts] if self.evidence is not None else []
        vocabulary, found = self.ground.model.vocabulary, dict[str, Example]()
        for pattern in patterns:
            found |= dict.fromkeys(pattern.draw(vocabulary, MEMBERS // len(patterns), seed), pattern.core)
        return [(core, text.strip()) for text, core in found.items() if self.ground.readable(text.strip())]

    def _inserted(self, texts: Sequence[Example]) -> Iterator[str]:
        """The texts with one of the corpus's frequent words put in, before each word and at the end."""
        counts: dict[str, int] = {}
        for window in self.ground.windows:
            for word in window.lower().split():
                counts[word] = counts.get(word, 0) + 1
        frequent = sorted(counts, key=lambda word: (-counts[word], word))[:INSERTED]
        for one in texts[:EDITED]:
            words = one.text.split()
            for place, other in itertools.product(range(len(words) + 1), frequent):
                yield " ".join([*words[:place], other, *words[place:]])


def _starts(ground: Ground, number: int) -> Int[torch.Tensor, "1 n t"] | None:
    """The parts of the highest windows that fire most, as token ids."""
    order = np.argsort(-ground.values[number], kind="stable")[:STARTS]
    encode, decode = ground.model.vocabulary.encode, ground.model.vocabulary.decode
    rows = [ids for at in order.tolist() if len(ids := encode(ground.windows[at])) >= LENGTH]
    parts = [(row[start : start + LENGTH], at) for at, row in enumerate(rows) for start in range(len(row) - LENGTH + 1)]
    parts = [(part, at) for part, at in parts if ground.readable(decode(part))]
    if not parts:
        return None
    values = ground.scorer(number)([decode(part) for part, _ in parts])[0]
    best: dict[int, list[int]] = {}
    for place in np.argsort(-values, kind="stable").tolist():
        best.setdefault(parts[place][1], parts[place][0])
    return torch.tensor([list(best.values())])


def _denied(description: str, ground: Ground) -> Iterator[str]:
    for word in Words.content(description):
        for form in Words.forms(word):
            yield form
            yield from ground.lexis.like(form)
