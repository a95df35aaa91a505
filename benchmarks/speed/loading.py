"""What it takes to open a model."""

import os
import tempfile
from unittest import mock

import torch
import transformers
from benchmarks.setup import Result, Settings, Unit, least, model_source

from optigram.models.loading import load


def gguf(settings: Settings, unit: Unit, seed: int) -> list[Result]:
    """A GGUF file opened by transformers alone, by optigram for the first time, and by optigram again."""
    file = model_source(settings.model)
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}

    def alone() -> None:
        config = transformers.AutoConfig.from_pretrained(**where)
        transformers.AutoTokenizer.from_pretrained(**where)
        transformers.AutoModelForCausalLM.from_pretrained(config=config, dtype=torch.float32, **where)

    found = {"transformers alone": least(alone, 1)}
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, OPTIGRAM_CACHE=folder):
        found["first"], found["again"] = (least(lambda: load(str(file)), times) for times in (1, 3))
    return [
        Result({"seconds": taken, "ratio": taken / found["transformers alone"]}, settings={"what": what}) for what, taken in found.items()
    ]
