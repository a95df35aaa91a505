"""A scan on a device, without one: no tensor meets one of another device, and what is read back or launched per batch is bounded."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "methods"))
from test_devices import READ, Devices, DeviceTensor, FromLists, Small

from optigram.models.base import Linear, Site
from optigram.scanning import held
from optigram.scanning.activations import ActivationReader
from optigram.scanning.chunks import ReadSettings
from optigram.scanning.in_context import InContextScan
from optigram.scanning.plan import ScanSettings
from optigram.targets.target import resolve
from optigram.text.documents import Document

TOGETHER = 4  # batches that are read back at once
PER_READ_BACK = 12  # the bounds: how often the host waits for a read-back,
PER_BATCH, PER_PART = 40, 60  # and kernels of a batch, with its share of the read-back and a forward of five, and of each part


class Counted(Devices):
    """Counts what runs on the device; `READ` holds what the host must wait for."""

    def __init__(self):
        super().__init__()
        self.launches = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.launches += any(isinstance(one, DeviceTensor) for one in args) and not func.is_view
        return super().__torch_dispatch__(func, types, args, kwargs)


def taken(model: Small, addresses: list[str], batches: int, **settings) -> InContextScan:
    """A scan of some batches."""
    how = ScanSettings(**{"context": 8, "tokens": 256, "skipped": 0, "top": 3, "sample": 20} | settings)
    scan = InContextScan(model, ActivationReader.of(model, resolve(addresses, model)), how)
    letters = [chr(97 + (7 * number + place * (1 + number // 8)) % 8) for number in range(batches * 8) for place in range(6)]
    texts = [Document(number, " ".join(letters[6 * number : 6 * number + 6])) for number in range(batches * 8)]
    chunks = ReadSettings.of(model.vocabulary, 8, 0, False).read(texts, model.vocabulary)
    READ.clear()
    assert len(list(scan.take([chunks]))) == batches
    return scan


def scanned(addresses: list[str], batches: int, **settings) -> tuple[InContextScan, int, int]:
    """A scan of some batches on the device: host reads and launches in it."""
    with Counted() as counted, FromLists():
        model = Small()
        before = counted.launches
        scan = taken(model, addresses, batches, **settings)
        return scan, len(READ), counted.launches - before


def on_cpu() -> Small:
    """The same model on the CPU."""
    with Devices(), FromLists():
        model = Small()
        head = model.sites["logits"].linear
        model.embedding = model.embedding.cpu()
        model.sites["logits"] = Site(len(head.weight), model.vocabulary.tokens, Linear("mean", head.weight.cpu(), head.bias.cpu()))
        return model


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(held, "MOST", TOGETHER)
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)  # tensors that stand for others cannot be made in it


@pytest.mark.parametrize("settings", [{}, {"per_document": 2}, {"fold": 0}])
def test_host_reads_and_launches_are_bounded_and_do_not_grow_with_the_targets(settings):
    asked = [["act:0-1"], ["act:0-7"], ["act:*", "mean:*", "logits:*"]]
    (_, few_reads, few_launches), (_, reads, launches), most = (scanned(addresses, 20, **settings) for addresses in asked)
    assert max(few_reads, reads, most[1]) <= PER_READ_BACK * 20 // TOGETHER
    assert max(few_launches, launches) <= (PER_BATCH + PER_PART) * 20
    assert most[2] <= (PER_BATCH + 3 * PER_PART) * 20
    assert abs(reads - few_reads) <= 6, "only how often lists are still filling may differ"
    assert launches <= 1.2 * few_launches
    assert (most[0].ends[1].top_places.score[:, 0] > -np.inf).all()


@pytest.mark.parametrize("settings", [{}, {"per_document": 2}, {"fold": 0, "top": 6}, {"fold": 2}])
def test_the_places_and_statistics_are_those_of_the_cpu(settings):
    """On the device positions are found with the scores, and the host reads nothing of a batch but its best places."""
    addresses = ["act:*", "mean:*", "-logits:*", "2*act:1"]
    there, here = scanned(addresses, 9, **settings)[0], taken(on_cpu(), addresses, 9, **settings)
    for sign in (1, -1):
        for name, one in vars(there.ends[sign].top_places).items():
            assert np.array_equal(one, getattr(here.ends[sign].top_places, name)), (sign, name)
    for name, one in vars(there.statistics).items():
        np.testing.assert_allclose(one, getattr(here.statistics, name), rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_batch_alone_makes_the_host_wait_for_nothing(monkeypatch):
    """What is read back is read for all batches that wait, so that more batches add no reads."""
    monkeypatch.setattr(held, "MOST", 64)
    reads = [[scanned([address], batches)[1] for batches in (6, 12)] for address in ("act:0-1", "act:0-7")]
    assert all(abs(two - one) <= 3 for one, two in reads), reads
