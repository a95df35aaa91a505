import json
import subprocess
import sys

import pytest
import torch
from tiny_models import ARCHITECTURES, network, pretrained, tokenizer

from optigram.errors import InputError
from optigram.models.huggingface import _Opening
from optigram.models.loading import load


@pytest.fixture(params=["gpt2", "bert", "t5", "minilm"])
def folder(request, tmp_path):
    pretrained(request.param).save_pretrained(tmp_path)
    tokenizer(ARCHITECTURES[request.param].tokenizer).save_pretrained(tmp_path)
    return request.param, tmp_path


def test_a_folder_is_the_model_that_was_saved(folder):
    name, path = folder
    model = load(str(path))
    ids = torch.tensor([[7, 8, 9]])
    states = model.read(model.embedding[ids], ["mlp_act.1"])["mlp_act.1"]
    torch.testing.assert_close(states, network(name).read(network(name).embedding[ids], ["mlp_act.1"])["mlp_act.1"])
    assert ("logits" in model.sites) == ("logits" in network(name).sites)
    assert model.name == str(path)


def test_a_loaded_model_needs_its_tokenizer():
    with pytest.raises(InputError, match=r"load\(model, tokenizer\)"):
        load(pretrained("gpt2"))
    assert load(pretrained("gpt2"), tokenizer=tokenizer("bpe")).sites["mlp_act.0"].width == 48


def test_the_type_of_the_weights_may_be_asked_for(tmp_path):
    pretrained("gpt2").save_pretrained(tmp_path)
    tokenizer("bpe").save_pretrained(tmp_path)
    assert load(str(tmp_path), dtype="bfloat16").dtype == torch.bfloat16
    with pytest.raises(InputError, match="unknown dtype 'int8'"):
        load(str(tmp_path), dtype="int8")


def truncated(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def without_weights(folder):
    (folder / "model.safetensors").unlink()


def without_tokenizer(folder):
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (folder / file).unlink()


def of_unknown_kind(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "gpt-1000"}))


@pytest.mark.parametrize("spoil", [truncated, without_weights, without_tokenizer, of_unknown_kind])
def test_a_spoilt_folder_is_one_line(tmp_path, spoil):
    pretrained("gpt2").save_pretrained(tmp_path)
    tokenizer("bpe").save_pretrained(tmp_path)
    spoil(tmp_path)
    with pytest.raises(InputError, match=r"cannot load|no ordinary token") as error:
        load(str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("source", ["nobody/no-such-model", "gpt2@main", "google/gemma-2-2b"])
def test_a_model_that_is_missing_gated_or_out_of_reach_is_one_line(source):
    with pytest.raises(InputError, match=r"hf auth login.*local folder") as error:
        load(source)
    assert "\n" not in str(error.value)


def test_a_missing_gguf_file_is_named():
    with pytest.raises(InputError, match=r"no file nowhere/model.gguf"):
        load("nowhere/model.gguf")


def test_a_revision_stands_behind_the_name(tmp_path):
    assert _Opening.of("gpt2@607a30d", None, False) == _Opening("gpt2", "607a30d")
    assert _Opening.of("gpt2", "607a30d", False) == _Opening("gpt2", "607a30d")
    odd = tmp_path / "a@b"
    odd.mkdir()
    assert _Opening.of(str(odd), None, False).where == str(odd)
    assert "trust_remote_code" in _Opening("gpt2").settings
    assert _Opening("gpt2").settings["trust_remote_code"] is False


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"transformers.*pip install 'optigram\[transformers\]'"):
        load("gpt2")


def test_the_bundled_model_needs_no_transformers():
    code = "import sys; from optigram import load; load('imaginet'); sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
