import json

import numpy as np
import pytest
import torch

from optigram.errors import InputError
from optigram.models.loading import load
from optigram.papers.poerner2018 import train as training
from optigram.papers.poerner2018.data import SHARES, Captions, batches, encode, read_captions, split
from optigram.papers.poerner2018.features import read_images
from optigram.papers.poerner2018.train import CHECKPOINT, train
from optigram.papers.poerner2018.trainer import Trainer, Training, new_model

SETTINGS = Training(embedding=12, hidden=16, alpha=0.5, rate=0.02, batch=8, epochs=4, dropout=0.05, rare=0.5, decay=True, seed=1)
SIZES = ("small", "old", "young", "huge", "thin", "calm", "wild", "wet")
COLOURS = ("black", "white", "brown", "grey", "red", "spotted", "golden", "dark")
ANIMALS = ("cat", "dog", "cow", "sheep")


@pytest.fixture
def data(tmp_path):
    return read(tmp_path)


def read(tmp_path, shares=SHARES, by="image"):
    """60 images of one of four animals, five captions each that name it."""
    rng = np.random.default_rng(0)
    labels = rng.integers(len(ANIMALS), size=60)
    places = ("on the grass", "near a house", "in the rain", "under some trees", "by the big road")
    lines = [
        json.dumps({"caption": f"A {rng.choice(SIZES)} {rng.choice(COLOURS)} {ANIMALS[label]} {place}.", "image": f"{image}"})
        for image, label in enumerate(labels)
        for place in places
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    np.savez(tmp_path / "images.npz", image_ids=np.arange(60), features=np.eye(4)[labels], categories=np.array(ANIMALS))
    return split(read_captions([str(tmp_path / "captions.jsonl")]), read_images(tmp_path / "images.npz"), shares, 1, by)


def test_training_learns_and_leaves_a_model(data, tmp_path):
    metrics = list(train(data, tmp_path / "out", SETTINGS))
    assert [each.epoch for each in metrics] == [1, 2, 3, 4]
    assert metrics[-1].language < 1.5 < metrics[0].language
    assert metrics[-1].visual > 0.9
    assert metrics[-1].recall[10] >= metrics[-1].recall[5] >= metrics[-1].recall[1]
    model = load(str(tmp_path / "out"))
    assert model.labels == ANIMALS
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["settings"]["alpha"] == 0.5
    assert config["validation"]["loss"] == min(each.loss for each in metrics)
    assert set(config["test"]) >= {"language", "perplexity", "visual", "recall"}
    assert set(model.sample(5, torch.Generator().manual_seed(0)))


def test_a_killed_run_ends_as_an_undisturbed_one(data, tmp_path):
    whole = list(train(data, tmp_path / "whole", SETTINGS))
    for _ in range(2):  # killed after every epoch
        next(train(data, tmp_path / "killed", SETTINGS))
    rest = list(train(data, tmp_path / "killed", SETTINGS))
    assert rest == whole[2:]
    one, other = (load(str(tmp_path / name)).state_dict() for name in ("whole", "killed"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_other_settings_do_not_go_on_from_a_checkpoint(data, tmp_path):
    next(train(data, tmp_path / "out", SETTINGS))
    with pytest.raises(InputError, match="other settings"):
        next(train(data, tmp_path / "out", Training(embedding=12, hidden=16)))
    (tmp_path / "out" / CHECKPOINT).write_bytes(b"cut")
    with pytest.raises(InputError, match="cannot read"):
        next(train(data, tmp_path / "out", SETTINGS))


def test_training_stops_when_validation_no_longer_improves(data, tmp_path, monkeypatch):
    losses = iter([3.0, 2.0, 2.5, 2.5, 1.0])
    real = Trainer.validate

    def validate(self, name):
        found = real(self, name)
        return found if name == "test" else type(found)(**vars(found) | {"loss": next(losses)})

    monkeypatch.setattr(training.Trainer, "validate", validate)
    settings = Training(embedding=4, hidden=4, batch=64, epochs=10, patience=2, seed=1)
    assert len(list(train(data, tmp_path / "out", settings))) == 4


def test_losses_are_the_arithmetic_of_the_definition(data):
    parts, images = data.parts, data.images
    model = new_model(parts["train"], images, SETTINGS)
    trainer = Trainer(model, data, Training(embedding=12, hidden=16))
    model.eval()
    some = Captions(parts["train"].words[:3], np.array([parts["train"].images[0], -1, parts["train"].images[2]]))
    (batch,) = batches(encode(some, model.vocabulary), some.images, 3)
    language, visual = (loss.detach() for loss in trainer.losses(batch))
    surprises, distances = [], []
    with torch.no_grad():
        for words, image in zip(some.words, some.images, strict=True):
            ids = model.vocabulary.encode(" ".join(words))
            states = model.read(model.embedding[torch.tensor([ids])], ["language.hidden", "visual.hidden"])
            logits = model.projection("language")(states["language.hidden"])[0].log_softmax(-1)
            surprises += [-float(logits[i, following]) for i, following in enumerate([*ids[1:], 1])]
            if image >= 0:
                predicted = model.projection("visual")(states["visual.hidden"][0, -1]).numpy()
                truth = images.features.gather(np.array([image]))[0]
                distances.append(1 - predicted @ truth / np.linalg.norm(predicted) / np.linalg.norm(truth))
    assert float(language) == pytest.approx(np.mean(surprises), rel=1e-5)
    assert float(visual) == pytest.approx(np.mean(distances), rel=1e-4)


@pytest.mark.parametrize("by", ["image", "caption"])
def test_no_held_out_caption_or_test_image_is_trained_on(tmp_path, by):
    parts = read(tmp_path, (0.2, 0.2), by).parts
    train_images = set(parts["train"].images)
    assert not train_images & set(parts["test"].images)
    assert (by == "image") == (not train_images & set(parts["validation"].images))
    for name in ("validation", "test"):
        assert len(parts[name])
        assert not set(parts["train"].words) & set(parts[name].words)


def test_bucketed_batches_hold_every_caption_once_and_little_padding():
    texts = [np.arange(1, 1 + length) for length in np.random.default_rng(0).integers(1, 20, 200)]
    found = list(batches(texts, np.arange(200), 16, np.random.default_rng(0)))
    assert sorted(int(image) for batch in found for image in batch.images) == list(range(200))
    padding = [
        sum(int((batch.ids == 0).sum()) for batch in batches(texts, np.arange(200), 16, np.random.default_rng(0), on))
        for on in (True, False)
    ]
    assert padding[0] < padding[1] / 5
