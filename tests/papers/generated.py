"""Small data of exactly the layouts that the paper's comes in: captions that name one of four animals, features that show it."""

import io
import json
import tarfile

import numpy as np
from scipy.io import savemat

SIZES = ("small", "old", "young", "huge", "thin", "calm", "wild", "wet")
COLOURS = ("black", "white", "brown", "grey", "red", "spotted", "golden", "dark")
ANIMALS = ("cat", "dog", "cow", "sheep")
PLACES = ("on the grass", "near a house", "in the rain", "under some trees", "by the big road")
COUNTS = {"train": 48, "val": 8, "test": 8}  # images


def scene(rng, width):
    """Five captions and the features of one image."""
    animal = int(rng.integers(len(ANIMALS)))
    captions = [f"a {rng.choice(SIZES)} {rng.choice(COLOURS)} {ANIMALS[animal]} {place}" for place in PLACES]
    features = np.maximum(rng.normal(size=width) * 0.1 + np.resize(np.eye(len(ANIMALS))[animal], width), 0)
    return captions, features / np.linalg.norm(features)


def scenes(width, counts=COUNTS, seed=0):
    """{split: [(captions, features)]}."""
    rng = np.random.default_rng(seed)
    return {name: [scene(rng, width) for _ in range(count)] for name, count in counts.items()}


def write_vendrov(folder, found, dtype=np.float32):
    (folder / "images" / "10crop").mkdir(parents=True)
    for name, images in found.items():
        (folder / f"{name}.txt").write_text("".join(f"{caption}\n" for captions, _ in images for caption in captions))
        np.save(folder / "images" / "10crop" / f"{name}.npy", np.array([features for _, features in images], dtype))
    return folder


def write_karpathy(folder, found):
    """The images in another order than their ids, as nothing says that they are in it."""
    folder.mkdir(parents=True, exist_ok=True)
    images = [(split, *image) for split, part in found.items() for image in part]
    described = [
        {"imgid": i, "split": split, "sentences": [{"tokens": caption.split(), "raw": f"{caption}."} for caption in captions]}
        for i, (split, captions, _) in enumerate(images)
    ]
    (folder / "dataset.json").write_text(json.dumps({"images": described[::-1], "dataset": "generated"}))
    savemat(folder / "vgg_feats.mat", {"feats": np.array([features for _, _, features in images], np.float32).T})
    return folder


def pack(path, folder, prefix, others=()):
    """A `.tgz` of the folder's files below `prefix`, among files that nobody asks for, and `others`: (header, content)."""
    with tarfile.open(path, "w:gz") as tar:
        for name in ("data/README", "data/coco/dataset.words.json"):
            add(tar, tarfile.TarInfo(name), b"not wanted")
        for file in sorted(folder.rglob("*.*")):
            tar.add(file, f"{prefix}/{file.relative_to(folder)}")
        for member, content in others:
            add(tar, member, content)
    return path


def add(tar, member, content=b""):
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
