"""What every tool is asked for: the model as a folder that the peers can open, the targets, the allowed tokens, the first texts.

Written to the working folder, once: `whole` (the model in the layout of transformers), `blocks` (its first blocks, as far as the
directions need, so that a peer which runs the whole depth does not pay for the rest), `probe.safetensors` and `contest.json`.
A direction is the difference of the mean states at the last token of captions that name a thing and of others that do not; a placebo is
a random vector. All have norm 1.

Each peer has an environment in a folder of its own; none is a dependency of this project. torch comes first, by `constraints.txt`, so
that a machine which offers a CPU build gets that one. What pip plans is examined before anything is downloaded.
"""

import copy
import json
import re
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.setup import Settings, model_source, open_corpus
from safetensors.torch import save_file
from torch import Tensor

from optigram.errors import InputError
from optigram.files import written_whole
from optigram.models.huggingface import wrap_model
from optigram.models.network import Network
from optigram.text.lexicon import Rules, lexicon

READ_AT = "."  # by default, the last token, after the free words and a blank: the residual stream is read there
THEMES = "pizza,cat,train,surfboard,kitchen,snow,baseball,umbrella,giraffe,bus,toilet,cake"
WORDS = " umbrella, pizza, train, kitchen, snow, giraffe"  # what nanogcg is asked for: the word after the free ones
PLACEBOS, STARTS = 3, 5
ASCII = r"^[\x20-\x7e]+$"
PLAIN = "{% for message in messages %}{{ message['content'] }}{% endfor %}"  # a chat template that adds nothing

RELEASES = {"whisperers": "0.1.0a5", "tropt": "0.1.1", "nanogcg": "0.3.0"}
CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"
UNWANTED = ("nvidia", "cuda", "triton")  # of builds for graphics cards

Contest = dict[str, Any]


def prepared(working: Path, settings: Settings) -> Contest:
    """The contest of a working folder, which is written if it is missing."""
    file = working / "contest.json"
    if not file.exists():
        if not settings.corpus:
            raise InputError("expected captions to make directions from; give --corpus FILE")
        working.mkdir(parents=True, exist_ok=True)
        found = _contest(working, settings)
        with written_whole(file) as temporary:
            temporary.write_text(json.dumps(found), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def _contest(working: Path, settings: Settings) -> Contest:
    layer, rng = settings.option("layer", 9), np.random.default_rng(0)
    network, tokenizer = _converted(model_source(settings.model), working, layer)
    model = wrap_model(network, tokenizer)
    probes = _directions(network, tokenizer, open_corpus(model, settings).texts, settings, rng)
    norm = network.model.layers[layer + 1].input_layernorm.weight.detach()
    cosines = {f"{name}.cosine": (vector / (norm * len(norm) ** 0.5)).contiguous() for name, vector in probes.items()}
    save_file(probes | cosines, working / "probe.safetensors")
    allowed = _allowed(model, tokenizer)
    return {
        "layer": layer,
        "length": settings.length,
        "read_at": settings.option("read_at", READ_AT),
        "directions": list(probes),
        "words": settings.option("words", WORDS).split(","),
        "starts": [_start(tokenizer, allowed, settings.length, rng) for _ in range(STARTS)],
        "allowed": allowed,
    }


def _converted(source: Path, working: Path, layer: int) -> tuple[Any, Any]:
    """Save the model whole and cut short; return the whole one. `source` is a GGUF file or a folder of transformers."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where, more = (str(source), {}) if source.is_dir() else (str(source.parent), {"gguf_file": source.name})
    packed = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, **more).eval()
    tokenizer = AutoTokenizer.from_pretrained(where, **more)
    tokenizer.chat_template, network = PLAIN, packed
    if hasattr(packed.config, "quantization_config"):
        delattr(packed.config, "quantization_config")  # or the folder could not be opened as float32
    for name, blocks in (("blocks", layer + 2), ("whole", packed.config.num_hidden_layers)):
        config = copy.deepcopy(packed.config)
        config.num_hidden_layers = blocks
        network = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        known = network.state_dict().keys()
        network.load_state_dict({key: value for key, value in packed.state_dict().items() if key in known})
        network.save_pretrained(working / name)
        tokenizer.save_pretrained(working / name)
    ids = torch.arange(10, 16)[None]
    with torch.no_grad():
        if not torch.equal(packed(ids).logits, network(ids).logits):
            raise InputError(f"expected the copy of {source.name} to give the file's logits; check how its weights were packed")
    return network, tokenizer


def _directions(network: Any, tokenizer: Any, captions: Sequence[str], settings: Settings, rng: np.random.Generator) -> dict[str, Tensor]:
    """A direction for each theme, and the placebos."""
    found, count = {}, settings.option("captions", 40)
    for theme in settings.option("themes", THEMES).split(","):
        naming = [text for text in captions if re.search(rf"\b{theme}\b", text.lower())]
        others = [text for text in captions if not re.search(rf"\b{theme}\b", text.lower())]
        means = [_mean_state(network, tokenizer, rng.choice(texts, count, replace=False).tolist(), settings) for texts in (naming, others)]
        found[theme] = means[0] - means[1]
    for number in range(PLACEBOS):
        found[f"placebo-{number}"] = torch.from_numpy(rng.standard_normal(network.config.hidden_size)).float()
    return {name: vector / vector.norm() for name, vector in found.items()}


def _mean_state(network: Any, tokenizer: Any, texts: Sequence[str], settings: Settings) -> Tensor:
    """The mean residual stream at the last token of some texts, one by one, so that nothing is padded."""
    states, layer = [], settings.option("layer", 9)
    for text in texts:
        inputs = tokenizer(f"{text.rstrip(' .')} {settings.option('read_at', READ_AT)}", return_tensors="pt")
        with torch.no_grad():
            states.append(network(**inputs, output_hidden_states=True).hidden_states[layer + 1][0, -1])
    return torch.stack(states).mean(0)


def _allowed(model: Network, tokenizer: Any) -> list[int]:
    """Tokens of printable ASCII that survive re-tokenization: what every peer allows, or can be held to."""
    found = lexicon(model.vocabulary, Rules(matching=ASCII)).tolist()
    added = set(tokenizer.get_added_vocab().values())
    return [i for i in found if i not in added and tokenizer.encode(tokenizer.decode([i]), add_special_tokens=False) == [i]]


def _start(tokenizer: Any, allowed: Sequence[int], length: int, rng: np.random.Generator) -> str:
    """A text of random allowed tokens that survives re-tokenization: where every peer begins."""
    while True:
        ids = rng.choice(allowed, length).tolist()
        text = tokenizer.decode(ids)
        if tokenizer.encode(text, add_special_tokens=False) == ids:
            return text


def python_of(folder: Path, peer: str) -> Path:
    """The interpreter of a peer's environment, which is made if it is missing. A mark tells that a peer is installed."""
    python = folder / "environments" / peer / "bin" / "python"
    mark = python.parent.parent / f"{peer}-{RELEASES[peer]}"
    if mark.exists():
        return python
    venv.create(mark.parent, with_pip=True, clear=True)
    for wanted in ("torch", f"{peer}=={RELEASES[peer]}"):
        if unwanted := [name for name in _planned(python, wanted) if name.startswith(UNWANTED)]:
            raise InputError(f"expected a CPU build of torch for {wanted}, got {', '.join(unwanted)}; offer pip an index that has one")
        _pip(python, "--quiet", wanted)
    mark.touch()
    return python


def _planned(python: Path, wanted: str) -> list[str]:
    """What pip would install, as name==version; no wheel of torch itself is fetched for that."""
    report = json.loads(_pip(python, "--quiet", "--dry-run", "--report", "-", wanted))
    return sorted(f"{one['metadata']['name']}=={one['metadata']['version']}" for one in report["install"])


def _pip(python: Path, *words: str) -> str:
    command = [str(python), "-m", "pip", "install", "--constraint", str(CONSTRAINTS), *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
