"""What a corpus search leaves for directions, latents and sums: the states of its n-grams, where these are few enough to keep."""

from collections.abc import Sequence

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from optigram.objective.functions import Groups
from optigram.objective.objective import Objective
from optigram.objective.whole_site import Whole
from optigram.runs.cache import Cache
from optigram.runs.site_lists import SiteLists
from optigram.shapes import Float, Int

KIND = "states"
MOST = 1 << 26  # numbers, of 4 bytes
CHECKED = 8  # n-grams whose states are computed again


class SiteStates:
    """The states that the targets of an objective are computed from, at every position that they look at, in float32.

    Activations are computed from them as a search computes them from those that the model gives, so they are the same to the last bit.
    """

    objective: Objective
    places: Sequence[Whole]

    def __init__(self, lists: SiteLists) -> None:
        self.lists, self.objective, self.cache = lists, lists.objective, lists.cache
        self.places = self.objective.places
        self.count = len(lists.corpus.texts)
        self.seen: list[Float[Tensor, "c m"]] = []
        self._done = 0
        self._read: dict[str, Tensor] = {}

    @property
    def fits(self) -> bool:
        """Whether there are states to keep, and not too many."""
        width = sum(self.objective.model.sites[place.site].width for place in self.places)
        return 0 < width * self.count <= MOST

    @property
    def key(self) -> str:
        """The name of their file."""
        return Cache.key(self.objective.model, self.places[0].site, places=self.places, **self.lists.asked)

    def recorded(self) -> Objective:
        """The objective, whose next search shows the states."""
        return self.objective.beside(self.places, lambda values: self.seen.append(values.T.cpu()))

    def store(self, spent: Sequence[float]) -> None:
        """Write what was seen, if it is the whole corpus; `spent` are the forward-equivalents after each chunk."""
        whole = torch.cat(self.seen) if self.seen else torch.empty(0, 0)
        if len(whole) == self.count and bool(whole.isfinite().all()):
            arrays = {"states": whole, "spent": torch.tensor(spent, dtype=torch.float64)}
            self.cache.put(KIND, self.key, lambda path: save_file(arrays, path))

    def recalled(self) -> Objective | None:
        """The objective, whose next search takes the states from the cache; None if they are not there."""
        path = self.cache.get(KIND, self.key)
        try:
            self._read = {} if path is None else load_file(path)
        except (OSError, SafetensorError):
            self._read = {}
        if path is None or ({"states", "spent"} <= self._read.keys() and self._agrees(self._read["states"])):
            return None if path is None else self.objective.answered(self._answer)
        self.cache.drop(path)
        return None

    def _agrees(self, states: Float[Tensor, "c m"]) -> bool:
        """Whether the model still gives these states of some n-grams; else they are of another one."""
        if len(states) != self.count:
            return False
        rows, seen = torch.linspace(0, self.count - 1, min(CHECKED, self.count)).long(), []
        self.objective.beside(self.places, seen.append).score(torch.from_numpy(self.lists.corpus.texts)[rows][None])
        return self.lists.alike(seen[0].T.cpu(), states[rows])

    def _answer(self, inputs: Int[Tensor, "k1 c s"], parts: Groups) -> tuple[Float[Tensor, "m c"], Float[Tensor, " 1"]]:
        """Activations of the next n-grams of the corpus, and what they cost when the model was run."""
        c, s = inputs.shape[1:]
        rows = self._read["states"][self._done : self._done + c].to(inputs.device)
        widths = [self.objective.model.sites[place.site].width for place in self.places]
        kept = {(place.site, place.pool): state for place, state in zip(self.places, rows.split(widths, dim=1), strict=True)}
        any_of = {place.site: kept[place.site, place.pool] for place in self.places}  # stands where no target looks
        states = {site: torch.stack([kept.get((site, at), state) for at in range(s)], dim=1) for site, state in any_of.items()}
        self._done += c
        spent = self._read["spent"]
        chunk = -(-self._done // self.lists.corpus.chunk) - 1
        cost = spent[chunk] - (spent[chunk - 1] if chunk else 0)
        return torch.cat([part.activations(states, None) for part in parts], dim=1).T, cost.float()[None]
