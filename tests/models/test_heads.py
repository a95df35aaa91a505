"""Heads as targets, from saved folders: what a search says of its texts is what transformers alone computes from them."""

import dataclasses

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from architectures import opened, tiny_model, toy_tokenizer
from safetensors.numpy import save_file
from tiny_models import TEXTS, network
from tokenizers import models as kinds
from tokenizers import pre_tokenizers, trainers

import optigram as og
from optigram.errors import InputError
from optigram.models.heads import Head
from optigram.models.loading import load
from optigram.models.tokenizers import vocabulary_of
from optigram.text.lexicon import Rules, lexicon

QUICK = {"by": "coordinate", "budget": 40, "length": 3, "quiet": True}
LABELS = {"id2label": {0: "harmless", 1: "toxic", 2: "spam"}, "label2id": {"harmless": 0, "toxic": 1, "spam": 2}}


def saved(name, folder, **settings) -> str:
    tiny_model(name, **settings).save_pretrained(folder)
    toy_tokenizer().save_pretrained(folder)
    return str(folder)


def by_transformers(auto, folder, text):
    """The output for a text, by transformers alone."""
    model = getattr(transformers, auto).from_pretrained(folder).eval()
    with torch.no_grad():
        return model(**transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt", return_token_type_ids=False))


@pytest.mark.parametrize("name", ["BertForSequenceClassification", "DistilBertForSequenceClassification", "LlamaForSequenceClassification"])
def test_class_scores_are_targets_by_their_labels(name, tmp_path):
    folder = saved(name, tmp_path, **LABELS)
    best = og.find(folder, "classes:toxic", **QUICK).best
    expected = by_transformers("AutoModelForSequenceClassification", folder, best.text).logits[0, 1]
    assert best.activation == pytest.approx(float(expected), abs=1e-4)
    assert best.target == "classes:toxic"


def test_a_reward_model_has_a_score_and_needs_no_padding_token(tmp_path):
    folder = saved("LlamaForSequenceClassification", tmp_path, num_labels=1, pad_token_id=None)
    one, two = og.find(folder, ["score", "-score"], **QUICK)
    for record, sign in ((one, 1), (two, -1)):
        expected = by_transformers("AutoModelForSequenceClassification", folder, record.text).logits[0, 0]
        assert record.activation == pytest.approx(sign * float(expected), abs=1e-4)


def test_token_classes_and_answers_are_targets_at_positions(tmp_path):
    tags = saved("BertForTokenClassification", tmp_path / "tags", **LABELS)
    best = og.find(tags, "classes:toxic@2", **QUICK).best
    expected = by_transformers("AutoModelForTokenClassification", tags, best.text).logits[0, 2, 1]
    assert best.activation == pytest.approx(float(expected), abs=1e-4)
    answers = saved("BertForQuestionAnswering", tmp_path / "answers")
    best = og.find(answers, "answer:end@1", **QUICK).best
    expected = by_transformers("AutoModelForQuestionAnswering", answers, best.text).end_logits[0, 1]
    assert best.activation == pytest.approx(float(expected), abs=1e-4)


def test_logits_at_a_masked_position_are_targets(tmp_path):
    folder = saved("BertForMaskedLM", tmp_path)
    words = transformers.AutoTokenizer.from_pretrained(folder)
    words.mask_token = "w3"
    words.save_pretrained(folder)
    best = og.find(folder, "logits:w7@3", template="{2} w3 {1}", **{**QUICK, "length": None}).best
    assert best.whole.split()[2] == "w3"
    assert best.activation == pytest.approx(float(by_transformers("AutoModelForMaskedLM", folder, best.whole).logits[0, 3, 7]), abs=1e-4)


def test_a_head_that_cannot_be_used_is_named(tmp_path):
    model = load(saved("BertForMultipleChoice", tmp_path))
    assert "BertForMultipleChoice" in model.remark
    assert not model.sites.scores
    assert "encoder" in load(saved("BartForSequenceClassification", tmp_path)).remark


@pytest.mark.parametrize("name", ["CLIPModel", "SiglipModel"])
def test_the_space_of_texts_and_images(name, tmp_path):
    folder = saved(name, tmp_path)
    vector = np.random.default_rng(0).normal(size=load(folder).sites["image_space"].width).astype(np.float32)
    save_file({"vector": vector}, tmp_path / "dog.safetensors")
    best = og.find(folder, [f"image_space:{tmp_path}/dog.safetensors#vector", "image_space:3"], **QUICK)
    model = getattr(transformers, name).from_pretrained(folder).eval()
    for record, weights in zip(best, (vector, np.eye(len(vector))[3]), strict=True):
        settings = {"padding": "max_length", "max_length": 40} if name == "SiglipModel" else {}
        given = transformers.AutoTokenizer.from_pretrained(folder)(record.text, return_tensors="pt", **settings)
        with torch.no_grad():
            found = model.get_text_features(given["input_ids"])
        found = found if isinstance(found, torch.Tensor) else found.pooler_output
        assert record.activation == pytest.approx(float(found[0].numpy() @ weights), abs=1e-4)


@pytest.mark.parametrize("name", ["CLIPModel", "SiglipModel"])
def test_a_scan_reaches_the_last_position(name, tmp_path):
    """Texts of 40 positions, the most that the model has, beside shorter ones, are read as they are alone."""
    model = load(tiny_model(name), toy_tokenizer())
    texts = [" ".join(f"w{(7 * i + j) % 90 + 2}" for j in range(count)) for i, count in enumerate((38, 37, 5, 38, 20, 60))]
    for site in ("image_space:2", "mlp_act.1:5"):
        found = og.scan(model, site, texts, context=40, quiet=True, out=tmp_path / site.partition(":")[0])
        top = found.to_pandas()
        assert len(top)
        with pytest.raises(InputError, match="smaller --context"):
            og.scan(model, site, texts, context=41, quiet=True)
    short = og.score(model, "image_space:2", texts[2], quiet=True)[0]
    alone = model.read(model.embedding[torch.tensor([[1, *model.vocabulary.encode(texts[2]), 95]])], ["image_space"])["image_space"][
        0, 0, 2
    ]
    assert short.activation == pytest.approx(float(alone), abs=1e-5)


def test_padding_does_not_reach_a_state_of_the_whole_text():
    for name in ("BertForSequenceClassification", "XLNetForSequenceClassification", "CLIPTextModelWithProjection", "SiglipTextModel"):
        model = opened(name)
        (site,) = model.sites.scores
        ids = torch.tensor([[1, 7, 8, 95, 9, 9], [1, 5, 6, 7, 8, 95]])
        keep = torch.tensor([[1, 1, 1, 1, 0, 0], [1] * 6], dtype=torch.bool)
        states = model.read(model.embedding[ids], [site], keep)[site]
        alone = model.read(model.embedding[ids[:1, :4]], [site])[site]
        torch.testing.assert_close(states[0, :4], alone[0], atol=1e-5, rtol=1e-4)


def test_whole_words_of_a_tokenizer_that_marks_their_ends():
    made = tokenizers.Tokenizer(kinds.BPE(end_of_word_suffix="</w>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=150, end_of_word_suffix="</w>", show_progress=False))
    words = transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="a")
    vocabulary = vocabulary_of(len(words), words)
    whole = {vocabulary.tokens[i] for i in lexicon(vocabulary, Rules(words="whole"))}
    assert {"dogs ", "umbrella "} <= whole
    assert all(token.endswith(" ") for token in whole)
    assert "dogs " not in {vocabulary.tokens[i] for i in lexicon(vocabulary, Rules(without=("dogs",)))}


@pytest.mark.parametrize("name", ["MixtralForCausalLM", "Qwen2MoeForCausalLM"])
def test_experts_read_every_text_as_if_it_were_alone(name):
    model = opened(name)
    sites = [site for site in model.sites.canonical if site.endswith(".1")]
    for seed in range(4):
        ids = torch.randint(2, 95, (9, 12), generator=torch.Generator().manual_seed(seed))
        together = model.read(model.embedding[ids], sites)
        for row in (0, 8):
            alone = model.read(model.embedding[ids[row : row + 1]], sites)
            assert all(torch.equal(together[site][row], alone[site][0]) for site in sites)


def test_a_scan_of_experts_has_the_same_bits_whatever_the_shards(tmp_path):
    model = opened("MixtralForCausalLM")
    texts = [" ".join(f"w{(i * j) % 90 + 2}" for j in range(1, 4 + i % 9)) for i in range(1, 40)]
    one, two = (
        og.scan(model, "mlp_out.1:*", texts, shards=shards, tokens=tokens, quiet=True).to_pandas()
        for shards, tokens in ((1, 256), (3, 256))
    )
    assert one["activation"].equals(two["activation"])


def test_a_tokenizer_with_more_tokens_than_rows_is_refused():
    with pytest.raises(InputError, match="at most 90 tokens, the rows of the embedding, got 96"):
        vocabulary_of(90, toy_tokenizer())
    assert len(vocabulary_of(95, toy_tokenizer())) == 95  # a special token may lack a row


def test_class_names_that_are_missing_give_indices():
    model = opened("BertForSequenceClassification")
    assert model.sites["classes"].names == ("LABEL_0", "LABEL_1")
    assert dataclasses.replace(model.sites["classes"], names=()).width == 2


def test_an_adapter_needs_its_library_and_a_base(tmp_path, monkeypatch):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "gpt2", "task_type": "CAUSAL_LM"}')
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "peft" else object())
    with pytest.raises(InputError, match=r"package peft for the adapter in .*pip install peft"):
        load(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text("[]")
    with pytest.raises(InputError, match=r"adapter_config.json"):
        load(str(tmp_path))


@pytest.mark.parametrize(("name", "down"), [("gpt2", "transformer.h.1.mlp.c_proj"), ("llama", "model.layers.1.mlp.down_proj")])
def test_what_a_unit_writes_is_its_output_through_the_last_norm_and_the_unembedding(name, down):
    """NumPy's own products of the weights."""
    model = network(name)
    weights = {key: value.float().numpy() for key, value in model.module.state_dict().items()}
    column = weights[f"{down}.weight"][7] if name == "gpt2" else weights[f"{down}.weight"][:, 7]
    gain = weights["transformer.ln_f.weight" if name == "gpt2" else "model.norm.weight"]
    rows = weights["lm_head.weight"][: len(model.vocabulary)]
    for site, unit, added in (("mlp_act.1", 7, column), ("resid_post.0", 3, np.eye(32)[3])):
        expected = rows @ (gain * (added - added.mean() if name == "gpt2" else added))
        assert Head.written(model, site, unit).numpy() == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert Head.written(model, "logits", 3) is None


def test_what_a_unit_writes_is_unknown_behind_another_norm_and_without_an_unembedding(tiny):
    assert Head.written(network("gemma2"), "mlp_act.1", 3) is None
    assert Head.written(network("gemma2"), "mlp_out_post.1", 3) is not None
    assert Head.written(network("minilm"), "mlp_act.1", 3) is None
    weight = tiny.sites["language"].linear.weight
    assert Head.written(tiny, "language.hidden", 2).tolist() == weight[:, 2].tolist()
    assert Head.written(tiny, "visual.hidden", 2) is None
