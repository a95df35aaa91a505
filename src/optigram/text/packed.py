"""Files that may be compressed: their endings, how they are opened, and what a broken one raises."""

import bz2
import csv
import gzip
import io
import lzma
import zlib
from pathlib import Path
from typing import cast

import pyarrow as pa

PACKED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz"}
BROKEN = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, csv.Error, pa.ArrowException, RuntimeError)
BOM = b"\xef\xbb\xbf"
LOOKED = 1 << 16  # bytes in which a file shows what it is
_OPENED = {"": Path.open, "gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}


def opened(path: str | Path, packed: str) -> io.BufferedIOBase:
    """The bytes of a file, decompressed."""
    return cast("io.BufferedIOBase", _OPENED[packed](Path(path), "rb"))


def first_bytes(path: str | Path, packed: str) -> bytes:
    """The first bytes of a file, decompressed; none if they cannot be read, which is reported when the whole file is."""
    try:
        with opened(path, packed) as file:
            return file.read(LOOKED)
    except BROKEN:
        return b""


def brief(error: BaseException) -> str:
    """An error in a few words."""
    return " ".join(str(error).split())[:160] or type(error).__name__
