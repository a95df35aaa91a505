"""Words are ranked in pieces: no tensor grows with targets, texts, positions and words at once."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from optigram.methods import Ascent, Beam, Coordinate, Epo, Gcg, gcg, moves, shortlist
from optigram.methods.relaxations import Softmax
from optigram.models.imaginet import Imaginet, Sizes
from optigram.objective.objective import Objective
from optigram.optimize.search import Budget, search
from optigram.runs import ablation

WORDS, LENGTH, TARGETS, TEXTS = 1000, 8, 3, 4
FEWEST = TARGETS * LENGTH * WORDS  # numbers of one text of each target


class Largest(TorchDispatchMode):
    """Notes the most numbers that a tensor has."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.numbers = max([self.numbers, *(part.numel() for part in tree_leaves(made) if isinstance(part, torch.Tensor))])
        return made


def wide():
    torch.manual_seed(0)
    model = Imaginet(tuple(f"w{number}" for number in range(WORDS)), sizes=Sizes(8, 8, TARGETS))
    return Objective(model, [f"visual:{unit}" for unit in range(TARGETS)], LENGTH).untried()


@pytest.mark.parametrize(
    "method",
    [
        Coordinate(chains=TEXTS, candidates=4, neighbours=1),
        Gcg(chains=TEXTS, candidates=4),
        Gcg(chains=TEXTS, candidates=4, merges=2),
        Epo(slots=TEXTS, children=2, among=8),
        Beam(),
        Ascent(Softmax(), steps=1, rate=0.1, restarts=TEXTS, every=1, shortlist=8),
    ],
    ids=repr,
)
def test_no_tensor_holds_a_number_for_each_text_position_and_word(method, monkeypatch):
    for module in (gcg, moves, shortlist):
        monkeypatch.setattr(module, "RANKED", WORDS)
    objective = wide()
    search(objective, method, Budget(rounds=2))  # products of each shape are tried once, with as many rows as a block has
    with Largest() as largest:
        search(objective, method, Budget(rounds=2))
    assert largest.numbers < 2 * FEWEST < TARGETS * TEXTS * LENGTH * WORDS


def test_words_next_to_many_texts_are_ranked_in_pieces(monkeypatch):
    objective = wide()
    ids = objective.lexicon[torch.arange(TARGETS * LENGTH).view(TARGETS, LENGTH)]
    expected = ablation._steepest(objective, ids, 5)
    assert torch.equal(expected, objective.gradient(ids[:, None])[:, 0].topk(5).indices)
    monkeypatch.setattr(ablation, "RANKED", WORDS)
    with Largest() as largest:
        assert torch.equal(ablation._steepest(objective, ids, 5), expected)
    assert largest.numbers < TARGETS * LENGTH * WORDS
