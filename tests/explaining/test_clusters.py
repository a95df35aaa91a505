"""Clusters of texts are those that random halves reproduce; texts of one kind are one cluster."""

import numpy as np
import pytest

from optigram.explaining import clusters
from optigram.explaining.clusters import Kinds, _likeness, clustered
from optigram.explaining.exact import Exact


def texts(rng, kinds, each, spread=0.5):
    centres = rng.normal(size=(kinds, 40))
    return np.concatenate([centre + spread * rng.normal(size=(each, 40)) for centre in centres])


@pytest.mark.parametrize("kinds", [1, 2, 3, 5])
def test_kinds_that_differ_are_told_apart(kinds):
    rng = np.random.default_rng(kinds)
    unrelated, made = rng.normal(size=(100, 40)), texts(rng, kinds, 12)
    cluster, stability = clustered(_likeness([made], [unrelated]), seed=0)
    assert [len(set(part.tolist())) for part in np.split(cluster, kinds)] == [1] * kinds
    assert len(set(cluster.tolist())) == kinds
    assert stability > 0.9


def test_texts_without_structure_and_few_texts_are_one_cluster():
    rng = np.random.default_rng(0)
    unrelated = rng.normal(size=(100, 40))
    for made in (unrelated[:40], unrelated[:3], np.repeat(unrelated[:1], 9, axis=0)):
        cluster, stability = clustered(_likeness([made], [unrelated]), seed=0)
        assert cluster.tolist() == [0] * len(made)
        assert stability == 1


def test_states_that_do_not_vary_count_nothing():
    same = np.zeros((4, 3))
    assert _likeness([same], [same]).tolist() == np.zeros((4, 4)).tolist()


def test_stray_texts_take_no_cluster_away():
    """Two kinds and one text that is like none: it joins a kind, and they are still two."""
    kind = np.array([0] * 20 + [1] * 20 + [2])
    like = np.where(kind[:, None] == kind, 5.0, 0.5)
    like[-1], like[:, -1] = -2.0, -2.0
    np.fill_diagonal(like, 6.0)
    cluster, agreement = clustered(like, 0)
    assert (len(set(cluster.tolist())), len(set(cluster[:20].tolist())), len(set(cluster[20:40].tolist()))) == (2, 1, 1)
    assert agreement > 0.8


def test_empty_texts_of_a_corpus_are_no_unrelated_texts(monkeypatch):
    monkeypatch.setattr(clusters, "_represented", lambda exact, texts: [np.zeros((len(text), 2), np.float32) for text in texts])
    (part,) = Kinds.of(object.__new__(Exact), [(), (4, 5, 6), ()], 0).standard
    assert len(part) in (1, 2, 3)
