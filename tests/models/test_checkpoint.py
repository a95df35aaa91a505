import json
import os
import subprocess
import sys

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_models import ARCHITECTURES, MASKED, network, pretrained, tokenizer

from optigram.errors import InputError
from optigram.models.loading import load


def saved(name, folder, change=lambda weights: weights):
    """A folder of a tiny model, with its weights changed."""
    pretrained(name).save_pretrained(folder)
    tokenizer(ARCHITECTURES[name].tokenizer).save_pretrained(folder)
    file = folder / "model.safetensors"
    save_file({key: value.clone() for key, value in change(load_file(file)).items()}, file, {"format": "pt"})
    return str(folder)


def states(model, site="mlp_act.1"):
    ids = torch.tensor([[7, 8, 9, 10]])
    return model.read(model.embedding[ids], [site])[site]


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_stripped(tmp_path, prefix):
    folder = saved("gpt2", tmp_path, lambda weights: {prefix + key: value for key, value in weights.items()})
    model = load(folder)
    assert torch.equal(states(model), states(network("gpt2")))
    assert "logits" in model.sites


@pytest.mark.parametrize("key", ["transformer.h.1.mlp.c_fc.weight", "transformer.h.2.", "transformer.ln_f.bias", "transformer.wte.weight"])
def test_missing_weights_are_listed(tmp_path, key):
    folder = saved("gpt2", tmp_path, lambda weights: {name: value for name, value in weights.items() if not name.startswith(key)})
    with pytest.raises(InputError, match="expected all weights of GPT2LMHeadModel") as error:
        load(folder)
    assert key in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_of_another_shape_are_listed(tmp_path):
    wrong = {"transformer.h.1.mlp.c_fc.weight": torch.zeros(32, 47)}
    folder = saved("gpt2", tmp_path, lambda weights: weights | wrong)
    with pytest.raises(InputError, match=r"mlp\.c_fc\.weight \(of (another shape|shape \[32, 47\] for \[32, 48\])\)"):
        load(folder)


def test_a_head_that_is_not_in_the_checkpoint_gives_no_site(tmp_path):
    folder = saved("bert", tmp_path, lambda weights: {key: value for key, value in weights.items() if not key.startswith("cls.")})
    model = load(folder)
    assert "logits" not in model.sites
    assert not any("cls" in str(point) for point in model.sites.widths)
    assert "cls.predictions.transform.dense.bias" in model.remark
    assert torch.equal(states(model), states(network("bert")))
    assert model.fingerprint == load(folder).fingerprint


def test_a_discriminator_is_no_masked_language_model(tmp_path):
    config = transformers.ElectraConfig(**MASKED, embedding_size=32)
    torch.manual_seed(0)
    transformers.ElectraForPreTraining(config).save_pretrained(tmp_path)
    tokenizer("wordpiece").save_pretrained(tmp_path)
    assert "logits" not in load(str(tmp_path)).sites
    said = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(said | {"architectures": ["ElectraForMaskedLM"]}))
    model = load(str(tmp_path))
    assert "logits" not in model.sites
    assert "generator" in model.remark


def test_a_pooler_that_is_not_in_the_checkpoint_is_left_out(tmp_path):
    folder = saved("minilm", tmp_path, lambda weights: {key: value for key, value in weights.items() if "pooler" not in key})
    model = load(folder)
    assert not any("pooler" in str(point) for point in model.sites.widths)
    assert torch.equal(states(model), states(network("minilm")))
    assert model.fingerprint == load(folder).fingerprint


def test_warnings_of_the_library_are_shown(tmp_path):
    """Such as that a configuration is of another kind; the loading report was read and is not repeated."""
    folder = saved("bert", tmp_path, lambda weights: weights | {"other.weight": torch.zeros(2)})
    code = (
        "import transformers as t; from optigram import load; log = t.utils.logging.get_logger('transformers.modeling_utils')\n"
        "old = t.BertForMaskedLM.tie_weights\n"
        "def tie(self, *a, **k):\n    log.warning('the weights are odd')\n    return old(self, *a, **k)\n"
        f"t.BertForMaskedLM.tie_weights = tie; load({folder!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert "the weights are odd" in done.stderr
    assert "other.weight" not in done.stderr
    assert "it/s" not in done.stderr
