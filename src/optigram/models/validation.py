"""Whether a model is read correctly: `optigram check` tests each claim of `base.Model` on random texts."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from optigram.models.base import Model
from optigram.models.hooks import Point
from optigram.models.kv_cache import CLOSE
from optigram.models.network import Network
from optigram.models.sites import LOGITS, Sites

SHAPE = 4, 9  # texts, and tokens of each
SHARE = 0.33  # of the ordinary tokens that survive re-tokenization alone; pieces that continue a word cannot
SAMPLE = 2000  # tokens tried
NAMED = 5  # sites that are named at most
STOPS = 10  # points, from the first block to the last, at which a forward is stopped
EXACT, HALF = 1e-4, 5e-2  # of the largest state at a site: rounding of weights in single and in half precision


@dataclass(frozen=True)
class _Check:
    """One claim: whether it holds, the figure that decides it, and what the figure means."""

    claim: str
    holds: bool
    figure: float
    meaning: str


def checks(model: Model) -> list[_Check]:
    """Test all claims that this model makes. The model is left as it was found."""
    network = model if isinstance(model, Network) else None
    with torch.no_grad(), contextlib.nullcontext() if network is None else network.frozen:
        return list(_checks(model, network))


def _checks(model: Model, network: Network | None) -> Iterator[_Check]:
    allowed = HALF if network is not None and network.dtype in (torch.float16, torch.bfloat16) else EXACT
    ids = Network.ordinary_ids(model.vocabulary, SHAPE, seed=1) if network is None else network.probe(SHAPE, seed=1)
    ids = ids.to(model.embedding.device)
    sites = _read_sites(model)
    if network is not None:
        yield from _of_network(network, ids, sites, allowed)
    yield from _continued(model, ids, sites, max(allowed, CLOSE))
    yield _batch(model, ids, sites, allowed)
    yield _company(model, ids, sites)
    yield _padding(model, ids, sites, allowed)
    yield _round_trip(model)


def _of_network(model: Network, ids: Tensor, sites: list[str], allowed: float) -> Iterator[_Check]:
    found = model.inputs.effective_matrix()
    yield _near("embedding is the effective one, embed(arange)", {"": model.embedding}, {"": found}, 0)
    hard = _from_ids(model, ids, sites)
    yield _near("embeds and ids agree at every point", _read(model, ids, sites), hard, allowed)
    some = sites[:: max(len(sites) // STOPS, 1)]
    alone = {site: model.read(model.embedding[ids], [site])[site] for site in some}
    yield _near("stopping early changes nothing", alone, {site: hard[site] for site in some}, allowed)
    logits = model.sites.logits
    if logits is not None and logits.linear is not None:
        states = model.read(model.embedding[ids], [logits.linear.source])[logits.linear.source]
        values = states @ logits.linear.weight.to(states).T + logits.linear.bias.to(states)
        cap = logits.linear.softcap
        values = values if cap is None else cap * torch.tanh(values / cap)
        given = model.inputs.output(ids).to(values)
        yield _near("logits are the projection of their source", {LOGITS: values}, {LOGITS: given}, max(allowed, 1e-3))
    left = -_hooks(model) + _hooks_after_an_error(model, ids)
    yield _Check("no hook is left, also after an exception", left == 0, float(left), "hooks left")


def _continued(model: Model, ids: Tensor, sites: list[str], allowed: float) -> Iterator[_Check]:
    """What texts with a common prefix may share, and whether it is right. That a site is read whole is no fault, but takes longer."""
    served = [] if model.step is None else [site for site in sites if model.step.serves([site])]
    if served:
        whole = {site: state for site, state in _read(model, ids, sites).items() if site in served}
        yield _near("token by token equals read whole", whole, _stepped(model, ids, served), allowed)
    others = [site for site in sites if site not in served]
    left = "" if not others else f"; read whole: {', '.join(others[:NAMED])}" + (", ..." if len(others) > NAMED else "")
    yield _Check("texts share the work on a common prefix", True, len(served) / len(sites), f"share of {len(sites)} sites" + left)


def _read_sites(model: Model) -> list[str]:
    """Every point of a network, or every site that is not linear in another."""
    names = [*model.sites.canonical, *model.sites.scores] if isinstance(model.sites, Sites) else list(model.sites)
    if isinstance(model.sites, Sites) and not names:
        names = [str(point) for point in model.sites.widths]
    return [name for name in names if model.sites[name].linear is None]


def _read(model: Model, ids: Tensor, sites: list[str], keep: Tensor | None = None) -> dict[str, Tensor]:
    return dict(model.read(model.embedding[ids], sites, keep))


def _from_ids(model: Network, ids: Tensor, sites: list[str]) -> dict[str, Tensor]:
    points = {site: model.sites.point(site) for site in sites}
    shape = SHAPE[0], model.inputs.length(SHAPE[1])
    states = Point.read_all(model.module, points, lambda: model.inputs.take_ids(ids), shape)
    return {site: state[:, : SHAPE[1]] for site, state in states.items()}


def _stepped(model: Model, ids: Tensor, sites: list[str]) -> dict[str, Tensor]:
    step, carried, found = model.step, None, []
    assert step is not None
    for words in ids.T:
        states, carried = step.run(words[:, None], carried, sites)
        found.append(states)
    return {site: torch.cat([states[site] for states in found], dim=1) for site in sites}


def _batch(model: Model, ids: Tensor, sites: list[str], allowed: float) -> _Check:
    together = _read(model, ids, sites)
    rows = [_read(model, row[None], sites) for row in ids]
    return _near(
        "a text is read the same alone and in a batch", together, {site: torch.cat([row[site] for row in rows]) for site in sites}, allowed
    )


def _company(model: Model, ids: Tensor, sites: list[str]) -> _Check:
    """Expert routing and odd widths may let texts round each other; a network with experts is read one text at a time for that."""
    others = torch.cat([ids[:1], ids[1:].roll(1, 1)])
    one, two = ({site: state[0] for site, state in _read(model, given, sites).items()} for given in (ids, others))
    return _near("a text's states are the same bits in any company", one, two, 0)


def _padding(model: Model, ids: Tensor, sites: list[str], allowed: float) -> _Check:
    """Texts with junk before and after them, left out by `keep`."""
    if isinstance(model, Network) and not model.inputs.masks:
        return _Check("padding changes nothing", True, 0, "not tried: it takes no mask, so its texts have one length")
    junk = ids[:, :2].roll(1, 0)
    padded = torch.cat([junk, ids, junk], dim=1)
    keep = torch.ones_like(padded, dtype=torch.bool)
    keep[:, :2] = keep[:, -2:] = False
    states = {site: state[:, 2:-2] for site, state in _read(model, padded, sites, keep).items()}
    return _near("padding changes nothing", states, _read(model, ids, sites), allowed)


def _round_trip(model: Model) -> _Check:
    vocabulary = model.vocabulary
    chosen = Network.ordinary_ids(vocabulary, (1, SAMPLE), seed=2)[0].unique().tolist()
    share = sum(vocabulary.survives([i]) for i in chosen) / len(chosen)
    return _Check(
        "tokens survive decoding and encoding",
        share >= SHARE,
        share,
        f"share of {len(chosen)} tokens, each alone; expected at least {SHARE}, for pieces that continue a word cannot",
    )


def _hooks(model: Network) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.module.modules())


def _hooks_after_an_error(model: Network, ids: Tensor) -> int:
    """The hooks that there are after a read that an error in the network, made on purpose, broke off."""
    layer = next(part for part in model.inputs.body.modules() if isinstance(part, nn.Linear | nn.LayerNorm))
    handle = layer.register_forward_pre_hook(_fail)
    try:
        with contextlib.suppress(_DrillError):
            model.read(model.embedding[ids], _read_sites(model)[-1:])
    finally:
        handle.remove()
    return _hooks(model)


class _DrillError(Exception):
    pass


def _fail(*_: object) -> None:
    raise _DrillError


def _near(claim: str, ours: dict[str, Tensor], theirs: dict[str, Tensor], allowed: float) -> _Check:
    """Compare by the largest difference at any site, relative to the largest state there."""
    worst, where = 0.0, ""
    for site, state in theirs.items():
        size = float(state.abs().max()) or 1.0
        distance = float((ours[site] - state).abs().max()) / size
        if not distance <= worst:  # also when it is NaN
            worst, where = distance, site
    return _Check(
        claim, worst <= allowed, worst, "largest difference, as a share of the largest state" + (f", at {where}" if where else "")
    )
