"""One text in several contexts: scores, gradients and searches are those of its contexts, over all of them."""

import pytest
import torch

import optigram as og
from optigram.errors import InputError
from optigram.methods.coordinate import Coordinate
from optigram.methods.slopes import Slopes
from optigram.models.loading import load
from optigram.objective.contexts import Contexts
from optigram.objective.objective import Objective
from optigram.objective.scores import SoftText
from optigram.optimize.search import Budget, search
from optigram.text.template import Template

PLACES = ("a woman with {}", "{} in the rain")
relax = Objective.relax
CORPUS = ["two people eat pizza and drink wine", "a dog under an umbrella", "a cat on a red car"]
TARGETS = ("visual:pizza", "language:umbrella", "visual:dog - visual:cat")


@pytest.fixture(scope="module")
def parts() -> list[Objective]:
    model = load("imaginet")
    return [Objective(model, TARGETS, 3, Template.parse(place, model.vocabulary)) for place in PLACES]


@pytest.mark.parametrize("over", ["mean", "min"])
def test_scores_and_gradients_are_those_of_the_contexts(parts, over):
    objective = Contexts(parts, over)
    ids = objective.lexicon[torch.randint(len(objective.lexicon), (3, 5, 3), generator=torch.Generator().manual_seed(0))]
    each = torch.stack([part.score(ids).activation for part in parts])
    expected = each.mean(0) if over == "mean" else each.amin(0)
    torch.testing.assert_close(objective.each(ids), each)
    assert objective.cost.spent.sum() == 0, "what is only looked at is not charged"
    torch.testing.assert_close(objective.score(ids).value, expected)
    assert objective.cost.spent[0] > 0
    soft = objective.model.embedding[ids].requires_grad_()
    torch.testing.assert_close(objective.relax(SoftText(soft, None)).value, expected, atol=1e-4, rtol=1e-4)
    if over == "mean":
        torch.testing.assert_close(
            objective.gradient(ids), torch.stack([part.gradient(ids) for part in parts]).mean(0), atol=1e-5, rtol=1e-4
        )


def test_each_view_and_part_of_the_targets_keeps_all_contexts(parts):
    objective = Contexts(parts)
    ids = objective.lexicon[:3][None, None]
    whole = objective.score(ids).activation
    for other in (objective.viewed("exact"), objective.climbing(), objective.deterministic(), objective.subset([0, 1, 2])):
        assert isinstance(other, Contexts)
        torch.testing.assert_close(other.score(ids).activation, whole)
    torch.testing.assert_close(objective.subset([1]).score(ids).activation, whole[1:2])


def test_a_gradient_is_charged_in_every_context(parts, monkeypatch):
    """What is charged is what is run: forwards and backwards of soft texts, counted where the model's texts are relaxed."""
    objective, ran = Contexts([part.subset([0]) for part in parts]), []
    monkeypatch.setattr(
        Objective, "relax", lambda self, text, *rest, **more: ran.append(text.embeds.shape[1]) or relax(self, text, *rest, **more)
    )
    texts = objective.lexicon[:6].view(1, 2, 3)
    slopes = Slopes(objective, texts)
    for _ in range(2):  # the second time only the blends are new
        slopes.at(texts, 1, objective.lexicon[:4].expand(1, 2, 4), slopes.changed(texts))
        assert (float(objective.cost.forwards), float(objective.cost.backwards)) == (sum(ran), 2 * sum(ran))
    assert len(ran) == 4


def test_coordinate_in_contexts_keeps_to_its_budget(parts):
    found = search(Contexts([part.subset([0]) for part in parts]), Coordinate(), Budget(forwards=1200)).found[0]
    assert found is not None
    assert 800 <= found.forwards + found.backwards <= 1320


@pytest.mark.parametrize("over", ["mean", "min"])
def test_find_tells_the_activation_in_each_context(over, tmp_path):
    file = tmp_path / "contexts.txt"
    file.write_text("\n".join(PLACES) + "\n\n")
    for record in og.find(
        "imaginet", "visual:pizza", by="crp,coordinate", budget=60, contexts=str(file), over=over, length=3, corpus=CORPUS
    ):
        each = [og.score("imaginet", "visual:pizza", record.text, template=place)[0].activation for place in PLACES]
        assert [record.notes["context 1"], record.notes["context 2"]] == pytest.approx(each, abs=1e-4)
        assert record.activation == pytest.approx(sum(each) / 2 if over == "mean" else min(each), abs=1e-4)


@pytest.mark.parametrize(
    ("contexts", "said"),
    [
        (["nowhere.txt"], "expected a template with"),
        (["a {2} man", "{3} dogs"], "slots hold 3 words"),
        (["a man", "{} dogs"], "expected a template with"),
    ],
)
def test_bad_contexts(contexts, said):
    with pytest.raises(InputError, match=said):
        og.find("imaginet", "visual:pizza", contexts=contexts)


def test_an_empty_file(tmp_path):
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(InputError, match="holds no template"):
        og.find("imaginet", "visual:pizza", contexts=str(tmp_path / "none.txt"))
