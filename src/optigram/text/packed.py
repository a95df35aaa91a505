"""Files that may be compressed: their endings, how they are opened, and what a broken one raises."""

import bz2
import csv
import gzip
import io
import lzma
import zlib
from pathlib import Path
from typing import NamedTuple, cast

import pyarrow as pa

PACKED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz"}
BROKEN = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, csv.Error, pa.ArrowException, RuntimeError)
BOM = b"\xef\xbb\xbf"
LOOKED = 1 << 16  # bytes in which a file shows what it is
_OPENED = {"": Path.open, "gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}


class PackedFile(NamedTuple):
    """A file and its compression, "" for none."""

    path: str
    packed: str

    def open(self) -> io.BufferedIOBase:
        """Its bytes, decompressed."""
        return cast("io.BufferedIOBase", _OPENED[self.packed](Path(self.path), "rb"))

    def first(self) -> bytes:
        """Its first bytes, decompressed; none if they cannot be read, which is reported when the whole file is."""
        try:
            with self.open() as file:
                return file.read(LOOKED)
        except BROKEN:
            return b""
