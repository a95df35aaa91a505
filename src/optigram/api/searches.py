"""Searches: the best texts of targets, and the kinds of texts to which they respond."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from torch import Tensor

from optigram.engine.imports import is_import_path
from optigram.engine.progress import Show, progress, shown, tell
from optigram.errors import InputError, Interrupted
from optigram.explaining.concepts import concepts as found_concepts
from optigram.explaining.evidence import Evidence
from optigram.models.base import Model
from optigram.models.loading import load
from optigram.optimize.checkpoint import Checkpoints
from optigram.report.evidences import Evidences
from optigram.report.results import Results
from optigram.runs.cache import Cache
from optigram.runs.folder import RunFolder
from optigram.runs.objective import make_objective
from optigram.runs.options import ConceptOptions, FindOptions, ObjectiveOptions
from optigram.runs.plan import corpus_search
from optigram.runs.run import Prepared

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
        out: a new folder to save the results in. A search that was killed goes on there when it is started again: a gradient
            method from its last checkpoint (one a minute), another method from the last batch of targets that was done.
            Targets that are functions begin anew, and so do several texts that must differ (`n` with `apart`).
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
            checkpoints = Checkpoints(folder)
            if checkpoints.left:
                remark(f"{folder} has checkpoints of a run that was killed: the same searches go on from them")
            found = prepared.run(_watcher(show, len(prepared.objective.targets)), remark, checkpoints)
        named = {"model": str(model)} if isinstance(model, str | Path) and is_import_path(str(model)) else {}  # what opens it again
        results = Results([record for one in found for record in one.records], (), prepared.settings | named, prepared.about)
        if folder is not None:
            results.save(folder)
            checkpoints.remove()
    if any(one.interrupted for one in found):
        raise Interrupted(results)
    return results


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
