"""Train into a folder: the model of the best epoch, and a checkpoint from which a killed run resumes."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from optigram.errors import InputError
from optigram.files import writable_folder, written_whole
from optigram.models.loading import device_named, load_imaginet, read_config, save
from optigram.papers.poerner2018.cost import measure
from optigram.papers.poerner2018.data import Dataset
from optigram.papers.poerner2018.trainer import Metrics, Trainer, Training

CHECKPOINT = "training.safetensors"


def train(
    data: Dataset,
    out: Path,
    settings: Training,
    device: str | None = None,
    half: bool = False,
    watch: Callable[[int, int, str], None] = lambda done, total, what: None,
    tell: Callable[[str], None] | None = None,
) -> Iterator[Metrics]:
    """Train an Imaginet and write the best epoch's model to the folder `out`; yields the metrics of each epoch.

    `device` defaults to a GPU if there is one. Every epoch ends with a checkpoint. A run that finds one with the same settings
    and data resumes from it, and ends with the same weights as an uninterrupted run. `watch(done, total, what)` is called per step.
    If `tell` is given, ten steps are measured first on a copy, and `tell` is called with the cost of the run.
    """
    writable_folder(out)
    model = Trainer.new_model(data.parts["train"], data.images, settings)
    trainer = Trainer(model.to(device_named(device or _default_device())), data, settings)
    captions = {name: len(part) for name, part in data.parts.items()}
    about = {"settings": asdict(settings), "captions": captions, "data": data.fingerprint()}
    _resume(trainer, out / CHECKPOINT, about)
    if tell is not None and not trainer.done:
        tell(str(measure(trainer)))
    yield from _epochs(trainer, out, about, torch.float16 if half else torch.float32, watch)


def _default_device() -> str:
    """The default GPU if there is one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _epochs(
    trainer: Trainer, out: Path, about: dict[str, Any], dtype: torch.dtype, watch: Callable[[int, int, str], None]
) -> Iterator[Metrics]:
    for metrics in trainer.run(watch):
        if trainer.stale == 0:
            save(trainer.model, out, about | {"validation": metrics.to_dict()}, dtype)
        with written_whole(out / CHECKPOINT) as path:
            save_file(trainer.state(), path, metadata={"about": json.dumps(about)})
        yield metrics
    best = load_imaginet(str(out))
    trainer.model.load_state_dict(best.state_dict())
    validation = read_config(out)["validation"]
    about |= {"validation": validation, "test": trainer.validate("test").to_dict() | {"epoch": validation["epoch"]}}
    save(best, out, about, dtype)


def _resume(trainer: Trainer, path: Path, about: dict[str, Any]) -> None:
    if not path.exists():
        return
    try:
        with safe_open(path, "pt") as file:
            earlier = json.loads((file.metadata() or {}).get("about", "null"))
        if earlier != about:
            raise InputError(
                f"expected a run with these settings and data in {path.parent}, got another one; name another folder, or remove it"
            )
        trainer.restore(load_file(path))
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"cannot read {path}: {error}; remove it to train from the start") from error
