"""Other tools on the small networks of a directory, by the adapters of `peers/`, each in an environment that its user's pip makes.

What each can be asked for: TROPT projections on a direction of the residual stream; whisperers the cosine with it, which is not the
projection, so its texts are scored for something that it did not maximise; nanogcg the word that comes next, for whose logit
it maximises the log probability. None can be asked for a neuron of an MLP, and none for a band of surprisal: those targets have no line.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from benchmarks.open.directory import Directory, Target
from benchmarks.peers.run import Match
from benchmarks.setup import Settings
from optigram.study.statistics import grouped

KINDS = {"tropt": ("projection", "direction"), "whisperers": ("cosine", "direction"), "nanogcg": ("word", "unit")}
PLAIN = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def run(directory: Directory, targets: Sequence[Target], tool: str, budget: float, seeds: int, file: Path) -> Iterator[tuple[str, int]]:
    """Ask a tool for every target that it can express, one search after the other."""
    peer, _, method = tool.partition(":")
    contest, needed = KINDS[peer]
    able = [one for one in targets if needed in one and one["site"].partition(".")[0] in ("resid_post", "logits") and one["words"] != "any"]
    done = (
        {(line["target"], line["seed"]) for line in map(json.loads, file.read_text(encoding="utf-8").splitlines())}
        if file.exists()
        else set()
    )
    for name, group in grouped(able, lambda one: one["model"]).items():
        match = Match(prepared(directory, name), {}, Settings())
        for target, seed in ((target, seed) for seed in range(seeds) for target in group if (target["id"], seed) not in done):
            answer = match.asked(peer, request(directory, target, method, contest, budget, seed))
            line = {
                "target": target["id"],
                "seed": seed,
                "text": answer["text"].strip(),
                "forwards": answer["spent"],
                "seconds": answer["processor"],
            }
            with file.open("a", encoding="utf-8") as opened:
                opened.write(json.dumps(line, ensure_ascii=False) + "\n")
        yield name, len(group)


def request(directory: Directory, target: Target, method: str, contest: str, budget: float, seed: int) -> dict[str, Any]:
    """What an adapter is asked: nothing follows the text, and the state after the last block is read."""
    (start,) = directory.random_texts(target, 1, seed)
    vocabulary = directory.model(target["model"]).vocabulary
    word = vocabulary.tokens[target["unit"]] if contest == "word" else ""
    common = {"layer": 1, "length": target["length"], "read_at": "", "allowed": directory.allowed(target), "start": start}
    return common | {
        "method": method,
        "contest": contest,
        "budget": budget,
        "seed": seed,
        "direction": target.get("direction"),
        "word": word,
    }


def prepared(directory: Directory, name: str) -> Path:
    """The folder of a model as the adapters read it. `blocks` has one block more, of zeros, which adds nothing: what transformers gives
    as the state after the last block has passed the last norm, and the directions are read before it."""
    import transformers

    working, source = directory.folder / "peers" / name, directory.folder / "models" / name
    if (working / "blocks").exists():
        return working
    shared = directory.folder.resolve() / "peers" / "environments"
    shared.mkdir(parents=True, exist_ok=True)
    working.mkdir(exist_ok=True)
    (working / "environments").symlink_to(shared)
    if (source / "directions.safetensors").exists():
        rows = load_file(source / "directions.safetensors")
        save_file({key: value / value.norm() for key, value in rows.items()}, working / "probe.safetensors")
    network = transformers.GPT2LMHeadModel.from_pretrained(source)
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(source)
    tokenizer.chat_template = PLAIN
    config = transformers.GPT2Config.from_pretrained(source, n_layer=network.config.n_layer + 1)
    longer, found = transformers.GPT2LMHeadModel(config), network.state_dict()
    longer.load_state_dict({key: found.get(key, value * 0) for key, value in longer.state_dict().items()})
    for kind, one in (("whole", network), ("blocks", longer)):
        one.save_pretrained(working / kind)
        tokenizer.save_pretrained(working / kind)
    return working
