"""Matrix products whose rows have the same bits in any company.

A matrix library chooses by the shape of a product in which order it adds. Where the second matrix lies row by row in memory and a
sum has few terms (`TERMS`), it adds them in order, for any number of rows from a few up (with AVX-512 from 2; with AVX2 from 4 in one
thread, from 12 in two, which share the rows). So longer sums are added part by part, and fewer rows are filled up. From how many rows
the library at hand does so is tried once for every shape; where it never does, all products have one shape (`ROWS`). On another device
than a processor products are the library's own, and rows are rounded with the shape: filling all of them up would cost more than that.

Products with a transposed matrix read it as it lies where the rows are many, which is faster, and its transposed copy where they are few,
if a trial found the same bits both ways.
"""

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from optigram.models.base import in_blocks
from optigram.shapes import Float, unchecked

TERMS = 256  # of a sum at once: as fast as the library's own products of many rows, and faster for few
ROWS = 256  # of a product at once: its result stays in the cache
FEWEST = (4, 12, 32)  # rows that fewer are filled up to: the first number that a trial allows
FEWEST_TURNED = (16, 32)  # the same where the second matrix lies column by column
TRIED = (4, 5, 7, 9, 10, 11, 12, 13, 16, 17, 23, 29, 33, 37, 47, 48)  # rows of the products that are tried
WIDEST = 1 << 14  # columns of their second matrix at the most
LARGEST = 1 << 26  # numbers of a matrix that is kept a second time, transposed

_DERIVED: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows: Tensor, matrix: Tensor):
        ctx.save_for_backward(matrix)
        return rows_times(rows, matrix)

    @staticmethod
    def backward(ctx, *slopes: Tensor):
        (matrix,) = ctx.saved_tensors
        return times_transposed(slopes[0].contiguous(), matrix), None


def product(rows: Float[Tensor, "*n k"], matrix: Float[Tensor, "k w"]) -> Float[Tensor, "*n w"]:
    """`rows @ matrix`, with a gradient for the rows only. The `matrix` must not be changed in place while it is in use."""
    flat = rows.reshape(-1, rows.shape[-1])
    climbs = torch.is_grad_enabled() and rows.requires_grad
    found: Tensor = _Product.apply(flat, matrix) if climbs else rows_times(flat, matrix)  # pyright: ignore
    return found.view(*rows.shape[:-1], matrix.shape[1])


@unchecked
def transposed(matrix: Float[Tensor, "k w"]) -> Float[Tensor, "w k"]:
    """The transposed matrix, which lies row by row in memory if it is not too large."""
    return matrix.T if matrix.numel() > LARGEST else derived(matrix, "transposed", lambda matrix: matrix.T.contiguous())


@unchecked
def derived(matrix: Float[Tensor, "k w"], name: str, make: Callable[[Tensor], Tensor]) -> Tensor:
    """What `make` makes of a matrix: once for each state of the matrix, and kept as long as the matrix is."""
    if matrix not in _DERIVED:
        _DERIVED[matrix] = {}
    state, known = (matrix._version, matrix.data_ptr()), _DERIVED[matrix]
    if name not in known or known[name][0] != state:
        known[name] = (state, make(matrix.detach()))
    return known[name][1]


@unchecked
def rows_times(rows: Float[Tensor, "n k"], matrix: Float[Tensor, "k w"]) -> Float[Tensor, "n w"]:
    """`rows @ matrix`, without a gradient."""
    if rows.device.type != "cpu":
        return rows @ matrix
    turned = not matrix.is_contiguous()
    fewest = _fewest(*matrix.shape, turned, torch.get_num_threads()) if rows.dtype == torch.float32 else None
    if fewest is None:
        return in_blocks(lambda part: part @ matrix, rows, ROWS)
    terms = len(matrix) if turned else TERMS
    return _joined([_by_parts(part, matrix, fewest, terms) for part in rows.split(ROWS)])


@unchecked
def times_transposed(rows: Float[Tensor, "n k"], matrix: Float[Tensor, "w k"]) -> Float[Tensor, "n w"]:
    """`rows @ matrix.T`, without a gradient."""
    turned = transposed(matrix)
    known = rows.device.type == "cpu" and rows.dtype == torch.float32 and turned.is_contiguous()
    fewest = _fewest_either_way(*turned.shape, torch.get_num_threads()) if known else None
    if fewest is None:
        return rows_times(rows, turned)
    return _joined([_by_parts(part, turned if len(part) < FEWEST_TURNED[0] else matrix.T, fewest, TERMS) for part in rows.split(ROWS)])


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


@unchecked
def _by_parts(rows: Tensor, matrix: Tensor, fewest: int, terms: int) -> Tensor:
    """`rows @ matrix`, `terms` terms of each sum at a time."""
    count = len(rows)
    if count < fewest:
        return _by_parts(torch.cat([rows, rows[-1:].expand(fewest - count, -1)]), matrix, fewest, terms)[:count]
    if matrix.shape[0] <= terms:
        return rows @ matrix
    parts = zip(rows.unsafe_split(terms, 1), matrix.unsafe_split(terms), strict=True)  # nothing is written into the parts
    result = torch.mm(*next(parts))
    for part in parts:
        result.addmm_(*part)
    return result


@functools.lru_cache(maxsize=256)
def _fewest(terms: int, width: int, turned: bool, threads: int) -> int | None:
    """From how many rows on, up to `ROWS`, products were seen to have the same bits in each row, wherever it is; `threads` compute them."""
    generator = torch.Generator().manual_seed(0)
    few, width = (TRIED[-1], min(width, WIDEST))
    places, differ = torch.arange(ROWS) % few, [0]  # rows of the products that had other bits
    for size in {terms} if turned else {min(terms, TERMS), terms % TERMS or TERMS}:
        rows, matrix, sums = (torch.randn(shape, generator=generator) for shape in ((few, size), (size, width), (few, width)))
        matrix = matrix.T.contiguous().T if turned else matrix
        alone, added = rows @ matrix, sums.addmm(rows, matrix)
        for taken in (places, *map(torch.arange, TRIED)):
            part = rows[taken]
            if not (torch.equal(part @ matrix, alone[taken]) and torch.equal(sums[taken].addmm(part, matrix), added[taken])):
                differ.append(len(taken))
    return next((count for count in (FEWEST_TURNED if turned else FEWEST) if count > max(differ)), None)


@functools.lru_cache(maxsize=256)
def _fewest_either_way(terms: int, width: int, threads: int) -> int | None:
    """The same, if the bits are the same too where the second matrix lies column by column and the rows are as many as that needs."""
    fewest = _fewest(terms, width, False, threads)
    if fewest is None:
        return None
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(min(width, WIDEST), min(terms, TERMS + terms % TERMS), generator=generator)
    rows, turned = torch.randn(ROWS, matrix.shape[1], generator=generator), matrix.T.contiguous()
    whole = _by_parts(rows, turned, fewest, TERMS)
    tried = (*(count for count in TRIED if count >= FEWEST_TURNED[0]), ROWS)
    alike = all(torch.equal(_by_parts(rows[:count], matrix.T, fewest, TERMS), whole[:count]) for count in tried)
    return fewest if alike else None
