"""What takes long to compute and is the same in the next call, kept on disk: a folder of files, of which the oldest make room.

Files are written whole under a name that says all that their contents depend on, so any number of processes may share the folder.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from optigram.errors import InputError
from optigram.files import FolderCache, versions, written_whole
from optigram.models.base import Model
from optigram.models.network import Network

FORMAT = 1
KINDS = ("ngrams", "states", "sampled")  # of files: a folder for each
MOST = 2 << 30  # bytes of all files together
PROBED = 8  # tokens of the text whose states tell networks apart


@dataclass(frozen=True)
class Cache:
    """Files by key in a `folder`, of at most `most` bytes together; those that were not used for longest are removed first.

    Nothing here raises for want of room or rights: what cannot be kept is computed again.
    """

    folder: Path
    most: int = MOST

    @classmethod
    def usual(cls) -> "Cache":
        """The user's own: `OPTIGRAM_CACHE`, or `optigram` in `XDG_CACHE_HOME` or `~/.cache`."""
        return cls(FolderCache.base())

    @staticmethod
    def key(model: Model, site: str, **parts: Any) -> str:
        """A hash of a model, the machine's way of computing, and all else that a result depends on, to the last bit.

        The states of one text at `site` are part of it: they tell two networks with the same weights apart, such as one with a hook.
        """
        device = model.embedding.device
        ids = Network.ordinary_ids(model.vocabulary, (1, PROBED), seed=1).to(device)
        with torch.no_grad():
            states = model.read(model.embedding[ids], [site])[site].float().cpu().numpy().tobytes()
        computed: Mapping[str, Any] = {
            "model": [type(model).__name__, model.name, model.fingerprint, str(model.embedding.dtype), hashlib.sha256(states).hexdigest()],
            "versions": versions(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "processor": [torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()],
            "products": torch.get_float32_matmul_precision(),
        }
        return hashlib.sha256(json.dumps([FORMAT, computed, parts], sort_keys=True).encode()).hexdigest()[:32]

    def get(self, kind: str, key: str) -> Path | None:
        """The file of a key, marked as used now; None if there is none."""
        path = self._path(kind, key)
        with contextlib.suppress(OSError):
            os.utime(path)
            return path
        return None

    def put(self, kind: str, key: str, write: Callable[[Path], object]) -> None:
        """Let `write` fill the file of a key, whole, and make room."""
        with contextlib.suppress(OSError, InputError, SafetensorError):
            with written_whole(self._path(kind, key)) as path:
                write(path)
            self._make_room()

    def drop(self, path: Path) -> None:
        """Remove a file that is of no use."""
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)

    def clear(self) -> int:
        """Remove everything that is kept, and nothing else in the folder; the number of bytes that this frees."""
        freed = sum(self.sizes().values())
        for path, _, _ in list(self._files()):
            self.drop(path)
        for folder in (*(self.folder / kind for kind in KINDS), self.folder):
            with contextlib.suppress(OSError):  # it holds something of another's
                folder.rmdir()
        return freed

    def sizes(self) -> dict[str, int]:
        """Bytes by kind of file."""
        found: dict[str, int] = {}
        for path, size, _ in self._files():
            found[path.parent.name] = found.get(path.parent.name, 0) + size
        return dict(sorted(found.items()))

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / kind / key

    def _files(self) -> Iterator[tuple[Path, int, int]]:
        """Every file, its bytes, and when it was last used."""
        for path in (path for kind in KINDS for path in self.folder.glob(f"{kind}/*")):
            with contextlib.suppress(OSError):  # another process may have removed it
                about = path.stat()
                yield path, about.st_size, about.st_mtime_ns

    def _make_room(self) -> None:
        files = sorted(self._files(), key=lambda file: -file[2])
        total = 0
        for path, size, _ in files:
            total += size
            if total > self.most:
                self.drop(path)
