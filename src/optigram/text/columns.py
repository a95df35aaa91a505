"""The columns of rows: which of them holds the texts, and what counts as a text in it."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from optigram.errors import InputError

TEXT_COLUMNS = ("caption", "text", "sentence")
IMAGE_COLUMNS = ("image_id", "image")


class TextColumn(NamedTuple):
    """The name of the column of texts, and those of other columns that could have been meant."""

    name: str
    others: tuple[str, ...] = ()

    @classmethod
    def among(cls, names: Iterable[object], column: str | None, where: str) -> "TextColumn":
        """`column`, or the first of `TEXT_COLUMNS` among the names. Raises InputError if it is not there, or there twice."""
        found = list(map(str, names))
        known = [name for name in (TEXT_COLUMNS if column is None else (column,)) if name in found]
        if not known:
            said = repr(column) if column is not None else f"{', '.join(TEXT_COLUMNS[:-1])} or {TEXT_COLUMNS[-1]}"
            raise InputError(f"{where} has no column {said}, it has {', '.join(found) or 'none'}; choose one with FILE::COLUMN or column=")
        if found.count(known[0]) > 1:
            raise InputError(f"{where} has {found.count(known[0])} columns {known[0]!r}; rename all but one")
        return cls(known[0], tuple(known[1:]))

    def remarks(self, where: str) -> list[str]:
        """That this column was chosen, where there was a choice."""
        if not self.others:
            return []
        names = ", ".join([self.name, *self.others])
        return [f"{where} has the columns {names}; {self.name} is read, choose another with FILE::COLUMN or column="]

    def pick(self, row: Mapping[Any, Any]) -> tuple[str, str | None]:
        """The text of a row, "" for a null, and the key of its image. Raises ValueError, which says what is wrong with the row."""
        if self.name not in row:
            raise ValueError(f"expected a column {self.name!r}, got {', '.join(map(str, row)) or 'none'}")
        value = row[self.name]
        if not isinstance(value, str | bytes | None):
            raise ValueError(f"expected text in column {self.name!r}, got {type(value).__name__}")
        key = next((row[name] for name in IMAGE_COLUMNS if name in row), None)
        return TextColumn.checked(value or ""), str(key) if isinstance(key, str | int) else None

    @staticmethod
    def checked(text: str | bytes) -> str:
        """The text. Raises ValueError for bytes that are not UTF-8, and for half of a surrogate pair, which JSON can spell."""
        try:
            if isinstance(text, bytes):
                return text.decode()
            if not text.isascii():
                text.encode()
        except UnicodeDecodeError as error:
            raise ValueError(f"expected UTF-8, got byte {error.object[error.start]:#04x} at {error.start}") from error
        except UnicodeEncodeError as error:
            raise ValueError(f"expected text, got half of a surrogate pair at character {error.start}") from error
        return text
