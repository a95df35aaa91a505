"""Every case of the registry runs at a tiny setting, and its metrics are those of its table."""

import math
from dataclasses import replace

import pytest
import torch
from benchmarks.case import run_case
from benchmarks.open import networks
from benchmarks.quality import front, optimum, second_model
from benchmarks.registry import CASES, named
from benchmarks.setup import Settings

from benchmarks import results, setup
from models.tiny_gguf import write_gguf
from models.tiny_models import pretrained, tokenizer
from optigram.errors import InputError
from optigram.methods import Corpus
from optigram.models.loading import save
from optigram.objective.objective import Objective
from optigram.optimize.search import search
from optigram.targets.target import resolve

SENTENCES = ["a b c d e f g", "g f e d c b a", "a c e g b d f", "b b a a d d c c", "a woman under an umbrella", "two dogs play in snow"] * 2
SMALL = {"model": "small-gpt2", "sentences": 6, "targets": 1, "length": 3}
ON_CPU = {"device": "cpu", "size": "tiny", "tried": 1, "words": 100}
TINY: dict[str, dict] = {
    "api/time_to_first": {"sites": ("visual:dog",), "by": ("random",), "budgets": (20,), "options": {"processes": 1}},
    "speed/gumbel_step": {"budgets": (60,), "options": {"restarts": 1}},
    "speed/few_words": {},
    "speed/single_neuron": {"by": ("coordinate",), "budgets": (20,)},
    "speed/bare_mix": {"by": ("coordinate",), "sites": ("visual",), "budgets": (20,)},
    "speed/prefixes": {},
    "speed/exchange": SMALL | {"sites": ("mlp_act.1",), "options": {"lengths": "3", "turns": 1}},
    "speed/vocabulary": {"budgets": (20,), "seeds": 1, "options": {"words": 300}},
    "speed/gguf": {},
    "speed/stopping": SMALL,
    "speed/sparse_step": {"budgets": (60,), "options": {"words": 12, "tried": "2"}},
    "speed/training": {"options": {"batches": 1, "width": 8}},
    "speed/next_neuron": {},
    "speed/bounded": {},
    "speed/diverse": {},
    "speed/scan": SMALL | {"sites": ("mlp_act.0",), "options": {"before": 3}},
    "speed/scan_memory": {"options": {"megabytes": "0.02"}},
    "speed/merge": {"options": {"parts": 3, "pairs": 2}},
    "speed/scan_ngrams": {},
    "speed/scan_caching": SMALL | {"sites": ("mlp_act.0",), "options": {"before": 3}},
    "speed/capacity": SMALL | {"sites": ("mlp_act.0",), "options": {"before": 3}},
    "gpu/search": {"by": ("coordinate",), "sites": ("mlp_act.1",), "budgets": (60,), "options": ON_CPU},
    "gpu/scan": {"sites": ("mlp_act.1",), "sentences": 4, "options": ON_CPU},
    "quality/search": {"by": ("auto", "random"), "budgets": (20,)},
    "quality/labels": {"sites": ("visual",), "budgets": (20,), "options": {"judge": "lexical"}},
    "quality/optimality": {"by": ("random",), "budgets": (20,)},
    "quality/optimum": {"by": ("random",), "budgets": (60,)},
    "quality/faithful": {"by": ("emb:faithful/200",), "sites": ("visual",), "targets": 1, "budgets": (100,), "options": {"words": 5}},
    "quality/fluent": SMALL | {"by": ("coordinate",), "sites": ("mlp_act.1",), "budgets": (20,), "options": {"most": 99}},
    "quality/second_model": SMALL | {"by": ("coordinate",), "sites": ("mlp_act.1",), "budgets": (20,)},
    "quality/front": SMALL | {"by": ("coordinate",), "sites": ("mlp_act.1",), "budgets": (60,)},
    "quality/ablations": {"by": ("no noise (",), "sites": ("visual",), "budgets": (60,)},
    "quality/shortlist": {"budgets": (60,), "options": {"words": 12, "tried": "2"}},
    "quality/slopes": {"options": {"words": 20}},
    "quality/kept_slopes": {"budgets": (60,), "seeds": 1},
    "quality/neurons": SMALL | {"sites": ("mlp_act.0",), "budgets": (20,)},
    "quality/woken": SMALL
    | {"sites": ("resid_post.0",), "budgets": (20,), "seeds": 1, "options": {"texts": 9, "latents": 600, "steps": 2}},
    "quality/planted": {"by": ("class",), "targets": 1, "budgets": (60,)},
    "quality/planted_labels": {"by": ("lexical",), "targets": 1, "budgets": (20,)},
    "peers/contest": {
        "by": ("optigram:random", "whole:random"),
        "budgets": (20,),
        "options": {"layer": 0, "themes": "dogs", "captions": 2, "words": "a", "read_at": "a"},
    },
    "open/score": {},
}


@pytest.fixture(scope="module", autouse=True)
def smaller_gpt2():
    """`small-gpt2` has fewer and narrower layers here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "SMALL_SIZES", {"n_embd": 32, "n_layer": 2, "n_head": 2})
        yield


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    """A corpus, the tiny Imaginet, and a tiny Llama, as files."""
    folder = tmp_path_factory.mktemp("benchmarks")
    (folder / "corpus.txt").write_text("\n".join(SENTENCES), encoding="utf-8")
    save(tiny, folder / "tiny", {})
    llama, words = pretrained("llama"), tokenizer("unigram")
    llama.save_pretrained(folder / "llama")
    words.save_pretrained(folder / "llama")
    write_gguf(folder / "tiny.gguf")
    return folder


def settings_of(case, folder) -> Settings:
    given = {"model": str(folder / "tiny"), "corpus": (str(folder / "corpus.txt"),), "targets": 2, "length": 3, **TINY[case.name]}
    if case.name == "speed/gguf":
        given["model"] = str(folder / "tiny.gguf")
    if case.name == "peers/contest":
        given |= {"model": str(folder / "llama"), "options": given["options"] | {"working": str(folder / "peers")}}
    return case.settings(**given | {"options": {**case.defaults.options, **given.get("options", {})}})


def test_names_are_unique_and_all_are_tried():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert set(names) == set(TINY)
    assert all(case.description and case.metrics for case in CASES)
    assert named("speed") == tuple(case for case in CASES if case.name.startswith("speed/"))
    with pytest.raises(InputError, match="did you mean quality/slopes"):
        named("quality/slope")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_runs(case, folder, tmp_path, request):
    settings = settings_of(case, folder)
    if case.name == "open/score":
        made = request.getfixturevalue("open_directory").folder
        settings = case.settings(options={"directory": str(made), "files": str(made / "random.jsonl")})
    if case.name == "quality/second_model":
        (fluent,), kept = named(second_model.FLUENT), tmp_path / "fluent.jsonl"
        assert list(run_case(fluent, settings_of(fluent, folder), kept))
        settings = replace(settings, options={**settings.options, "results": str(kept)})
    rows = list(run_case(case, settings, tmp_path / "r.jsonl"))
    assert rows == results.read(tmp_path / "r.jsonl")
    assert rows
    for row in case.derive(rows):
        assert set(case.rows) | set(case.columns) <= set(row.settings) | {"budget", "word"}
        values = [part for value in row.metrics.values() for part in (value if isinstance(value, list) else [value])]
        assert all(math.isfinite(value) for value in values if isinstance(value, int | float))
        assert set(row.metrics) <= {metric.name for metric in case.metrics} | {"version"}


def test_pairs_found_by_their_gates_are_the_best_of_all_pairs(tiny):
    """The optimum over two words, against scoring all 49 texts."""
    objective, best = optimum.Optima(tiny, 3).known(optimum.PAIRS, "visual")
    texts = torch.cartesian_prod(objective.lexicon, objective.lexicon)
    assert torch.allclose(torch.tensor(best), objective.score(texts[None]).activation.amax(1))


def test_a_search_costs_what_is_counted(tiny, every_text):
    """Prefixes: 343 texts of 3 words have 399 prefixes; operations are counted, not seconds."""
    objective = Objective(tiny, resolve(["visual:dog"], tiny), 3)
    (found,) = search(objective, Corpus("every text", every_text)).found
    assert found is not None
    assert found.forwards == pytest.approx((7 + 49 + 343) / 3)


PUBLISHED = """
from types import SimpleNamespace
import numpy as np, torch
def epo(run, model, tokenizer, seq_len, iters, seed, callback):
    ids = torch.randint(0, tokenizer.vocab_size - 3, (iters, seq_len), generator=torch.Generator().manual_seed(seed))
    run(inputs_embeds=model.get_input_embeddings()(ids[:1]))
    with torch.no_grad():
        said = run(input_ids=ids)
    nats = torch.nn.functional.cross_entropy(said["logits"][:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return SimpleNamespace(ids=ids.numpy(), target=said["target"].numpy(), xentropy=nats.view(iters, -1).mean(1).numpy())
"""


def test_fronts_are_compared_with_those_of_a_program_of_the_users(tmp_path):
    file, unit = tmp_path / "epo.py", {"site": "mlp_act.1", "budget": 40.0}
    file.write_text(PUBLISHED, encoding="utf-8")
    case = named("quality/front")[0]
    networks.save(networks.network(networks.Sizes(words=20, width=16), 0), list("abcdefghijklmnopqrst"), tmp_path / "gpt2")
    asked = {"model": str(tmp_path / "gpt2"), "targets": 1, "length": 3, "by": ("coordinate",), "options": {"epo": str(file), "iters": 60}}
    context = front.setup(case.settings(**asked))
    first, ours = front.compare(context, unit, 0)
    assert first.settings == {"method": front.PUBLISHED}
    assert first.metrics["spent"] == 60 + 3
    assert first.metrics["area"] > 0
    assert ours.metrics["spent"] <= 40
    file.unlink()
    with pytest.raises(InputError, match="fetch it and name it"):
        front.compare(context, unit, 0)
