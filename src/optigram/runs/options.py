"""The options of a search, each declared once.

Python, the command line, studies and the command that repeats a record all read them from here. The module needs no torch.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from optigram.errors import InputError, nearest

MOST_WORDS, MOST_TEXTS, MOST_SEED, MOST_PRICE = 10_000, 100_000, 2**63 - 1, 1e30  # more is a mistake, or does not fit into the records
MOST_LENGTHS = 50  # of a range: each is a search
LENGTH = 5  # free words, where neither the length nor the template says how many
PLAIN = {"greater than or equal to": "at least", "less than or equal to": "at most", "greater than": "more than", "less than": "under"}
CONCEPT_BUDGET = 6000.0  # forward-equivalents of the searches for concepts
APART = 0.6  # largest share of words that two texts of a target have in common


def _option(default: Any, description: str, panel: str, flag: str | None = None, shown: str | None = None, **bounds: Any) -> Any:
    """A field with what help needs: `panel` groups options, `flag` is its name on the command line, `shown` its default in words."""
    return Field(default, description=description, json_schema_extra={"panel": panel, "flag": flag, "shown": shown}, **bounds)


def _methods(value: Any) -> Any:
    """Names, or objects that propose texts; one string may hold several names, separated by commas."""
    listed = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    if wrong := [one for one in listed if not (isinstance(one, str) or hasattr(one, "propose"))]:
        raise ValueError(f"method names or Method objects, not {wrong[0]!r}")
    return tuple(one.strip() if isinstance(one, str) else one for one in listed)


def _words(value: Any) -> Any:
    return (value,) if isinstance(value, str) else () if value is None else value


def _lengths(value: Any) -> Any:
    """A number of words, or a range such as "3-12", which (3, 12) is too; a range of one length is that number."""
    if value is None:
        return None
    least, dash, most = value.partition("-") if isinstance(value, str) else (value, "", value)
    pair = [*value] if isinstance(value, list | tuple) else [least, most if dash else least]
    try:
        first, last = (int(one) if isinstance(one, str) else one for one in pair)
    except ValueError:
        raise ValueError("a whole number of words, or a range such as 3-12") from None
    if any(isinstance(one, bool) or not isinstance(one, int) for one in (first, last)):
        raise ValueError("a whole number of words, or a range such as 3-12")
    if min(first, last) < 1:
        raise ValueError("at least 1")
    if max(first, last) > MOST_WORDS:
        raise ValueError(f"at most {MOST_WORDS}")
    if last < first:
        raise ValueError(f"a range from short to long, such as {last}-{first}")
    if last - first >= MOST_LENGTHS:
        raise ValueError(f"a range of at most {MOST_LENGTHS} lengths")
    return first if first == last else f"{first}-{last}"


Names = Annotated[tuple[Any, ...], BeforeValidator(_methods)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Lengths = Annotated[str | int | tuple[int, int] | None, BeforeValidator(_lengths)]
Dtype = Literal["float32", "bfloat16", "float16"]

Options = TypeVar("Options", bound="ObjectiveOptions")


class ObjectiveOptions(BaseModel):
    """What is asked of a text: its length, what stands around it, which words it may have, and how fluent it must be."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)

    length: int | None = _option(None, "number of free words", "Text", shown="as the template says, or 5", ge=1, le=MOST_WORDS)
    template: str | None = _option(None, 'fixed words around the free ones: "a woman under an {}", "{3} and {2}"', "Text")
    chat: bool = _option(False, "put the template into the model's chat template, as the user's message", "Text")
    words: Literal["any", "whole"] = _option("any", "tokens to propose; whole leaves out pieces of words, numbers and punctuation", "Text")
    without: Words = _option((), "a word that may not be proposed; repeatable", "Text")
    matching: str | None = _option(None, "propose only tokens that match this regular expression", "Text")
    seen_in: Any = _option(None, "propose only words that occur in this corpus", "Text")
    special: bool = _option(False, "allow special tokens such as <unk>", "Text")
    must_survive: bool = _option(False, "keep only texts whose tokens survive re-tokenization", "Text")
    fluency: float = _option(0.0, "price per nat of surprisal per token, in units of activation", "Fluency", ge=0, le=MOST_PRICE)
    surprisal: str | None = _option(None, "keep only texts in this band of nats per token, such as 2-6", "Fluency")
    fluency_model: Any = _option(None, "the language model that measures surprisal", "Fluency", shown="the model itself")
    repetition: float = _option(
        0.0, "price of a repeated word, in units of activation; grows as (count - 1)^1.5", "Fluency", ge=0, le=MOST_PRICE
    )
    second_opinion: Any = _option(None, "another language model that reports its surprisal of the final texts", "Fluency")
    dtype: Dtype = _option("float32", "dtype of the search; final re-scoring is in float32", "Compute")

    @classmethod
    def checked(cls: type[Options], values: Mapping[str, Any], named: Callable[[str], str] = str) -> Options:
        """The options with these values; `named` gives the name of an option in an error message.

        Raises InputError: one line that says what was expected.
        """
        for name in values.keys() - cls.model_fields.keys():
            known = list(cls.model_fields)
            raise InputError(f"unknown option {name!r}{nearest(name, known)}; expected one of {', '.join(known)}")
        try:
            return cls(**values)
        except ValidationError as error:
            mistake = error.errors()[0]
            name = str(mistake["loc"][0])
            described = cls.model_fields[name].description
            expected = mistake["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            for pydantic, plain in PLAIN.items():
                expected = expected.replace(pydantic, plain)
            raise InputError(f"{named(name)}: expected {expected}, got {_brief(mistake['input'])} ({described})") from error

    def recorded(self) -> dict[str, Any]:
        """Options as JSON keeps them; an object in memory becomes {"in_memory": its name}."""
        return {name: _plain(getattr(self, name)) for name in type(self).model_fields}


class FindOptions(ObjectiveOptions):
    """All options of `find`: those of the objective, and how to search."""

    length: Lengths = _option(  # pyright: ignore[reportIncompatibleVariableOverride] - frozen: what reads one length reads no range
        None, "number of free words, or a range such as 3-12: texts grow from short to long", "Text", shown="as the template says, or 5"
    )
    contexts: Words = _option((), "a template, or a file of one per line, that the text must serve too; repeatable", "Text")
    over: Literal["mean", "min"] = _option("mean", "what is maximised of the activations in several contexts", "Text")
    by: Names = _option(("auto",), "search methods, separated by commas: auto, crp, gbl, gbl:faithful, crp+coordinate, ...", "Search")
    budget: float | None = _option(
        None,
        "forward-equivalents per target, for each method but crp",
        "Search",
        shown="5000; none for methods that end by themselves",
        gt=0,
    )
    corpus: Any = _option(None, "corpus for crp and auto: a file, glob, hf:NAME or sampled:N", "Search", shown="see the guide")
    n: int = _option(1, "number of texts per target and method", "Search", flag="--top", ge=1, le=MOST_TEXTS)
    apart: float = _option(APART, "largest share of words that two of them may have in common (1: no bound)", "Search", ge=0, le=1)
    front: bool = _option(False, "return the Pareto front of activation and surprisal", "Search")
    start: Any = _option(None, "folder of a scan: start also from its highest places", "Search")
    seed: int = _option(0, "seed of all random numbers", "Search", ge=0, le=MOST_SEED)
    device: str | None = _option(None, "device of a model opened by name", "Compute", shown="cuda where there is one, else cpu")
    no_cache: bool = _option(False, "score the corpus and try batch sizes anew; by default both are kept for the next neuron", "Compute")

    @property
    def lengths(self) -> range | None:
        """The lengths of a range, short to long; None where one length is asked for, or none."""
        if not isinstance(self.length, str):
            return None
        first, last = map(int, self.length.split("-"))
        return range(first, last + 1)


class ConceptOptions(ObjectiveOptions):
    """All options of `concepts`: those of the objective, and where texts come from."""

    budget: float = _option(CONCEPT_BUDGET, "forward-equivalents of the searches for optima, per target", "Search", gt=0)
    corpus: Any = _option(None, "corpus whose highest n-grams are explained too", "Search", shown="see the guide")
    poles: Literal["max", "min", "both"] = _option("max", "explain what raises the target, what lowers it, or both", "Search")
    seed: int = _option(0, "seed of all random numbers", "Search", ge=0, le=MOST_SEED)
    device: str | None = _option(None, "device of a model opened by name", "Compute", shown="cuda where there is one, else cpu")
    no_cache: bool = _option(False, "score the corpus and try batch sizes anew; by default both are kept for the next neuron", "Compute")

    def as_find(self) -> FindOptions:
        """The options of a search in the same corpus with the same objective."""
        return FindOptions(**{name: getattr(self, name) for name in FindOptions.model_fields if name in type(self).model_fields})


def flag_of(name: str, options: type[ObjectiveOptions] = FindOptions) -> str:
    """The name of an option on the command line, by default of one of `find`."""
    extra: Any = options.model_fields[name].json_schema_extra
    return extra["flag"] or f"--{name.replace('_', '-')}"


def _brief(value: Any, most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}..."


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else {"in_memory": str(getattr(value, "name", type(value).__name__))}
