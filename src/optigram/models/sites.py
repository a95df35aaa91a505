"""The sites of a network that is read by hooks: every module with one state per position, under all of its names."""

import re
from collections.abc import Iterator, Mapping

from torch import nn

from optigram.models.base import Model, Site
from optigram.models.hooks import Point
from optigram.models.point_names import Chains, canonical_points, lens_names

LOGITS = "logits"
SHOWN = 4  # names in a repr


class Sites(Mapping[str, Site]):
    """Point names (`mlp_act.5`) come first, then `logits`, scores (`classes`), then module paths (`transformer.h.5`, `transformer.h.5@in`).

    TransformerLens's names (`blocks.5.mlp.hook_post`) are found too, but not listed. `scores` are points with names of their
    units, `repeated` the widths at modules that run several times; `chains` tells whether states at some points are those at others.
    """

    widths: Mapping[Point, int]
    logits: Site | None
    scores: Mapping[str, tuple[Point, tuple[str, ...]]]
    canonical: dict[str, Point]

    def __init__(
        self,
        root: nn.Module,
        widths: Mapping[Point, int],
        logits: Site | None = None,
        scores: Mapping[str, tuple[Point, tuple[str, ...]]] | None = None,
        repeated: Mapping[Point, int] | None = None,
        chains: Chains = lambda out, into: True,
    ) -> None:
        self.widths, self.logits, self.scores = widths, logits, scores or {}
        self._all = {**widths, **(repeated or {})}
        self.canonical = canonical_points(root, self._all, chains)
        self._by_lens = {alias: name for name in self.canonical for alias in lens_names(name)}

    def point(self, name: str) -> Point:
        """Where a site is read; KeyError if there is no such site, or if it is a projection, which is not read."""
        name = self._by_lens.get(name, name)
        if name in self.canonical:
            return self.canonical[name]
        if name in self.scores:
            return self.scores[name][0]
        path = re.sub("@in$", "", name)
        side = "out" if path == name else "in"
        forms = (Point(path, side), Point(path, side, whole=True), Point(path, side, turned=True))
        found = next((point for point in forms if point in self.widths), None)
        if found is None:
            raise KeyError(name)
        return found

    def __getitem__(self, name: str) -> Site:
        if name == LOGITS and self.logits is not None:
            return self.logits
        point = self.point(name)
        names = self.scores[name][1] if name in self.scores else ()
        return Site(self._all[point._replace(half=None)] // (1 if point.half is None else 2), names)

    def __iter__(self) -> Iterator[str]:
        yield from self.canonical
        if self.logits is not None:
            yield LOGITS
        yield from self.scores
        yield from (name for point in self.widths if (name := str(point)) not in self.scores)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        names = [*self.canonical] or [str(point) for point in self.widths]
        more = ", ..." if len(names) > SHOWN else ""
        logits = "".join(f" and {name}" for name in ([] if self.logits is None else [LOGITS]) + [*self.scores])
        paths = f" and {len(self.widths)} module paths" if self.canonical else ""
        kind = "sites" if self.canonical else "module paths"
        return f"<{len(names)} {kind} ({', '.join(names[:SHOWN])}{more}){logits}{paths}>"


def aliases(model: Model, site: str) -> dict[str, str]:
    """The names of a site in other tools: `point`, `module`, `transformer_lens`; only those that exist.

    The point name is the one that stands for the place alone: where no norm follows, `mlp_out_post.5` is `mlp_out.5`.
    """
    if not isinstance(model.sites, Sites) or site == LOGITS:
        return {}
    point = model.sites.point(site)
    name = next((name for name, known in model.sites.canonical.items() if known == point), None)
    found = {} if name is None else {"point": name}
    if point.half is None and not point.run:
        found["module"] = str(point)
    if name is not None and lens_names(name):
        found["transformer_lens"] = lens_names(name)[0]
    return found
