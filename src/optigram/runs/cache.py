"""What takes long to compute and is the same in the next call, kept on disk: a folder of files, of which the oldest make room.

Files are written whole under a name that says all that their contents depend on, so any number of processes may share the folder.
"""

import contextlib
import hashlib
import json
import os
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from optigram.errors import InputError
from optigram.files import FolderCache, versions, written_whole
from optigram.models.base import Model
from optigram.models.network import Network
from optigram.models.trials import Trials

FORMAT = 1
TRIALS = "trials"
KINDS = ("ngrams", "states", "sampled", TRIALS)  # of files: a folder for each
MOST = 2 << 30  # bytes of all files together
LIBRARIES = ("MKL_", "ONEDNN_", "DNNL_", "ATEN_", "OPENBLAS_", "TORCH_")  # how names of variables begin that tell libraries how to compute
ADDRESS = r" at 0x[0-9a-f]+"
ATTENTION = "_attn_implementation"  # of a configuration of transformers, which leaves it out where it is shown
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
        return _hashed([FORMAT, _computed(model, [site]), model.fingerprint, parts])

    @staticmethod
    def keep_trials(model: Model, cache: "Cache | None") -> None:
        """Keep in the cache what trials of a model tell from now on, and know what is there; None: keep nothing."""
        trials = Trials.of(model)
        if cache is None:
            trials.file = None
        elif trials.file is None or trials.file.parent != cache.folder / TRIALS:
            with contextlib.suppress(Exception):  # what is wrong with a model is said where it is searched
                trials.keep_in(cache._path(TRIALS, _trials_key(model)))

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


def _computed(model: Model, sites: Sequence[str]) -> dict[str, Any]:
    """A model's states of one text, and the machine's way of computing, on which they depend to the last bit."""
    device = model.embedding.device
    ids = Network.ordinary_ids(model.vocabulary, (1, PROBED), seed=1).to(device)
    found = hashlib.sha256()
    with torch.no_grad():
        for state in model.read(model.embedding[ids], sites).values():
            found.update(state.float().cpu().contiguous().numpy().tobytes())
    return {
        "model": [type(model).__name__, model.name, str(model.embedding.dtype), found.hexdigest()],
        "versions": versions() | {name: version(name) for name in ("transformers",) if find_spec(name)},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processor": [_processor(), torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()],
        "products": [torch.get_float32_matmul_precision(), torch.backends.mkldnn.enabled, torch.__config__.show()],
        "asked": {name: value for name, value in os.environ.items() if name.startswith(LIBRARIES)},
    }


def _trials_key(model: Model) -> str:
    """The network and its states at all sites on one text: a hash of all weights would take as long as some trials."""
    network = getattr(model, "module", model)
    config = getattr(network, "config", None)
    sites = [name for name, site in model.sites.items() if site.linear is None]
    like = [repr(network) if isinstance(network, nn.Module) else type(network).__name__, str(config), str(getattr(config, ATTENTION, None))]
    return _hashed([FORMAT, _computed(model, sites), [re.sub(ADDRESS, "", one) for one in like]])


def _processor() -> str:
    """What the processor is called: libraries choose by it how they compute."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return next((line for line in lines if line.startswith("model name")), platform.processor())


def _hashed(parts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
