"""The result of testing a description, as it is shown, saved and read again; needs no torch."""

import dataclasses
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from optigram.errors import InputError, one_line
from optigram.explaining.evidence import Example

if TYPE_CHECKING:
    import pandas

FEWEST, RESAMPLES, CONFIDENCE = 4, 1000, 0.95  # scores in a sample, fewer of which give no area; of the bootstrap
FITS, FIRES = "fits and is silent", "does not fit and fires"


class Auc(NamedTuple):
    """An area under the ROC curve with its 95% bootstrap interval; NaN where there were too few texts."""

    value: float
    low: float
    high: float

    @staticmethod
    def area(positive: np.ndarray, negative: np.ndarray) -> float:
        """The area alone."""
        return math.nan if min(len(positive), len(negative)) < FEWEST else float(_area(positive, negative))

    @classmethod
    def of(cls, positive: np.ndarray, negative: np.ndarray, seed: int = 0) -> "Auc":
        """The area for two samples of scores, ties counting half."""
        value = cls.area(positive, negative)
        if math.isnan(value) or np.ptp(np.concatenate([positive, negative])) == 0:
            return cls(value, value, value)
        from scipy import stats  # it takes a second to import, for which no search should wait

        rng, both = np.random.default_rng(seed), (positive, negative)
        found = stats.bootstrap(both, _area, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile", rng=rng)
        return cls(value, float(found.confidence_interval.low), float(found.confidence_interval.high))

    def __str__(self) -> str:
        return "-" if math.isnan(self.value) else f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Prediction:
    """How well one judge, who reads the description, predicts held-out corpus texts, as areas under the ROC curve (0.5: not at all).

    `detection`: `firing` texts that fire against `silent` ones that do not. `fuzzing`: texts whose word that adds most is marked
    against the same texts with another word marked. `shuffled`: the mean detection by other descriptions; `directions`: the mean
    detection by this description of the texts of random directions at the same site; `examples`: detection by corpus examples in
    place of a description. NaN where there were too few texts.
    """

    judge: str
    detection: Auc
    fuzzing: Auc
    shuffled: float
    directions: float
    examples: float
    firing: int
    silent: int

    @property
    def gain(self) -> float:
        """Detection above the better of its two placebos: what the description is worth."""
        placebos = [value for value in (self.shuffled, self.directions) if math.isfinite(value)]
        return self.detection.value - max(placebos, default=0.5)

    @property
    def supports(self) -> bool:
        """Whether detection is better than chance: its interval is above 0.5."""
        return self.detection.low > 0.5


@dataclass(frozen=True)
class Counterexample:
    """A text that contradicts the description. `kind`: "does not fit and fires" or "fits and is silent".

    `fits` is what each judge says of it, from 0 to 1. `source` is where it was found: "search", "corpus", "pattern" or "edit".
    """

    kind: str
    text: str
    activation: float
    fits: Sequence[float]
    source: str


@dataclass(frozen=True)
class Verification:
    """A description of a target, tested. `show()` prints it, `to_json()` gives what `of_json` reads.

    The target is read at its highest position where its address names none. `maximum` is the highest activation known, `best` its
    text; a text `fires` at or above the one level and is `silent` at or below the other. `predictions` has one entry per judge.
    `paraphrases` and `members` (of the patterns of an evidence) are [how many fire, how many were tried]. `fitting` is the share of
    the highest texts of search and corpus that the judges accept, `undecided` of those to which they say neither yes nor no, and
    `fitting_shuffled` what is accepted for other descriptions. A text on which a judge is undecided is no counterexample.
    """

    model: str
    target: str
    description: str
    best: Example
    fires: float
    silent: float
    predictions: Sequence[Prediction]
    counterexamples: Sequence[Counterexample]
    paraphrases: tuple[int, int]
    members: tuple[int, int]
    fitting: float
    fitting_shuffled: float
    corpus: str
    seed: int
    forwards: float
    seconds: float
    undecided: float = 0.0

    @property
    def maximum(self) -> float:
        """The highest activation known."""
        return self.best.activation

    @property
    def gain(self) -> float:
        """The mean over judges of detection above placebo."""
        known = [one.gain for one in self.predictions if math.isfinite(one.gain)]
        return sum(known) / len(known) if known else math.nan

    @property
    def agreement(self) -> str:
        """Whether two judges come to the same verdict: "agree" or "disagree"; empty with one judge."""
        if len(self.predictions) < 2:
            return ""
        return "agree" if len({one.supports for one in self.predictions}) == 1 else "disagree"

    def rows(self) -> list[tuple[str, str]]:
        """What was found, as pairs of a name and a value: the lines of the table."""
        found = [("best text", f"{self.best.text} ({self.best.activation:.2f})")]
        for one in self.predictions:
            found += [
                ("judge", one.judge),
                ("detection", f"{one.detection} on {one.firing} texts that fire and {one.silent} that do not"),
                ("  above placebo", f"{one.gain:+.2f} (shuffled {_number(one.shuffled)}, random directions {_number(one.directions)})"),
                ("  corpus examples alone", _number(one.examples)),
                ("fuzzing", str(one.fuzzing)),
            ]
        found += [("judges", self.agreement)] if self.agreement else []
        found.append(
            ("highest texts that fit", f"{self.fitting:.0%}, undecided {self.undecided:.0%} (shuffled {self.fitting_shuffled:.0%})")
        )
        found += [
            (f"{name} that fire", f"{fire} of {tried}")
            for name, (fire, tried) in (("paraphrases", self.paraphrases), ("pattern members", self.members))
            if tried
        ]
        for one in self.counterexamples:
            found.append((one.kind, f"{one.text} ({one.activation:.2f}, {one.source})"))
        return found if self.counterexamples else [*found, ("counterexamples", "none found")]

    def show(self, console: Console | None = None) -> None:
        """Print the table on a `rich` console, by default standard output."""
        title = Text(f"{self.target}: {one_line(self.description)}")
        table = Table(box=None, pad_edge=False, show_header=False, title=title, title_justify="left")
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in self.rows():
            table.add_row(Text(name), Text(one_line(value)))
        (console or Console()).print(table)

    def to_pandas(self) -> "pandas.DataFrame":
        """One row per counterexample: target, description, kind, text, activation, source; one without a text where there is none."""
        import pandas

        known = {"target": self.target, "description": self.description, "gain": self.gain, "maximum": self.maximum}
        empty = {"kind": None, "text": None, "activation": math.nan, "source": None}
        rows = [{name: getattr(one, name) for name in empty} for one in self.counterexamples] or [empty]
        return pandas.DataFrame([known | row for row in rows])

    def to_json(self) -> dict[str, Any]:
        """All fields, and `gain` and `agreement`, as JSON has them; what is not finite is null."""
        found = _plain(dataclasses.asdict(self) | {"gain": self.gain, "agreement": self.agreement})
        for given, one in zip(found["predictions"], self.predictions, strict=True):
            given["gain"] = _plain(one.gain)
        return found

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> "Verification":
        """What `to_json` wrote. Raises InputError for anything else."""
        try:
            own = {name.name: given[name.name] for name in dataclasses.fields(cls) if name.name != "undecided"}
            own["undecided"] = given.get("undecided", 0.0)  # which older lines do not have
            own["best"] = Example(**own["best"])
            own["predictions"] = tuple(_prediction(one) for one in own["predictions"])
            own["counterexamples"] = tuple(Counterexample(**one) for one in own["counterexamples"])
            own["paraphrases"], own["members"] = tuple(own["paraphrases"]), tuple(own["members"])
            own["fitting"], own["fitting_shuffled"] = _float(own["fitting"]), _float(own["fitting_shuffled"])
            return cls(**own)
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"expected a line that optigram verify wrote, got one without {error}; name another file as --out") from error

    def __repr__(self) -> str:
        return f"Verification of {self.target}: {self.description!r}\n" + "\n".join(f"  {name}: {one_line(v)}" for name, v in self.rows())

    def _repr_html_(self) -> str:
        title = f"<p><b>{html.escape(one_line(self.target))}</b> <bdi>{html.escape(one_line(self.description))}</bdi></p>"
        left = ' style="text-align:left"'
        cells = ((html.escape(name), html.escape(one_line(value))) for name, value in self.rows())
        return title + "<table>" + "".join(f"<tr><td{left}>{name}</td><td{left}><bdi>{v}</bdi></td></tr>" for name, v in cells) + "</table>"


def _area(positive: np.ndarray, negative: np.ndarray, axis: int = -1) -> np.ndarray | np.floating:
    """The share of pairs in which a positive is above a negative. Vectorised over all axes but the last, which `axis` is."""
    above = positive[..., :, None] - negative[..., None, :]
    return ((above > 0) + 0.5 * (above == 0)).mean((-1, -2))


def _prediction(given: Mapping[str, Any]) -> Prediction:
    own: dict[str, Any] = {field.name: given[field.name] for field in dataclasses.fields(Prediction)}
    for name in ("detection", "fuzzing"):
        own[name] = Auc(*map(_float, own[name]))
    for name in ("shuffled", "directions", "examples"):
        own[name] = _float(own[name])
    return Prediction(**own)


def _float(value: float | None) -> float:
    return math.nan if value is None else value


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
