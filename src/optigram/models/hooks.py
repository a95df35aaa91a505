"""Reading states of a torch module: hooks that are removed afterwards, and a forward that stops when all is read."""

import contextlib
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from optigram.errors import InputError
from optigram.shapes import Float, Shaped

Run = Callable[[], object]
EXPERT = re.compile(r"\bexperts\.\d+\b")


class Point(NamedTuple):
    """The input or output of a module, found by its path; `half` is the first (0) or second (1) half of its width.

    `whole`: there is one state per text, as of a pooler or a classifier; it is read at every position of the text. `turned`: positions
    come before texts, as in XLNet. `run` counts the runs of a module that a forward runs several times, as ALBERT does.
    """

    path: str
    side: Literal["in", "out"] = "out"
    half: Literal[0, 1] | None = None
    whole: bool = False
    turned: bool = False
    run: int = 0

    def __str__(self) -> str:
        """The point as it is written in addresses: `transformer.h.5.mlp.c_proj@in`."""
        return (
            self.path
            + (f"(run {self.run})" if self.run else "")
            + ("@in" if self.side == "in" else "")
            + ("" if self.half is None else f"[{self.half}/2]")
        )

    @staticmethod
    def survey(root: nn.Module, run: Run, shape: tuple[int, int]) -> "tuple[dict[Point, int], dict[Point, int]]":
        """The width of every point of `root` that has one state per position or text, in the order in which `run` reaches them.

        The second are those of modules that run more than once in a forward, whose paths alone would be ambiguous. Single experts, which
        read some of the positions, are left out.
        """
        widths: dict[Point, int] = {}
        runs: Counter[Point] = Counter()

        def note(point: Point, value: object) -> None:
            one = point._replace(run=runs[point])
            runs[point] += 1
            if (state := _per_position(value, shape)) is not None:
                widths[one] = state.shape[-1]
            elif (state := _per_position(value, shape, turned=True)) is not None:
                widths[one._replace(turned=True)] = state.shape[-1]
            elif point.side == "out" and (state := _per_text(value, shape)) is not None:
                widths[one._replace(whole=True)] = state.shape[-1]

        paths = [path for path, _ in root.named_modules() if path and not EXPERT.search(path)]
        with _watching(root, {Point(path, side) for path in paths for side in ("in", "out")}, note):
            run()
        once = {point: width for point, width in widths.items() if runs[Point(point.path, point.side)] == 1}
        return once, {point: width for point, width in widths.items() if point not in once}

    @staticmethod
    def read_all(root: nn.Module, points: "Mapping[str, Point]", run: Run, shape: tuple[int, int]) -> dict[str, Tensor]:
        """The states {name: [b s h]} at `points` of `root` while `run` calls the network with texts of `shape` (b, s).

        The network is stopped as soon as the last of them is known. States are copies, for what runs after a point may add to its tensor
        in place. No hook is left, whatever happens. Raises InputError for a point that the forward does not reach, or that has no state
        per position.
        """
        found: dict[Point, Tensor] = {}
        runs: Counter[Point] = Counter()
        wanted = {point._replace(half=None) for point in points.values()}

        def keep(point: Point, value: object) -> None:
            runs[point] += 1
            if runs[point] != point.run + 1:
                return
            state = _per_text(value, shape) if point.whole else _per_position(value, shape, point.turned)
            if state is None:
                raise InputError(f"{point} has no state per position; choose another module")
            found[point] = state
            if found.keys() == wanted:
                raise _AllRead
            found[point] = state.clone()

        with _watching(root, wanted, keep):
            try:
                run()
            except _AllRead:
                pass
            else:
                missing = ", ".join(sorted(str(point) for point in wanted - found.keys()))
                raise InputError(f"the forward does not reach {missing}; choose a module that it runs")
        return {name: _part(found[point._replace(half=None)], point) for name, point in points.items()}

    @staticmethod
    @contextlib.contextmanager
    def replaced(module: nn.Module, output: Float[Tensor, "b s d"]) -> Iterator[None]:
        """Within this, `module` gives `output` to this thread, whatever it is given."""
        thread = threading.get_ident()
        handle = module.register_forward_hook(lambda *_: output if threading.get_ident() == thread else None)
        try:
            yield
        finally:
            handle.remove()


class _AllRead(BaseException):
    """Raised within a forward to end it. It is no Exception, so no network catches it by mistake."""


@contextlib.contextmanager
def _watching(root: nn.Module, points: set[Point], observe: Callable[[Point, object], None]) -> Iterator[None]:
    """Within this, `observe` is called with the input or output of the modules of `points`, where this thread runs them."""
    thread = threading.get_ident()

    def seen(point: Point, value: object) -> None:
        if threading.get_ident() == thread:  # another thread may read the same network at the same time
            observe(point, value)

    def before(point: Point) -> Callable[..., None]:
        return lambda module, args, named: seen(point, args[0] if args else named)

    def after(point: Point) -> Callable[..., None]:
        return lambda module, args, output: seen(point, output)

    with contextlib.ExitStack() as stack:
        for point in points:
            module = root.get_submodule(point.path)
            if point.side == "in":
                handle = module.register_forward_pre_hook(before(point), with_kwargs=True)
            else:
                handle = module.register_forward_hook(after(point))
            stack.callback(handle.remove)
        yield


def _per_position(value: Any, shape: tuple[int, int], turned: bool = False) -> Shaped[Tensor, "b s h"] | None:
    """The first tensor in `value`, as [b s h], if it has a state per position: [b s ...], [b*s h] as in OPT, [s b ...] if `turned`."""
    found = _first_tensor(value)
    if found is None:
        return None
    if turned:
        return found.transpose(0, 1).flatten(2) if found.ndim >= 3 and tuple(found.shape[1::-1]) == shape else None
    if found.ndim == 2 and len(found) == shape[0] * shape[1]:
        return found.unflatten(0, shape)
    return found.flatten(2) if found.ndim >= 3 and tuple(found.shape[:2]) == shape else None


def _per_text(value: Any, shape: tuple[int, int]) -> Shaped[Tensor, "b s h"] | None:
    """The first tensor in `value`, if it has a state per text [b h], repeated at every position."""
    found = _first_tensor(value)
    return found[:, None].expand(-1, shape[1], -1) if found is not None and found.ndim == 2 and len(found) == shape[0] else None


def _first_tensor(value: Any) -> Tensor | None:
    """The first tensor in `value`, if it has floating numbers."""
    while not isinstance(value, Tensor):
        values = list(value.values()) if isinstance(value, Mapping) else value
        if not isinstance(values, list | tuple) or not values:
            return None
        value = values[0]
    return value if value.is_floating_point() else None


def _part(state: Tensor, point: Point) -> Tensor:
    """The half that is asked for, in at least single precision."""
    state = state if point.half is None else state.chunk(2, dim=-1)[point.half]
    return state.float() if state.dtype in (torch.float16, torch.bfloat16) else state
