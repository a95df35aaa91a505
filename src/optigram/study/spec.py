"""What a study is: targets x methods x seeds at a budget, as a TOML file says it.

name = "what umbrellas like"
model = "imaginet"
length = 5
seeds = [0, 1]

[[arms]]
name = "modern"
targets = ["language:umbrella", "visual:0-9"]
methods = ["crp", "gbl", "gbl:faithful"]
budget = 5000
"""

import tomllib
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from optigram.errors import InputError, nearest
from optigram.methods import chains

BRIEF = 60  # characters of a setting shown where it has changed

Name = Annotated[str, Field(pattern=r"^[\w][\w .:/-]*$", max_length=80)]
Placebo = Literal["directions", "weights"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Arm(_Strict):
    """Methods on targets at one budget. `placebo` puts a model in the place of the study's that no neuron of it should like."""

    name: Name
    targets: Annotated[tuple[str, ...], Field(min_length=1)]  # addresses
    methods: Annotated[tuple[str, ...], Field(min_length=1)]
    budget: Annotated[float, Field(gt=0)] | None = None  # forward-equivalents a target; None: until a method ends by itself
    placebo: Placebo | None = None

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for name in methods:
            chains.parse(name)
        return methods


class Study(_Strict):
    """A whole study; see the module's head for its file."""

    name: Name = "study"
    model: str = "imaginet"
    corpus: str | None = None  # a file, or sampled:N; None: the bundled model's own sentences
    length: Annotated[int, Field(ge=1)] = 5
    template: str | None = None
    chat: bool = False  # from here to dtype: as the options of `optigram find`
    special: bool = False
    without: tuple[str, ...] = ()
    matching: str | None = None
    words: Literal["any", "whole"] = "any"
    seen_in: str | None = None
    must_survive: bool = False
    fluency: Annotated[float, Field(ge=0)] = 0.0
    surprisal: str | None = None
    fluency_model: str | None = None
    repetition: Annotated[float, Field(ge=0)] = 0.0
    second_opinion: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0,)
    top: Annotated[int, Field(ge=1)] = 1
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]

    @field_validator("arms")
    @classmethod
    def _once(cls, arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
        names = [arm.name for arm in arms]
        if len(set(names)) < len(names):
            raise InputError(f"expected arms of different names, got {', '.join(names)}")
        return arms

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and values, as JSON keeps them."""
        return self.model_dump(mode="json")


def read(path: Path) -> Study:
    """The study that a TOML file describes; an InputError of one line says what is wrong with it."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the study {str(path)!r} ({error.strerror}); give a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error
    try:
        return Study(**found)
    except ValidationError as error:
        raise InputError(f"{path}: {_first(error)}") from error


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """What changed between two nested settings, as "arms[0].budget: 2500 -> 5000"; what only one of them has is None in the other."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        return [line for key in keys for line in differences(old.get(key), new.get(key), f"{where}.{key}".lstrip("."))]
    if isinstance(old, list) and isinstance(new, list):
        return [line for i, pair in enumerate(zip_longest(old, new)) for line in differences(*pair, f"{where}[{i}]")]
    return [] if old == new else [f"{where}: {_brief(old)} -> {_brief(new)}"]


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= BRIEF else f"{text[:BRIEF]}..."


def _first(error: ValidationError) -> str:
    """The first of a specification's mistakes in one line; for an unknown key with the known ones."""
    mistake = error.errors()[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in mistake["loc"]).lstrip(".")
    if mistake["type"] == "extra_forbidden":
        key = str(mistake["loc"][-1])
        known = list((Arm if mistake["loc"][0] == "arms" else Study).model_fields)
        return f"unknown key {where!r}{nearest(key, known)}; known are {', '.join(known)}"
    return f"{where}: {mistake['msg']}"
