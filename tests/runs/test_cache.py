"""A corpus search that is answered from the cache gives what the search gives, to the last bit, and runs nothing for it."""

import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import network

from optigram.files import FolderCache
from optigram.methods import Corpus
from optigram.models.kv_cache import CachedReader
from optigram.objective import blocks, whole_site
from optigram.objective.objective import Objective
from optigram.optimize.search import search
from optigram.runs import corpus_best, site_lists, site_states
from optigram.runs.cache import Cache
from optigram.runs.corpus import corpus_for
from optigram.runs.corpus_best import best_of_corpus, diverse_of_corpus
from optigram.runs.find import run_methods
from optigram.runs.objective import make_objective
from optigram.runs.options import FindOptions
from optigram.runs.site_lists import KIND
from optigram.text.sources import open_corpus
from optigram.text.template import Template

TEXTS = 600


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Cache:
    monkeypatch.setattr(corpus_best, "FEWEST", 1)
    monkeypatch.setattr(site_lists, "LISTED", 200)
    monkeypatch.setattr(site_lists, "SMALLEST", 20)
    return Cache(tmp_path / "cache")


def ngrams_of(model, length=3, chunk=250) -> Corpus:
    """Random n-grams in the order of their ids, in three chunks."""
    drawn = np.random.default_rng(0).choice(sorted(set(range(len(model.vocabulary))) - model.vocabulary.special), (TEXTS, length))
    return Corpus("drawn", np.unique(drawn, axis=0), chunk)


def same(one, two) -> None:
    assert len(one.found) == len(two.found)
    for a, b in zip(one.found, two.found, strict=True):
        assert torch.equal(a.ids, b.ids)
        assert torch.equal(a.activation, b.activation)
        assert (a.forwards, a.backwards, a.trace, a.broken) == (b.forwards, b.backwards, b.trace, b.broken)
        assert a.remarks.keys() == b.remarks.keys()


POOLS = ("", "@max", "@mean", "@anywhere", "@2")
CASES = [("tiny", "visual.hidden"), ("tiny", "visual"), ("bert", "mlp_act.1"), ("gpt2", "resid_post.1"), ("gpt2", "mlp_act.0")]


@pytest.mark.parametrize(("name", "site"), CASES)
def test_the_next_neuron_costs_no_pass_and_has_the_same_result(name, site, tiny, cache):
    model = tiny if name == "tiny" else network(name)
    corpus = ngrams_of(model)
    first, others = f"{site}:0", [f"{sign}{site}:{unit}" for unit, sign in ((0, ""), (2, ""), (1, "-"), (2, "-"))]
    for pool in POOLS if name == "tiny" else POOLS[1:3]:
        for address in (first + pool, f"-{first}{pool}"):
            objective = Objective(model, address, 3)
            same(best_of_corpus(objective, corpus, 16, cache=cache), search(objective, corpus, n=16))
        for address in others:
            objective = Objective(model, address + pool, 3)
            uncached = search(objective, corpus, n=16)
            kept = site_lists.SiteLists(objective, corpus, cache).recall(16)
            if kept is not None:
                same(kept, uncached)
            same(best_of_corpus(objective, corpus, 16, cache=cache), uncached)
            sure = (uncached.found[0].activation[1:] < uncached.found[0].activation[:-1]).all()
            assert kept is not None or not sure, "the list is long enough where activations differ"


def test_several_targets_of_several_sites_are_kept_by_one_pass(tiny, cache, monkeypatch):
    corpus, objective = ngrams_of(tiny), Objective(tiny, ["visual:dog", "-language.hidden:3@max"], 3)
    uncached = search(objective, corpus, n=5)
    same(best_of_corpus(objective, corpus, 5, cache=cache), uncached)
    assert len(list(cache.folder.glob("*/*"))) == 2
    monkeypatch.setattr(corpus_best, "search", lambda *args, **more: pytest.fail("a pass over the corpus"))
    same(best_of_corpus(objective, corpus, 5, cache=cache), uncached)
    other = Objective(tiny, ["-language.hidden:1@max", "visual:cat"], 3)
    same(best_of_corpus(other, corpus, 5, cache=cache), search(other, corpus, n=5))


def test_texts_that_differ_and_survive_come_from_the_lists_too(cache, monkeypatch):
    model = network("gpt2")
    corpus = ngrams_of(model)
    objective = Objective(model, "mlp_act.1:4@max", 3, must_survive=True)
    uncached = diverse_of_corpus(objective, corpus, best_of_corpus(objective, corpus, 100), 100, 4, 0.4)
    best_of_corpus(objective, corpus, 100, cache=cache)
    monkeypatch.setattr(corpus_best, "search", lambda *args, **more: pytest.fail("a pass over the corpus"))
    listed = best_of_corpus(objective, corpus, 100, cache=cache)
    for one, other in zip(diverse_of_corpus(objective, corpus, listed, 100, 4, 0.4, cache=cache).found, uncached.found, strict=True):
        assert torch.equal(one.ids, other.ids)


SUMS = ["visual:dog - 0.5*language.hidden:1", "2*visual:dog@max", "language:*", "visual.hidden:FILE#1", "-visual.hidden:FILE#2@mean"]


@pytest.mark.parametrize("addresses", [*([one] for one in SUMS), ["visual:dog", "language:a@1"]])
@pytest.mark.parametrize("survive", [False, True])
def test_sums_latents_and_wide_projections_are_computed_from_kept_states(addresses, survive, tiny, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(whole_site, "WIDER", 0)
    save_file({"encoder": torch.eye(8), "threshold": torch.full((8,), 0.1)}, tmp_path / "sae.st")
    asked = [address.replace("FILE", str(tmp_path / "sae.st")) for address in addresses]
    objective, corpus = Objective(tiny, asked, 3, must_survive=survive), ngrams_of(tiny)
    uncached = search(objective, corpus, n=5)
    same(best_of_corpus(objective, corpus, 5, cache=cache), uncached)
    assert [path.parent.name for path in cache.folder.glob("*/*")] == ["states"]
    with monkeypatch.context() as patched:
        patched.setattr(site_states.SiteStates, "recorded", lambda self: pytest.fail("a pass over the corpus"))
        same(best_of_corpus(objective, corpus, 5, cache=cache), uncached)
    for path in cache.folder.glob("*/*"):
        arrays = load_file(path)
        save_file(arrays | {"states": arrays["states"] + 1}, path)
    same(best_of_corpus(objective, corpus, 5, cache=cache), uncached)


def test_too_many_states_are_not_kept(tiny, cache, monkeypatch):
    monkeypatch.setattr(whole_site, "WIDER", 0)
    monkeypatch.setattr(site_states, "MOST", 100)
    objective, corpus = Objective(tiny, "language:*", 3), ngrams_of(tiny)
    for _ in range(2):
        same(best_of_corpus(objective, corpus, 5, cache=cache), search(objective, corpus, n=5))
    assert not list(cache.folder.glob("*/*"))


def test_ties_at_the_end_of_a_list_are_searched_anew(tiny, cache, monkeypatch):
    """A dead unit: all n-grams have the same activation, and the list cannot tell which of them are first."""
    states = tiny.read
    monkeypatch.setattr(type(tiny), "read", lambda self, *rest: {site: state * 0 for site, state in states(*rest).items()})
    monkeypatch.setattr(type(tiny), "step", None)
    objective, corpus = Objective(tiny, "visual.hidden:1", 3), ngrams_of(tiny)
    for _ in range(2):
        same(best_of_corpus(objective, corpus, 5, cache=cache), search(objective, corpus, n=5))


def test_all_that_results_depend_on_is_in_the_key(tiny, cache):
    corpus, other = ngrams_of(tiny), ngrams_of(tiny, chunk=100)
    bare, template = Objective(tiny, "visual:dog", 3), Template.parse("{1} a {2}", tiny.vocabulary)
    asked = [(bare, corpus), (bare, other), (bare, Corpus("few", corpus.texts[:50])), (Objective(tiny, "visual:dog", 3, template), corpus)]
    asked += [(Objective(tiny, address, 3), corpus) for address in ("visual:dog@max", "-visual:dog", "visual.hidden:1")]
    asked += [(Objective(tiny, "visual:dog", 3, Template.parse("{2} a {1}", tiny.vocabulary)), corpus)]
    asked += [(Objective(tiny, "visual:dog", 3, must_survive=True), corpus)]
    keys = [lists.key(lists.wholes[0]) for lists in (site_lists.SiteLists(*one, cache) for one in asked)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("damage", ["other values", "half a file", "no file"])
def test_a_file_that_is_wrong_is_found_out(damage, tiny, cache):
    corpus, objective = ngrams_of(tiny), Objective(tiny, "visual:dog", 3)
    best_of_corpus(objective, corpus, 5, cache=cache)
    (path,) = cache.folder.glob(f"{KIND}/*")
    if damage == "other values":
        arrays = load_file(path)
        save_file(arrays | {"value": arrays["value"] + 1}, path)
    elif damage == "half a file":
        path.write_bytes(path.read_bytes()[:500])
    else:
        path.unlink()
        path.mkdir()
    same(best_of_corpus(objective, corpus, 5, cache=cache), search(objective, corpus, n=5))


def test_a_network_with_a_hook_is_another_one(cache):
    """Equal weights, and another forward."""
    model = network("gpt2")
    objective, corpus = Objective(model, "mlp_act.1:4", 3), ngrams_of(model)
    best_of_corpus(objective, corpus, 5, cache=cache)
    site = next(module for name, module in model.module.named_modules() if name.endswith("h.1.mlp.act"))
    with_hook = site.register_forward_hook(lambda module, args, output: -output)
    try:
        same(best_of_corpus(objective, corpus, 5, cache=cache), search(objective, corpus, n=5))
    finally:
        with_hook.remove()
    same(best_of_corpus(objective, corpus, 5, cache=cache), search(objective, corpus, n=5))


def test_sampled_texts_are_kept(tiny, tmp_path, monkeypatch):
    told, cache = [], Cache(tmp_path)
    asked = [corpus_for(tiny, source, seed, told.append, cache) for source, seed in (("sampled:5", 0), ("sampled:5", 1), ("sampled:6", 0))]
    monkeypatch.setattr(type(tiny), "sample", lambda *_: pytest.fail("sampled again"))
    assert list(corpus_for(tiny, "sampled:5", 0, told.append, cache).texts()) == list(asked[0].texts())
    assert len(told) == len(list(tmp_path.glob("*/*"))) == 3


def test_the_command_shows_and_clears(run, tmp_path, monkeypatch):
    monkeypatch.setenv("OPTIGRAM_CACHE", str(tmp_path))
    assert run("cache")[1].splitlines()[-1].startswith("0.0 MB of at most 10,737 MB in")
    Cache.usual().put("ngrams", "a", lambda path: path.write_bytes(bytes(1_500_000)))
    FolderCache("gguf", 10**6).keep("b", 10**6, lambda folder: (folder / "weights").write_bytes(bytes(500_000)))
    code, out, _ = run("cache", "--clear")
    assert code == 0
    assert out.splitlines()[:2] == ["ngrams: 1.5 MB", "gguf: 0.5 MB"]
    assert out.splitlines()[-1] == "removed 2.0 MB"
    assert not tmp_path.exists()


def test_nothing_is_kept_without_leave(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("OPTIGRAM_CACHE", str(tmp_path))
    monkeypatch.setattr(corpus_best, "FEWEST", 1)
    objective, corpus = Objective(tiny, "visual:dog", 3), open_corpus(["a b c d e f g"])
    list(run_methods(objective, FindOptions(by="crp", no_cache=True), corpus))
    assert not list(tmp_path.iterdir())
    list(run_methods(objective, FindOptions(by="crp"), corpus))
    assert list(tmp_path.iterdir())


def test_nothing_is_kept_of_a_model_with_nan(tiny, cache, monkeypatch):
    states = tiny.read
    monkeypatch.setattr(type(tiny), "read", lambda self, *rest: {site: state.log() for site, state in states(*rest).items()})
    monkeypatch.setattr(type(tiny), "step", None)
    found = best_of_corpus(Objective(tiny, "visual.hidden:1", 3), ngrams_of(tiny), 5, cache=cache)
    assert found.found[0].broken
    assert not list(cache.folder.glob("*/*"))


def test_the_least_recently_used_make_room(tmp_path):
    cache = Cache(tmp_path, most=250)
    for number, name in enumerate("abc"):
        cache.put("ngrams", name, lambda path: path.write_bytes(bytes(100)))
        os.utime(tmp_path / "ngrams" / name, ns=(number, number)) if (tmp_path / "ngrams" / name).exists() else None
        cache.get("ngrams", "a")
    assert {path.name for path in tmp_path.glob("ngrams/*")} == {"a", "c"}
    assert cache.sizes() == {"ngrams": 200}
    (tmp_path / "notes.txt").touch()
    assert cache.clear() == 200
    assert cache.sizes() == {}
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"], "only what is the cache's own"


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file")
    cache.put("ngrams", "a", lambda path: path.write_bytes(b"x"))
    assert cache.get("ngrams", "a") is None
    assert cache.clear() == 0
    full = Cache(tmp_path / "full")
    full.put("ngrams", "a", lambda path: save_file({"a": torch.zeros(1)}, path / "no such folder"))
    assert full.get("ngrams", "a") is None


def _busy(folder: Path, number: int) -> None:
    cache = Cache(folder, most=3000)
    for count in range(60):
        name, content = str(count % 7), bytes([count % 7]) * 1000
        cache.put("ngrams", name, lambda path, content=content: path.write_bytes(content))
        found = cache.get("ngrams", str((count + number) % 7))
        try:
            read = b"" if found is None else found.read_bytes()
        except FileNotFoundError:
            continue
        assert read in (b"", bytes([int(found.name)]) * 1000 if found else b"")


def test_two_processes_share_a_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_busy, args=(tmp_path, number)) for number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert sum(path.stat().st_size for path in tmp_path.glob("ngrams/*")) <= 4000


def test_trials_are_kept_for_the_next_process_unless_there_is_to_be_no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OPTIGRAM_CACHE", str(tmp_path))
    found = []
    for no_cache in (True, False, False):
        model = network.__wrapped__("gpt2")  # as a new process has it: nothing is known of it
        options = FindOptions(by=("coordinate",), budget=60, length=3, fluency=0.1, no_cache=no_cache)
        objective = make_objective(model, "mlp_act.1:4", options)
        with monkeypatch.context() as patched:
            if found[1:]:
                patched.setattr(blocks, "_Full", None)
                patched.setattr(CachedReader, "same", None)
            found.append([record.activation for one in run_methods(objective, options) for record in one.records])
        assert len(list(tmp_path.glob("trials/*"))) == (not no_cache)
    assert found[0] == found[1] == found[2]
    (file,) = tmp_path.glob("trials/*")
    assert len(json.loads(file.read_text())) > 1
    assert Cache(tmp_path).clear() > 0
    assert not file.exists()
