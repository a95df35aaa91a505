"""Image features to train the visual path on (paper, section 3).

The paper's array is 1.9 GB. A `.npy` is memory-mapped, so that only the rows of a batch are copied.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib.format import open_memmap

from optigram.errors import InputError
from optigram.shapes import Float, Int, Shaped


@dataclass(frozen=True)
class Features:
    """Rows of one or more arrays [n f], stacked; nothing is copied before `gather`."""

    blocks: tuple[Shaped[np.ndarray, "_ f"], ...]

    def __len__(self) -> int:
        return sum(map(len, self.blocks))

    @property
    def width(self) -> int:
        """Features per row: f."""
        return self.blocks[0].shape[1]

    def gather(self, rows: Int[np.ndarray, " b"]) -> Float[np.ndarray, "b f"]:
        """Copy `rows` as float32 [b f]. Raises InputError for a value that is not finite."""
        found = np.empty((len(rows), self.width), dtype=np.float32)
        start = 0
        for block in self.blocks:
            here = (rows >= start) & (rows < start + len(block))
            found[here] = block[rows[here] - start]
            start += len(block)
        if not np.isfinite(found).all():
            bad = rows[~np.isfinite(found).all(axis=1)][0]
            raise InputError(f"expected finite image features, got NaN or infinity in row {bad}; extract the features of that image again")
        return found

    @staticmethod
    def mapped(path: Path) -> Shaped[np.ndarray, "n f"]:
        """Memory-map a `.npy` of floats [n f]. Raises InputError for anything else, pickles included."""
        try:
            array = open_memmap(path, mode="r")  # reads neither pickles nor zip files
        except (OSError, ValueError, EOFError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"cannot read features {str(path)!r}: {reason}; expected a whole .npy without pickled objects") from error
        if array.ndim != 2 or array.dtype.kind != "f" or 0 in array.shape:
            raise InputError(
                f"expected features [images, numbers] of floats in {str(path)!r}, got {array.dtype} {list(array.shape)}; save them as .npy"
            )
        return array

    @staticmethod
    def read_lines(path: Path) -> list[str]:
        """The stripped lines of a text file; only a line feed ends a line."""
        try:
            with path.open(encoding="utf-8", newline="\n") as file:
                return [line.strip() for line in file]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {str(path)!r}: {error}; expected a text file in UTF-8") from error


@dataclass(frozen=True)
class Images:
    """Features of images: `rows` maps image keys to rows of `features`; `labels` names the f features, or is empty."""

    features: Features
    rows: dict[str, int]
    labels: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path, names: Path | None = None) -> "Images":
        """Read features and image keys: a `.npy` with a text file `names` (one image key per line and row), or an `.npz`.

        The `.npz` holds `image_ids` [n] and either `features` [n f] or `labels_packed` (bits of labels) and `categories` [f].
        """
        if path.suffix == ".npy":
            return _named_rows(path, names)
        if names is not None:
            raise InputError(
                f"expected row names with a .npy only, got them with {str(path)!r}; leave them out, its image_ids name the rows"
            )
        return _packed(path)


def _named_rows(path: Path, names: Path | None) -> Images:
    features = Features.mapped(path)
    if names is None:
        raise InputError(
            f"expected row names with the features {str(path)!r}, got none; give --rows with a text file of image keys, one per row"
        )
    keys = Features.read_lines(names)
    if len(keys) != len(features):
        raise InputError(f"expected one line of {str(names)!r} per row of {str(path)!r}, got {len(keys)} lines and {len(features)} rows")
    return Images(Features((features,)), _row_of(keys, names))


def _packed(path: Path) -> Images:
    try:
        with ZipFile(path), np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise InputError(
            f"cannot read image features {str(path)!r}: {error}; expected an .npz without pickled objects, or a .npy"
        ) from error
    if "image_ids" not in arrays or not {"features", "labels_packed"} & set(arrays):
        raise InputError(
            f"expected an .npz of image_ids and features or labels_packed, got {sorted(arrays)} in {str(path)!r}; save those arrays"
        )
    labels = tuple(str(name) for name in arrays.get("categories", ()))
    features = arrays["features"] if "features" in arrays else np.unpackbits(arrays["labels_packed"], axis=1)[:, : len(labels)]
    if features.ndim != 2 or features.dtype.kind not in "fiu" or len(features) != len(arrays["image_ids"]):
        keys = len(arrays["image_ids"])
        raise InputError(
            f"expected features [{keys}, numbers] for {keys} image_ids in {str(path)!r}, got {features.dtype} {list(features.shape)}"
        )
    return Images(Features((features,)), _row_of([str(key) for key in arrays["image_ids"]], path), labels)


def _row_of(keys: list[str], path: Path) -> dict[str, int]:
    twice = next((key for key, count in Counter(keys).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"expected each image once in {str(path)!r}, got {twice!r} more than once; remove all but one of its rows")
    return {key: row for row, key in enumerate(keys)}
