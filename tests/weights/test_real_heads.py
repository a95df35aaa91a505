"""Heads on real weights: what a search says is what transformers alone computes from the text."""

import pytest
import torch
import transformers
from real_models import MINILM, SMOLLM

import optigram as og

LABELS = {0: "harmless", 1: "toxic", 2: "spam"}


def test_class_scores_of_a_saved_classifier(tmp_path):
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        MINILM.path, id2label=LABELS, label2id={v: k for k, v in LABELS.items()}
    )
    torch.nn.init.normal_(model.classifier.weight, std=0.2)
    tokenizer = transformers.AutoTokenizer.from_pretrained(MINILM.path)
    model.eval().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    found = og.find(
        str(tmp_path), ["classes:toxic", "-classes:toxic"], by="coordinate", length=4, budget=300, must_survive=True, quiet=True
    )
    for record, sign in zip(found, (1, -1), strict=True):
        with torch.no_grad():
            score = model(**tokenizer(record.text, return_tensors="pt")).logits[0, 1]
        print(f"{record.text!r}: {record.activation:.6f} by find, {sign * float(score):.6f} by transformers")
        assert record.activation == pytest.approx(sign * float(score), abs=1e-4)


def test_logits_of_a_language_model():
    where = {"pretrained_model_name_or_path": str(SMOLLM.path.parent), "gguf_file": SMOLLM.path.name}
    model = transformers.AutoModelForCausalLM.from_pretrained(**where).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
    best = og.find(str(SMOLLM.path), 'logits:" Paris"', by="coordinate", length=3, budget=60, must_survive=True, quiet=True).best
    with torch.no_grad():
        logit = model(**tokenizer(best.text, return_tensors="pt")).logits[0, -1, tokenizer.encode(" Paris")[-1]]
    print(f"{best.text!r}: {best.activation:.5f} by find, {float(logit):.5f} by transformers")
    assert best.activation == pytest.approx(float(logit), abs=2e-3)
