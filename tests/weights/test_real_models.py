"""Searches in models with real weights: every text survives, and every score is what transformers alone computes from the text."""

import pytest
import transformers
from independent import activation
from real_models import MINILM, SMOLLM, RealModel, texts

from optigram.models.loading import load
from optigram.models.validation import checks
from optigram.objective.objective import Objective
from optigram.runs.find import run_methods
from optigram.runs.options import FindOptions
from optigram.study import statistics
from optigram.targets.target import resolve
from optigram.text.lexicon import Rules, lexicon
from optigram.text.sources import open_corpus

COUNT, LENGTH, BUDGET, SENTENCES = 20, 5, 300.0, 150


@pytest.fixture(scope="module", params=[MINILM, SMOLLM], ids=["minilm", "smollm2"])
def real(request) -> RealModel:
    return request.param


@pytest.fixture(scope="module")
def model(real):
    return load(str(real.path))


@pytest.fixture(scope="module")
def reference(real):
    """The same model, by transformers alone, and its tokenizer."""
    if real.path.is_dir():
        return transformers.AutoModel.from_pretrained(real.path).eval(), transformers.AutoTokenizer.from_pretrained(real.path)
    where = {"pretrained_model_name_or_path": str(real.path.parent), "gguf_file": real.path.name}
    return transformers.AutoModelForCausalLM.from_pretrained(**where).eval(), transformers.AutoTokenizer.from_pretrained(**where)


def test_the_model_is_read_right(model):
    assert [check for check in checks(model) if not check.holds] == []


@pytest.mark.parametrize("kind", ["neurons", "logits", "pre-activations"])
def test_searches_find_texts_that_are_worth_what_is_said(kind, real, model, reference):
    if (kind == "logits") != real.logits and kind != "neurons":
        return  # an encoder without logits is asked for pre-activations instead
    site = {"neurons": f"mlp_act.{real.layer}", "logits": "logits", "pre-activations": f"mlp_pre.{real.layer}"}[kind]
    allowed = lexicon(model.vocabulary, Rules(words="any"))
    width = real.width if kind != "logits" else 0
    units = real.units(COUNT, width, 1) if width else [int(i) for i in allowed[real.units(COUNT, len(allowed), 2)]]
    pool = "" if real.pool == "last" else f"@{real.pool}"
    targets = resolve([f"{site}:{unit}{pool}" for unit in units], model)
    objective = Objective(model, targets, LENGTH, words=allowed, must_survive=True)
    corpus = open_corpus(texts(SENTENCES))
    best = {}
    for one in run_methods(objective, FindOptions(by="crp,gbl", budget=BUDGET), corpus):
        best[one.method] = one.records
        assert [record.survives for record in one.records] == [True] * len(one.records)
    module = {
        "neurons": real.module,
        "logits": None,
        "pre-activations": real.module.replace("output.dense", "intermediate.intermediate_act_fn"),
    }[kind]
    addresses = {str(target): unit for target, unit in zip(targets, units, strict=True)}
    network, tokenizer = reference
    for record in best["crp"] + best["gbl"]:
        assert tokenizer(record.text).input_ids == record.ids
        expected = activation(network, tokenizer, record.text, addresses[record.target], module, real.pool)
        assert record.activation == pytest.approx(expected, rel=1e-3, abs=1e-3)
    report(real, kind, best)


def report(real: RealModel, kind: str, best: dict) -> None:
    crp = {record.target: record.activation for record in best["crp"]}
    gbl = {record.target: record.activation for record in best["gbl"] if record.target in crp}
    ratios = [gbl[target] / crp[target] for target in gbl if crp[target] > 0]
    wins = sum(gbl[target] > crp[target] for target in gbl)
    print(
        f"\n{real.package} {kind}: gbl ({BUDGET:.0f} f.e.) against crp ({best['crp'][0].forwards:.0f} f.e.): median ratio "
        f"{statistics.Interval.median(ratios).show()} of {len(ratios)}, wins {wins} of {len(gbl)}; all texts survive, all scores recomputed"
    )
