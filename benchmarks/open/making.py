"""`make`: train the small networks, draw the targets, find every optimum by trying every text, and write the directory."""

import itertools
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.open import networks
from benchmarks.open.directory import Directory, Target
from benchmarks.open.networks import READ_AT, Sizes
from benchmarks.open.phrases import Phrases, separation
from optigram.errors import InputError
from optigram.files import written_whole
from optigram.methods import Corpus
from optigram.optimize.search import search

CAPTIONS, TRIGGERS, DRAWN = "captions", "triggers", "drawn"
TRIPLE, RANDOM, FRESH, BEST, SPARE, KINDS = 3, 512, 100, 4, 2, 10
LENGTHS, BAND = (5, 12, 20), (2.0, 6.0)
BLOCK = {"minilm": 3, "smollm2": 9}  # of the larger models, whose neurons and states are read
SEED = 16


@dataclass
class _Making:
    """What is gathered on the way: targets with their answers, and the lists of words."""

    folder: Path
    sizes: Sizes
    rng: np.random.Generator
    targets: list[Target] = field(default_factory=list)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self) -> Directory:
        """Write what a tool reads, and open it."""
        told = {"targets": self.targets, "words": self.words, "models": self.models}
        for name, content in (("targets.json", told), ("answers.json", self.answers)):
            with written_whole(self.folder / name) as temporary:
                temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
        return Directory.open(self.folder)


def make(folder: Path, paths: dict[str, Path | None], sizes: Sizes | None = None) -> dict[str, Any]:
    """Write the directory; what is returned says how well the networks were trained. Raises InputError for a folder that has one."""
    if (folder / "targets.json").exists():
        raise InputError(f"expected a new folder, got {folder}, which holds a benchmark; its scores would no longer be comparable")
    sizes, rng = sizes or Sizes(), np.random.default_rng(SEED)
    making = _Making(folder, sizes, rng)
    (folder / "models").mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("reference.py"), folder / "reference.py")
    vocabulary = networks.frequent(networks.captions(), sizes.words)
    making.words["all"] = vocabulary
    phrases, told = _networks(making, vocabulary)
    _enumerated(making, vocabulary)
    _planted(making, phrases, vocabulary)
    _fill(making)
    for name, path in paths.items():
        if path is not None:
            _larger(making, name, path)
    directory = _with_floors(making)
    told |= separation(*_on_fresh_texts(directory, phrases, vocabulary)) if phrases.phrases else {}
    making.models[TRIGGERS] |= {"training": told}
    making.write()
    return told


def _networks(making: _Making, vocabulary: Sequence[str]) -> tuple[Phrases, dict[str, Any]]:
    """Train and save the networks with their directions."""
    sizes, rng = making.sizes, making.rng
    language, loss = networks.train_captions(sizes, vocabulary, SEED)
    phrases = Phrases.draw(sizes.phrases, sizes.words, rng)
    listener, heads = networks.train_triggers(sizes, phrases, SEED)
    drawn = networks.network(sizes, SEED, networks.LARGE).eval()
    permuted = torch.stack([row[torch.from_numpy(rng.permutation(len(row)))] for row in heads])
    themes, labels = _themes(language, vocabulary, sizes, rng)
    random = torch.nn.functional.normalize(torch.from_numpy(rng.standard_normal((sizes.placebos, sizes.width))).float(), dim=1)
    saved = {
        CAPTIONS: (language, {"theme": themes, "permuted": labels, "random": random}),
        TRIGGERS: (listener, {"phrase": heads, "permuted": permuted}),
        DRAWN: (drawn, {}),
    }
    for name, (network, kinds) in saved.items():
        networks.save(network, vocabulary, making.folder / "models" / name)
        rows = {f"{kind}-{number}": row.clone() for kind, matrix in kinds.items() for number, row in enumerate(matrix)}
        if rows:
            save_file(rows, making.folder / "models" / name / "directions.safetensors")
        making.models[name] = {"layout": "GPT-2 of transformers"}
    return phrases, {"caption_nats": loss}


def _themes(language: Any, vocabulary: Sequence[str], sizes: Sizes, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Directions [k d]: the mean last state of captions with a word less that of the others; and the same with the labels permuted."""
    texts = [text for text in networks.captions()[:2000] if 3 <= len(text.split()) < networks.LONGEST]
    ids = networks._padded(texts, vocabulary).clamp(min=1)
    with torch.no_grad():
        last = networks.states(language, ids)[torch.arange(len(ids)), torch.tensor([len(text.split()) for text in texts])]
    found, permuted = [], []
    for word in vocabulary[10 : 10 + max(sizes.optimum, sizes.placebos)]:
        named = torch.tensor([word in text.split() for text in texts])
        for labels, rows in ((named, found), (named[torch.from_numpy(rng.permutation(len(named)))], permuted)):
            rows.append(torch.nn.functional.normalize(last[labels].mean(0) - last[~labels].mean(0), dim=0).nan_to_num())
    return torch.stack(found[: sizes.optimum]), torch.stack(permuted[: sizes.placebos])


def _enumerated(making: _Making, vocabulary: Sequence[str]) -> None:
    """Targets at three words of a list, with their optimum. Of each kind more are drawn than are kept: those that some text raises."""
    sizes, rng = making.sizes, making.rng
    for number, name in enumerate((CAPTIONS, CAPTIONS, TRIGGERS, DRAWN)):
        listed = sorted(rng.choice(vocabulary, min(sizes.listed, len(vocabulary)), replace=False).tolist())
        making.words[f"list-{number}"] = listed
        common = {"model": name, "pool": "last", "length": TRIPLE, "words": f"list-{number}"}
        several, width = sizes.optimum * SPARE, 4 * sizes.width
        units = {
            site: [{"site": site, "unit": int(unit)} for unit in rng.choice(wide, min(several, wide), replace=False)]
            for site, wide in (("mlp_act.0", width), ("mlp_act.1", width), ("logits", len(vocabulary)))
        }
        places = {
            0: (units["mlp_act.0"], units["mlp_act.1"]),
            1: (units["logits"], _directions("theme", sizes.optimum)),
            2: (units["mlp_act.0"], units["mlp_act.1"]),
            3: (units["mlp_act.0"], units["mlp_act.1"], units["logits"]),
        }[number]
        for kind in places:
            _keep_optima(making, "optimum", [common | place for place in kind], sizes.optimum)
        if name == CAPTIONS:
            kind = "random" if number == 0 else "permuted"
            _keep_optima(making, "placebos", [common | place for place in _directions(kind, sizes.placebos)], sizes.placebos)


def _fill(making: _Making) -> None:
    """Directions of phrases, at words that do not have the phrase, for what is missing of the optima: no text need raise them above 0."""
    missing = KINDS * making.sizes.optimum - sum(target["set"] == "optimum" for target in making.targets)
    common = {"model": TRIGGERS, "pool": "last", "length": TRIPLE, "words": "list-2"}
    drawn = [common | place for place in _directions("phrase", min(missing, making.sizes.phrases))]
    _keep_optima(making, "optimum", drawn, missing, least=-np.inf)


def _directions(kind: str, count: int) -> list[dict[str, Any]]:
    return [{"site": READ_AT, "direction": f"{kind}-{number}"} for number in range(count)]


def _keep_optima(making: _Making, of: str, drawn: Sequence[Target], count: int, least: float = 0.0) -> None:
    """Add the first `count` targets with an optimum above `least`, and the optimum: of the best texts of a search, the reference's best."""
    found = [one | {"id": f"drawn/{number}", "set": of} for number, one in enumerate(drawn)]
    trial = _Making(making.folder, making.sizes, making.rng, found, words=making.words, models=making.models)
    directory = trial.write()
    listed = directory.allowed(found[0])
    objective = directory.objective(found)
    texts = np.array(list(itertools.product(listed, repeat=TRIPLE)))
    kept = 0
    for one, best in zip(found, search(objective, Corpus("every text", texts), n=BEST).found, strict=True):
        assert best is not None
        written = [objective.model.vocabulary.decode(row) for row in best.ids.tolist()]
        value, text = max(zip(directory.reference.activations(one, written), written, strict=True))
        if value > least and kept < count:
            kept += 1
            _add(making, of, one, "optimum", {"activation": value, "text": text})


def _add(making: _Making, of: str, target: Target, like: str, answer: dict[str, Any]) -> None:
    """A target under its final name; `like` says to which set's targets a placebo is alike."""
    number = sum(one["set"] == of for one in making.targets)
    more = {"like": like} if of == "placebos" else {}
    making.targets.append(target | {"id": f"{of}/{number:03}", "set": of} | more)
    if answer:
        making.answers[f"{of}/{number:03}"] = answer


def _planted(making: _Making, phrases: Phrases, vocabulary: Sequence[str]) -> None:
    """A target per phrase, of the phrase's length; placebos have the permuted numbers of a phrase's direction."""
    for number, phrase in enumerate(phrases.phrases):
        target = {
            "model": TRIGGERS,
            "site": READ_AT,
            "direction": f"phrase-{number}",
            "pool": "last",
            "length": len(phrase),
            "words": "all",
        }
        text = " ".join(vocabulary[id_ - networks.SPECIAL] for id_ in phrase)
        _add(making, "triggers", target, "", {"phrase": text})
        if number < making.sizes.placebos:
            _add(making, "placebos", target | {"direction": f"permuted-{number}"}, "triggers", {})


def _larger(making: _Making, name: str, path: Path) -> None:
    """Neurons, logits and directions of MiniLM or SmolLM2; 40 of 100 within a band of surprisal, all of SmolLM2."""
    if not path.exists():
        raise InputError(f"expected the folder or GGUF file of {name}, got {path}, which is missing")
    making.models[name] = {"path": str(path.resolve())}
    share, rng = making.sizes.transformers, making.rng
    width, block = {"minilm": 384, "smollm2": 576}[name], BLOCK[name]
    neurons = {"site": f"mlp_act.{block}"}
    kinds: list[dict[str, Any]] = [neurons, neurons, {"site": f"resid_post.{block}"}]
    if name == "smollm2":
        kinds[1] = {"site": "logits"}
    count = {"minilm": share * 3 // 10, "smollm2": share - share * 3 // 10}[name]
    (making.folder / "models" / name).mkdir()
    vectors = torch.nn.functional.normalize(torch.from_numpy(rng.standard_normal((count, width))).float(), dim=1)
    save_file(
        {f"random-{number}": row.clone() for number, row in enumerate(vectors)}, making.folder / "models" / name / "directions.safetensors"
    )
    pool = "max" if name == "minilm" else "last"
    for number in range(count):
        target: Target = {"model": name, "pool": pool, "length": LENGTHS[number // len(kinds) % len(LENGTHS)], "words": "any"}
        target |= kinds[number % len(kinds)]
        wide = {"logits": 40_000}.get(target["site"], 4 * width if name == "minilm" else 1536)
        target |= (
            {"direction": f"random-{number}"}
            if "resid" in target["site"]
            else {"unit": int(rng.integers(1000 if wide > 4000 else 0, wide))}
        )
        banded = name == "smollm2" and number >= count - share * 4 // 10
        _add(making, "transformers", target | ({"surprisal": BAND} if banded else {}), "", {})


def _with_floors(making: _Making) -> Directory:
    """Add to each target the mean and the spread of random texts, and to each trigger its activation."""
    directory = making.write()
    for target in making.targets:
        values = np.array(
            directory.reference.activations(target, list(directory.random_texts(target, RANDOM if target["words"] != "any" else 32, 1)))
        )
        target |= {"floor": float(values.mean()), "spread": float(values.std())}
        if "phrase" in (answer := making.answers.get(target["id"], {})):
            answer["activation"] = directory.reference.activations(target, [answer["phrase"]])[0]
    return making.write()


def _on_fresh_texts(directory: Directory, phrases: Phrases, vocabulary: Sequence[str]) -> Iterator[list[Any]]:
    """The activations of the triggers, and of near misses and random texts that the training has not seen."""
    rng, triggers = np.random.default_rng(SEED + 1), directory.of("triggers")

    def told(ids: np.ndarray) -> str:
        return " ".join([vocabulary[int(id_) - networks.SPECIAL] for id_ in ids])

    yield [directory.answers[target["id"]]["activation"] for target in triggers]
    near = [[told(phrases.near(number, rng)) for _ in range(FRESH)] for number in range(len(triggers))]
    yield [directory.reference.activations(target, texts) for target, texts in zip(triggers, near, strict=True)]
    yield [directory.reference.activations(target, list(directory.random_texts(target, FRESH, 2))) for target in triggers]
