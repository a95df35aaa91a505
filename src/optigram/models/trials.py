"""What trials of a model told: it takes long to find out, and is the same in the next process on the same machine."""

import contextlib
import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optigram.errors import InputError
from optigram.files import parse_json, written_whole

_OF_MODELS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
PLACE = " at 0x"  # in the repr of an object that says no more than where it lies


class Trials:
    """Answers by question, kept in memory, and in a `file` where there is one.

    The file is one of a model, and of a machine's way of computing (`optigram.runs.cache`). Any number of processes may share it:
    it is written whole, with all that it holds by then. Of two processes that write at once one may lose an answer, and tries again.
    """

    def __init__(self) -> None:
        self.file: Path | None = None
        self._told: dict[str, Any] = {}

    @classmethod
    def of(cls, model: object) -> "Trials":
        """Those of a model, as long as it is there."""
        try:
            return _OF_MODELS.setdefault(model, cls())
        except TypeError:  # it cannot be a key
            return cls()

    def keep_in(self, file: Path) -> None:
        """Know what this file holds, and write there what is found out from now on; what cannot be read or written is left."""
        self.file = file
        self._told = _read(file) | self._told

    def answer(self, question: str, try_it: Callable[[], Any], fits: Callable[[Any], bool]) -> Any:
        """The answer to a question, which JSON can hold: `try_it` finds it unless one is known that `fits`.

        The question must name all that the answer depends on beside the model and the machine, in the same words in every process.
        """
        if question not in self._told or not fits(self._told[question]):
            self._told[question] = try_it()
            if self.file is not None and PLACE not in question:
                with contextlib.suppress(OSError, InputError), written_whole(self.file) as path:  # a cache that may only be read
                    path.write_text(json.dumps(_read(self.file) | {question: self._told[question]}))
        return self._told[question]


def _read(file: Path) -> dict[str, Any]:
    """What a file holds; nothing where it cannot be read, or holds something else."""
    with contextlib.suppress(OSError, ValueError):
        found = parse_json(file.read_bytes())
        return found if isinstance(found, dict) else {}
    return {}
