import math

import numpy as np
import pytest
import torch

from optigram.errors import InputError
from optigram.models.imaginet import Imaginet, Sizes
from optigram.papers.poerner2018.omission import SITES, OmissionTable, _agreement, _by_class, _contrast, _Omissions, _omissions, _usable
from optigram.papers.poerner2018.syntax import Contrast
from optigram.study.statistics import Interval

TEXTS = ["a dog on the sofa", "dog on", "the sofa on a sofa", "two dog"]


@pytest.fixture(scope="module")
def model() -> Imaginet:
    torch.manual_seed(2)
    made = Imaginet(("a", "dog", "on", "the", "sofa", "two"), ("x",), Sizes(8, 16, 1), name="spoken")
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    return made.eval().requires_grad_(False)


def final_state(model: Imaginet, site: str, ids: list[int]) -> np.ndarray:
    return model.read(model.embedding[torch.tensor([ids])], [site])[site][0, -1].double().numpy()


def score_by_hand(model: Imaginet, site: str, ids: list[int], without: int) -> float:
    one, other = final_state(model, site, ids), final_state(model, site, ids[:without] + ids[without + 1 :])
    return 1 - float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_scores_are_those_of_texts_read_whole(model, monkeypatch, chunk):
    monkeypatch.setattr("optigram.papers.poerner2018.omission.CHUNK", chunk)
    found = _omissions(model, TEXTS)
    assert list(found.words) == " ".join(TEXTS).split()
    assert found.sentences.tolist() == [0] * 5 + [1] * 2 + [2] * 5 + [3] * 2
    for path, site in SITES.items():
        texts = [model.vocabulary.encode(text) for text in TEXTS]
        expected = [score_by_hand(model, site, ids, i) for ids in texts for i in range(len(ids))]
        np.testing.assert_allclose(found.scores[path], expected, atol=1e-5)


def some_scores() -> _Omissions:
    """Function words ("a", "on") turn the language path four times as much as the visual one, "dog" half as much."""
    rng = np.random.default_rng(0)
    visual = rng.uniform(0.1, 0.3, 90)
    language = visual * np.tile([4.0, 0.5, 4.0], 30)
    return _Omissions(["a", "dog", "on"] * 30, np.repeat(np.arange(30), 3), {"language": language, "visual": visual})


def test_classes_have_their_means_and_ratios():
    found = some_scores()
    rows = {row.name: row for row in _by_class(found)}
    assert list(rows) == ["determiner", "preposition", "function words", "content"]
    assert rows["determiner"].language == pytest.approx(found.scores["language"][::3].mean())
    assert rows["function words"].count == 60
    assert rows["preposition"].log_ratio == pytest.approx([math.log(4)] * 3)
    assert rows["content"].log_ratio.value == pytest.approx(math.log(0.5))


def test_the_contrast_is_of_log_ratios():
    assert _contrast(some_scores()) == pytest.approx([math.log(8)] * 3)


def test_the_interval_draws_whole_sentences():
    """Two sentences: a resample is one of them twice (a quarter each) or both, so the interval spans the two."""
    scores = {"language": np.array([1.0, 1.0, 4.0, 1.0]), "visual": np.ones(4)}
    found = _contrast(_Omissions(["a", "dog"] * 2, np.array([0, 0, 1, 1]), scores))
    assert found == pytest.approx((math.log(2.5), 0, math.log(4)))


def test_scores_of_one_kind_of_words_have_no_contrast():
    with pytest.raises(InputError, match="only one kind"):
        _contrast(_Omissions(["dog"], np.array([0]), {"language": np.ones(1), "visual": np.ones(1)}))


@pytest.mark.parametrize(
    ("omitted", "optimised", "verdict"),
    [
        ((1, 0.5, 2), (-0.4, -0.5, -0.3), "agree"),
        ((1, 0.5, 2), (0.4, 0.3, 0.5), "disagree"),
        ((-1, -2, -0.5), (0.4, 0.3, 0.5), "agree"),
        ((1, -0.5, 2), (-0.4, -0.5, -0.3), "undecided"),
        ((1, 0.5, 2), (-0.4, -0.5, 0.1), "undecided"),
    ],
)
def test_whether_omission_scores_and_ngrams_agree(omitted, optimised, verdict):
    (told,) = _agreement(Interval(*omitted), [Contrast("gbl", Interval(*optimised), Interval(0, 0, 0))])
    assert told.startswith(f"gbl: {verdict} ")


def test_sentences_that_can_be_used(model):
    texts = ["dog", "a dog", "a zebra", "a dog", "The dog.", "on two", "sofa a"]
    assert _usable(model, texts, 10) == ["a dog", "The dog.", "on two", "sofa a"]
    assert _usable(model, texts, 2) == _usable(model, texts, 2)
    assert set(_usable(model, texts, 2)) < set(texts)
    with pytest.raises(InputError, match="two or more words"):
        _usable(model, ["dog", "zebra"], 2)


def test_the_section_shows_every_class(model):
    text = OmissionTable._of(_omissions(model, TEXTS * 4)).section([])
    for name in ("determiner", "preposition", "function words", "content"):
        assert f"| {name} |" in text
    assert "over 56 words of 16 corpus sentences" in text
