"""The sites of a network that is read by hooks: every module with one state per position, under all of its names."""

import re
from collections.abc import Iterator, Mapping

from torch import nn

from optigram.models.base import Model, Site
from optigram.models.hooks import Point
from optigram.models.point_names import canonical_points, lens_names

LOGITS = "logits"
SHOWN = 4  # names in a repr


class Sites(Mapping[str, Site]):
    """Point names (`mlp_act.5`) come first, then `logits`, then module paths (`transformer.h.5`, `transformer.h.5@in`).

    TransformerLens's names (`blocks.5.mlp.hook_post`) are found too, but not listed.
    """

    widths: Mapping[Point, int]
    logits: Site | None
    canonical: dict[str, Point]

    def __init__(self, root: nn.Module, widths: Mapping[Point, int], logits: Site | None = None) -> None:
        self.widths, self.logits = widths, logits
        self.canonical = canonical_points(root, widths)
        self._by_lens = {alias: name for name in self.canonical for alias in lens_names(name)}

    def point(self, name: str) -> Point:
        """Where a site is read; KeyError if there is no such site, or if it is a projection, which is not read."""
        name = self._by_lens.get(name, name)
        if name in self.canonical:
            return self.canonical[name]
        path = re.sub("@in$", "", name)
        point = Point(path, "out" if path == name else "in")
        if point not in self.widths:
            raise KeyError(name)
        return point

    def __getitem__(self, name: str) -> Site:
        if name == LOGITS and self.logits is not None:
            return self.logits
        point = self.point(name)
        return Site(self.widths[point._replace(half=None)] // (1 if point.half is None else 2))

    def __iter__(self) -> Iterator[str]:
        yield from self.canonical
        if self.logits is not None:
            yield LOGITS
        yield from (str(point) for point in self.widths)

    def __len__(self) -> int:
        return len(self.canonical) + (self.logits is not None) + len(self.widths)

    def __repr__(self) -> str:
        names = [*self.canonical] or [str(point) for point in self.widths]
        more = ", ..." if len(names) > SHOWN else ""
        logits = "" if self.logits is None else f" and {LOGITS}"
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
    if point.half is None:
        found["module"] = str(point)
    if name is not None and lens_names(name):
        found["transformer_lens"] = lens_names(name)[0]
    return found
