"""Whole searches, scans and explanations on a device, re-scored on the CPU.

The device is the CPU, or the one that OPTIGRAM_TEST_DEVICE names (`make bench-gpu` names `cuda`).
"""

import os
from functools import cache

import pytest
import torch
import transformers

import optigram as og
from optigram.models.imaginet import Imaginet, Sizes

DEVICE = os.environ.get("OPTIGRAM_TEST_DEVICE", "cpu")
SAME = 1e-4  # largest difference of an activation between the devices, relative to 1 or to the activation
METHODS = [
    "crp",
    "auto",
    "coordinate",
    "beam",
    "gcg",
    "mcgcg",
    "genetic",
    "random",
    "gbl",
    "sgbl",
    "smx",
    "emb",
    "logit",
    "pez",
    "straight",
    "pgd",
    "gbda",
    "epo",
]
NETWORKS = ["gpt2", "bert", "llama"]
ALL = DEVICE != "cpu"  # on the CPU, where other tests try the same in more detail, one network of a kind is enough
WORDS = tuple(f"w{number}" for number in range(60))


@cache
def imaginet(device):
    torch.manual_seed(1)
    model = Imaginet(WORDS, ("cat", "dog", "traffic light"), Sizes(16, 16, 3), name="tiny")
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    model.first_words[3:] = 1
    return model.eval().requires_grad_(False).to(device)


@cache
def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(("<s>", "<unk>", *WORDS))}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", unk_token="<unk>", pad_token="<s>")


def transformers_model(name):
    shared = {"vocab_size": 62, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    wide = shared | {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    torch.manual_seed(2)
    model = {
        "gpt2": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, **shared)),
        "bert": lambda: transformers.BertForMaskedLM(transformers.BertConfig(**wide)),
        "llama": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(num_key_value_heads=2, **wide)),
    }[name]()
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return model.eval()


@cache
def network(name, device):
    return og.load(transformers_model(name).to(device), tokenizer())


def model_on(name, device):
    return imaginet(device) if name == "imaginet" else network(name, device)


def texts():
    generator = torch.Generator().manual_seed(3)
    return [" ".join(WORDS[i] for i in torch.randint(60, (7,), generator=generator).tolist()) for _ in range(40)]


def check(name, results, targets, **how):
    """The same texts have the same activations on the CPU."""
    assert len(results)
    for record in results:
        again = og.score(model_on(name, "cpu"), record.target, [record.text], **how)
        assert again.best.activation == pytest.approx(record.activation, abs=SAME, rel=SAME)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["imaginet", "gpt2"] if ALL else ["gpt2"])
def test_every_method(name, method):
    targets = ["visual:dog", "-language:w5@max"] if name == "imaginet" else ["mlp_act.1:3@max", "-logits:7"]
    more = {"fluency": 0.1, "front": True} if method == "epo" and name == "gpt2" else {}
    found = og.find(model_on(name, DEVICE), targets, by=method, length=4, budget=60, corpus=texts(), n=1 if more else 2, **more)
    check(name, found, targets)


@pytest.mark.parametrize("method", ["crp", "coordinate", "gbl", "gcg"] if ALL else ["coordinate"])
@pytest.mark.parametrize("name", ["bert", "llama"])
def test_other_networks(name, method):
    targets = ["mlp_act.1:0-2@max", "resid_post.0:5@mean"]
    check(name, og.find(model_on(name, DEVICE), targets, by=method, length=4, budget=60, corpus=texts()), targets)


@pytest.mark.parametrize("name", NETWORKS if ALL else ["gpt2"])
def test_targets_of_every_kind(name):
    generator = torch.Generator().manual_seed(4)
    vector = torch.randn(32, generator=generator)
    targets = [
        og.direction("resid_post.1", vector.to(DEVICE), name="probe").mean(),
        (2 * og.neuron("mlp_act.1", 3) - og.neuron("mlp_act.0", 1)).max(),
        og.custom(
            lambda states, mask: -torch.cosine_similarity(states["resid_post.0"], states["resid_post.1"], dim=-1),
            ["resid_post.0", "resid_post.1"],
        ),
        *([] if name == "bert" else [og.logit("w5"), og.log_prob("w9")]),
    ]
    found = og.find(model_on(name, DEVICE), targets, by="coordinate,gbl", length=4, budget=60)
    for record, target in zip(found, targets * 2, strict=True):
        on_cpu = og.direction("resid_post.1", vector, name="probe").mean() if target is targets[0] else target
        assert og.score(model_on(name, "cpu"), on_cpu, record.text).best.activation == pytest.approx(record.activation, abs=SAME, rel=SAME)


@pytest.mark.parametrize("name", ["imaginet", "gpt2"] if ALL else ["gpt2"])
def test_fluency_templates_and_survival(name):
    site = "language:w7" if name == "imaginet" else "mlp_act.1:3"
    for more in ({"fluency": 0.3}, {"surprisal": "0-50"}, {"template": "w1 {2} w2 {2}"}, {"must_survive": True}, {"repetition": 0.5}):
        found = og.find(
            model_on(name, DEVICE),
            site,
            by="coordinate,gbl,epo",
            budget=60 if ALL else 30,
            **({} if "template" in more else {"length": 4}),
            **more,
        )
        check(name, found, [site], template=more.get("template"))


@pytest.mark.parametrize("name", ["imaginet", "gpt2"])
def test_explanations_are_those_of_the_cpu(name):
    site = "visual:dog" if name == "imaginet" else "mlp_act.1:3"
    there, here = (og.explain(model_on(name, device), site, "w1 w2 w3 w4", whole=True)[0] for device in (DEVICE, "cpu"))
    numbers = [
        [
            found.activation,
            *found.orders,
            *(place.without for place in found.places),
            *(place.substitutions[0].activation for place in found.places),
        ]
        for found in (there, here)
    ]
    assert numbers[0] == pytest.approx(numbers[1], abs=SAME, rel=SAME)


@pytest.mark.parametrize("question", ["context", "alone"])
@pytest.mark.parametrize("name", ["imaginet", "gpt2", "bert"])
def test_scans_find_the_activations_of_the_cpu(name, question):
    site = "visual:*" if name == "imaginet" else ["mlp_act.0:*", "resid_post.1:*"]
    there, here = (og.scan(model_on(name, device), site, texts(), question=question).to_pandas() for device in (DEVICE, "cpu"))
    assert len(there) == len(here) > 0
    assert there["activation"].to_numpy() == pytest.approx(here["activation"].to_numpy(), abs=SAME, rel=SAME)


@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_searches_and_float32_scores(name, tmp_path):
    model = transformers_model(name)
    model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    found = og.find(tmp_path, "mlp_act.1:3@max", by="coordinate", length=4, budget=60, dtype="bfloat16", device=DEVICE)
    check(name, found, None)
