"""The front door: find, score and explain on names and loaded objects, wrong calls in one line, and Ctrl-C with what was found."""

import json

import numpy as np
import pytest
import torch
from tiny_models import pretrained, tokenizer

import optigram as og
from optigram.errors import InputError, Interrupted
from optigram.models.loading import save


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    save(tiny, path, {})
    return str(path)


TEXTS = ["a b c d e f g", "g f e d c b a", "a a b b c c d", "c e g b d f a"]


def test_find_takes_a_loaded_model_an_address_and_a_list_of_texts(tiny):
    found = og.find(tiny, "visual:dog", by="crp", corpus=TEXTS, length=3)
    assert len(found) == 1
    (record,) = found
    assert (record.target, record.method) == ("visual:dog", "crp")
    assert record.text in " / ".join(TEXTS)


def test_find_runs_auto_by_default_and_returns_results(tiny):
    found = og.find(tiny, ["visual:dog", "language:a"], corpus=TEXTS, length=3, budget=60)
    assert [record.method for record in found] == ["auto", "auto"]
    assert isinstance(found, og.Results)
    assert found.best.activation == max(record.activation for record in found)


def test_a_transformer_in_memory_is_searched(tmp_path):
    model = pretrained("gpt2")
    found = og.find(model, "mlp_act.0:7", tokenizer=tokenizer("bpe"), by="coordinate", budget=40, length=3, seed=1)
    again = og.score(model, "mlp_act.0:7", found.best.text, tokenizer=tokenizer("bpe"))
    if found.best.survives:
        assert again.best.activation == pytest.approx(found.best.activation, abs=1e-5)


def test_scores_of_several_texts_come_in_their_order(tiny):
    found = og.score(tiny, ["visual:dog", "visual:cat"], ["a b c", "b", "a b c", "c d"])
    assert [(record.text, record.target) for record in found] == [
        (text, target) for text in ("a b c", "b", "a b c", "c d") for target in ("visual:dog", "visual:cat")
    ]
    ids = torch.tensor([tiny.vocabulary.encode("a b c")])
    with torch.no_grad():
        want = tiny.read(tiny.embedding[ids], ["visual.hidden"])["visual.hidden"][0, -1]
        linear = tiny.sites["visual"].linear
        want = want @ linear.weight[1] + linear.bias[1]
    assert found[0].activation == pytest.approx(float(want), abs=1e-5)


def test_explain_gives_one_explanation_per_target(tiny):
    found = og.explain(tiny, ["visual:dog", "language:a"], "a b c")
    assert [one.target for one in found] == ["visual:dog", "language:a"]
    assert found[0].activation == pytest.approx(og.score(tiny, "visual:dog", "a b c").best.activation, abs=1e-6)
    assert "visual:dog" in repr(found)
    assert found._repr_html_().count("<table>") == 2
    assert set(found.to_pandas().columns) == {"target", "text", "position", "word", "without", "substitute", "activation"}


def test_a_search_in_a_folder_is_opened_again(tiny, tmp_path):
    found = og.find(tiny, "visual:dog", by="crp", corpus=TEXTS, length=3, out=tmp_path / "run")
    again = og.open(tmp_path / "run")
    assert [record.to_json() for record in again] == [record.to_json() for record in found]
    settings = json.loads((tmp_path / "run" / "manifest.json").read_text())["settings"]
    assert settings["length"] == 3
    with pytest.raises(InputError, match="expected a new folder"):
        og.find(tiny, "visual:dog", by="crp", corpus=TEXTS, length=3, out=tmp_path / "run")


WRONG = {
    "an unknown option": (lambda model: og.find(model, "visual:dog", bugdet=3), "unknown option 'bugdet'; did you mean budget"),
    "an option by position": (lambda model: og.find(model, "visual:dog", "gbl"), "expected keyword arguments after the targets, got 'gbl'"),
    "a budget in words": (lambda model: og.find(model, "visual:dog", budget="much"), "budget: expected a valid number"),
    "a budget of nothing": (lambda model: og.find(model, "visual:dog", budget=0), "budget: expected more than 0, got 0"),
    "lengths that shrink": (
        lambda model: og.find(model, "visual:dog", length="5-3"),
        "length: expected a range from short to long, such as 3-5",
    ),
    "lengths of three": (
        lambda model: og.find(model, "visual:dog", length=(1, 2, 3)),
        "length: expected a whole number of words, or a range",
    ),
    "a length in words": (lambda model: og.find(model, "visual:dog", length="many"), "a whole number of words, or a range such as 3-12"),
    "lengths beside slots": (lambda model: og.find(model, "visual:dog", length="3-4", template="a {2}", by="random"), "one slot"),
    "lengths of a front": (lambda model: og.find(model, "visual:dog", length="3-4", front=True, by="random"), "give one length"),
    "lengths of concepts": (lambda model: og.concepts(model, "visual:dog", length="3-4"), "length: expected a valid integer"),
    "a length of nothing": (lambda model: og.find(model, "visual:dog", length=0), "length: expected at least 1, got 0"),
    "an unknown method": (lambda model: og.find(model, "visual:dog", by="gumble"), "unknown method 'gumble'"),
    "a method that is a number": (lambda model: og.find(model, "visual:dog", by=3), "by: expected method names or Method objects, not 3"),
    "an unknown target": (lambda model: og.find(model, "visual:dgo"), "no unit named 'dgo'; did you mean dog"),
    "a target that is a number": (lambda model: og.find(model, 3), "expected an address .* got int 3"),
    "no target": (lambda model: og.find(model), "expected an address .* got None"),
    "a template without slot": (lambda model: og.find(model, "visual:dog", template="a b"), "expected a template with"),
    "words of another kind": (lambda model: og.find(model, "visual:dog", words="half"), "words: expected 'any' or 'whole', got 'half'"),
    "a corpus that is missing": (
        lambda model: og.find(model, "visual:dog", by="crp", corpus="nowhere.txt"),
        "no corpus file 'nowhere.txt'",
    ),
    "a corpus that is a number": (lambda model: og.find(model, "visual:dog", by="crp", corpus=3), "corpus.*got 3|expected .*corpus"),
    "an empty corpus": (lambda model: og.find(model, "visual:dog", by="crp", corpus=[]), "empty"),
    "a half-precision loaded model": (
        lambda model: og.find(model, "visual:dog", dtype="bfloat16"),
        "dtype: expected a model opened by name",
    ),
    "no model": (lambda model: og.find(None, "visual:dog"), "expected .*model.*, got None|expected the name of a model"),
    "a text that is a number": (lambda model: og.score(model, "visual:dog", 3), "expected a text or a list of texts, got 3"),
    "no text": (lambda model: og.score(model, "visual:dog", []), "expected at least one text"),
    "an unknown word": (lambda model: og.score(model, "visual:dog", "zebra"), "does not know the word 'zebra'"),
    "a text without words": (lambda model: og.explain(model, "visual:dog", " "), "at least one word"),
    "substitutions of nothing": (lambda model: og.explain(model, "visual:dog", "a b", n=0), "n: expected an integer of at least 1"),
    "a folder that is none": (lambda model: og.open("nowhere"), "nowhere"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_is_one_line(tiny, name):
    call, said = WRONG[name]
    with pytest.raises(InputError, match=said) as error:
        call(tiny)
    assert "\n" not in str(error.value)


def test_ctrl_c_raises_and_carries_what_was_found(tiny, monkeypatch):
    from optigram.optimize import search as loop

    rounds = iter(range(100))
    score = loop.Objective.score

    def interrupted(self, ids, owned=False):
        if next(rounds) == 12:
            raise KeyboardInterrupt
        return score(self, ids, owned)

    monkeypatch.setattr(loop.Objective, "score", interrupted)
    with pytest.raises(Interrupted) as error:
        og.find(tiny, ["visual:dog", "visual:cat"], by="coordinate", length=3, budget=3000)
    assert isinstance(error.value, KeyboardInterrupt)
    assert isinstance(error.value.results, og.Results)
    assert 1 <= len(error.value.results) <= 2


def test_the_signature_and_the_help_of_find_name_every_option():
    import inspect

    names = set(inspect.signature(og.find).parameters)
    assert names >= set(og.FindOptions.model_fields) | {"model", "targets", "tokenizer", "out", "quiet"}
    assert all(f"{name}: " in (og.find.__doc__ or "") for name in og.FindOptions.model_fields)


def test_a_vector_in_memory_is_a_target(tiny):
    vector = np.arange(8.0)
    found = og.find(tiny, og.direction("visual.hidden", vector, name="up"), by="crp", corpus=TEXTS, length=3)
    assert found.best.target.startswith("visual.hidden")


def test_a_loaded_model_of_half_precision_is_searched_as_it_is(tmp_path, monkeypatch):
    model = pretrained("gpt2").to(torch.bfloat16)
    asked = {"by": "random", "budget": 20, "length": 3}
    assert len(og.find(model, "mlp_act.0:7", tokenizer=tokenizer("bpe"), **asked)) == 1
    assert {part.dtype for part in model.parameters()} == {torch.bfloat16}
    (tmp_path / "half_model.py").write_text(
        "import torch\nfrom tiny_models import network\n\ndef model():\n    return network('gpt2', torch.bfloat16)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert len(og.find("half_model:model", "mlp_act.0:7", **asked)) == 1


def test_lengths_are_a_range_and_the_shortest_text_near_the_best_is_marked(tiny, tmp_path):
    found = og.find(
        tiny, ["visual:dog", "-language:a"], by=["random", "auto"], corpus=TEXTS, length=(2, 4), budget=120, out=tmp_path / "run"
    )
    assert found.settings["length"] == "2-4"
    for key in {(record.target, record.method) for record in found}:
        rows = [record for record in found if (record.target, record.method) == key]
        assert sorted(record.words for record in rows) == [2, 3, 4]
        assert [record.rank for record in rows] == [1, 2, 3]
        assert [record.activation for record in rows] == sorted((record.activation for record in rows), reverse=True)
        near = [record for record in rows if record.activation >= rows[0].activation - 0.01 * abs(rows[0].activation)]
        assert [record for record in rows if "shortest" in record.notes] == [min(near, key=lambda record: record.words)]
        assert {record.forwards for record in rows} == {rows[0].forwards}
        assert rows[0].forwards + rows[0].backwards <= 120
        assert [bool(record.trace) for record in rows] == [True, False, False]
        for record in rows:
            assert og.score(tiny, record.target, record.text).best.activation == pytest.approx(record.activation, abs=1e-5)
    assert [vars(record) for record in og.open(tmp_path / "run")] == [vars(record) for record in found]
    again = og.find(tiny, "visual:dog", by="auto", corpus=TEXTS, length="2-4", budget=120)
    assert [vars(record) | {"seconds": 0, "notes": 0} for record in again] == [
        vars(record) | {"seconds": 0, "notes": 0} for record in found.filter(target="visual:dog", method="auto")
    ]


def test_longer_texts_begin_from_the_best_of_one_word_less(tiny):
    from optigram.methods import Corpus

    class First:  # scores the texts that it begins from, and ends
        patience, ends, batch, seen = None, True, 1, []

        def cost(self, budget):
            return budget

        def with_block(self, texts):
            return self

        def probe(self):
            return self

        def propose(self, objective, seed, start=None):
            self.seen.append(start)
            yield from Corpus("some", objective.lexicon[:4, None].expand(4, objective.length).numpy()).propose(objective, seed)

    first = First()
    found = og.find(tiny, "visual:dog", by=first, length="2-3", budget=100)
    assert first.seen[0] is None
    (short,) = (record for record in found if record.words == 2)
    for text in first.seen[1][0].tolist():
        assert any([*text[:place], *text[place + 1 :]] == list(short.ids) for place in range(3))
