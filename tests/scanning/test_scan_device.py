"""A scan on a device, without one: no tensor meets one of another device, and what is read back or launched per batch is bounded."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "methods"))
from test_devices import ACROSS, Devices, DeviceTensor, FromLists, Small

from optigram.scanning import held
from optigram.scanning.activations import ActivationReader
from optigram.scanning.chunks import ReadSettings
from optigram.scanning.in_context import InContextScan
from optigram.scanning.plan import ScanSettings
from optigram.targets.target import resolve
from optigram.text.documents import Document

READS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default, torch.ops.aten.equal.default)
TOGETHER = 4  # batches that are read back at once
PER_READ_BACK = 12  # the bounds: how often the host waits for a read-back,
PER_BATCH, PER_PART = 40, 60  # and kernels of a batch, with its share of the read-back and a forward of five, and of each part


class Counted(Devices):
    """Counts what runs on the device, and what the host must wait for."""

    def __init__(self):
        super().__init__()
        self.launches = self.reads = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        there = [one for one in args if isinstance(one, DeviceTensor)]
        result = super().__torch_dispatch__(func, types, args, kwargs)
        self.launches += bool(there) and not func.is_view
        self.reads += bool(there) and (func in READS or (func in ACROSS and not isinstance(result, DeviceTensor)))
        return result


def scanned(addresses: list[str], batches: int, there: bool = True, **settings) -> tuple[InContextScan, int, int]:
    """A scan of some batches, `there` on the device or here: host reads and launches in it."""
    with (Counted() if there else contextlib.nullcontext(Counted())) as counted, FromLists() if there else contextlib.nullcontext():
        model = Small()
        if not there:
            model.embedding = model.embedding.held
            head = model.sites["logits"].linear
            model.sites["logits"] = Site(len(head.weight), model.vocabulary.tokens, Linear("mean", head.weight.held, head.bias.held))
        how = ScanSettings(context=8, tokens=256, skipped=0, top=3, sample=20, **settings)
        scan = InContextScan(model, ActivationReader.of(model, resolve(addresses, model)), how)
        letters = [chr(97 + (7 * number + place * (1 + number // 8)) % 8) for number in range(batches * 8) for place in range(6)]
        texts = [Document(number, " ".join(letters[6 * number : 6 * number + 6])) for number in range(batches * 8)]
        chunks = ReadSettings.of(model.vocabulary, 8, 0, False).read(texts, model.vocabulary)
        counted.reads = counted.launches = 0
        assert len(list(scan.take([chunks]))) == batches
        return scan, counted.reads, counted.launches


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
