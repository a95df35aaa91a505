"""Many descriptions: read from a CSV file, and results kept in a file of JSON lines, to which a later call adds."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optigram.errors import InputError
from optigram.explaining.evidence import Evidence
from optigram.explaining.verification import Verification
from optigram.files import parse_json

COLUMNS, MODEL = ("target", "description"), "model"  # which each row has, and the one that it may have


@dataclass(frozen=True)
class Labels:
    """Pairs of an address and a description."""

    pairs: list[tuple[str, str]]

    @classmethod
    def read(cls, path: Path, model: str | None = None) -> "Labels":
        """The rows of a CSV file with the columns target and description. Raises InputError.

        A column model may say of which model they are: a row that is not of `model` is refused.
        """
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = csv.DictReader(file, strict=True)
                lacking = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
                if lacking:
                    found = ", ".join(rows.fieldnames or ()) or "none"
                    raise InputError(f"expected the columns target and description in {path}, got {found}; write them in the first line")
                pairs = [cls._pair(row, path, rows.line_num, model) for row in rows]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"cannot read {path} ({error}); give a CSV file in UTF-8 with the columns target and description") from error
        if not pairs:
            raise InputError(f"{path} has no row; write a target and a description in each")
        return cls(pairs)

    @staticmethod
    def _pair(row: Mapping[str, str | None], path: Path, line: int, model: str | None) -> tuple[str, str]:
        target, description = ((row[name] or "").strip() for name in COLUMNS)
        if not target or not description:
            raise InputError(f"expected a target and a description in line {line} of {path}, got {target!r} and {description!r}")
        named = (row.get(MODEL) or "").strip()
        if named and model is not None and Evidence.called(named) != Evidence.called(model):
            raise InputError(f"expected descriptions of {model}, got one of {named} in line {line} of {path}; give a file of its own")
        return target, description

    @staticmethod
    def finished(
        out: Path | None, model: str | None = None, seed: int | None = None, asked: Mapping[str, Any] | None = None
    ) -> dict[tuple[str, str], Verification]:
        """What a file holds (of this model and seed), by target and description; a last line that was cut off is tested again.

        Raises InputError where a result was `asked` for otherwise: by another judge, on another corpus or with another budget.
        """
        if out is None or not out.is_file():
            return {}
        found: dict[tuple[str, str], Verification] = {}
        lines = out.read_text(encoding="utf-8").splitlines(keepends=True)
        for number, line in enumerate(lines):
            try:
                given = parse_json(line)
                one = Verification.of_json(given if isinstance(given, dict) else {})
            except ValueError as error:
                if number == len(lines) - 1 and not line.endswith("\n"):
                    break
                raise InputError(f"line {number + 1} of {out} is none that optigram verify wrote; name another file as --out") from error
            if model in (None, one.model) and seed in (None, one.seed):
                before = given.get("asked") if isinstance(given, dict) else None
                if asked is not None and isinstance(before, dict):
                    _check_same(before, asked, out)
                found[one.target, one.description] = one
        return found

    @staticmethod
    def append(out: Path, found: Verification, asked: Mapping[str, Any] | None = None) -> None:
        """Add a line to the file, in place of one that was cut off, with what was `asked` for. Raises InputError if that fails."""
        line = json.dumps(found.to_json() | ({} if asked is None else {"asked": dict(asked)}), ensure_ascii=False, allow_nan=False) + "\n"
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with out.open("ab+") as file:
                file.seek(0)
                whole = file.read()
                file.truncate(whole.rfind(b"\n") + 1)
                file.write(line.encode())
        except OSError as error:
            raise InputError(f"cannot write {out} ({error.strerror}); name another file as --out") from error


def _check_same(before: Mapping[str, Any], asked: Mapping[str, Any], out: Path) -> None:
    other = [f"{name}: {_shown(before.get(name))} -> {_shown(value)}" for name, value in asked.items() if before.get(name) != value]
    if other:
        raise InputError(f"{out} holds tests that were asked for otherwise ({'; '.join(other)}); name another file as --out")


def _shown(value: Any) -> str:
    return "the default" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
