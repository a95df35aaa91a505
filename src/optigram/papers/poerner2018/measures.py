"""What the pages of a study need besides its records: measures of the model and of the corpus, which a run leaves beside them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optigram.files import written_whole
from optigram.papers.poerner2018 import syntax
from optigram.runs.records import Record
from optigram.study.statistics import CONFIDENCE, Interval

if TYPE_CHECKING:
    from optigram.papers.poerner2018.omission import OmissionTable
    from optigram.study.cells import StudyContext

DIRECTIONS = 4096  # random directions for the largest cosine with a word


@dataclass(frozen=True)
class Measures:
    """`about` names model and corpus; `arms` are those of the study, for what of it was run. `corpus`: shares of function words.

    `bigrams` are the pairs of a last word and a predicted word of the records that stand in the corpus. `cosine` is the largest
    cosine of a random direction with any of `words` embeddings of `width` numbers: median and central 95%.
    """

    about: str
    arms: Sequence[dict[str, Any]]
    words: int
    width: int
    cosine: Interval
    corpus: syntax.CorpusShare
    bigrams: Sequence[tuple[str, str]]
    omission: dict[str, Any]
    model: dict[str, Any]

    @classmethod
    def of(cls, context: "StudyContext", records: Sequence[Record], omissions: "OmissionTable", model: dict[str, Any]) -> "Measures":
        """The measures of a study's model and corpus. `model` are figures of its training, such as losses."""
        found, sentences = context.model, list(context.corpus.texts())
        about = f"Model: {found.name}. Corpus: {context.corpus.name}, {len(context.ngrams):,} different 5-grams."
        return cls(
            about,
            context.study.to_dict()["arms"],
            found.embedding.shape[0],
            found.embedding.shape[1],
            _largest_cosine(found.embedding),
            syntax.corpus_share(sentences, context.ngrams, found.vocabulary.tokens),
            sorted(syntax.seen_bigrams([one for one in records if one.arm == context.study.arms[0].name], sentences)),
            asdict(omissions),
            model,
        )

    @classmethod
    def read(cls, path: Path) -> "Measures":
        """What `write` wrote."""
        made = json.loads(path.read_text(encoding="utf-8"))
        made["cosine"], made["corpus"] = Interval(*made["cosine"]), syntax.CorpusShare(**made["corpus"])
        return cls(**made | {"bigrams": [(last, word) for last, word in made["bigrams"]]})

    def write(self, path: Path) -> None:
        """Write as JSON."""
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _largest_cosine(embedding: Any, seed: int = 0) -> Interval:
    """The largest cosine of each of some random directions with any row of the embedding [v d]."""
    import torch
    from torch.nn.functional import normalize

    drawn = torch.randn(DIRECTIONS, embedding.shape[1], generator=torch.Generator().manual_seed(seed))
    table = normalize(embedding.cpu())
    largest = torch.cat([(part @ table.T).amax(1) for part in normalize(drawn).split(256)])
    low, high = largest.quantile(torch.tensor([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])).tolist()
    return Interval(float(largest.median()), low, high)
