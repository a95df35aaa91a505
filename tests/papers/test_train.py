import dataclasses
import itertools
import json
import math
import re
import resource
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.utils.flop_counter import FlopCounterMode

from optigram.apps import cli
from optigram.errors import InputError
from optigram.models.loading import load
from optigram.papers.poerner2018 import train as training
from optigram.papers.poerner2018.cost import _operations_per_epoch
from optigram.papers.poerner2018.data import SHARES, Batch, Captions, Dataset
from optigram.papers.poerner2018.features import Images
from optigram.papers.poerner2018.layouts import read_folder
from optigram.papers.poerner2018.train import CHECKPOINT, train
from optigram.papers.poerner2018.trainer import Trainer, Training
from optigram.text.sources import open_corpus
from papers.generated import ANIMALS, COLOURS, PLACES, SIZES, scene, scenes, write_vendrov

SETTINGS = Training(embedding=12, hidden=16, alpha=0.5, rate=0.02, batch=8, epochs=4, dropout=0.05, rare=0.5, decay=True, seed=1)


@pytest.fixture
def data(tmp_path):
    return read(tmp_path)


def read(tmp_path, shares=SHARES, by="image"):
    """60 images of one of four animals, five captions each that name it."""
    rng = np.random.default_rng(0)
    labels = rng.integers(len(ANIMALS), size=60)
    lines = [
        json.dumps({"caption": f"A {rng.choice(SIZES)} {rng.choice(COLOURS)} {ANIMALS[label]} {place}.", "image": f"{image}"})
        for image, label in enumerate(labels)
        for place in PLACES
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    np.savez(tmp_path / "images.npz", image_ids=np.arange(60), features=np.eye(4)[labels], categories=np.array(ANIMALS))
    return Dataset.split(open_corpus(tmp_path / "captions.jsonl").documents(), Images.read(tmp_path / "images.npz"), shares, 1, by)


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


def captions_alone(data):
    return dataclasses.replace(data, images=None)


def test_training_on_captions_alone_resumes_and_tells_no_number_that_it_has_not(data, tmp_path):
    data = captions_alone(data)
    whole = list(train(data, tmp_path / "whole", SETTINGS))
    for done in range(5):
        assert [one.loss for one in train_some(data, tmp_path / "killed")] == [one.loss for one in whole[done : done + 1]]
    one, other = (load(str(tmp_path / name)).state_dict() for name in ("whole", "killed"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert "nan" not in str(whole[0])
    config = json.loads((tmp_path / "killed" / "config.json").read_text(), parse_constant=pytest.fail)
    assert config["validation"]["visual"] is None


def train_some(data, folder):
    """The first epoch that is not done yet; after the last, the rest of the work."""
    return list(itertools.islice(train(data, folder, SETTINGS), 1))


def test_a_torn_checkpoint_is_refused(data, tmp_path):
    next(train(data, tmp_path / "out", SETTINGS))
    path = tmp_path / "out" / CHECKPOINT
    with safe_open(path, "pt") as file:
        about = file.metadata()
    state = load_file(path)
    del state["adam.exp_avg.word_embedding.weight"]
    save_file(state, path, metadata=about)
    with pytest.raises(InputError, match="remove it"):
        next(train(data, tmp_path / "out", SETTINGS))


def test_a_full_disk_while_training_is_one_line_and_the_run_resumes(data, tmp_path):
    whole = list(train(data, tmp_path / "whole", SETTINGS))
    running = train(data, tmp_path / "out", SETTINGS)
    next(running)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(InputError, match="make room"):
            next(running)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(train(data, tmp_path / "out", SETTINGS)) == whole[1:]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in (tmp_path / "whole").iterdir())


def test_other_settings_do_not_go_on_from_a_checkpoint(data, tmp_path):
    next(train(data, tmp_path / "out", SETTINGS))
    with pytest.raises(InputError, match="with these settings"):
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
    model = Trainer.new_model(parts["train"], images, SETTINGS)
    trainer = Trainer(model, data, Training(embedding=12, hidden=16))
    model.eval()
    some = Captions(parts["train"].words[:3], np.array([parts["train"].images[0], -1, parts["train"].images[2]]))
    (batch,) = Batch.batches(some.encode(model.vocabulary), some.images, 3)
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
    found = list(Batch.batches(texts, np.arange(200), 16, np.random.default_rng(0)))
    assert sorted(int(image) for batch in found for image in batch.images) == list(range(200))
    padding = [
        sum(int((batch.ids == 0).sum()) for batch in Batch.batches(texts, np.arange(200), 16, np.random.default_rng(0), on))
        for on in (True, False)
    ]
    assert padding[0] < padding[1] / 5


def folder(tmp_path):
    return write_vendrov(tmp_path / "vendrov", scenes(8))


def test_a_folder_of_the_real_layout_trains_on_its_own_splits(tmp_path):
    found = read_folder(folder(tmp_path))
    metrics = list(train(found, tmp_path / "out", SETTINGS))
    assert metrics[-1].visual > 0.9
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["captions"] == {"train": 240, "validation": 40, "test": 40}
    assert config["sizes"] == {"embedding": 12, "hidden": 16, "features": 8}
    assert set(config["words"]) == {word for words in found.parts["train"].words for word in words}  # all, however rare


def test_a_run_does_not_go_on_with_other_data_of_the_same_size(tmp_path):
    next(train(read_folder(folder(tmp_path)), tmp_path / "out", SETTINGS))
    other = write_vendrov(tmp_path / "other", scenes(8, seed=1))
    with pytest.raises(InputError, match="with these settings and data"):
        next(train(read_folder(other), tmp_path / "out", SETTINGS))


def test_the_cost_is_told_before_a_run_and_changes_nothing_in_it(data, tmp_path):
    said = []
    told = list(train(data, tmp_path / "told", SETTINGS, tell=said.append))
    assert told == list(train(data, tmp_path / "untold", SETTINGS))
    steps = math.ceil(len(data.parts["train"]) / SETTINGS.batch)
    assert re.match(
        rf"[\d,]+ parameters; [\d.]+ \w?FLOP per step, {steps} steps and [\d.]+ \w?FLOP per epoch; [\d.e-]+ s per step on", said[0]
    )
    list(train(data, tmp_path / "told", SETTINGS, tell=said.append))
    assert len(said) == 1  # nothing is left to train


@pytest.mark.parametrize("settings", [Training(), Training(embedding=64, hidden=96, bucketed=False)])
def test_the_operations_of_ten_real_steps_are_those_of_the_plan(tmp_path, settings):
    """By default an Imaginet of the paper's size; torch counts the operations of what it runs."""
    found = read_folder(write_vendrov(tmp_path, scenes(4096, {"train": 32, "val": 1, "test": 1})))
    trainer = Trainer(Trainer.new_model(found.parts["train"], found.images, settings), found, settings)
    assert trainer.steps == 10
    with FlopCounterMode(display=False) as counter:
        trainer.train_epoch()
    assert _operations_per_epoch(trainer) == pytest.approx(counter.get_total_flops(), rel=0.03)


def test_an_imaginet_of_the_papers_size_trains_and_goes_on(tmp_path):
    found = read_folder(write_vendrov(tmp_path / "data", scenes(4096, {"train": 8, "val": 2, "test": 2})))
    settings = Training(epochs=2)
    whole = list(train(found, tmp_path / "whole", settings))
    assert next(train(found, tmp_path / "killed", settings)) == whole[0]
    assert list(train(found, tmp_path / "killed", settings)) == whole[1:]
    assert (tmp_path / "whole" / "model.safetensors").read_bytes() == (tmp_path / "killed" / "model.safetensors").read_bytes()
    model = load(str(tmp_path / "whole"))
    assert (model.sizes.embedding, model.sizes.hidden, model.sizes.features) == (1024, 1024, 4096)
    assert whole[1].loss < whole[0].loss


BAD = {
    "neither source": ((), "either --data FOLDER or --captions FILE"),
    "both sources": (("--data", "vendrov", "--captions", "captions.csv"), "either --data FOLDER or --captions FILE"),
    "features twice": (("--data", "vendrov", "--images", "f.npy"), "brings its features"),
    "rows of nothing": (("--captions", "captions.csv", "--rows", "names.txt"), "give --images"),
    "no row names": (("--captions", "captions.csv", "--images", "f.npy"), "give --rows"),
    "no folder": (("--data", "nowhere"), "got neither"),
    "too few captions": (("--captions", "captions.csv"), "too few to train on"),
    "unknown device": (("--data", "vendrov", "--device", "toaster"), "toaster"),
}


@pytest.mark.parametrize(("words", "said"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_exit_2(monkeypatch, capsys, tmp_path, words, said):
    folder(tmp_path)
    np.save(tmp_path / "f.npy", np.ones((1, 8)))
    (tmp_path / "captions.csv").write_text("image,caption\na.jpg,a cat\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["optigram", "train", "imaginet", "--out", "out", "--embedding", "8", "--hidden", "8", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_any_captions_with_an_array_and_its_row_names(monkeypatch, capsys, tmp_path):
    """Images without features, and features without captions, do no harm."""
    rng = np.random.default_rng(0)
    found = [scene(rng, 8) for _ in range(40)]
    lines = [f"{i}.jpg,{caption}" for i, (captions, _) in enumerate(found) for caption in captions]
    (tmp_path / "captions.csv").write_text("\n".join(["image,caption", *lines, "unseen.jpg,a cat on the road"]))
    np.save(tmp_path / "f.npy", np.array([np.ones(8), *(features for _, features in found)], np.float16))
    (tmp_path / "names.txt").write_text("".join(f"{name}.jpg\n" for name in ("nobody", *range(40))))
    monkeypatch.chdir(tmp_path)
    words = "--captions captions.csv --images f.npy --rows names.txt --out out --embedding 8 --hidden 16 --epochs 4 --rate 0.02 --json"
    monkeypatch.setattr(sys, "argv", ["optigram", "train", "imaginet", *words.split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert ended.value.code == 0
    assert "FLOP per epoch" in err
    assert json.loads(out.splitlines()[-1])["visual"] > 0.9
