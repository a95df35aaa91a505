"""What a run has measured so far, kept in a file, so that a run that was killed continues."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.results import commit

OPTION = "keep"  # the option of a case that names the file; it is no setting


@dataclass(frozen=True)
class Parts:
    """Values by key, a JSON object per line of a file; without a `path` nothing is kept. Values of another commit are left out."""

    path: Path | None
    known: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, option: str) -> "Parts":
        """Those in the file that an option names, if any."""
        path = Path(option) if option else None
        lines = path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else []
        return cls(path, {key: value for line in lines for key, value in json.loads(line).items()})

    def get(self, key: str, make: Callable[[], Any]) -> Any:
        """The value of a key: the one in the file, or the one that is made now."""
        key = f"{commit()} {key}"
        if key not in self.known:
            self.known[key] = make()
            if self.path is not None:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({key: self.known[key]}) + "\n")
        return self.known[key]
