import json

import pytest
import torch
from safetensors.torch import save_file

from optigram.errors import InputError
from optigram.models.loading import CONFIG, WEIGHTS, load, save


@pytest.fixture
def folder(tiny, tmp_path):
    save(tiny, tmp_path / "model", {"settings": {}})
    return tmp_path / "model"


def test_what_is_saved_is_loaded(tiny, folder):
    again = load(str(folder))
    assert again.words == tiny.words
    assert again.labels == tiny.labels
    assert not any(weight.requires_grad for weight in again.parameters())
    for name, value in tiny.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_half_precision_on_disk_is_float32_in_use(tiny, tmp_path):
    save(tiny, tmp_path, {}, torch.float16)
    assert load(str(tmp_path)).embedding.dtype == torch.float32


def test_a_loaded_object_is_taken_as_it_is(tiny):
    assert load(tiny) is tiny


def truncate(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-100])


def foreign_weights(folder):
    save_file({"weight": torch.zeros(2)}, folder / WEIGHTS)


def foreign_config(folder):
    (folder / CONFIG).write_text(json.dumps({"architectures": ["BertModel"]}))


def torn_config(folder):
    (folder / CONFIG).write_text('{"format"')


def other_sizes(folder):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"sizes": {"embedding": 5, "hidden": 8, "features": 3}}))


def a_pickle(folder):
    torch.save({"weight": torch.zeros(2)}, folder / WEIGHTS)


@pytest.mark.parametrize("spoil", [truncate, foreign_weights, foreign_config, torn_config, other_sizes, a_pickle])
def test_a_spoilt_folder_is_one_line(folder, spoil):
    spoil(folder)
    with pytest.raises(InputError) as error:
        load(str(folder))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("source", "device"), [("no-such-model", "cpu"), ("imaginet", "cuda:99"), ("imaginet", "toaster")])
def test_unknown_models_and_devices_are_refused(source, device):
    with pytest.raises(InputError):
        load(source, device=device)
