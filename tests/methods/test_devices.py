"""No method mixes tensors of two devices, checked without a GPU.

The device is called "meta". A tensor on it is a `DeviceTensor` that holds its numbers on the CPU; an operation that takes
one together with a CPU tensor fails, as it does on CUDA.
"""

import functools

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

from optigram.methods import Ascent, Beam, Coordinate, Epo, Gcg, Genetic, Logits, Random, Repeat, Then
from optigram.methods.gumbel import Gumbel
from optigram.methods.relaxations import Embeddings, Softmax
from optigram.methods.simplex import Simplex
from optigram.models.base import Linear, Site
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.optimize.diverse import search_diverse
from optigram.optimize.search import Budget, search
from optigram.targets.target import resolve
from optigram.text.vocabulary import Vocabulary

DEVICE = torch.device("meta")
ACROSS = (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)
INDEXING = ("aten.index.Tensor", "aten.index_put.default", "aten.index_put_.default", "aten._index_put_impl_.default")  # by CPU indices

READS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default, torch.ops.aten.is_nonzero.default)
READ: list[str] = []  # what made the host wait for the device


class DeviceTensor(torch.Tensor):
    """A tensor that says it is on `DEVICE`; `held` are its numbers."""

    @staticmethod
    def __new__(cls, held: torch.Tensor):
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=DEVICE
        )
        made.held = held.detach()
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    def tolist(self):
        READ.append("tolist")
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class Devices(TorchDispatchMode):
    """Makes every tensor that is asked for on `DEVICE` a `DeviceTensor`."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class FromLists(TorchFunctionMode):
    """Makes tensors of Python lists on the CPU first: what PyTorch itself makes on "meta" has no numbers."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.tensor and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            key = args[1] if isinstance(args[1], tuple) else (args[1],)
            args = (args[0], tuple(torch.tensor(one) if isinstance(one, list) else one for one in key), *args[2:])
        return func(*args, **kwargs)


def _target(func, args, kwargs) -> str | None:
    """The kind of device that a copy goes to."""
    if func is torch.ops.aten.copy_.default:
        return None if isinstance(args[0], DeviceTensor) else "cpu"
    asked = kwargs.get("device")
    return None if asked is None else torch.device(asked).type


def _run(func, args, kwargs):
    """Run on the numbers that the tensors hold; check devices before, and give the result the right one."""
    tensors = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, torch.Tensor)]
    there = [one for one in tensors if isinstance(one, DeviceTensor)]
    here = [one for one in tensors if not isinstance(one, DeviceTensor) and one.dim()]
    if there and here and func not in ACROSS and not (str(func) in INDEXING and isinstance(args[0], DeviceTensor)):
        raise RuntimeError(f"expected all tensors on one device, got {func} of {[tuple(one.shape) for one in here]} on the CPU")
    asked, kwargs = kwargs.get("device"), dict(kwargs)
    if asked is not None and torch.device(asked) == DEVICE:
        kwargs["device"] = torch.device("cpu")
    if there and (func in READS or (func in ACROSS and _target(func, args, kwargs) == "cpu")):
        READ.append(str(func))
    result = func(*tree_map_only(DeviceTensor, lambda one: one.held, args), **tree_map_only(DeviceTensor, lambda one: one.held, kwargs))
    if func._schema.is_mutable:
        written = kwargs.get("out", args[0])
        return written if isinstance(result, torch.Tensor) else result
    placed = torch.device(asked) == DEVICE if asked is not None else bool(there)
    return tree_map_only(torch.Tensor, DeviceTensor, result) if placed else result


class Small:
    """A causal model on `DEVICE` that can be its own language model: the mean of the embeddings so far."""

    name, attends, step, fingerprint = "small", False, None, ""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.vocabulary = Vocabulary.of_words(tuple("abcdefgh"))
        self.embedding, head = (torch.from_numpy(rng.normal(size=(len(self.vocabulary), 8))).float().to(DEVICE) for _ in range(2))
        logits = Linear("mean", head, torch.zeros(len(head), device=DEVICE))
        self.sites = {"mean": Site(8), "act": Site(8), "logits": Site(len(head), self.vocabulary.tokens, logits)}

    def read(self, embeds, sites, keep=None):
        mean = embeds.cumsum(1) / torch.arange(1, embeds.shape[1] + 1, device=embeds.device)[:, None]
        states = {"mean": mean, "act": torch.tanh(3 * mean)}
        return {site: states[site] for site in sites}


@pytest.fixture
def device():
    with Devices(), FromLists():
        yield


@functools.cache
def small() -> Small:
    """One model for all tests: how many texts a batch needs is tried once for each model."""
    return Small()


def objective(**settings) -> Objective:
    model = small()
    return Objective(model, resolve(["act:0", "-mean:2@max", "logits:a"], model), 3, **settings)


def ascent(relaxation, **settings) -> Ascent:
    return Ascent(relaxation, steps=6, rate=0.1, restarts=2, every=3, **settings)


RELAXATIONS = [
    Embeddings(),
    Embeddings(projected=True),
    Logits(),
    Softmax(),
    Gumbel(samples=2, draws=2),
    Gumbel(fresh=True, floor=1e-7),
    Gumbel(straight=True),
    Simplex(steps=6),
]
METHODS = [
    *map(ascent, RELAXATIONS),
    ascent(Gumbel(), shortlist=3),
    Beam(2, 3),
    Coordinate(2, 3),
    Coordinate(2, 3, neighbours=1),
    Coordinate(2, 4, scouts=4, rounds=2),
    Epo(slots=3, children=4, among=3, restart=2),
    Gcg(candidates=5, among=3),
    Genetic(8),
    Random(8),
    Repeat(ascent(Softmax()), 2),
    *(Then(ascent(Softmax()), second) for second in (Coordinate(2, 3), Random(8), ascent(Gumbel()))),
]


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_no_method_mixes_devices(device, method):
    found = search(objective(), method.with_block(12), Budget(rounds=6), n=2).found
    assert all(isinstance(one.ids, torch.Tensor) and not isinstance(one.ids, DeviceTensor) for one in found)


@pytest.mark.parametrize("method", [Epo(slots=3, children=4, among=3), Coordinate(2, 3), Beam(2, 3), ascent(Gumbel())], ids=repr)
def test_nor_does_a_search_for_fluent_diverse_texts_or_a_front(device, method):
    judge = objective(fluency=Fluency(0.1), must_survive=True)
    method = method.with_block(12)
    assert search(judge, method, Budget(rounds=4), front=True).found[0].surprisal is not None
    search_diverse(judge, method, Budget(rounds=3), seed=0, n=2, most=0.5)


@pytest.mark.parametrize("own", [True, False], ids=["own", "other"])
def test_nor_does_one_within_a_bound_and_the_host_waits_no_oftener(device, own):
    judge = objective(fluency=Fluency(band=(0, 9.0), model=None if own else Small())).subset([0])
    assert judge.activation_first is not own
    waits = []
    for rounds in (3, 4):
        READ.clear()
        assert search(judge, Coordinate(2, 3), Budget(rounds=rounds)).found[0].surprisal is not None
        waits.append(len(READ))
    assert waits[1] - waits[0] <= 2


@pytest.mark.parametrize("method", [ascent(Gumbel()), Coordinate(2, 3), Genetic(8)], ids=repr)
def test_the_results_are_those_of_the_cpu(device, method):
    method = method.with_block(12)
    found = search(objective(), method, Budget(rounds=4)).found
    model = Small()
    model.embedding = model.embedding.cpu()
    head = model.sites["logits"].linear
    model.sites["logits"] = Site(len(head.weight), model.vocabulary.tokens, Linear("mean", head.weight.cpu(), head.bias.cpu()))
    on_cpu = search(Objective(model, resolve(["act:0", "-mean:2@max", "logits:a"], model), 3), method, Budget(rounds=4)).found
    for one, other in zip(found, on_cpu, strict=True):
        assert torch.equal(one.ids, other.ids)
        torch.testing.assert_close(one.activation, other.activation)


def test_a_mixture_is_found(device):
    there, here = torch.zeros(2, device=DEVICE), torch.zeros(2)
    mixtures = [lambda: there + here, lambda: torch.cat([there, here]), lambda: torch.where(here > 0, there, there)]
    for mix in [*mixtures, lambda: here[there.long()]]:
        with pytest.raises(RuntimeError, match="one device"):
            mix()
    assert not isinstance((there + 1).cpu() + here, DeviceTensor)


def reads(method, targets: int, rounds: int) -> int:
    """How often the host waits for the device in so many rounds."""
    model = small()
    judge = Objective(model, resolve(["act:0", "act:1", "-act:2", "act:3"][:targets], model), 3)
    READ.clear()
    search(judge, method, Budget(rounds=rounds))
    return len(READ)


@pytest.mark.parametrize(
    ("method", "most"),
    [
        (Coordinate(2, 3), 2),
        (Coordinate(2, 4, rounds=2), 2),
        (Gcg(candidates=5, among=3), 1),
        (ascent(Gumbel(draws=2)), 1),
        (Epo(slots=3, children=4, among=3), 1),
    ],
    ids=["coordinate", "rounds", "gcg", "gbl", "epo"],
)
def test_the_host_waits_for_the_device_a_few_times_a_round_however_many_targets_there_are(device, method, most):
    for targets in (1, 4):
        reads(method, targets, 2)  # the first time the batches are tried
    few, many = ([reads(method, targets, rounds) for rounds in (2, 3)] for targets in (1, 4))
    assert few[1] - few[0] == many[1] - many[0] <= most
