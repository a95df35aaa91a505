"""Uploads the folder of a scan or search to the Hugging Face Hub as a data set: Parquet tables, manifest and a card."""

import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from optigram.errors import InputError
from optigram.files import written_whole

TABLES = ("examples", "targets", "curve", "records")


def push(folder: Path, repository: str, private: bool = False) -> str:
    """Upload a finished folder to `repository` with a card; return its address. Raises InputError."""
    tables = [name for name in TABLES if (folder / f"{name}.parquet").is_file()]
    try:
        about = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"there is no finished run in {folder}; give the folder that --out named") from error
    if importlib.util.find_spec("huggingface_hub") is None:
        raise InputError("pushing needs the package huggingface_hub; install it with: pip install 'optigram[hub]'")
    library = importlib.import_module("huggingface_hub")
    with written_whole(folder / "README.md") as path:
        path.write_text(_card(about, tables), encoding="utf-8")
    client = library.HfApi()
    patterns = [*(f"{name}.parquet" for name in tables), "manifest.json", "README.md"]
    try:
        client.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        client.upload_folder(repo_id=repository, repo_type="dataset", folder_path=str(folder), allow_patterns=patterns)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"cannot push to {repository!r} ({reason}); log in with `hf auth login`, and look at the name") from error
    return f"https://huggingface.co/datasets/{repository}"


def _card(about: dict[str, Any], tables: list[str]) -> str:
    """The card of the data set, in which each table is a configuration."""
    model = about.get("scan", about.get("settings", {})).get("model", "a model")
    parts = ["---", "tags: [interpretability, optigram]", "configs:"]
    parts += [f"- config_name: {name}\n  data_files: {name}.parquet" for name in tables]
    parts += ["---", "", f"# What makes the neurons of {Path(model).name} fire", ""]
    parts += ["Made by optigram. `manifest.json` has settings, versions and fingerprints.", ""]
    return "\n".join(parts)
