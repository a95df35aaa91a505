"""Records: their whole text and the places of its free words, their trace, and their total cost in a run."""

import copy
import dataclasses
import json
import re
from collections import Counter

import pytest
import torch
from tiny_models import ROWS, tokenizer

from optigram.api import score
from optigram.methods import paper
from optigram.models.tokenizers import vocabulary_of
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.optimize.baseline import BASELINE
from optigram.runs.find import _improvements, run_methods
from optigram.runs.options import FindOptions
from optigram.runs.shown_text import ShownText
from optigram.targets.target import resolve
from optigram.text.sources import open_corpus
from optigram.text.template import Template


def whole_text(template, vocabulary, free):
    one = ShownText.of(template, vocabulary, free)
    assert one.survives == vocabulary.survives(template.fill(free))
    assert one.text == vocabulary.decode(free)
    return one.whole, one.free


AROUND = ("{}", "a woman {}", "a woman {} under", "a woman {2} under {1}")


def test_free_words_of_a_word_vocabulary_are_where_they_stand(tiny):
    template = Template.parse("a b {2} c {1}", tiny.vocabulary)
    assert whole_text(template, tiny.vocabulary, [6, 7, 8]) == ("a b d e c f", [[4, 5], [6, 7], [10, 11]])
    assert whole_text(Template(), tiny.vocabulary, [6, 7]) == ("d e", [[0, 1], [2, 3]])


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram"])
@pytest.mark.parametrize("around", AROUND)
def test_free_tokens_of_every_tokenizer_are_a_part_of_the_whole_text(kind, around):
    """The characters of free tokens are those of decoding them alone, and what lies between is the template's."""
    vocabulary = vocabulary_of(ROWS, tokenizer(kind))
    template = Template.parse(around, vocabulary)
    plain = [i for i in range(len(vocabulary)) if i not in vocabulary.special and vocabulary.decode([i]).strip().isalpha()]
    for seed in range(20):
        free = [plain[i] for i in torch.randint(len(plain), (3,), generator=torch.Generator().manual_seed(seed)).tolist()]
        whole, places = whole_text(template, vocabulary, free)
        assert [whole[start:end] for start, end in places] == [vocabulary.decode([i]).strip().removeprefix("##") for i in free]
        rest = "".join(whole[end:start] for (_, end), (start, _) in zip([[0, 0], *places], [*places, [len(whole), 0]], strict=True))
        assert "".join(rest.split()) == re.sub(r"[{}12 ]", "", around)


def test_a_text_is_read_and_written_once_whatever_the_targets(tiny):
    counted = Counter()

    def counting(name):
        call = getattr(tiny.vocabulary, name)
        return lambda given: (counted.update([name]), call(given))[1]

    model = copy.copy(tiny)
    model.vocabulary = dataclasses.replace(tiny.vocabulary, encode=counting("encode"), decode=counting("decode"))
    words = ["a", "b", "c", "d", "e"]
    found = score(model, "visual:*", words)
    assert len(found) == 3 * len(words)
    assert counted == {"encode": 2 * len(words), "decode": len(words)}


def test_symbols_around_every_text_are_left_out():
    vocabulary = vocabulary_of(ROWS, tokenizer("wordpiece"))
    assert vocabulary.prefix
    free = vocabulary.encode("a woman")
    whole, places = whole_text(Template.bare(vocabulary), vocabulary, free)
    assert whole == vocabulary.decode(free)
    assert [whole[start:end] for start, end in places] == ["a", "woman"]


def test_a_character_of_several_tokens_belongs_to_the_last():
    vocabulary = vocabulary_of(ROWS, tokenizer("bpe"))
    free = vocabulary.encode("日")
    assert len(free) > 1
    whole, places = whole_text(Template(), vocabulary, free)
    assert whole == "日"
    assert places == [[0, 0]] * (len(free) - 1) + [[0, 1]]


def test_a_trace_keeps_improvements_of_the_value_and_the_end():
    trace = [(1.0, 5.0, -torch.inf), (2.0, 5.0, 1.0), (3.0, 4.0, 2.0), (4.0, 4.0, 2.0), (5.0, 4.0, 2.0)]
    assert _improvements(trace) == [[2.0, 5.0, 1.0], [3.0, 4.0, 2.0], [5.0, 4.0, 2.0]]
    assert _improvements([]) == []


def test_under_fluency_the_trace_has_the_activation_beside_the_value(tiny):
    objective = Objective(tiny, resolve(["language:a"], tiny), 3, fluency=Fluency(weight=0.5))
    (found,) = run_methods(objective, FindOptions(by="gbl", budget=300))
    (record,) = found.records
    spent, activation, value = record.trace[-1]
    assert spent == pytest.approx(record.total_forwards, rel=0.05)
    assert activation == pytest.approx(record.activation, abs=1e-4)
    assert value == pytest.approx(record.activation - 0.5 * record.surprisal, abs=1e-4)
    values = [point[2] for point in record.trace]
    assert values == sorted(values)


def test_a_chain_s_total_cost_is_its_own_and_the_corpus_search_s(tiny):
    objective = Objective(tiny, resolve(["language:a"], tiny), 3)
    corpus = open_corpus(["a b c d", "e f g a b", "d a g e"])
    crp, auto = (one.records for one in run_methods(objective, FindOptions(by="crp,auto", budget=200, n=2, apart=1), corpus))
    for record in auto:
        assert record.corpus_forwards == crp[0].total_forwards > 0
        assert record.total_forwards == record.forwards + record.backwards + crp[0].total_forwards
        assert record.seconds > record.notes["corpus_seconds"] == crp[0].seconds > 0
    assert auto[0].total_trace[0][0] == auto[0].trace[0][0] + crp[0].total_forwards
    assert set(json.loads(auto[0].to_json())) >= {"forwards", "backwards", "whole", "free"}


def test_the_baseline_has_one_label():
    assert paper.CORPUS == paper.LABELS[0] == BASELINE
