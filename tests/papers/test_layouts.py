import json

import numpy as np
import pytest
from scipy.io import savemat

from optigram.errors import InputError
from optigram.papers.poerner2018.data import SPLITS
from optigram.papers.poerner2018.layouts import read_folder
from papers.generated import scenes, write_karpathy, write_vendrov

OURS = dict(zip(("train", "val", "test"), SPLITS, strict=True))


def told(data):
    """Every caption with the features of its image: {split: [(words, features)]}."""
    return {
        name: list(zip(part.words, data.images.features.gather(part.images).tolist(), strict=True)) for name, part in data.parts.items()
    }


def truth(found, *splits):
    """The same from what was generated."""
    pairs = [(caption, features) for split in splits for captions, features in found[split] for caption in captions]
    return [(tuple(caption.split()), features.astype(np.float32).tolist()) for caption, features in pairs]


@pytest.mark.parametrize("place", ["", "data/coco/vendrov/data/coco"])
def test_vendrov(tmp_path, place):
    found = scenes(12)
    write_vendrov(tmp_path / place, found)
    assert told(read_folder(tmp_path)) == {OURS[split]: truth(found, split) for split in found}


def test_vendrov_in_half_precision_is_gathered_in_single(tmp_path):
    data = read_folder(write_vendrov(tmp_path, scenes(12), np.float16))
    assert data.images.features.blocks[0].dtype == np.float16
    assert data.images.features.gather(np.array([3])).dtype == np.float32


@pytest.mark.parametrize("restval", [True, False])
def test_karpathy(tmp_path, restval):
    found = scenes(12, {"train": 5, "restval": 3, "val": 2, "test": 2})
    write_karpathy(tmp_path, found)
    data = read_folder(tmp_path, restval)
    trained = ("train", "restval") if restval else ("train",)
    assert {name: sorted(part) for name, part in told(data).items()} == {
        "train": sorted(truth(found, *trained)),
        "validation": sorted(truth(found, "val")),
        "test": sorted(truth(found, "test")),
    }


def test_karpathy_takes_the_first_five_captions(tmp_path):
    found = scenes(12)
    more = {split: [([*captions, "a sixth one"], features) for captions, features in images] for split, images in found.items()}
    assert "sixth" not in str(read_folder(write_karpathy(tmp_path, more)).parts["train"].words)


def test_both_layouts_of_the_same_scenes_are_the_same_data(tmp_path):
    found = scenes(12)
    one, other = read_folder(write_vendrov(tmp_path / "v", found)), read_folder(write_karpathy(tmp_path / "k", found))
    assert {name: sorted(part) for name, part in told(one).items()} == {name: sorted(part) for name, part in told(other).items()}
    assert one.fingerprint() == read_folder(tmp_path / "v").fingerprint() != other.fingerprint()


def drop_line(folder, number):
    lines = (folder / "val.txt").read_text().splitlines(keepends=True)
    (folder / "val.txt").write_text("".join(lines[:number] + lines[number + 1 :]))


def blank_line(folder):
    lines = (folder / "val.txt").read_text().splitlines(keepends=True)
    (folder / "val.txt").write_text("".join([*lines[:6], "  \n", *lines[7:]]))


def save(folder, array):
    np.save(folder / "images" / "10crop" / "val.npy", array)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


BAD_VENDROV = {
    "a caption is missing": (lambda folder: drop_line(folder, 7), "expected 5 captions for each of 8 images, 40 lines in .* got 39"),
    "a caption is empty": (blank_line, "got none in line 7"),
    "no captions": (lambda folder: (folder / "test.txt").unlink(), "cannot read .*test.txt"),
    "captions are binary": (lambda folder: (folder / "val.txt").write_bytes(b"\xff\xfe\n" * 40), "cannot read .*val.txt"),
    "no features": (lambda folder: (folder / "images" / "10crop" / "test.npy").unlink(), "cannot read features .*test.npy"),
    "too few rows": (lambda folder: save(folder, np.ones((7, 12), np.float32)), "for each of 7 images, 35 lines in .* got 40"),
    "another width": (lambda folder: save(folder, np.ones((8, 11), np.float32)), r"one width in .* got \[12, 11, 12\]"),
    "one dimension": (lambda folder: save(folder, np.ones(8, np.float32)), r"expected features \[images, numbers\] .* got float32 \[8\]"),
    "integers": (lambda folder: save(folder, np.ones((8, 12), int)), r"got int64 \[8, 12\]"),
    "pickled": (lambda folder: save(folder, np.array([[{}]])), "cannot read features .* without pickled objects"),
    "a pickle": (lambda folder: (folder / "images" / "10crop" / "val.npy").write_bytes(b"\x80\x04]."), "without pickled objects"),
    "cut short": (lambda folder: cut(folder / "images" / "10crop" / "val.npy"), "cannot read features"),
    "two layouts": (lambda folder: (folder / "dataset.json").touch(), "got the layouts in"),
    "no layout": (lambda folder: (folder / "images" / "10crop" / "train.npy").unlink(), "got neither"),
}


@pytest.mark.parametrize(("spoil", "said"), BAD_VENDROV.values(), ids=BAD_VENDROV.keys())
def test_a_spoilt_vendrov_folder_is_one_line(tmp_path, spoil, said):
    write_vendrov(tmp_path, scenes(12))
    spoil(tmp_path)
    with pytest.raises(InputError, match=said) as refused:
        read_folder(tmp_path)
    assert "\n" not in str(refused.value)


def edit(folder, change):
    content = json.loads((folder / "dataset.json").read_text())
    change(content["images"])
    (folder / "dataset.json").write_text(json.dumps(content))


def feats(folder, array, name="feats"):
    savemat(folder / "vgg_feats.mat", {name: array})


BAD_KARPATHY = {
    "a caption is missing": (lambda folder: edit(folder, lambda images: images[3]["sentences"].pop()), "got 4 for imgid 60"),
    "a caption is empty": (lambda folder: edit(folder, lambda images: images[3]["sentences"][1].update(tokens=[])), "got 4 for imgid 60"),
    "unknown split": (lambda folder: edit(folder, lambda images: images[3].update(split="trian")), "did you mean train"),
    "no split": (lambda folder: edit(folder, lambda images: images[3].pop("split")), "no 'split'"),
    "no image of a split": (lambda folder: edit(folder, lambda images: images.__delitem__(slice(0, 8))), "images of train, val and test"),
    "an image twice": (lambda folder: edit(folder, lambda images: images.append(images[0])), "each imgid once"),
    "no such column": (lambda folder: edit(folder, lambda images: images[3].update(imgid=64)), "imgid 0 to 63 .* got 64"),
    "torn json": (lambda folder: (folder / "dataset.json").write_text('{"images": ['), "cannot read .*dataset.json"),
    "other json": (lambda folder: (folder / "dataset.json").write_text("[]"), "cannot read .*dataset.json"),
    "no features": (lambda folder: (folder / "vgg_feats.mat").unlink(), "cannot read .*vgg_feats.mat"),
    "torn features": (lambda folder: cut(folder / "vgg_feats.mat"), "cannot read .*vgg_feats.mat"),
    "other array": (lambda folder: feats(folder, np.ones((12, 64)), "features"), "got no such array"),
    "images in rows": (lambda folder: feats(folder, np.ones((64, 12), np.float32)), "imgid 0 to 11"),
    "text": (lambda folder: feats(folder, "features"), "expected feats"),
    "MATLAB 7.3": (lambda folder: (folder / "vgg_feats.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM"), "-v7"),
}


@pytest.mark.parametrize(("spoil", "said"), BAD_KARPATHY.values(), ids=BAD_KARPATHY.keys())
def test_a_spoilt_karpathy_folder_is_one_line(tmp_path, spoil, said):
    write_karpathy(tmp_path, scenes(12))
    spoil(tmp_path)
    with pytest.raises(InputError, match=said) as refused:
        read_folder(tmp_path)
    assert "\n" not in str(refused.value)
