"""Forwards of one shape: masked where they must be, halved when memory runs out; tokenising ahead; hashes that look like chance."""

import numpy as np
import pytest
import torch
from tiny_models import network

from optigram.errors import InputError
from optigram.scanning.activations import ActivationReader
from optigram.scanning.chunks import ReadSettings, _rounded
from optigram.scanning.forward import Forward, _is_causal
from optigram.scanning.hashing import folds, levels, of_places
from optigram.scanning.in_context import InContextScan
from optigram.scanning.plan import ScanSettings
from optigram.scanning.prefetch import prefetch
from optigram.scanning.scan import scan
from optigram.scanning.statistics import EDGES, ZERO
from optigram.targets.target import resolve
from optigram.text.documents import Document

TEXTS = [Document(i, f"a woman {'rides a wave ' * (i % 9)}{i}") for i in range(60)]


@pytest.mark.parametrize(("name", "onwards"), [("gpt2", True), ("llama", True), ("gemma2", True), ("bert", False), ("t5", False)])
def test_causal_models_need_no_mask(name, onwards):
    model = network(name)
    assert _is_causal(model, ["mlp_act.1"]) is onwards
    assert Forward(model, ["mlp_act.1"]).spare == (0 if onwards else 1)


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_padding_changes_nothing_but_the_last_bits(name):
    model = network(name)
    forward = Forward(model, ["mlp_act.2"])
    for chunk in ReadSettings.of(model.vocabulary, 40, 1, False).read(TEXTS[:9], model.vocabulary):
        width = _rounded(len(chunk.ids) + forward.spare)
        with torch.no_grad():
            ((_, got),) = forward.run([chunk], width, 4)
            alone = model.read(model.embedding[torch.from_numpy(chunk.ids)][None], ["mlp_act.2"])["mlp_act.2"]
        assert torch.allclose(got["mlp_act.2"][0, : len(chunk.ids)], alone[0], atol=1e-5)


def test_a_batch_that_does_not_fit_is_halved():
    model = network("gpt2")
    part = ActivationReader.of(model, resolve(["mlp_act.1:*"], model))
    settings = ScanSettings(context=40, tokens=160, top=5)
    chunks = ReadSettings.of(model.vocabulary, 40, 1, False).read(TEXTS, model.vocabulary)

    def swept(most: int):
        scan_pass, read = InContextScan(model, part, settings), model.read

        def small(embeds, sites, keep=None):
            if len(embeds) > most:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return read(embeds, sites, keep)

        scan_pass.forward.model = type("Small", (), {"embedding": model.embedding, "read": staticmethod(small)})()
        taken = sum(scan_pass.take([chunks]))
        return scan_pass, taken

    (whole, tokens), (halved, same_tokens) = swept(1000), swept(2)
    assert tokens == same_tokens
    assert halved.forward.halvings > 0 == whole.forward.halvings
    assert halved.ends[1].top_places.score == pytest.approx(whole.ends[1].top_places.score, abs=1e-5)
    with pytest.raises(MemoryError, match="smaller --context"):
        swept(0)


@pytest.mark.parametrize("processes", [0, 1])
def test_tokenising_ahead_keeps_the_order(processes, tiny):
    how = ReadSettings.of(tiny.vocabulary, 16, 0, True)
    texts = [Document(i, "a b c d e f g " * (i % 40)) for i in range(300)]
    ahead = [chunk for batch in prefetch(texts, tiny.vocabulary, how, processes) for chunk in batch]
    here = how.read(texts, tiny.vocabulary)
    assert [(p.document, p.begin, p.ids.tolist()) for p in ahead] == [(p.document, p.begin, p.ids.tolist()) for p in here]
    assert sum(len(p.ids) for p in here) == sum(7 * (i % 40) for i in range(300))


def test_an_error_while_tokenising_is_raised(tiny):
    def broken():
        yield Document(0, "a")
        raise InputError("bad line")

    with pytest.raises(InputError, match="bad line"):
        list(prefetch(broken(), tiny.vocabulary, ReadSettings.of(tiny.vocabulary, 16, 0, True)))


def test_spans_are_where_the_tokens_stand(tiny):
    for vocabulary in (tiny.vocabulary, network("gpt2").vocabulary, network("bert").vocabulary):
        text = "İt's a café's  DOG"
        assert vocabulary.spans is not None
        spans = vocabulary.spans(text)
        assert len(spans) == len(vocabulary.encode(text))
        assert all(0 <= begin <= end <= len(text) for begin, end in spans)
    text = "A b's c"
    assert [text[begin:end] for begin, end in tiny.vocabulary.spans(text)] == ["A", "b's", "c"]


def test_hashes_look_drawn_at_random():
    places = of_places(np.repeat(np.arange(500), 40), np.tile(np.arange(40), 500), seed=0)
    assert len(set(places.tolist())) == 20000
    assert abs(float(places.mean()) / 2**63 - 0.5) < 0.02
    found = np.bincount(levels(np.arange(100000), 24, 0), minlength=24)
    assert np.allclose(found[:5] / 100000, 0.5 ** np.arange(1, 6), atol=0.01)
    ids = np.array([[1, 2, 3, 4, 5, 6], [9, 2, 3, 4, 5, 6], [1, 2, 3, 4, 6, 5]])
    hashed = folds(ids, 3)
    assert (hashed[0, 4:] == hashed[1, 4:]).all()
    assert (hashed[0, 3:] != hashed[2, 3:]).tolist() == [False, True, True]
    assert (hashed[0, :3] != hashed[1, :3]).all()


def test_statistics_are_those_of_numpy(tiny):
    part = ActivationReader.of(tiny, resolve(["visual.hidden:*"], tiny))
    settings = ScanSettings(context=16, skipped=0, special=True, sample=10**6, tokens=64)
    texts = [Document(i, " ".join("abcdefg"[(i * j) % 7] for j in range(1, 2 + i % 30))) for i in range(400)]
    chunks = ReadSettings.of(tiny.vocabulary, 16, 0, True).read(texts, tiny.vocabulary)
    scan_pass = InContextScan(tiny, part, settings)
    list(scan_pass.take([chunks]))
    seen = scan_pass.statistics
    values = seen.values.astype(float)  # the sample is all there is
    assert values.shape[1] == seen.count == sum(len(chunk.ids) for chunk in chunks)
    mean, deviation = values.mean(1), values.std(1)
    z = (values - mean[:, None]) / deviation[:, None]
    expected = np.stack([mean, deviation**2, (z**3).mean(1), (z**4).mean(1)], axis=1)
    assert seen.moments() == pytest.approx(expected, rel=1e-3, abs=1e-4)
    thinned = values[:, seen.priority % 16 == 0].astype(np.float32)
    for row, drawn in zip(seen.histogram, thinned, strict=True):
        assert row.sum() == len(drawn)
        assert row[:ZERO].sum() == (drawn < 0).sum()
        assert row[ZERO + 1 :].sum() == (drawn > 0).sum()
        assert row[ZERO + 1 + int(np.searchsorted(EDGES[ZERO + 1 :], 0.25)) - 1 :].sum() >= (drawn > 0.25).sum()
    tokens, best = seen.curve()
    assert tokens[-1] == seen.count
    assert (best[:, -1] == values.max(1).astype(np.float32)).all()
    assert (np.diff(best, axis=1) >= 0).all()


def test_a_context_that_is_too_long_is_told_before_the_work(tmp_path):
    (tmp_path / "c.txt").write_text("a dog\n")
    with pytest.raises(InputError, match="smaller --context"):
        scan(network("bert"), ["mlp_act.1:0"], str(tmp_path / "c.txt"), context=200)


def test_an_empty_shard_is_no_harm(tiny, tmp_path):
    (tmp_path / "c.txt").write_text("a b c\n")
    found = scan(tiny, ["visual.hidden:0-2"], str(tmp_path / "c.txt"), skipped=0, shards=6)
    assert found.about["shards"] == {"done": list(range(6)), "of": 6}
    assert len(found["visual.hidden:1"]) == 1
