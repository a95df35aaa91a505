"""Descriptions: from an evidence a sentence, without a language model and by one that the user names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optigram.errors import InputError, one_line
from optigram.explaining.evidence import Concept, Contrast, Evidence
from optigram.explaining.language import DESCRIBE, LanguageJudge, LocalModel, RemoteModel
from optigram.explaining.texts import Words
from optigram.models.loading import load
from optigram.models.sampling import can_sample

TEMPLATE = "template"
NAMED, OPEN = 3, 40  # words of a slot that a sentence names; from how many words on a slot takes nearly anything
AGAIN, TYPICAL = 2, 5  # examples that a word is in, if it is named beside the slots; words that are named where no slot says anything
SHOWN, CONTRASTS = 8, 4  # texts of a concept, and contrasts, that a language model sees
WRITTEN = 48  # tokens of its answer
LONGEST = 300  # characters of a description


@dataclass(frozen=True)
class Description:
    """What a neuron responds to, in a sentence `by` "template" or a language model, and what of the `evidence` it was made from.

    `saw` are the lines that were read. `problem` says in a line why a language model gave none; `text` is then empty.
    """

    text: str
    by: str
    evidence: Evidence
    saw: tuple[str, ...]
    problem: str = ""


def describe(evidence: Evidence, writer: Any = None, prompts: str | Path | None = None) -> list[Description]:
    """Describe a neuron in a sentence, and in another by a language model where one is named.

    Args:
        evidence: what is known about the neuron; every description keeps it.
        writer: a causal language model: a name, a folder, a GGUF file, a loaded `Model`, or the address of an OpenAI-compatible server,
            such as "http://localhost:8080/v1#NAME" (a key is read from OPTIGRAM_API_KEY).
        prompts: a folder with a prompt of your own, `describe.txt`, with {evidence} where the evidence is to stand.

    Returns:
        The description by a template over the patterns and their most typical words; then that of the language model. Where that one
        cannot be reached, or answers nothing, its `problem` says so and the other is there all the same.

    Raises:
        InputError: for an evidence without a concept.
    """
    if not evidence.concepts:
        raise InputError(f"expected an evidence with at least one concept, got none of {evidence.target}; search with a larger budget")
    used = tuple(str(concept.pattern) for concept in evidence.concepts)
    found = [Description(_sentence(evidence), TEMPLATE, evidence, used)]
    return found if writer is None else [*found, _written(evidence, writer, None if prompts is None else Path(prompts))]


def _written(evidence: Evidence, writer: Any, prompts: Path | None) -> Description:
    lines = tuple(_lines(evidence))
    try:
        model = _writer(writer)
    except InputError as error:
        return Description("", str(writer), evidence, lines, str(error))
    try:
        answer = model.write(LanguageJudge.prompt(DESCRIBE, prompts, evidence="\n".join(lines)), WRITTEN)
    except InputError as error:
        return Description("", model.name, evidence, lines, str(error))
    text = _cleaned(answer)
    return Description(text, model.name, evidence, lines, "" if text else f"{model.name} gave no description, but {one_line(answer)!r:.80}")


def _writer(source: Any) -> LocalModel | RemoteModel:
    """The language model that a name, an address, or a loaded `Model` stands for. Raises InputError for one that cannot write."""
    if RemoteModel.is_address(source):
        return RemoteModel(source)
    model = load(source)
    if not can_sample(model):
        raise InputError(f"expected a causal language model, but {model.name} cannot write; give one, or the address of a server")
    return LocalModel(model)


def _cleaned(answer: str) -> str:
    """The first line of an answer that says something, without quotes and marks of a list; empty if there is none, or it is endless."""
    lines = (one_line(line).strip(" \"'`*-•“”") for line in answer.splitlines())
    text = next((line for line in lines if any(sign.isalpha() for sign in line)), "")
    words = text.lower().split()
    repeats = len(words) > 8 and len(set(words)) * 3 < len(words)
    return "" if repeats or len(text) > LONGEST else text


def _sentence(evidence: Evidence) -> str:
    """A sentence over the patterns of all concepts, the highest first, and over the words that switch the neuron off."""
    concepts = sorted(evidence.concepts, key=lambda concept: -concept.height)
    kinds = "; or ".join(map(_kind, concepts))
    lowered = [word.strip() for concept in concepts for word, _ in concept.pattern.without]
    off = list(dict.fromkeys([*lowered, *_switching(evidence.contrasts)]))[:NAMED]
    return kinds + (f"; but not with {_listed(off)}" if off else "")


def _kind(concept: Concept) -> str:
    """The slots of the pattern in words, then the words that come again in the examples.

    “giraffe” or “bear”, then “sticking” or “poking”, with “fence”. Slots that take nearly any word are left out; where all do, the most
    frequent words of the examples stand for them.
    """
    counts, pattern = _counted(concept), concept.pattern
    slots = [[word.strip() for word, _ in slot.words] for slot in pattern.slots if len(slot.words) <= OPEN]
    named = [sorted(words, key=lambda word: -counts.get(word.lower(), (0, 0.0))[0])[:NAMED] for words in slots]
    typical = sorted((word for word in counts if Words.content(word)), key=lambda word: counts[word], reverse=True)
    if not named:
        return _listed(typical[:TYPICAL]) or f"“{pattern.core.text}”"
    place = ", first in the text" * pattern.begins + ", at the end of the text" * pattern.ends
    again = [word for word in typical[:NAMED] if counts[word][0] >= AGAIN and not any(word in words for words in named)]
    return ", then ".join(map(_listed, named)) + place + (f", with {_listed(again)}" if again else "")


def _counted(concept: Concept) -> dict[str, tuple[int, float]]:
    """The words of the examples in lower case: in how many they are, and the sum of their activations."""
    found: dict[str, tuple[int, float]] = {}
    for one in concept.examples:
        for word in dict.fromkeys(one.text.lower().split()):
            count, total = found.get(word, (0, 0.0))
            found[word] = (count + 1, total + one.activation)
    return found


def _listed(words: Sequence[str]) -> str:
    quoted = [f"“{word}”" for word in dict.fromkeys(words)]
    return " or ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]]))


def _switching(contrasts: Sequence[Contrast]) -> list[str]:
    """Words that are in the silent text of a contrast and not in the one that fires, where nothing else differs."""
    found: dict[str, None] = {}
    for contrast in contrasts:
        high, low = sorted((contrast.text, contrast.other), key=lambda one: -one.activation)
        more, less = low.text.split(), high.text.split()
        added = [word for word in more if word not in less]
        if contrast.kind in ("off", "inhibits") and len(added) == 1 and [word for word in more if word != added[0]] == less:
            found[added[0]] = None
    return list(found)[:NAMED]


def _lines(evidence: Evidence) -> list[str]:
    """What a language model reads: of each concept its best texts and its pattern, then some contrasts."""
    found: list[str] = []
    for number, concept in enumerate(evidence.concepts, start=1):
        if len(evidence.concepts) > 1:
            found.append(f"kind {number}:")
        found += [f"{one.text} ({one.activation:.1f})" for one in _best(concept)]
        found.append(f"pattern: {concept.pattern}")
    for contrast in evidence.contrasts[:CONTRASTS]:
        high, low = sorted((contrast.text, contrast.other), key=lambda one: -one.activation)
        found.append(f"active: {high.text} ({high.activation:.1f}); not: {low.text} ({low.activation:.1f})")
    return found


def _best(concept: Concept) -> Sequence:
    return list({one.text: one for one in concept.examples}.values())[:SHOWN]
