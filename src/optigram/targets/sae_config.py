"""The configuration of an autoencoder, whatever it holds: each entry is of the type that is asked for, or an InputError."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from optigram.errors import InputError

MOST = 20  # names in a message


@dataclass(frozen=True)
class SaeConfig:
    """Entries of a configuration file or object, read with their types. `source` is named in errors. null stands for no entry."""

    entries: Mapping[str, Any]
    source: str

    def value(self, name: str) -> Any:
        """An entry of any type, None if there is none."""
        return self.entries.get(name)

    def text(self, name: str) -> str | None:
        """An entry that is a text, of letters that print."""
        found = self.value(name)
        if not isinstance(found, str | None) or (found and not found.isprintable()):
            raise self._wrong(name, "a text")
        return found or None

    def flag(self, name: str, default: bool) -> bool:
        """An entry that is true or false."""
        found = self.value(name)
        if not isinstance(found, bool | None):
            raise self._wrong(name, "true or false")
        return default if found is None else found

    def count(self, name: str) -> int | None:
        """An entry that is a whole number from 1, as a number or a tensor of one number."""
        found = self.value(name)
        if isinstance(found, Tensor) and found.numel() == 1 and not found.is_complex() and not found.is_meta:
            found = found.item()
        if found is None:
            return None
        if isinstance(found, bool | str) or not isinstance(found, int | float) or found != found or not 1 <= found < 1 << 62:
            raise self._wrong(name, "a whole number from 1")
        if found != int(found):
            raise self._wrong(name, "a whole number from 1")
        return int(found)

    def inner(self, name: str) -> "SaeConfig":
        """An entry that holds further entries; empty if there is none."""
        found = self.value(name)
        if found is not None and not isinstance(found, Mapping):
            written = getattr(found, "to_dict", None)
            found = written() if written is not None else None
            if not isinstance(found, Mapping):
                raise self._wrong(name, "an object")
        return SaeConfig(found or {}, self.source)

    def _wrong(self, name: str, expected: str) -> InputError:
        found = " ".join(ascii(self.value(name))[:60].split())
        return InputError(f"{self.source}: expected {name} in its configuration to be {expected}, got {found}")

    @staticmethod
    def shown(names: Iterable[str]) -> str:
        """The names of tensors, of which a file may hold many and long ones."""
        found = [name[:60] for name in names]
        return ", ".join(found[:MOST]) + f" and {len(found) - MOST} more" * (len(found) > MOST) or "none"
