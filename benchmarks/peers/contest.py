"""What everyone is asked for: the model as a folder that the peers can open, the targets, the allowed tokens, the first texts.

    python benchmarks/peers/contest.py MODEL.gguf --working DIR --captions FILE

Written to the working folder, once: `whole` (the model in the layout of transformers), `blocks` (its first blocks, as far as the
directions need, so that a peer which runs the whole depth does not pay for it), `probe.safetensors` and `contest.json`.
A direction is the difference of the mean states at the last token of captions that name a thing and of others that
do not; a placebo is a random vector. All have norm 1.
"""

import argparse
import copy
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from optigram.models.huggingface import wrap_model
from optigram.models.network import Network
from optigram.text.formats import sentences
from optigram.text.lexicon import Rules, lexicon

LAYER, LENGTH = 9, 5
READ_AT = "."  # the last token, after the free words and a blank: the residual stream is read there
THEMES = ("pizza", "cat", "train", "surfboard", "kitchen", "snow", "baseball", "umbrella", "giraffe", "bus", "toilet", "cake")
WORDS = (" umbrella", " pizza", " train", " kitchen", " snow", " giraffe")  # what nanogcg is asked for: the word after the free ones
PLACEBOS, CAPTIONS, STARTS = 3, 40, 5
ASCII = r"^[\x20-\x7e]+$"
PLAIN = "{% for message in messages %}{{ message['content'] }}{% endfor %}"  # a chat template that adds nothing


def main() -> None:
    """Write the working folder."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", type=Path)
    options.add_argument("--working", type=Path, required=True)
    options.add_argument("--captions", required=True)
    asked = options.parse_args()
    torch.set_num_threads(1)
    asked.working.mkdir(parents=True, exist_ok=True)
    network, tokenizer = converted(asked.model, asked.working)
    rng = np.random.default_rng(0)
    probes = directions(network, tokenizer, [one.text for one in sentences(asked.captions)], rng)
    norm = network.model.layers[LAYER + 1].input_layernorm.weight.detach()
    cosines = {f"{name}.cosine": (vector / (norm * len(norm) ** 0.5)).contiguous() for name, vector in probes.items()}
    save_file(probes | cosines, asked.working / "probe.safetensors")
    words = allowed(wrap_model(network, tokenizer), tokenizer)
    contest = {
        "model": str(asked.model),
        "layer": LAYER,
        "length": LENGTH,
        "read_at": READ_AT,
        "directions": list(probes),
        "words": list(WORDS),
        "starts": [start(tokenizer, words, rng) for _ in range(STARTS)],
        "allowed": words,
    }
    (asked.working / "contest.json").write_text(json.dumps(contest), encoding="utf-8")
    print(f"{len(probes)} directions, {len(WORDS)} words, {len(words):,} of {len(tokenizer):,} tokens allowed, in {asked.working}")


def converted(source: Path, working: Path) -> tuple[PreTrainedModel, Any]:
    """Save the model whole and cut short; return the whole one."""
    where, file = str(source.parent), source.name
    packed = AutoModelForCausalLM.from_pretrained(where, gguf_file=file, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=file)
    tokenizer.chat_template = PLAIN
    delattr(packed.config, "quantization_config")  # or it is not saved, for how it was packed
    for name, blocks in (("blocks", LAYER + 2), ("whole", packed.config.num_hidden_layers)):
        config = copy.deepcopy(packed.config)
        config.num_hidden_layers = blocks
        network = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        known = network.state_dict().keys()
        network.load_state_dict({key: value for key, value in packed.state_dict().items() if key in known})
        network.save_pretrained(working / name)
        tokenizer.save_pretrained(working / name)
    with torch.no_grad():
        apart = [model.eval()(torch.arange(100, 106)[None]).logits for model in (packed, network)]
    print(f"logits of the copy differ from the file's by {float((apart[0] - apart[1]).abs().max()):.1e} at the most")
    return network, tokenizer


def directions(network: PreTrainedModel, tokenizer: Any, captions: Sequence[str], rng: np.random.Generator) -> dict[str, Tensor]:
    """A direction for each theme, and the placebos."""
    found = {}
    for theme in THEMES:
        naming = [text for text in captions if re.search(rf"\b{theme}\b", text.lower())]
        others = [text for text in captions if not re.search(rf"\b{theme}\b", text.lower())]
        means = [mean_state(network, tokenizer, rng.choice(texts, CAPTIONS, replace=False).tolist()) for texts in (naming, others)]
        found[theme] = means[0] - means[1]
    for number in range(PLACEBOS):
        found[f"placebo-{number}"] = torch.from_numpy(rng.standard_normal(network.config.hidden_size)).float()
    return {name: vector / vector.norm() for name, vector in found.items()}


def mean_state(network: PreTrainedModel, tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """The mean residual stream at the last token of some texts, one by one, so that nothing is padded."""
    states = []
    for text in texts:
        inputs = tokenizer(f"{text.rstrip(' .')} {READ_AT}", return_tensors="pt")
        with torch.no_grad():
            states.append(network(**inputs, output_hidden_states=True).hidden_states[LAYER + 1][0, -1])
    return torch.stack(states).mean(0)


def allowed(model: Network, tokenizer: Any) -> list[int]:
    """Tokens of ASCII that print and, typed, are that one token again: what every peer allows, or can be held to."""
    found = lexicon(model.vocabulary, Rules(matching=ASCII)).tolist()
    added = set(tokenizer.get_added_vocab().values())
    return [i for i in found if i not in added and tokenizer.encode(tokenizer.decode([i]), add_special_tokens=False) == [i]]


def start(tokenizer: Any, words: Sequence[int], rng: np.random.Generator) -> str:
    """A text of random allowed tokens that is typed back to the same ones: what every peer begins from."""
    while True:
        ids = rng.choice(words, LENGTH).tolist()
        text = tokenizer.decode(ids)
        if tokenizer.encode(text, add_special_tokens=False) == ids:
            return text


if __name__ == "__main__":
    main()
