"""What gumbel softmax takes where a vocabulary is large and texts are long."""

import functools
import resource
import subprocess
import sys
import time
from pathlib import Path

import transformers
from benchmarks.setup import Result, Settings, Unit

from optigram.methods.paper import modern
from optigram.models.base import Model
from optigram.models.loading import load
from optigram.objective.objective import Objective
from optigram.optimize.search import Budget, search
from optigram.runs.plan import Plan

ROOT = Path(__file__).resolve().parents[2]
DENSE, DEFAULT = "gbl over all words", "gbl by default"


def memory(settings: Settings, unit: Unit, seed: int) -> list[Result]:
    """A search by gbl over all words, and as it runs by default, in a transformer of so many `words`: each in a process of its own."""
    found = []
    for what in (DENSE, DEFAULT):
        code = f"from benchmarks.speed.vocabulary import Settings, one_search; one_search({settings!r}, {unit!r}, {what!r}, {seed})"
        done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        before, after, milliseconds = map(float, done.stdout.splitlines()[-1].split())
        metrics = {"milliseconds": milliseconds, "memory": after - before, "model": before}
        found.append(Result(metrics, settings={"what": what}))
    return found


def one_search(settings: Settings, unit: Unit, what: str, seed: int) -> None:
    """Print the largest memory before and after a search, in MB, and its processor milliseconds per forward-equivalent."""
    model = _model(settings.option("words", 256_000))
    objective = Objective(model, f"mlp_act.1:0-{settings.targets - 1}@max", settings.length)
    dense = functools.partial(modern, "gbl")
    method = dense(unit["budget"]) if what == DENSE else Plan.of("gbl", objective, None, unit["budget"]).method
    assert method is not None
    before, begun = _peak(), time.process_time()
    result = search(objective, method.with_block(4), Budget(forwards=unit["budget"]), seed=seed)
    seconds = time.process_time() - begun
    spent = sum(one.forwards for one in result.found if one is not None)
    print(before, _peak(), 1000 * seconds / spent)


def _model(words: int) -> Model:
    config = transformers.GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=words, n_positions=64, bos_token_id=0, eos_token_id=0)
    return load(transformers.GPT2LMHeadModel(config).eval(), words=[f"w{i}" for i in range(words)])


def _peak() -> float:
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1 << 20 if sys.platform == "darwin" else 1 << 10)
