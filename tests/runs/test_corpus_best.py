"""Corpus search for several texts that differ: one pass over the corpus, and the same texts as one search after the other."""

import numpy as np
import pytest
import torch

from optigram.methods import Corpus
from optigram.objective.contexts import Contexts
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.optimize.diverse import search_diverse
from optigram.optimize.search import search
from optigram.runs import corpus_best
from optigram.runs.corpus_best import best_of_corpus, diverse_of_corpus
from optigram.runs.find import run_methods
from optigram.runs.options import FindOptions
from optigram.text.sources import open_corpus
from optigram.text.template import Template


def listed(objective, corpus, depth, n, most):
    return diverse_of_corpus(objective, corpus, best_of_corpus(objective, corpus, depth), depth, n, most).found


@pytest.mark.parametrize("depth", [1, 5, 343])
def test_texts_picked_from_a_list_are_those_of_one_search_after_the_other(objective, every_text, depth):
    """Lists that end too soon are made longer, for the targets that need it."""
    corpus = Corpus("every text", every_text)
    expected = search_diverse(objective, corpus, None, 0, 4, 0.34).found
    for one, other in zip(listed(objective, corpus, depth, 4, 0.34), expected, strict=True):
        assert torch.equal(one.ids, other.ids)
        assert torch.equal(one.activation, other.activation)


def test_a_list_that_holds_all_that_may_be_found_ends_the_search(tiny):
    """Three texts, none of which may follow another, and one that does not survive: no text more, and no endless search."""
    corpus = Corpus("three", np.array([[3, 4, 5], [3, 4, 6], [4, 3, 5]]))
    (found,) = listed(Objective(tiny, "visual:dog", 3, must_survive=True), corpus, 2, 3, 0.1)
    assert len(found.ids) == 1


def test_several_texts_of_crp_cost_one_pass(tiny, monkeypatch):
    passes = []

    def counted(*args, **more):
        passes.append(args)
        return search(*args, **more)

    monkeypatch.setattr(corpus_best, "search", counted)
    objective, corpus = Objective(tiny, "visual:dog", 3), open_corpus([" ".join("abcdefg"[i:] + "abcdefg"[:i]) for i in range(7)])
    (one,) = run_methods(objective, FindOptions(by="crp", n=1), corpus)
    (several,) = run_methods(objective, FindOptions(by="crp", n=3, apart=0.7), corpus)
    assert len(passes) == 2
    assert len(several.records) == 3
    assert several.records[0].text == one.records[0].text
    assert {record.total_forwards for record in several.records} == {one.records[0].total_forwards}


TARGETS = ["language:a", "-visual:cat@mean"]
FLUENCIES = [
    Fluency(band=(0, 2.1)),
    Fluency(band=(1.9, 2.1)),
    Fluency(0.5),
    Fluency(0.1, (1.9, 9), repetition=0.05),
    Fluency(band=(0, 0.1)),
]


@pytest.mark.parametrize(("fluency", "contexts"), [*((fluency, 1) for fluency in FLUENCIES), (FLUENCIES[3], 2)], ids=repr)
def test_surprisal_is_computed_of_the_highest_activations_alone(tiny, every_text, fluency, contexts, monkeypatch):
    """The texts are those of a search that computes it for all n-grams; where many are ruled out, the list by activation is made longer."""
    monkeypatch.setattr(corpus_best, "RANKED", 16)
    monkeypatch.setattr(corpus_best, "FIRST", 4)
    words, corpus = tiny.vocabulary, Corpus("every text", every_text)
    parts = [Objective(tiny, TARGETS, 3, Template.parse(text, words), fluency=fluency) for text in ("a {}", "b {} c")[:contexts]]
    objective = parts[0] if contexts == 1 else Contexts(parts, "min")
    every, lazy = search(objective, corpus, n=3), best_of_corpus(objective, corpus, 3)
    for one, other in zip(every.found, lazy.found, strict=True):
        assert torch.equal(one.ids, other.ids)
        assert torch.equal(one.activation, other.activation)
        assert torch.equal(one.surprisal, other.surprisal)
        assert other.trace == sorted(other.trace)
        assert other.trace[-1][0] == other.forwards
    if contexts == 1:
        assert (fluency.band[1] > 0.1) == all(len(one.ids) == 3 for one in every.found)


def test_the_cost_of_a_bounded_search_is_a_pass_and_what_was_scored_whole(tiny, every_text, monkeypatch):
    monkeypatch.setattr(corpus_best, "RANKED", 64)
    scored, score = [], Objective.score
    monkeypatch.setattr(Objective, "score", lambda self, ids, owned=False: scored.append((self, ids.shape[1])) or score(self, ids, owned))
    corpus, template = Corpus("every text", every_text), Template.parse("a {}", tiny.vocabulary)
    objective = Objective(tiny, "visual:dog", 3, template, fluency=Fluency(band=(0, 2.1)))
    (found,) = best_of_corpus(objective, corpus, 3).found
    whole = sum(count for one, count in scored if one.fluency is not None and one.view == "search")
    assert 32 <= whole <= 96
    (plain,) = search(Objective(tiny, "visual:dog", 3, template), corpus, n=3).found
    assert plain.forwards < found.forwards <= plain.forwards + 2 * whole
