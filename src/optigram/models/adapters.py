"""LoRA and its kin: a folder with an adapter is opened with its base, and merged into it; a `PeftModel` in memory is read as it is."""

import importlib
import importlib.util
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optigram.errors import InputError

CONFIG = "adapter_config.json"
TASKS = None, "CAUSAL_LM", "FEATURE_EXTRACTION"  # whose base is the model that was saved; others put a head of their own on it


@dataclass(frozen=True)
class Adapter:
    """The adapter in a `folder`, and its `base`: the name or folder of the model that it is merged into."""

    folder: str
    base: str

    @classmethod
    def found(cls, folder: str) -> "Adapter | None":
        """The adapter in a folder; None in any other. Raises InputError where it cannot be merged."""
        file = Path(folder) / CONFIG
        if not file.is_file():
            return None
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
            base, task = said["base_model_name_or_path"], said.get("task_type")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"cannot read {file}: {error}; expected the folder of an adapter, or of a whole model") from error
        if importlib.util.find_spec("peft") is None:
            raise InputError(
                f"expected the package peft for the adapter in {folder}, got none installed; pip install peft, or merge the adapter"
            )
        if not isinstance(base, str) or task not in TASKS:
            raise InputError(
                f"expected an adapter of a language model, got task {task} on {base!r} in {folder}; merge it, and give the whole model"
            )
        return cls(folder, str(Path(folder) / base) if (Path(folder) / base).is_dir() else base)

    def merged_into(self, model: Any) -> Any:
        """The base model with the adapter merged into its weights. Raises InputError if it does not fit."""
        peft = importlib.import_module("peft")
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*missing adapter keys.*")
            try:
                adapted = peft.PeftModel.from_pretrained(model, self.folder)
            except (UserWarning, RuntimeError, ValueError) as error:
                raise InputError(f"the adapter in {self.folder} does not fit its base: {' '.join(str(error).split())[:200]}") from error
        if not hasattr(adapted, "merge_and_unload"):
            raise InputError(
                f"expected an adapter of weights in {self.folder}, got {adapted.peft_config}: prompts are no weights; give another"
            )
        return adapted.merge_and_unload()

    @staticmethod
    def unwrapped(model: Any) -> Any:
        """The model of transformers in a `PeftModel`, with its adapters as they are; any other object unchanged."""
        if not any(kind.__name__ == "PeftModel" for kind in type(model).__mro__):
            return model
        if model.active_peft_config.is_prompt_learning:
            raise InputError(
                "expected adapters of weights in a PeftModel, got learnt prompts, which no text stands for; give the base model"
            )
        return model.get_base_model()
