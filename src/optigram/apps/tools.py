"""Tools for agents over the Model Context Protocol: find, score, explain, concepts, verify and scan of one model, with bounded budgets."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optigram as og
from optigram.errors import InputError
from optigram.methods.registry import imports
from optigram.models.base import Model
from optigram.runs.find import GIVEN
from optigram.runs.records import Record
from optigram.targets.address import CUSTOM, Address
from optigram.targets.target import resolve

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

MOST_TARGETS, MOST_TEXTS, LONGEST_TEXT, LONGEST = 64, 200, 2000, 32  # targets and texts of a call; characters; free words of a search
MOST_SCANNED = 5000  # targets of a scan
FIND, CONCEPTS, VERIFY = 2000.0, 5000.0, 4000.0  # budgets of a call, unless the largest one is smaller


class Toolbox:
    """What an agent may do with `model`: its budgets are at most `budget` forward-equivalents, files are read in the folder `files` only.

    `judge` is whatever `optigram.verify` takes. Nothing runs code that an agent names, and nothing is written.
    """

    def __init__(self, model: Model, files: Path | None, judge: Any = None, budget: float = 20_000) -> None:
        self._model, self._judge, self._budget = model, judge, budget
        self._files = None if files is None else files.resolve()

    @property
    def tools(self) -> list[Callable[..., list[dict[str, Any]]]]:
        """The functions that are offered, each with its docstring."""
        return [self.find, self.score, self.explain, self.concepts, self.verify, self.scan]

    def server(self) -> "MCPServer":
        """A server of the `mcp` package with these tools; an error of the input is told to the agent in one line."""
        from mcp.server.mcpserver import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError

        def told(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            def call(*args: Any, **options: Any) -> Any:
                try:
                    return function(*args, **options)
                except InputError as error:  # of any other the agent is told nothing but that there was one
                    raise ToolError(str(error)) from error

            return call

        made = MCPServer(
            "optigram", instructions="What text makes a neuron fire? Targets are addresses such as mlp_act.5:137 or visual:pizza."
        )
        for function in self.tools:
            made.add_tool(told(function))
        return made

    def find(
        self,
        targets: list[str],
        by: str = "auto",
        length: int = 5,
        budget: float | None = None,
        n: int = 1,
        corpus: str | list[str] | None = None,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Find the texts that make neurons fire most: the text, its activation, the method and the cost, best first per target.

        targets: addresses such as "mlp_act.5:137", "-visual:pizza" (lowest) or "resid_post.8:3@max". by: methods separated by commas (auto,
        crp for the corpus alone, coordinate, gbl, ...). length: free words. budget: forward-equivalents per target and method (2000).
        n: texts per target. corpus: a file in the folder given at start, or a list of texts.
        """
        budget = self._bounded(budget, FIND)
        self._check(targets)
        if imports(by) or any(imports(one) for one in by.split(",")):
            raise InputError(f"expected names of optigram's own methods, got {by!r:.60}; use auto")
        if not 1 <= length <= LONGEST or not 1 <= n <= MOST_TARGETS:
            raise InputError(f"expected a length from 1 to {LONGEST} and n from 1 to {MOST_TARGETS}, got {length} and {n}")
        found = og.find(self._model, targets, by=by, length=length, budget=budget, n=n, corpus=self._corpus(corpus), seed=seed, quiet=True)
        return [_row(record) for record in found]

    def score(self, targets: list[str], texts: list[str]) -> list[dict[str, Any]]:
        """Score texts of your own: the exact activation of each for each target."""
        self._check(targets)
        return [_row(record) for record in og.score(self._model, targets, self._texts(texts), quiet=True)]

    def explain(self, target: str, text: str, n: int = 5) -> list[dict[str, Any]]:
        """Explain a text: what each word adds to the activation, and the n best words in its place."""
        self._check([target])
        self._texts([text])
        if not 1 <= n <= LONGEST:
            raise InputError(f"expected n from 1 to {LONGEST}, got {n}")
        return [asdict(one) for one in og.explain(self._model, target, text, n=n)]

    def concepts(
        self, target: str, budget: float | None = None, corpus: str | list[str] | None = None, seed: int = 0
    ) -> list[dict[str, Any]]:
        """Find the kinds of texts to which a neuron responds, each with its best texts and a pattern; contrasts; a description."""
        budget = self._bounded(budget, CONCEPTS)
        self._check([target], 1)
        (found,) = og.concepts(self._model, target, corpus=self._corpus(corpus), budget=budget, seed=seed, quiet=True)
        return [found.to_json() | {"description": og.describe(found)[0].text}]

    def verify(
        self, target: str, description: str, budget: float | None = None, corpus: str | list[str] | None = None, seed: int = 0
    ) -> list[dict[str, Any]]:
        """Test a description of a neuron: how well it predicts held-out texts, beside placebos, and texts that contradict it."""
        budget = self._bounded(budget, VERIFY)
        self._check([target], 1)
        found = og.verify(
            self._model, target, description, judge=self._judge, budget=budget, corpus=self._corpus(corpus), seed=seed, quiet=True
        )
        return [found.to_json()]

    def scan(self, targets: list[str], corpus: str | list[str], top: int = 10, context: int = 64) -> list[dict[str, Any]]:
        """Find the positions of a corpus where neurons fire most, with the text around them."""
        self._check(targets, MOST_SCANNED)
        if not 1 <= top <= LONGEST or not 2 <= context <= LONGEST_TEXT:
            raise InputError(f"expected top from 1 to {LONGEST} and context from 2 to {LONGEST_TEXT}, got {top} and {context}")
        found = og.scan(self._model, targets, self._corpus(corpus), top=top, context=context, quiet=True)
        names = "target", "rank", "activation", "text", "document", "position"
        return [{name: row[name] for name in names} for target in found for row in found.of(target)]

    def _bounded(self, budget: float | None, default: float) -> float:
        """A budget within that of the start."""
        found = min(default, self._budget) if budget is None else budget
        if not 0 < found <= self._budget:
            raise InputError(f"expected a budget of more than 0 and at most {self._budget:,.0f} forward-equivalents, got {found:g}")
        return found

    def _check(self, targets: Sequence[str], most: int = MOST_TARGETS) -> None:
        """Refuse too many targets, and those that name code, or files outside the folder."""
        for term in (term for target in targets for term in Address.parse(target).terms):
            if term.site == CUSTOM:
                raise InputError("these tools run no code that an address names; name a unit of a site")
            if term.file is not None:
                self._inside(Path(term.file), term.file)
        if not 1 <= (count := len(resolve(targets, self._model))) <= most:
            raise InputError(f"expected 1 to {most:,} targets, got {count:,}")

    def _corpus(self, corpus: str | list[str] | None) -> Any:
        if corpus is None:
            return None
        return self._texts(corpus) if isinstance(corpus, list) else self._allowed(corpus)

    def _texts(self, texts: list[str]) -> list[str]:
        if not 1 <= len(texts) <= MOST_TEXTS or any(len(text) > LONGEST_TEXT for text in texts):
            raise InputError(f"expected 1 to {MOST_TEXTS} texts of at most {LONGEST_TEXT:,} characters each, got {len(texts)}")
        return texts

    def _allowed(self, name: str) -> Path:
        """A file of the folder by its name in it. Raises InputError for any other."""
        return self._inside(Path(name) if self._files is None else self._files / name, name)

    def _inside(self, path: Path, name: str) -> Path:
        if self._files is None:
            raise InputError(f"no file may be read, got {name!r:.80}; start the tools with --files FOLDER, or give a list of texts")
        try:
            place = path.resolve()
            if place.is_relative_to(self._files) and place.exists():
                return place
        except (OSError, RuntimeError, ValueError):  # a name that no file can have, or a loop of links
            pass
        raise InputError(f"expected a file in the folder that the tools were started with, got {name!r:.80}")


def _row(record: Record) -> dict[str, Any]:
    """What an agent needs of a record; an activation that is not finite is null."""
    activation = record.activation if math.isfinite(record.activation) else None
    cost = {} if record.method == GIVEN.name else {"method": record.method, "forwards": record.total_forwards}
    return {"target": record.target, "text": record.text, "activation": activation, "survives": record.survives, **cost}
