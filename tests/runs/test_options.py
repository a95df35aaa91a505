"""What options become: words, template, fluency, and remarks on autoencoders that do not fit."""

import itertools
import json

import pytest
import torch
from safetensors.torch import save_file

from optigram.errors import InputError
from optigram.models.loading import save
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.runs.objective import make_objective, remarks
from optigram.runs.options import FindOptions
from optigram.targets.target import resolve
from toy import TOKENS, Toy


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    save(tiny, path, {})
    return str(path)


def asked(*targets, model=None, **more) -> Objective:
    return make_objective(model or Toy(), targets, FindOptions.checked(more))


def test_length_comes_from_the_template_or_is_five():
    toy = Toy()
    assert asked("resid:1", model=toy).length == 5
    assert asked("resid:1", template="{2} a{1}", model=toy).length == 3
    assert asked("resid:1", template=" a{}", length=4, model=toy).length == 4
    with pytest.raises(InputError, match="slots hold 3 words"):
        asked("resid:1", template="{2} a{1}", length=4, model=toy)


def test_the_begin_symbol_is_there_without_a_template_too():
    toy = Toy(suffix=(1,))
    assert asked("resid:1", length=1, model=toy).template.fill([6]) == [0, 6, 1]
    assert asked("resid:1", length=1, chat=True, model=toy).template.fill([6]) == [0, 5, 6, 14, 1]


def test_the_lexicon_follows_the_request(tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(" a dog cat 7\n")
    objective = asked("resid:1", without=[" cat"], matching="[a-z]", words="whole", seen_in=str(corpus), model=Toy())
    assert objective.lexicon.tolist() == [5, 6]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"words": "half"}, "'any' or 'whole', got 'half'"),
        ({"dtype": "int8"}, "'float32', 'bfloat16'"),
        ({"seen_in": "nowhere"}, "no corpus file"),
    ],
)
def test_bad_requests_are_refused(more, said):
    with pytest.raises(InputError, match=said):
        asked("resid:1", **more, model=Toy())


def test_an_autoencoder_at_the_wrong_place_is_remarked_on(tmp_path):
    eye = torch.eye(8)
    save_file({"encoder": torch.cat([eye, -eye]), "decoder": torch.cat([eye, -eye])}, tmp_path / "fits.st")
    save_file({"encoder": eye, "threshold": torch.full((8,), 99.0)}, tmp_path / "dead.st")
    objective = asked(f"resid:{tmp_path}/fits.st#1", f"early:{tmp_path}/dead.st#1", model=Toy())
    fits, dead, warning = remarks(objective, [" a dog cat", " cat 7 a"])
    assert "0.00 of the variance unexplained, 8.0 latents active" in fits
    assert "0.0 latents active" in dead
    assert warning.startswith("WARNING")
    assert "check layer" in warning
    assert "random words" in next(remarks(objective))


def test_another_tokenizer_is_remarked_on():
    toy, other = Toy(), Toy(tokens=("x", *TOKENS[1:]))
    assert list(remarks(asked("resid:1", fluency=0.5, model=toy))) == []
    objective = Objective(toy, resolve(["resid:1"], toy), 3, fluency=Fluency(0.5, model=other))
    (remark,) = remarks(objective)
    assert "no gradient" in remark


OPTIONS = ("--without", "a", "--matching", "[b-f]", "--words", "whole", "--must-survive", "--fluency", 0.1, "--surprisal", "0-50")


def test_find_holds_what_it_is_asked_for(run, folder):
    words = ("find", folder, "visual:dog - 0.5*visual:cat", "-language:a@anywhere", "--by", "gbl", "--budget", 300)
    code, out, err = run(*words, *OPTIONS, "--template", "{1} g {2}", "--top", 3, "--apart", 1, "--json", "--quiet")
    assert (code, err) == (0, "")
    records = [json.loads(line) for line in out.splitlines()]
    assert len(records) == 6
    for record in records:
        assert record["tokens"][1] == "g"
        assert not {"a", "g"} & set(record["text"].split())
        assert record["survives"]
        again = run("score", folder, record["target"], "--text", record["text"], "--template", "{1} g {2}", "--surprisal", "--json")[1]
        assert json.loads(again)["activation"] == pytest.approx(record["activation"], abs=1e-5)
        assert json.loads(again)["surprisal"] == pytest.approx(record["surprisal"], abs=1e-5)


@pytest.mark.parametrize("by", ["epo", "gbl", "crp+epo"])
def test_find_shows_a_front_with_a_second_opinion(run, folder, tmp_path, by):
    (tmp_path / "corpus.txt").write_text("a b c d\ne f g a b\nd a g e\nb b b\n")
    words = ("find", folder, "visual:dog", "--by", by, "--corpus", tmp_path / "corpus.txt", "--length", 3, "--budget", 400, "--json")
    code, out, _ = run(*words, "--front", "--repetition", 0.1, "--second-opinion", folder)
    assert code == 0
    records = [json.loads(line) for line in out.splitlines()]
    assert records
    assert [record["rank"] for record in records] == list(range(1, len(records) + 1))
    for better, worse in itertools.pairwise(records):
        assert better["activation"] > worse["activation"]
        assert better["surprisal"] > worse["surprisal"]
    assert all(record["notes"]["second_surprisal"] == pytest.approx(record["surprisal"], abs=1e-5) for record in records)


def test_find_shows_latents_as_the_autoencoder_says(run, folder, tmp_path):
    save_file({"encoder": torch.eye(8), "threshold": torch.full((8,), 0.5)}, tmp_path / "sae.st")
    code, out, err = run("find", folder, f"visual.hidden:{tmp_path}/sae.st#0-7", "--by", "gbl", "--budget", 200, "--length", 2, "--json")
    assert code == 0
    assert "no decoder" in err
    for line in out.splitlines():
        record = json.loads(line)
        before = record["notes"]["preactivation"]
        assert record["activation"] == pytest.approx(before if before > 0.5 else 0)


BAD = {
    "direction of another width": (("visual.hidden:PROBE#short",), "width 3"),
    "missing file": (("visual.hidden:nowhere.safetensors#happy",), "no file"),
    "autoencoder that does not fit": (("visual.hidden:SAE#0",), "width 5"),
    "malformed sum": (("visual:dog + ",), "dog +"),
    "sum of many": (("visual:* - visual:dog",), "one unit in each term"),
    "empty lexicon": (("visual:dog", "--matching", "zebra"), "no word is left"),
    "no such word": (("visual:dog", "--without", "zebra"), "no token reads"),
    "template without slot": (("visual:dog", "--template", "a b"), "template"),
    "length against the template": (("visual:dog", "--template", "{2} a", "--length", "3"), "slots hold 2"),
    "no chat": (("visual:dog", "--chat"), "no chat template"),
    "bad band": (("visual:dog", "--surprisal", "low"), "such as 2-6"),
    "negative fluency": (("visual:dog", "--fluency", "-1"), "at least 0"),
    "negative repetition": (("visual:dog", "--repetition", "-1"), "at least 0"),
    "front and top": (("visual:dog", "--front", "--top", "2"), "expected front or n"),
    "embeddings have no surprisal": (("visual:dog", "--fluency", "1", "--by", "emb"), "use smx or gbl"),
    "half precision": (("visual:dog", "--dtype", "bfloat16"), "float32"),
}


@pytest.mark.parametrize(("words", "said"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_exit_2(run, folder, tmp_path, words, said):
    save_file({"short": torch.ones(3)}, tmp_path / "probe.safetensors")
    save_file({"encoder": torch.ones(2, 5)}, tmp_path / "sae.safetensors")
    places = {"PROBE": str(tmp_path / "probe.safetensors"), "SAE": str(tmp_path / "sae.safetensors")}
    for short, path in places.items():
        words = tuple(word.replace(short, path) for word in words)
    code, out, err = run("find", folder, "--by", "gbl", *words, "--quiet")
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
