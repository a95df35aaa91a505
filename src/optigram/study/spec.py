"""The specification of a study: targets x methods x seeds at a budget, as a TOML file.

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
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from optigram.errors import InputError, nearest
from optigram.methods import chains
from optigram.runs.options import APART, MOST_SEED, MOST_TEXTS, ObjectiveOptions

Name = Annotated[str, Field(pattern=r"^[\w][\w .:/-]*$", max_length=80)]
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
Placebo = Literal["directions", "weights"]


class Arm(BaseModel):
    """Methods on targets at one budget. `placebo` replaces the study's model by one with random directions or random weights."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Name
    targets: Annotated[tuple[str, ...], Field(min_length=1)]  # addresses
    methods: Annotated[tuple[str, ...], Field(min_length=1)]
    budget: Annotated[float, Field(gt=0)] | None = None  # forward-equivalents per target; None: until the method ends by itself
    placebo: Placebo | None = None
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] | None = None  # None: the study's

    @field_validator("targets", mode="before")
    @classmethod
    def _addresses(cls, targets: Any) -> Any:
        if isinstance(targets, list | tuple) and not all(isinstance(one, str) for one in targets):
            raise ValueError(
                "addresses, which other processes can look up: save a vector or an autoencoder to a file (SITE:FILE.safetensors#NAME), "
                "name a function by its import path (custom:MODULE.FUNCTION#SITE), or use find"
            )
        return targets

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for name in methods:
            chains.Chain.parse(name)
        return methods


class Study(ObjectiveOptions):
    """A study. The options of the objective are those of `optigram find`."""

    name: Name = "study"
    model: str = "imaginet"
    corpus: str | None = None  # a file, or sampled:N; None: the default corpus of the model
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    top: Annotated[int, Field(ge=1, le=MOST_TEXTS)] = 1
    apart: Annotated[float, Field(ge=0, le=1)] = APART
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

    @classmethod
    def read(cls, path: Path) -> "Study":
        """The study in a TOML file. Raises InputError, in one line, for what is wrong with it."""
        try:
            found = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"cannot read the study {str(path)!r:.300} ({error.strerror}); give a TOML file") from error
        except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and what is nested too deep
            raise InputError(f"{path} is not TOML: {str(error)[:200]}") from error
        try:
            return cls(**found)
        except ValidationError as error:
            raise InputError(f"{path}: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    """The first error of a specification in one line; for an unknown key also the known ones."""
    mistake = error.errors()[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in mistake["loc"]).lstrip(".")
    if mistake["type"] == "extra_forbidden":
        key = str(mistake["loc"][-1])
        kind = Arm if mistake["loc"][0] == "arms" else Study
        known = sorted(kind.model_fields, key=ObjectiveOptions.model_fields.__contains__)
        return f"unknown key {where!r}{nearest(key, known)}; known are {', '.join(known)}"
    return f"{where}: {mistake['msg']}"
