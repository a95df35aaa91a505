"""Lines of a file as bytes, each with the byte at which it begins, so that any stretch of a file can be read by itself."""

import io
import re
from collections.abc import Iterator
from typing import NamedTuple

LONGEST = 1 << 20  # bytes or characters of a document; a longer line is cut into several
STEP = 1 << 16
ENDED = re.compile(rb"[^\r]*\r\n?|[^\r]+")  # one line of bytes that hold no line feed but at their end


class Line(NamedTuple):
    """A line, or a piece of a long one, with its line break."""

    offset: int
    data: bytes

    @classmethod
    def all_in(cls, file: io.BufferedIOBase, begin: int, end: int, longest: int | None = LONGEST) -> "Iterator[Line]":
        """The lines that begin at bytes [begin, end); those longer than `longest` in pieces, cut at spaces where possible.

        A line ends with a line feed, a carriage return, or both. Lines between two line feeds belong to where the first of them begins.
        """
        offset = _next_line(file, begin)
        while offset < end:
            rest = b""
            while data := rest + file.readline(-1 if longest is None else longest - len(rest)):
                ended = longest is None or data.endswith(b"\n") or len(data) < longest
                edge = len(data) if ended else _edge(data)
                yield from _split(offset, data[:edge])
                offset, rest = offset + edge, data[edge:]
                if ended:
                    break
            else:
                return


def _split(offset: int, data: bytes) -> Iterator[Line]:
    """The lines of bytes that hold no line feed but at their end."""
    if data.count(b"\r") == data.endswith((b"\r\n", b"\r")):
        yield Line(offset, data)
        return
    for found in ENDED.finditer(data):
        yield Line(offset + found.start(), found[0])


def _next_line(file: io.BufferedIOBase, begin: int) -> int:
    """Go to the first line that begins at `begin` or later, and after a line feed."""
    if begin == 0:
        return 0
    file.seek(begin - 1)
    while (data := file.readline(STEP)) and not data.endswith(b"\n"):
        pass
    return file.tell()


def _edge(data: bytes) -> int:
    """Where to cut: after the last carriage return, or else the last space, or else before a character that may not be complete."""
    edge = data.rfind(b"\r") + 1 or data.rfind(b" ") + 1
    if edge:
        return edge
    edge = len(data)
    while edge > len(data) - 4 and data[edge - 1] & 0xC0 == 0x80:
        edge -= 1
    return edge - 1 if data[edge - 1] & 0x80 else edge
