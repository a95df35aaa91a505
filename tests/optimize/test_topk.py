import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from optigram.optimize.topk import TopK

K, T, N = 2, 2, 3
TEXTS = st.tuples(st.integers(0, 2), st.integers(0, 2))


@st.composite
def shelves(draw):
    """A shelf filled from candidates whose activations depend on (target, text), as a judge's do."""
    table = {(k, text): value for k in range(K) for text, value in JUDGED[k].items()}
    chosen = draw(st.lists(TEXTS, min_size=1, max_size=8))
    activation = torch.tensor([[table[k, text] for text in chosen] for k in range(K)])
    return TopK.of(torch.tensor(chosen)[None], activation, N)


rng = np.random.default_rng(0)
JUDGED = [
    {(a, b): float(value) for (a, b), value in zip(np.ndindex(3, 3), rng.choice([-1.0, 0.0, 0.5, 2.0, np.nan], 9), strict=True)}
    for _ in range(K)
]


def same(one: TopK, other: TopK) -> bool:
    return torch.equal(one.ids, other.ids) and torch.equal(one.value, other.value)


@given(shelves(), shelves(), shelves())
def test_merge_laws(a, b, c):
    assert same(a.merge(b), b.merge(a))
    assert same(a.merge(b).merge(c), a.merge(b.merge(c)))
    assert same(a.merge(a), a)


@given(st.lists(TEXTS, min_size=1, max_size=20), st.integers(1, 5))
def test_of_is_the_sorted_list_of_different_texts(texts, most):
    activation = torch.tensor([[JUDGED[k][text] for text in texts] for k in range(K)])
    found = TopK.of(torch.tensor(texts)[None], activation, most)
    for k in range(K):
        known = {text: JUDGED[k][text] for text in texts if not np.isnan(JUDGED[k][text])}
        expected = sorted(known.items(), key=lambda item: (-item[1], item[0]))[:most]
        kept = [(tuple(ids), value) for ids, value in zip(found.ids[k].tolist(), found.value[k].tolist(), strict=True)]
        assert kept == expected + [((-1, -1), float("-inf"))] * (most - len(expected))


def test_each_target_may_have_its_own_texts():
    found = TopK.of(torch.tensor([[[1, 1]], [[2, 2]]]), torch.tensor([[1.0], [2.0]]), 1)
    assert found.ids.tolist() == [[[1, 1]], [[2, 2]]]
