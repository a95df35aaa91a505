"""Import paths: what a user names, such as `package.module:factory`, is imported; what a folder names is not, unasked."""

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from optigram.errors import InputError

IMPORT_PATH = re.compile(r"(?=.{3,200}$)[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")  # of a model, no longer than a file may be named
FUNCTION = re.compile(r"(?<![\w.])custom:\s*(?!memory:)")  # in the address of a target; one in memory is not imported


def is_import_path(name: str) -> bool:
    """Whether the name of a model is the import path of an object or of a function that returns one."""
    return IMPORT_PATH.fullmatch(name) is not None and not Path(name).exists()


@contextlib.contextmanager
def working_directory_first() -> Iterator[None]:
    """Within this, imports search the working directory first, as with `python -m`; a console script does not have it on its path."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the imported code may have removed it
            sys.path.remove(here)


def refuse_imports(folder: Path, models: Iterable[str | None], targets: Iterable[str], methods: Iterable[str] = ()) -> None:
    """Raise InputError if a folder, which may come from somebody else, names code by an import path.

    `models` and `targets` are names and addresses as the folder has them; `methods` are those of its method names that are import paths.
    """
    found = [name for name in models if name is not None and is_import_path(name)]
    found += [target for target in targets if FUNCTION.search(target)] + list(methods)
    if found:
        raise InputError(
            f"{folder} names the import path {found[0]!r}, whose code would run here; if you trust it, give --allow-imports "
            "(allow_imports=True in Python)"
        )
