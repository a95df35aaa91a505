"""The judge on tiny models of transformers: what it says of targets and fluency against transformers' own logits and loss."""

import numpy as np
import pytest
import torch
from tiny_models import network, pretrained

from optigram.errors import InputError
from optigram.methods import paper as presets
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.objective.scores import SoftText
from optigram.optimize.search import search
from optigram.targets.target import resolve
from optigram.text.template import Template

CAUSAL = ["gpt2", "pythia", "llama", "gemma2", "cohere", "opt"]


def texts_of(objective, count=6):
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.choice(objective.lexicon.numpy(), (count, objective.length)))


@pytest.mark.parametrize("template", ["{4}", "a woman {2} an {2}"])
@pytest.mark.parametrize("name", CAUSAL)
def test_surprisal_is_the_loss_of_transformers(name, template):
    model = network(name)
    parsed = Template.parse(template, model.vocabulary)
    objective = Objective(model, resolve(["resid_post.1:3"], model), 4, parsed, fluency=Fluency(0.5))
    texts = texts_of(objective)
    whole = torch.tensor([parsed.fill(text) for text in texts.tolist()])
    labels = whole.clone()
    labels[:, : len(parsed.prefix)] = -100
    labels[torch.isin(whole, torch.tensor(sorted(model.vocabulary.special)))] = -100
    with torch.no_grad():
        expected = [float(pretrained(name)(input_ids=row[None], labels=label[None]).loss) for row, label in zip(whole, labels, strict=True)]
    scores = objective.score(texts[None])
    np.testing.assert_allclose(scores.surprisal[0], expected, atol=1e-4)
    weights = (texts[None, ..., None] == objective.lexicon).float()
    soft = objective.relax(SoftText(model.embedding[texts][None], weights))
    torch.testing.assert_close(soft.value, scores.value, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", CAUSAL)
def test_a_difference_of_logits_is_that_of_transformers(name):
    model = network(name)
    first, second = (model.vocabulary.tokens[i] for i in (40, 50))
    targets = resolve([f'logits:"{first}" - 0.5*logits:"{second}"'.replace("\\", "\\\\")], model)
    objective = Objective(model, targets, 3)
    texts = texts_of(objective)
    whole = torch.tensor([objective.template.fill(text) for text in texts.tolist()])
    with torch.no_grad():
        logits = pretrained(name)(input_ids=whole).logits[:, -1].float()
    torch.testing.assert_close(objective.score(texts[None]).activation[0], logits[:, 40] - 0.5 * logits[:, 50], atol=1e-4, rtol=0)


def test_an_encoder_is_no_language_model():
    model = network("bert")
    with pytest.raises(InputError, match="is not causal"):
        Objective(model, resolve(["mlp_act.1:3"], model), 3, fluency=Fluency(1.0))


def test_the_maximum_leaves_out_cls_and_sep():
    model = network("bert")
    objective = Objective(model, resolve(["mlp_act.1:3@max", "mlp_act.1:3@anywhere"], model), 3)
    texts = texts_of(objective)
    whole = torch.tensor([objective.template.fill(text) for text in texts.tolist()])
    states = model.read(model.embedding[whole], ["mlp_act.1"])["mlp_act.1"][..., 3]
    torch.testing.assert_close(objective.score(texts[None]).activation, torch.stack([states[:, 1:-1].amax(1), states.amax(1)]))


def test_texts_that_must_survive_do():
    model = network("gpt2")
    objective = Objective(model, resolve(["mlp_act.1:0-3"], model), 4, must_survive=True)
    for found in search(objective, presets.modern("gbl", 300), n=3).found:
        assert all(model.vocabulary.survives(ids) for ids in found.ids.tolist())


def test_a_search_in_bfloat16_gives_float32_the_last_word():
    rough, exact = network("llama", torch.bfloat16), network("llama")
    objective = Objective(rough, resolve(["mlp_act.1:0-2"], rough), 3, exact=lambda: exact)
    again = Objective(exact, objective.targets, 3)
    for row, found in enumerate(search(objective, presets.modern("gbl", 300), n=3).found):
        torch.testing.assert_close(found.activation, again.score(found.ids[None]).activation[row])
        assert not torch.equal(found.remarks["searched"], found.activation)
        torch.testing.assert_close(found.remarks["searched"], found.activation, atol=0.2, rtol=0.1)
