"""Read the folder layouts in which the paper's data and similar data sets are published, with their own splits.

The paper trains on Vendrov's files of COCO (Zenodo record 804392): captions as text, features as arrays. Flickr8k and Flickr30k are
published in Karpathy's layout, `dataset.json` with `vgg_feats.mat`.
"""

import json
import zlib
from pathlib import Path
from sys import intern
from typing import Any

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from optigram.errors import InputError, nearest
from optigram.papers.poerner2018.data import SPLITS, Captions, Dataset
from optigram.papers.poerner2018.features import Features, Images
from optigram.shapes import Float
from optigram.text.vocabulary import Vocabulary

CAPTIONS_PER_IMAGE = 5  # authors' code: five lines of text per row of features
VENDROV = dict(zip(SPLITS, ("train", "val", "test"), strict=True))
VENDROV_FILES = tuple(f"{name}.txt" for name in VENDROV.values()) + tuple(f"images/10crop/{name}.npy" for name in VENDROV.values())
KARPATHY_FILES = ("dataset.json", "vgg_feats.mat")
KARPATHY = {"train": "train", "val": "validation", "test": "test", "restval": "train"}


def read_folder(folder: Path, restval: bool = True) -> Dataset:
    """Read a data set in Vendrov's or Karpathy's layout, in `folder` or below it.

    `restval`: train on Karpathy's split of that name too, as in the paper's 113,287 images; Vendrov's files always contain it.
    Raises InputError for another layout, or if anything is missing.
    """
    arrays, described = (sorted(folder.rglob(name)) for name in ("images/10crop/train.npy", "dataset.json"))
    found = [path.parents[2] for path in arrays] + [path.parent for path in described]
    if len(found) != 1:
        several = f"the layouts in {', '.join(map(str, found))}" if found else "neither"
        raise InputError(
            f"expected images/10crop/train.npy (Vendrov) or dataset.json (Karpathy) in {str(folder)!r}, got {several}; name its folder"
        )
    return _read_vendrov(found[0]) if arrays else _read_karpathy(found[0], restval)


def _read_vendrov(folder: Path) -> Dataset:
    """`{train,val,test}.txt`, five lines per image, and `images/10crop/{train,val,test}.npy` [n f], one row per image."""
    blocks = [Features.mapped(folder / "images" / "10crop" / f"{name}.npy") for name in VENDROV.values()]
    widths = [block.shape[1] for block in blocks]
    if len(set(widths)) > 1:
        raise InputError(f"expected features of one width in {str(folder)!r}, got {widths} in {list(VENDROV.values())}; use one network's")
    parts, start = {}, 0
    for (name, file), block in zip(VENDROV.items(), blocks, strict=True):
        parts[name] = _captions_of(folder / f"{file}.txt", start, len(block))
        start += len(block)
    return Dataset(parts, Images(Features(tuple(blocks)), {}))


def _captions_of(path: Path, first: int, images: int) -> Captions:
    """Captions of `images` images, whose features start at row `first`."""
    lines = Features.read_lines(path)
    expected = CAPTIONS_PER_IMAGE * images
    if len(lines) != expected:
        raise InputError(
            f"expected {CAPTIONS_PER_IMAGE} captions for each of {images} images, {expected} lines in {str(path)!r}, got {len(lines)}; "
            "take captions and features from one source"
        )
    words = [_words(line) for line in lines]
    empty = next((number for number, caption in enumerate(words, start=1) if not caption), None)
    if empty is not None:
        raise InputError(f"expected a caption in every line of {str(path)!r}, got none in line {empty}; an image needs its five captions")
    return Captions(words, np.arange(first, first + images).repeat(CAPTIONS_PER_IMAGE))


def _read_karpathy(folder: Path, restval: bool = True) -> Dataset:
    """`dataset.json`, and `vgg_feats.mat` whose `feats` [f n] has one column per image, indexed by its `imgid`.

    Only the first five captions of an image are used, as in Vendrov's files.
    """
    path = folder / "dataset.json"
    try:
        described = json.loads(path.read_text(encoding="utf-8"))["images"]
        rows = [(str(image["split"]), int(image["imgid"]), _first_captions(image)) for image in described]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"cannot read {str(path)!r}: {_reason(error)}; expected Karpathy's images with split, imgid, sentences") from error
    features = _read_matlab(folder / "vgg_feats.mat")
    parts: dict[str, list[tuple[tuple[str, ...], int]]] = {name: [] for name in SPLITS}
    for split, image, captions in rows:
        _check_image(split, image, captions, len(features), path)
        if restval or split != "restval":
            parts[KARPATHY[split]] += [(words, image) for words in captions]
    if len({image for _, image, _ in rows}) < len(rows) or not all(parts.values()):
        raise InputError(f"expected each imgid once, and images of train, val and test in {str(path)!r}; take the file as it was published")
    found = {name: Captions([words for words, _ in part], np.array([image for _, image in part])) for name, part in parts.items()}
    return Dataset(found, Images(Features((features,)), {}))


def _first_captions(image: dict[str, Any]) -> list[tuple[str, ...]]:
    return [_words(" ".join(sentence["tokens"])) for sentence in image["sentences"][:CAPTIONS_PER_IMAGE]]


def _check_image(split: str, image: int, captions: list[tuple[str, ...]], columns: int, path: Path) -> None:
    if split not in KARPATHY:
        raise InputError(f"expected a split among {', '.join(KARPATHY)} in {str(path)!r}, got {split!r}{nearest(split, KARPATHY)}")
    if not 0 <= image < columns:
        raise InputError(
            f"expected imgid 0 to {columns - 1} in {str(path)!r}, since vgg_feats.mat has {columns} columns, got {image}; "
            "take both from one source"
        )
    if (count := sum(map(bool, captions))) < CAPTIONS_PER_IMAGE:
        raise InputError(
            f"expected {CAPTIONS_PER_IMAGE} captions per image in {str(path)!r}, got {count} for imgid {image}; add or remove it"
        )


def _read_matlab(path: Path) -> Float[np.ndarray, "n f"]:
    """The array `feats` [f n] of a MATLAB file up to version 7, transposed to one row per image; read into memory."""
    try:
        array = loadmat(path, variable_names=["feats"]).get("feats")
    except NotImplementedError as error:
        raise InputError(
            f"cannot read {str(path)!r}: it is in the format of MATLAB 7.3; save it with -v7, or the features as .npy"
        ) from error
    except (OSError, ValueError, TypeError, KeyError, EOFError, MatReadError, zlib.error) as error:
        raise InputError(f"cannot read {str(path)!r}: {_reason(error)}; expected a MATLAB file with the array feats") from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind != "f" or 0 in array.shape:
        got = "no such array" if array is None else f"{array.dtype} {list(array.shape)}"
        raise InputError(f"expected feats [numbers, images] of floats in {str(path)!r}, got {got}; save such an array")
    return array.T


def _words(text: str) -> tuple[str, ...]:
    """The words of a caption, interned: the paper's captions have six million."""
    return tuple(map(intern, Vocabulary.words_of(text)))


def _reason(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
