from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_imaginet import gru_by_hand

from optigram.errors import InputError
from optigram.objective.objective import Objective
from optigram.objective.scores import SoftText
from optigram.targets.target import Target, resolve
from optigram.text.template import Template


def by_hand(model, target: Target, ids: list[int]) -> float:
    """Activation in NumPy: GRU, linear layer, pool, sign."""
    (term,) = target.terms
    path, _, hidden = term.site.partition(".")
    states = gru_by_hand(model, path, ids)
    layer = model.projection(path)
    values = states if hidden else states @ layer.weight.numpy().astype(float).T + layer.bias.numpy()
    values = term.weight * values[:, term.readout.index]
    return {"last": lambda: values[-1], "max": values.max, "mean": values.mean}.get(str(target.pool), lambda: values[target.pool])()


def plain(model):
    """The same model without `step`, as a transformer would be."""
    names = ("name", "vocabulary", "embedding", "sites", "fingerprint", "read")
    return SimpleNamespace(attends=True, step=None, **{name: getattr(model, name) for name in names})


def test_score_is_the_arithmetic_of_the_definition(objective, tiny):
    texts = [[3, 4, 5], [9, 9, 9], [7, 3, 8], [7, 3, 9], [7, 3, 8]]
    scores = objective.score(torch.tensor([texts])).activation
    expected = [[by_hand(tiny, target, text) for text in texts] for target in objective.targets]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_the_template_is_judged_with_the_text(tiny):
    targets = resolve(["language:a", "visual:dog@mean", "visual:cat@0"], tiny.sites)
    objective = Objective(tiny, targets, 2, Template((4, 5), (6,)))
    score = objective.score(torch.tensor([[[3, 9]]])).activation
    np.testing.assert_allclose(score, [[by_hand(tiny, target, [4, 5, 3, 9, 6])] for target in targets], atol=1e-5)


def test_shared_prefixes_change_cost_and_nothing_else(objective, tiny, every_text):
    texts = torch.from_numpy(every_text)[None]
    targets = [target for target in objective.targets if target.pool not in ("max", "mean")]  # these look elsewhere in a model read whole
    objective = Objective(tiny, [*targets, *resolve(["language:*@anywhere", "-visual:dog@anywhere"], tiny.sites)], 3)
    whole = Objective(plain(tiny), objective.targets, 3)
    torch.testing.assert_close(objective.score(texts).activation, whole.score(texts).activation, atol=1e-5, rtol=0)
    assert whole.cost.spent.unique().tolist() == [343]
    assert objective.cost.spent.tolist() == pytest.approx([(7 + 49 + 343) / 3] * len(objective.targets))


def test_each_target_may_judge_its_own_texts(objective, every_text):
    k = len(objective.targets)
    rng = np.random.default_rng(0)
    texts = torch.from_numpy(rng.choice(every_text, (k, 5)))
    own = objective.score(texts).activation
    for row in range(k):
        shared = objective.score(texts[row : row + 1]).activation[row]
        torch.testing.assert_close(own[row], shared, atol=1e-5, rtol=0)


def test_order_and_company_of_texts_do_not_matter(objective, every_text):
    texts = torch.from_numpy(every_text)
    scores = objective.score(texts[None]).activation
    order = torch.from_numpy(np.random.default_rng(0).permutation(343)[:50])
    assert torch.equal(objective.score(texts[order][None]).activation, scores[:, order])


@pytest.mark.parametrize("kind", ["recurrent", "plain"])
def test_relax_at_one_hot_is_score(objective, tiny, every_text, kind):
    judge = Objective(plain(tiny) if kind == "plain" else tiny, objective.targets, 3, Template((5,), (4,)))
    ids = torch.from_numpy(every_text[::50])[None]
    for texts in (ids, ids.expand(len(objective.targets), -1, -1)):
        soft = judge.relax(SoftText(tiny.embedding[texts], None)).activation
        torch.testing.assert_close(soft, judge.score(texts).activation, atol=1e-5, rtol=0)


def test_gradient_agrees_with_finite_differences(tiny):
    targets = resolve(["language:a", "visual:dog@mean"], tiny.sites)
    objective = Objective(tiny, targets, 3)
    ids = torch.tensor([[[3, 5, 9]], [[4, 4, 8]]])
    slopes = objective.gradient(ids)
    hot = torch.nn.functional.one_hot(ids - 3, 7).float()
    for k, t, v in ((0, 0, 2), (0, 2, 6), (1, 1, 1), (1, 2, 0)):
        assert difference(objective, hot, k, t, v) == pytest.approx(float(slopes[k, 0, t, v]), abs=2e-3)


def test_the_gradient_at_a_blend_of_words_agrees_with_finite_differences(tiny):
    objective = Objective(tiny, resolve(["language:a", "visual:dog@mean"], tiny.sites), 3)
    ids, blend = torch.tensor([[[3, 5, 9]], [[4, 4, 8]]]), torch.tensor([[[3, 7]], [[6, 9]]])
    slopes = objective.gradient(ids, [1], blend)
    mixed = torch.nn.functional.one_hot(ids - 3, 7).float()
    mixed[:, :, 1] = torch.nn.functional.one_hot(blend - 3, 7).float().mean(2)
    for k, v in ((0, 2), (1, 6)):
        assert difference(objective, mixed, k, 1, v) == pytest.approx(float(slopes[k, 0, 0, v]), abs=2e-3)


def difference(objective, weights, k, t, v, step=1e-2) -> float:
    """By how much the sum of activations changes with the weight of a word, measured."""
    nudge = torch.zeros_like(weights)
    nudge[k, 0, t, v] = step
    up, down = (objective.relax(SoftText((weights + sign * nudge) @ objective.table, None)).activation.sum() for sign in (1, -1))
    return float((up - down) / (2 * step))


def test_the_meter_counts_forward_and_backward_rows(tiny):
    objective = Objective(tiny, resolve(["visual:dog", "language:a"], tiny.sites), 3)
    objective.gradient(torch.tensor([[[3, 4, 5], [3, 4, 6]]]))
    assert objective.cost.forwards.tolist() == [2, 2]
    assert objective.cost.backwards.tolist() == [4, 4]
    objective.cost.active[0] = False
    objective.score(torch.tensor([[[3, 4, 5], [3, 4, 6]]]))
    assert objective.cost.forwards.tolist() == pytest.approx([2, 2 + 4 / 3])


def test_bad_lengths_and_positions_are_refused(tiny):
    with pytest.raises(InputError, match="length of at least 1"):
        Objective(tiny, resolve(["visual:dog"], tiny.sites), 0)
    with pytest.raises(InputError, match="positions 0 to 2"):
        Objective(tiny, resolve(["visual:dog@3"], tiny.sites), 3)
