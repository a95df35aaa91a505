"""A page for readers: the paper's claims one by one in plain words, with what was found, how sure it is, and what would change our mind.

Every number on the page comes from the records.
"""

import math
from collections.abc import Sequence

from optigram.papers.poerner2018.claims import COSINE, cosines, verdict
from optigram.papers.poerner2018.growth import PAPER, Growth
from optigram.papers.poerner2018.larger import Larger
from optigram.papers.poerner2018.measures import Measures
from optigram.papers.poerner2018.recipe import DIRECTIONS, FAITHFUL, FULL, MODERN, PATHS, WEIGHTS
from optigram.papers.poerner2018.syntax import Syntax
from optigram.runs.records import Record
from optigram.study.statistics import BASELINE, Comparison, Interval, site_of

NOT_RUN = "not run here"
WITHOUT_WEIGHTS = """## What cannot be had without the authors' weights

The authors released code and no weights; the archive that they name has captions and image features. So no single number of their Figure 1
or Table 1 can be checked, only what they say of the order of the methods and of the kind of words. The visual activations have no scale,
since the loss is a cosine: they can be compared within one model and never between two. Their image features (4,096 numbers of VGG-19 for
each of 113,287 photos) could not be had here either, so the visual neurons here are object classes that have names. With the features,
`optigram study poerner2018 --scale paper --data FOLDER --device cuda` trains a model of their size and repeats everything; that has been
tried on small folders in their layout and not been run.
"""


def page(records: Sequence[Record], measures: Measures, growth: Growth | None) -> str:
    """The page as Markdown."""
    modern = [record for record in records if record.arm == MODERN]
    syntax = Syntax.of(modern, measures.corpus, set(measures.bigrams))
    larger = [] if growth is None else Larger.all_of(records, growth)
    parts = [
        "# The paper's claims, for readers\n",
        f"Poerner, Roth and Schütze (2018) asked which five words make a neuron of a language model fire most. {measures.about} Numbers "
        "are medians over neurons with 95% intervals. Tables are on the page of [claims](claims.md).\n",
        *_above(records, modern, larger, growth),
        *_others(modern, larger),
        *_best_gradient(modern),
        *_authors(records),
        *_words(records, measures),
        *_syntax(syntax, measures),
        WITHOUT_WEIGHTS,
    ]
    return "\n".join(parts)


def _compared(records: Sequence[Record], method: str, baseline: str = BASELINE) -> dict[str, Comparison]:
    """A method against another per path, as far as both have records; p values are corrected over the paths."""
    found = {}
    for site in PATHS:
        here = [record for record in records if site_of(record.target) == site]
        if {method, baseline} <= {record.method for record in here}:
            found[site] = Comparison.of(here, method, baseline)
    return dict(zip(found, Comparison.with_holm(list(found.values())), strict=True))


def _told(found: dict[str, Comparison]) -> str:
    """The ratios of both paths in words."""
    each = [
        f"{site}: {one.show_ratio()} times, higher on {one.wins.show(percent=True)} of {one.neurons} neurons, {one.show_seeds()} "
        f"seed{'s' * (one.seeds[1] > 1)}"
        for site, one in found.items()
    ]
    return "; ".join(each) or NOT_RUN


def _placebos(records: Sequence[Record]) -> str:
    """The gain over corpus search of targets that mean nothing, in a sentence."""
    told = [f"{arm}: {_told(found)}" for arm in (DIRECTIONS, WEIGHTS) if (found := _compared([r for r in records if r.arm == arm], "gbl"))]
    return f"Of placebos, gbl over corpus search: {'. '.join(told) or NOT_RUN}."


def _above(records: Sequence[Record], modern: Sequence[Record], larger: Sequence[Larger], growth: Growth | None) -> list[str]:
    far = [row for row in larger if row.method == "gbl"]
    added = []
    if growth is not None:
        told = "; ".join(f"{row.site}: {row.compared[-1].difference.show()}, {row.overall}" for row in far)
        added = [f"Against a corpus of the paper's {PAPER:,} captions, extrapolated from {growth.sizes[-1]:,}, the difference is {told}.\n"]
    return [
        "## 1. Gradient ascent through a Gumbel softmax (gbl) beats corpus search\n",
        "*Claimed:* gbl finds 5-grams with higher activations than the best 5-gram of the training captions.\n",
        f"*Found,* at equal budgets of our own settings: {_told(_compared(modern, 'gbl'))}.\n",
        *added,
        f"*How sure:* {_verdicts(_compared(modern, 'gbl'), 'above')} {_placebos(records)} A higher activation says that the search is "
        "good, and nothing about what the neuron means.\n",
        "*What would change our mind:* a corpus whose best 5-grams reach gbl's level.\n",
    ]


def _others(modern: Sequence[Record], larger: Sequence[Larger]) -> list[str]:
    compared = {label: _compared(modern, label) for label in ("emb", "smx", "logit")}
    lines = [f"- {label}: {_told(found)}. {_verdicts(found, 'below')}" for label, found in compared.items()]
    sizes = [f"- {row.claim} ({row.site}, {row.method}): {row.overall}" for row in larger if row.method not in ("gbl", "logit")]
    return [
        "## 2. The other three methods (emb, smx, logit) do not reach corpus search\n",
        "*Claimed:* optimised embeddings, word weights and softmaxes stay below the best 5-gram of the corpus.\n",
        "*Found:*\n",
        *lines,
        "",
        *(["With larger corpora:\n", *sizes, ""] if sizes else []),
        "*How sure:* the claims about emb and smx depend on settings, budget and corpus: with a higher "
        "rate, restarts and a score every few steps they gain on the authors' own, and every doubling of the corpus takes some back.\n",
        "*What would change our mind:* the same comparison against all of the paper's captions.\n",
    ]


def _best_gradient(modern: Sequence[Record]) -> list[str]:
    compared = {label: _compared(modern, "gbl", label) for label in ("smx", "emb", "logit")}
    lines = [f"- over {label}: {_told(found)}. {_verdicts(found, 'above')}" for label, found in compared.items()]
    return [
        "## 3. gbl is the best of the four gradient methods\n",
        "*Claimed:* so it is for both kinds of neurons.\n",
        "*Found,* at equal budgets:\n",
        *lines,
        "",
        "*How sure:* as the intervals say. The authors gave gbl 64 texts a step and the others one, so their own comparison mixes the "
        "method with its budget. That ours comes out alike does not tell how much of their distance was budget and how much were settings: "
        "both were changed at once.\n",
        "*What would change our mind:* settings of smx that reach gbl at the same budget for language neurons.\n",
    ]


def _authors(records: Sequence[Record]) -> list[str]:
    """What the authors' settings found, at full length and in shortened runs."""
    lines = []
    for arm in (*FULL, FAITHFUL):
        here = [record for record in records if record.arm == arm]
        for method in dict.fromkeys(record.method for record in here if record.method != BASELINE):
            lines.append(f"- {method} against corpus search: {_told(_compared(here, method))}")
    return [
        "## The authors' own settings\n",
        "Shortened runs (`/200`) have 200 times fewer steps for smx, logit and gbl; for emb, whose epochs have 20 steps, it is 20 steps to "
        "one. How well they stand in is on the page of [claims](claims.md).\n",
        *(lines or [f"- {NOT_RUN}"]),
        "",
    ]


def _words(records: Sequence[Record], measures: Measures) -> list[str]:
    lines = [
        f"- {arm}, {site}, {method}: {Interval.median(found).show()} ({len(found)} neurons)"
        for (arm, site, method), found in cosines(records).items()
    ]
    return [
        "## 4. Optimised embeddings are far from words\n",
        f"*Claimed:* their cosine with the nearest word is {COSINE} on average, too low to read them as words.\n",
        f"*Found:* a random direction already has a largest cosine of {measures.cosine.show()} with the {measures.words:,} words of this "
        f"model in its {measures.width} dimensions. emb's embeddings:\n",
        *(lines or [f"- {NOT_RUN}"]),
        "",
        "*How sure:* of the numbers, very. The paper's number has no such beside it: for its 27,409 words in 1,024 dimensions the largest "
        f"cosine of a random direction is about {math.sqrt(2 * math.log(27_409) / 1024):.2f} (sqrt(2 log(words) / dimensions)), so its "
        "embeddings too are nearer to words than chance.\n",
        "*What would change our mind:* the authors' embeddings.\n",
    ]


def _syntax(syntax: Syntax, measures: Measures) -> list[str]:
    shares = {(one.site, one.method): one for one in syntax.shares}
    lines = []
    for method in ("gbl", BASELINE):
        each = [f"{site} {one.whole.show(percent=True)}" for site in PATHS if (one := shares.get((site, method)))]
        lines.append(f"- {method}: {', '.join(each) or NOT_RUN}")
    paired = [f"- {one.site}: {one.difference.show(percent=True)} ({one.neurons} neurons)" for one in syntax.paired if one.method == "gbl"]
    return [
        "## 5. Language neurons know syntax, visual neurons do not, contrary to what corpus search suggests\n",
        '*Claimed,* from examples: gbl\'s 5-grams for language neurons lead up to a word with function words ("under an" umbrella); those '
        "for visual neurons are content words. Corpus search hides the difference, because every 5-gram of a corpus has function words.\n",
        f"*Found:* the share of function words in the best 5-grams ({measures.corpus.ngrams:.0%} in the corpus's 5-grams, "
        f"{measures.corpus.vocabulary:.0%} of the vocabulary):\n",
        *lines,
        "",
        "gbl's share less corpus search's share for the same neuron:\n",
        *paired,
        "",
        "*How sure:* of visual neurons, very: the omission scores, which involve no search, say the same. Of language neurons the claim "
        "needs two words more: their optimal 5-grams have *fewer* function words than running text, and most at the last positions.\n",
        "*What would change our mind:* a model whose visual path reacts to function words when they are left out, and optimal 5-grams "
        "without them.\n",
    ]


def _verdicts(found: dict[str, Comparison], side: str) -> str:
    """The verdicts of both paths as a sentence."""
    each = dict.fromkeys(verdict(one, side) for one in found.values())
    if not each:
        return ""
    if len(each) == 1:
        return f"The claim's verdict is: {next(iter(each))}, on {' and '.join(found)}."
    return f"The claim's verdicts are: {', '.join(f'{verdict(one, side)} ({site})' for site, one in found.items())}."
