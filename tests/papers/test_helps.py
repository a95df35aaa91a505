"""The study of descriptions in little: what it leaves, that it resumes, and that its page says what its records say."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_encoder import WORDS

from optigram.errors import InputError
from optigram.explaining import verification
from optigram.explaining.effort import Effort
from optigram.models import loading
from optigram.models.imaginet import Imaginet, Sizes
from optigram.papers.descriptions import recipe, show
from optigram.papers.descriptions.autoencoder import Autoencoder
from optigram.papers.descriptions.recipe import CLASSES, CORPUS, SEARCH, SOURCES, Scale
from optigram.papers.descriptions.run import DescriptionStudy
from optigram.papers.descriptions.workshop import TEST, Workshop
from optigram.targets.sae_formats import open_autoencoder

LITTLE = Scale(2, 400, (150, 80), (60, 50), (12.0, 12.0), Effort(1, 6, (0.9,), 1, 4, False), 24, 2, 60, 64)


def quiet(*words) -> None:
    pass


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A folder with an Imaginet and a corpus."""
    folder, rng = tmp_path_factory.mktemp("study"), np.random.default_rng(0)
    torch.manual_seed(1)
    model = Imaginet(WORDS, ("cat", "dog", "traffic light"), Sizes(8, 8, 3), name="tiny")
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.6)
    model.first_words[3:] = 1
    loading.save(model, folder / "model", {})
    (folder / "corpus.txt").write_text("".join(" ".join(rng.choice(WORDS, 8)) + "\n" for _ in range(300)))
    return folder


def study(places, **others) -> DescriptionStudy:
    named = {"model": str(places / "model"), "corpus": str(places / "corpus.txt"), "encoder_corpus": str(places / "corpus.txt")}
    return DescriptionStudy.of("little", 0, **{**named, "encoder": "toy_encoder:encoder", **others})


@pytest.fixture(scope="module")
def run(places):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipe.SCALES, "little", LITTLE)
        patch.setattr(verification, "RESAMPLES", 20)
        study(places).run(places / "out", quiet, quiet)
        yield places / "out"


def test_every_class_and_source_has_its_rows(run):
    units, facts = show.read(run)
    assert [sum(unit["kind"] == kind for unit in units) for kind in CLASSES] == [2, 2, 2, 2]
    assert all(set(unit["sources"]) == set(SOURCES) and "evidence" not in unit["sources"][CORPUS] for unit in units)
    assert all(test["auc"] is None or 0 <= test["auc"] <= 1 for unit in units for test in unit["tests"])
    assert len({test["judge"] for unit in units for test in unit["tests"]}) == 2
    assert facts["classes"]["mlp"]["texts"][0] + facts["classes"]["mlp"]["texts"][1] == 300
    page = (run / show.PAGE).read_text()
    assert all(name in page for name in CLASSES.values())
    assert (run / "table.md").read_text() in page


def test_sources_see_what_their_name_says(run):
    for cell in (run / "cells").glob("describe-*.json"):
        for source, one in json.loads(cell.read_text())["sources"].items():
            if "problem" in one:  # a short search may raise nothing, which is said
                assert one["problem"].startswith("no text raises")
                continue
            evidence = one["evidence"]
            found = {example["source"] for concept in evidence["concepts"] for example in concept["examples"]}
            assert found <= {"corpus"} if source == CORPUS else source != SEARCH or found == {"search"}
            assert (evidence["corpus"] is None) == (source == SEARCH)


def test_held_out_texts_are_in_no_other_half(run, places):
    workshop = Workshop(study(places).settings, run / "cells")
    train, test = (set(half.texts()) for half in workshop.halves("mlp"))
    assert min(len(train), len(test)) > 50
    assert not train & test
    assert all(any(window in text for text in test) for window in workshop.windows("mlp"))


def test_values_of_the_shared_pass_are_those_of_one_unit(run, places):
    workshop = Workshop(study(places).settings, run / "cells")
    own = workshop._objective("mlp", 1).viewed("exact").score(torch.from_numpy(workshop.ngrams("mlp"))[None]).activation[0].numpy()
    np.testing.assert_allclose(workshop._known("mlp")["ngrams"][1], own, rtol=1e-5)


def test_it_resumes_to_the_same_records(run, places):
    before = show.read(run)[0]
    workshop = Workshop(study(places).settings, run / "cells")
    for task in (*workshop.tasks(TEST)[:2], *workshop.tasks("describe")[:1]):
        (run / "cells" / task.file).unlink()
    said = []
    study(places).run(run, quiet, lambda done, total, what: said.append((what, done, total)))
    assert ("describe", 7, 8) in said
    assert [[each["auc"] for each in one["tests"]] for one in show.read(run)[0]] == [
        [each["auc"] for each in one["tests"]] for one in before
    ]


def test_another_study_is_refused_with_what_differs(run, places):
    with pytest.raises(InputError, match=r"holds another study \(settings.seed: 0 -> 1\)"):
        study(places, seed=1).run(run, quiet, quiet)
    with pytest.raises(InputError, match="expected --scale small or full"):
        DescriptionStudy.of("large", 0)
    with pytest.raises(InputError, match="give a folder of"):
        show.read(places)


def test_tasks_go_to_other_processes(run, places):
    asked = study(places)
    workshop = Workshop(asked.settings, run / "cells")
    assert pickle.loads(pickle.dumps(asked.settings)) == asked.settings
    assert pickle.loads(pickle.dumps(workshop.tasks(TEST))) == workshop.tasks(TEST)


def test_without_an_encoder_two_classes(places):
    assert study(places, encoder=None).settings.classes == ("language", "visual")


def test_the_autoencoder_rebuilds_sparse_states(tmp_path):
    rng = torch.Generator().manual_seed(0)
    features = torch.nn.functional.normalize(torch.randn(24, 16, generator=rng), dim=1)
    chosen = torch.randint(24, (4000, 2), generator=rng)
    states = features[chosen].sum(1) + 5
    made = Autoencoder.train(states, 32, 2, 300, 256, 0, tmp_path / "sae.safetensors")
    assert made.unexplained < 0.4
    assert Autoencoder.read(tmp_path / "sae.safetensors") == made
    read = open_autoencoder(str(tmp_path / "sae.safetensors"))
    fit = read.fit(states)
    assert fit.unexplained == pytest.approx(made.unexplained, rel=1e-3)
    assert fit.active <= 2


def test_the_page_of_the_documentation_is_what_its_records_say(tmp_path):
    """If this fails: python -m optigram.papers.descriptions.show docs/descriptions/records FOLDER, and take its page."""
    docs = Path(__file__).parents[2] / "docs/descriptions"
    show.write(docs / "records", tmp_path)
    assert (docs / show.PAGE).read_text(encoding="utf-8") == (tmp_path / show.PAGE).read_text(encoding="utf-8")
