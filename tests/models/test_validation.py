import dataclasses

import pytest
import torch
from tiny_models import network, pretrained, tokenizer

from optigram.models.huggingface import wrap_model
from optigram.models.validation import checks


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "modernbert", "t5"])
def test_every_claim_holds_for_sound_models(name):
    found = {check.claim: check for check in checks(network(name))}
    assert len(found) == 10 - (name == "t5") + (name in ("gpt2", "gemma2"))
    for claim, check in found.items():
        assert check.holds or "survive" in claim, check  # tiny tokenizers are mostly pieces


def test_sites_that_are_read_whole_are_named():
    model = wrap_model(pretrained("gpt2"), tokenizer("bpe"), "partly")
    sound = {check.claim: check for check in checks(model)}["texts share the work on a common prefix"]
    assert sound.figure == 1
    assert "read whole" not in sound.meaning
    sites = [site for site in model.sites.canonical if model.sites[site].linear is None]
    model._step = dataclasses.replace(model.step, serves=lambda asked: not {*sites[-2:]} & {*asked})
    partly = {check.claim: check for check in checks(model)}["texts share the work on a common prefix"]
    assert partly.figure == pytest.approx(1 - 2 / len(sites))
    assert partly.meaning.endswith(f"read whole: {sites[-2]}, {sites[-1]}")


def test_the_tiny_imaginet_is_sound(tiny):
    assert [check.holds for check in checks(tiny)] == [True] * 6


def test_a_wrong_embedding_is_found():
    model = wrap_model(pretrained("bert"), tokenizer("wordpiece"), "wrong")
    model._matrix = model._matrix.flip(0)
    failed = {check.claim for check in checks(model) if not check.holds}
    assert {"embedding is the effective one, embed(arange)", "embeds and ids agree at every point"} <= failed


def test_a_wrong_projection_is_found():
    model = wrap_model(pretrained("gpt2"), tokenizer("bpe"), "wrong")
    site = model.sites.logits
    model.sites.logits = dataclasses.replace(site, linear=dataclasses.replace(site.linear, bias=site.linear.bias + 1))
    failed = {check.claim for check in checks(model) if not check.holds}
    assert failed == {"logits are the projection of their source"} | {claim for claim in failed if "survive" in claim}


def test_a_hook_that_is_left_is_found():
    model = wrap_model(pretrained("gpt2"), tokenizer("bpe"), "left")
    handle = model.module.transformer.h[0].register_forward_hook(lambda *_: None)
    try:
        assert [check.holds for check in checks(model) if "hook" in check.claim] == [True]  # it is not ours
    finally:
        handle.remove()
    assert torch.isfinite(model.embedding).all()
