"""The best places are those of a brute-force ranking, ties included, whatever the batches, shards, and the order of merging."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import network

from optigram.scanning.activations import ActivationReader
from optigram.scanning.chunks import Queue, ReadSettings, _rounded
from optigram.scanning.forward import Forward
from optigram.scanning.merge import merged
from optigram.scanning.plan import Plan, ScanSettings
from optigram.scanning.scan import plan_of, scan
from optigram.scanning.state import State
from optigram.scanning.worker import Worker
from optigram.targets.target import resolve
from optigram.text.documents import Document
from optigram.text.shards import shards
from optigram.text.sources import Corpus, open_corpus

TOP = 20


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> str:
    """70 lines, many of them equal or with equal beginnings, some longer than the context."""
    rng = np.random.default_rng(0)
    words = ["a", "woman", "two", "dogs", "umbrella", "snow", "rides", "café", "the", "wave"]
    lines = [" ".join(rng.choice(words, rng.integers(1, 26))) for _ in range(50)]
    lines += [lines[int(i)] for i in rng.integers(0, 50, 10)]
    lines += [" ".join(line.split()[:5]) for line in lines[:10]]
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def asked(model, **changes) -> ScanSettings:
    return ScanSettings.for_model(model, **{"top": TOP, "context": 24, "tokens": 64, "fold": 4, "sample": 30} | changes)


def planned(model, targets, corpus, how: ScanSettings, count: int) -> Plan:
    return plan_of(model, model.name, resolve(targets, model), open_corpus(corpus), how, count=count)


def states(model, targets, corpus, how: ScanSettings, count: int, batch: int | None = None) -> list[State]:
    plan = planned(model, targets, corpus, how, count)
    return [Worker(plan, model, batch=batch).read(shard) for shard in range(len(plan.shards))]


def same(one: State, two: State) -> bool:
    """Whether two states say the same, sums of powers but for rounding."""
    ends = [(getattr(one, end), getattr(two, end)) for end in ("top", "bottom")]
    top_places = all((vars(a)[name] == vars(b)[name]).all() for a, b in ends for name in vars(a))
    a, b = vars(one.statistics), vars(two.statistics)
    exact = all(np.array_equal(a[name], b[name]) for name in a if name != "sums")
    assert np.allclose(a["sums"], b["sums"], rtol=1e-5, atol=1e-3)
    return top_places and exact and one.tokens == two.tokens


def brute_force(model, targets, corpus, how: ScanSettings) -> dict[str, list[tuple[float, int, int]]]:
    """Every counted place of every document, each chunk in a forward of its own, and the ranking by Python's own sort."""
    known = Corpus.of([corpus]).sources
    read = ReadSettings.of(model.vocabulary, how.context, how.skipped, how.special)
    part = ActivationReader.of(model, targets)
    forward = Forward(model, part.sites)
    queue = Queue(how.tokens, forward.spare)
    found: dict[str, dict] = {str(target): {} for target in part.targets}
    for number, text, _ in itertools.chain.from_iterable(Document.all_of(known, part) for part in shards(known, 1, 0)[0]):
        ids = model.vocabulary.encode(text)
        for chunk in read.chunks(number, ids):
            width = _rounded(len(chunk.ids) + forward.spare)
            with torch.no_grad():
                ((_, got),) = forward.run([chunk], width, queue.rows(width))
            values = torch.cat([part.values(got)[0] for part in part.parts], dim=-1).numpy()
            for column in np.nonzero(chunk.counted)[0]:
                position = chunk.begin + int(column) - chunk.lead
                ending = tuple(chunk.ids[max(column - how.fold + 1, chunk.lead) : column + 1])
                for target, value in zip(found, values[column], strict=True):
                    place = (-float(value), number, position)
                    best = found[target].get(number)
                    if best is None or place < best[0]:
                        found[target][number] = (place, ending)
    ranked = {}
    for target, by_document in found.items():
        kept: dict[tuple, tuple] = {}
        for place, ending in sorted(by_document.values()):
            kept.setdefault(ending if how.fold else place, place)
        ranked[target] = [(-score, document, position) for score, document, position in kept.values()][: how.top]
    return ranked


@pytest.mark.parametrize(("name", "fold"), [("gpt2", 4), ("bert", 4), ("gpt2", 0), ("tiny", 4)])
def test_the_best_places_are_those_of_a_brute_force_ranking(name, fold, tiny, corpus):
    model = tiny if name == "tiny" else network(name)
    sites = ["visual.hidden:*", "language:*"] if name == "tiny" else [f"mlp_act.{layer}:*" for layer in range(3)]
    targets = resolve(sites, model)
    how = asked(model, fold=fold)
    (state,) = states(model, list(map(str, targets)), corpus, how, 1)
    expected = brute_force(model, targets, corpus, how)
    for row, target in enumerate(state.targets):
        got = list(zip(state.top.score[row].tolist(), state.top.document[row].tolist(), state.top.position[row].tolist(), strict=True))
        assert [place for place in got if place[0] > -np.inf] == expected[target]


def test_500_targets_and_their_ties_are_those_of_a_brute_force_ranking_in_any_batches_and_shards(corpus):
    model = network("gpt2")
    kinds = ("mlp_act", "resid_pre", "resid_post", "attn_out", "mlp_out", "z")
    asked_for = resolve([f"{kind}.{layer}:*" for kind in kinds for layer in range(3)], model)[:500]
    targets = list(map(str, asked_for))
    how = asked(model, fold=0)
    expected = brute_force(model, asked_for, corpus, how)
    assert len(expected) == 500
    ties = [sum(one[0] == two[0] for one, two in itertools.pairwise(places)) for places in expected.values()]
    assert sum(ties) > 500  # lines that are there twice
    found = [
        states(model, targets, corpus, how, 1, 7)[0],
        State.merged(states(model, targets, corpus, how, 8), 0),
    ]
    for state in found:
        for row, target in enumerate(state.targets):
            got = zip(state.top.score[row].tolist(), state.top.document[row].tolist(), state.top.position[row].tolist(), strict=True)
            assert list(got) == expected[target]


@pytest.mark.parametrize("name", ["gpt2", "bert", "tiny"])
@pytest.mark.parametrize("question", ["context", "alone"])
def test_batches_and_shards_change_nothing(name, question, tiny, corpus):
    model = tiny if name == "tiny" else network(name)
    targets = ["visual.hidden:*", "-language:a"] if name == "tiny" else ["mlp_act.0:*", "resid_post.2:0-7", "-mlp_act.1:3"]
    how = asked(model, question=question, length=3)
    (whole,) = states(model, targets, corpus, how, 1)
    assert (whole.top.score[:, 0] > -np.inf).all()
    parts = states(model, targets, corpus, how, 8)
    if question == "context":
        for batch in (1, 7, 64):
            (other,) = states(model, targets, corpus, how, 1, batch)
            assert same(whole, other)
        joined = State.merged(parts, how.sample)
        assert same(dataclasses.replace(whole, plan=joined.plan), joined)
    else:
        joined = State.merged(parts, how.sample)
        for end in ("top", "bottom"):
            for field in ("score", "document", "position"):
                assert (getattr(getattr(whole, end), field) == getattr(getattr(joined, end), field)).all()
        for one, two in zip(whole.statistics.curve(), joined.statistics.curve(), strict=True):
            assert (one == two).all()


@pytest.fixture(scope="module")
def eight(corpus) -> tuple[list[State], ScanSettings]:
    model = network("gpt2")
    how = asked(model)
    return states(model, ["mlp_act.1:*"], corpus, how, 8), how


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(8)), cut=st.integers(1, 7))
def test_the_order_of_merging_changes_nothing(eight, order, cut):
    parts, how = eight
    one = State.merged(parts, how.sample)
    left, right = ([parts[i] for i in some] for some in (order[:cut], order[cut:]))
    two = State.merged([State.merged(left, how.sample), State.merged(right, how.sample)], how.sample)
    three = State.merged([State.merged([part], how.sample) for part in parts], how.sample)
    assert same(one, two)
    assert same(one, three)


def test_500_targets_with_ties_in_full(tmp_path):
    """Activations that are small whole numbers, so that ties abound: the ranking is that of sorting all of them."""
    from optigram.scanning.top_places import Entries, TopPlaces

    rng = np.random.default_rng(1)
    documents, m = 300, 500
    scores = rng.integers(0, 6, (m, documents)).astype(np.float32)
    positions, folds = rng.integers(0, 9, (m, documents)), rng.integers(1, 60, (m, documents))
    top_places = TopPlaces.empty(m, TOP)
    order = rng.permutation(documents)
    for some in np.array_split(order, 17):
        target, document = np.repeat(np.arange(m), len(some)), np.tile(some, m)
        top_places.add(Entries(target, scores[target, document], document, positions[target, document], folds[target, document]))
    for row in range(m):
        kept: dict[int, tuple] = {}
        for score, document, position, fold in sorted(zip(-scores[row], range(documents), positions[row], folds[row], strict=True)):
            kept.setdefault(int(fold), (-score, document, position))
        expected = list(kept.values())[:TOP]
        got = list(zip(top_places.score[row], top_places.document[row], top_places.position[row], strict=True))
        assert got == expected


def test_states_survive_the_disk_and_are_never_mixed(eight, tmp_path, corpus):
    parts, how = eight
    parts[0].write(tmp_path / "a.parquet")
    again = State.read(tmp_path / "a.parquet")
    assert same(parts[0], again)
    assert again.shards == (0,)
    with pytest.raises(Exception, match="shard 0 is in two"):
        State.merged([parts[0], again], how.sample)
    (other,) = states(network("gpt2"), ["mlp_act.1:*"], corpus, dataclasses.replace(how, top=3), 1)
    with pytest.raises(Exception, match="different scans"):
        State.merged([parts[0], other], how.sample)


def test_any_subset_of_shards_is_merged(corpus, tmp_path):
    model = network("gpt2")
    plan = planned(model, ["mlp_act.1:0-3"], corpus, asked(model), 5)
    plan.write(tmp_path)
    worker = Worker(plan, model)
    for shard in (3, 1):
        worker.write(tmp_path, shard)
    assert merged(plan, tmp_path).shards == (1, 3)
    assert plan.missing(tmp_path) == [0, 2, 4]


def test_windows_show_the_text_and_repeat_the_scores(corpus):
    model = network("gpt2")
    found = scan(model, "mlp_act.1:0-5", corpus, **asked(model).to_dict())
    lines, offset = {}, 0
    for line in Path(corpus).read_bytes().splitlines(keepends=True):
        lines[offset] = line.decode().rstrip("\n")
        offset += len(line)
    assert len(found) == 6
    for row in found.examples.to_pylist():
        text = lines[row["place"]]
        assert row["text"] == text[row["text_begin"] : row["text_begin"] + len(row["text"])]
        index = row["position"] - row["begin"]
        assert row["activations"][index] == row["activation"]  # the same bits: a forward has one shape
        assert len(row["ids"]) == len(row["activations"]) == len(row["spans"]) // 2
        assert model.vocabulary.encode(text)[row["position"]] == row["ids"][index]
        begin, end = row["spans"][2 * index : 2 * index + 2]
        assert text[row["char_begin"] : row["char_end"]] == row["text"][begin:end]
    assert {"top", "bottom", "random", "quantile 5 of 5"} <= set(found.examples["split"].to_pylist())
