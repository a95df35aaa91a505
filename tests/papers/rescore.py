"""Find the activations of stored records again, with torch alone: no line of optigram is used.

python tests/papers/rescore.py RECORDS.jsonl.xz MODEL_FOLDER [EVERY]
"""

import json
import lzma
import struct
import sys
from pathlib import Path

import torch

SPECIAL = 3  # ids before the words: <pad>, <end>, <unk>
KINDS = {"F16": torch.float16, "F32": torch.float32}


def weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors file: a header of JSON, then the numbers."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    found = {}
    for name, one in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            first, last = (8 + size + place for place in one["data_offsets"])
            found[name] = torch.frombuffer(bytearray(data[first:last]), dtype=KINDS[one["dtype"]]).reshape(one["shape"]).float()
    return found


def last_state(tensors: dict[str, torch.Tensor], path: str, ids: torch.Tensor) -> torch.Tensor:
    """The state [n h] of a GRU after texts [n t], from a zero state (Cho et al. 2014, with the reset gate after the product)."""
    inner, outer, bias, bias_outer = (tensors[f"paths.{path}.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    state = torch.zeros(len(ids), outer.shape[1])
    for word in tensors["word_embedding.weight"][ids].unbind(1):
        reset, keep, new = (word @ inner.T + bias).chunk(3, 1)
        reset_by_state, keep_by_state, new_by_state = (state @ outer.T + bias_outer).chunk(3, 1)
        new = torch.tanh(new + torch.sigmoid(reset + reset_by_state) * new_by_state)
        state = new + torch.sigmoid(keep + keep_by_state) * (state - new)
    return state


def activation(tensors: dict[str, torch.Tensor], names: dict[str, list[str]], target: str, ids: torch.Tensor) -> float:
    """A target's activation: "visual:dog", 'language:"12"', or a weighted sum such as "0.5*visual.hidden:1 + 0.5*visual.hidden:7"."""
    value = 0.0
    for term in target.split(" + "):
        times, _, address = term.rpartition("*")
        site, unit = address.split(":", 1)
        path, hidden = site.removesuffix(".hidden"), site.endswith(".hidden")
        state = last_state(tensors, path, ids[None])[0]
        name = json.loads(unit) if unit.startswith('"') else unit
        number = int(name) if hidden or name not in names[path] else names[path].index(name) + SPECIAL * (path == "language")
        layer = f"projections.{path}"
        value += float(times or 1) * float(
            state[number] if hidden else tensors[f"{layer}.weight"][number] @ state + tensors[f"{layer}.bias"][number]
        )
    return value


def differences(records: Path, model: Path, every: int = 1) -> list[float]:
    """|found again - stored| / max(1, |stored|) of every so many records of the model itself (not of its placebos)."""
    tensors, config = weights(model / "model.safetensors"), json.loads((model / "config.json").read_text())
    rows = [json.loads(line) for line in lzma.decompress(records.read_bytes()).decode().splitlines()]
    own = [row for row in rows if "(random" not in row["model"]][::every]
    names = {"language": config["words"], "visual": config["labels"]}
    again = [activation(tensors, names, row["target"], torch.tensor(row["ids"])) for row in own]
    return [abs(value - row["activation"]) / max(1.0, abs(row["activation"])) for value, row in zip(again, own, strict=True)]


if __name__ == "__main__":
    found = differences(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
    sys.stdout.write(f"{len(found):,} activations found again; the largest difference is {max(found):.1e}\n")
