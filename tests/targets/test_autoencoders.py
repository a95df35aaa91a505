"""Autoencoders as other libraries save them encode as those libraries do: `make_autoencoders.py` has made the files."""

import dataclasses
import json
import pickle
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from optigram.errors import InputError
from optigram.objective.objective import Objective
from optigram.targets.build import latent
from optigram.targets.latent import scaled
from optigram.targets.sae_formats import open_autoencoder
from optigram.targets.sae_objects import convert_autoencoder
from optigram.targets.target import resolve
from toy import Toy

ARCHIVE = Path(__file__).parent / "autoencoders.zip"
FOLDERS = sorted({name.split("/")[0] for name in zipfile.ZipFile(ARCHIVE).namelist() if "/" in name})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    where = tmp_path_factory.mktemp("saved")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(where)
    return where


def latents_of(autoencoder, states):
    return autoencoder.latents(scaled(states, autoencoder.scaling))


def test_every_library_and_kind_is_there():
    assert len(FOLDERS) == 29
    for kind in ("gated", "jumprelu", "topk", "batchtopk", "matryoshka", "transcoder", "gemma", "dictionary", "sparsify", "old"):
        assert any(kind in name for name in FOLDERS)


@pytest.mark.parametrize("name", FOLDERS)
def test_latents_are_those_of_the_library(saved, name):
    folder = saved / name
    expected = load_file(folder / "expected.safetensors")
    found = open_autoencoder(str(folder))
    assert found.encoder.shape == (40, 6)
    torch.testing.assert_close(latents_of(found, expected["states"]), expected["latents"], atol=1e-5, rtol=1e-5)
    assert 0.02 < float((expected["latents"] > 0).float().mean()) < 0.9
    (weights,) = (part for part in folder.iterdir() if part.name not in ("expected.safetensors", "cfg.json", "config.json"))
    direct = open_autoencoder(str(weights))  # the file of weights is named as well
    assert torch.equal(direct.encoder, found.encoder)
    assert torch.equal(direct.threshold, found.threshold)


def test_a_decoder_of_latents_as_large_as_what_they_write_has_length_1(saved):
    for name in ("saelens-topk-rescaled", "saelens-batchtopk", "saelens-batchtopk-checkpoint"):
        found = open_autoencoder(str(saved / name))
        assert found.decoder is not None
        torch.testing.assert_close(found.decoder.norm(dim=-1), torch.ones(40))


def test_a_transcoder_is_read_where_it_reads_and_says_nothing_of_where_it_writes(saved):
    for name in ("saelens-transcoder", "saelens-skip-transcoder", "saelens-jumprelu-transcoder", "sparsify-transcoder"):
        found = open_autoencoder(str(saved / name))
        assert found.decoder is None
        assert not found.center.any()


def tensors_of(folder):
    read = {"ae.pt": lambda path: torch.load(path, weights_only=True), "params.npz": lambda path: dict(np.load(path))}
    (weights,) = (part for part in folder.iterdir() if part.name not in ("expected.safetensors", "cfg.json", "config.json"))
    found = read.get(weights.name, load_file)(weights)
    return found, json.loads((folder / "cfg.json").read_text()) if (folder / "cfg.json").exists() else {}


@pytest.mark.parametrize("name", [name for name in FOLDERS if name.startswith(("saelens", "sparsify"))])
def test_tensors_in_memory_are_read_as_those_in_files(saved, name):
    found, config = tensors_of(saved / name)
    held, file = convert_autoencoder(found | {"cfg": config}), open_autoencoder(str(saved / name))
    assert torch.equal(held.encoder, file.encoder)
    assert torch.equal(held.threshold, file.threshold)
    assert torch.equal(held.center, file.center)


class JumpReLU(nn.Module):
    """The class of many notebooks: b_dec is not taken off, and nothing but its `encode` says so."""

    takes = False

    def __init__(self, parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, nn.Parameter(torch.as_tensor(part)))

    def encode(self, states):
        before = (states - self.b_dec * self.takes) @ self.W_enc + self.b_enc
        return torch.relu(before) * (before > self.threshold)


class Centered(JumpReLU):
    takes = True


class Half(JumpReLU):
    def encode(self, states):
        return super().encode(states) / 2


def test_an_object_is_tried_by_its_own_encode(saved):
    parts, _ = tensors_of(saved / "gemma-scope")
    expected = load_file(saved / "gemma-scope" / "expected.safetensors")
    torch.testing.assert_close(latents_of(convert_autoencoder(JumpReLU(parts)), expected["states"]), expected["latents"])
    centered = Centered(parts)
    torch.testing.assert_close(latents_of(convert_autoencoder(centered), expected["states"]), centered.encode(expected["states"]))
    for said in ({}, {"architecture": "jumprelu"}):  # a configuration that says nothing of b_dec
        held = JumpReLU(parts)
        held.cfg = said
        assert convert_autoencoder(held).center.eq(0).all()
    assert convert_autoencoder(JumpReLU(parts).bfloat16()).center.eq(0).all()
    with pytest.raises(InputError, match="encodes otherwise than its weights tell"):
        convert_autoencoder(Half(parts))
    with pytest.raises(InputError, match="does not say whether b_dec"):
        convert_autoencoder(parts)
    torch.testing.assert_close(
        latents_of(convert_autoencoder(parts | {"cfg": {"apply_b_dec_to_input": False}}), expected["states"]), expected["latents"]
    )


def test_objects_of_dictionary_learning_are_told_by_their_class(saved):
    layers = ("encoder.weight", "encoder.bias", "decoder.weight")
    for name, center in (
        ("AutoEncoderTopK", "b_dec"),
        ("BatchTopKSAE", "b_dec"),
        ("AutoEncoder", "bias"),
        ("GatedAutoEncoder", "decoder_bias"),
    ):
        parts, _ = tensors_of(saved / f"dictionary-{name}")
        rest = {key: part for key, part in parts.items() if key not in layers}
        layer = SimpleNamespace(weight=parts["encoder.weight"], bias=parts.get("encoder.bias"))
        held = type(name, (SimpleNamespace,), {})(encoder=layer, decoder=SimpleNamespace(weight=parts["decoder.weight"]), **rest)
        found = convert_autoencoder(held)
        assert torch.equal(found.center, parts[center])
        assert (found.top == 5) == (name == "AutoEncoderTopK")
        if name != "AutoEncoder":  # which is scaled when it is opened from a file
            assert torch.equal(found.encoder, open_autoencoder(str(saved / f"dictionary-{name}")).encoder)
    parts, _ = tensors_of(saved / "dictionary-BatchTopKSAE")
    with pytest.raises(InputError, match="may be TopK or BatchTopK"):
        convert_autoencoder(parts)


def test_a_release_of_saelens_is_opened_by_its_library(saved, monkeypatch):
    asked = []

    class SAE:
        @classmethod
        def from_pretrained(cls, release, sae_id):
            asked.append((release, sae_id))
            if release == "nowhere":
                raise ValueError("Release nowhere\nnot found")
            parts, config = tensors_of(saved / "saelens-jumprelu")
            found = SimpleNamespace(**parts, cfg=SimpleNamespace(to_dict=lambda: config))
            return found if release == "new" else (found, config, None)

    toy = Toy()
    with pytest.raises(InputError, match="pip install sae-lens"):
        resolve("resid:saelens:new:blocks.0.hook_resid_post#3", toy)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "sae_lens", SimpleNamespace(SAE=SAE))
    for release in ("new", "old"):
        source = f"saelens:{release}:layer_20/width_16k/canonical"
        found = open_autoencoder(source)
        assert found.name == source
        assert torch.equal(found.encoder, open_autoencoder(str(saved / "saelens-jumprelu")).encoder)
    assert asked[0] == ("new", "layer_20/width_16k/canonical")
    for wrong, said in (("saelens:nowhere:x", "Release nowhere not found"), ("saelens:x", "expected saelens:RELEASE:ID")):
        with pytest.raises(InputError, match=said) as error:
            open_autoencoder(wrong)
        assert "\n" not in str(error.value)


def test_a_release_has_an_address_that_resolves_again(monkeypatch):
    wide = convert_autoencoder({"encoder": torch.ones(9, 8)})
    monkeypatch.setattr("optigram.targets.sae_formats._release", lambda source: dataclasses.replace(wide, name=source))
    toy = Toy()
    (target,) = resolve("resid:saelens:gemma:layer_20/width_16k/canonical#3", toy)
    assert resolve(str(target), toy) == (target,)


class Spell:
    def __reduce__(self):
        return (Path.touch, (Path("/tmp/optigram-was-here"),))


def test_nothing_is_unpickled(tmp_path):
    (tmp_path / "ae.pt").write_bytes(pickle.dumps({"encoder.weight": Spell()}))
    with pytest.raises(InputError, match="as weights of torch") as error:
        open_autoencoder(str(tmp_path))
    assert "\n" not in str(error.value)
    (tmp_path / "ae.pt").unlink()
    np.savez(tmp_path / "params.npz", W_enc=np.array([Spell()], dtype=object))
    with pytest.raises(InputError, match="as arrays of NumPy"):
        open_autoencoder(str(tmp_path))
    assert not Path("/tmp/optigram-was-here").exists()


def test_names_of_gemma_scope_2_are_in_lower_case(saved, tmp_path):
    parts, _ = tensors_of(saved / "gemma-scope")
    save_file({name.lower(): torch.from_numpy(part).clone() for name, part in parts.items()}, tmp_path / "params.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "jump_relu", "hf_hook_point_in": "model.layers.0.output"}))
    found, known = open_autoencoder(str(tmp_path)), open_autoencoder(str(saved / "gemma-scope"))
    assert torch.equal(found.encoder, known.encoder)
    assert found.made_for == "model.layers.0.output"
    assert not found.center.any()


def test_latents_of_a_gated_autoencoder_are_scored(saved):
    parts, _ = tensors_of(saved / "saelens-gated")
    wide = {
        name: torch.cat([part, part[:2] if name == "W_enc" else part[:, :2]], dim=0 if name == "W_enc" else 1)
        for name, part in parts.items()
        if name in ("W_enc", "W_dec")
    }  # of the toy's width
    held = parts | wide | {"b_dec": torch.zeros(8), "cfg": {"architecture": "gated"}}
    toy = Toy()
    objective = Objective(toy, [latent("resid", held, index) for index in range(40)], 3).viewed("exact")
    scores = objective.score(torch.tensor([[[5, 6, 9]]])).activation[:, 0].numpy()
    state = toy.state([0, 5, 6, 9])[-1] @ held["W_enc"].double().numpy()
    gate, scale = state + parts["b_gate"].numpy() > 0, np.exp(parts["r_mag"].numpy())
    np.testing.assert_allclose(scores, gate * np.maximum(scale * state + parts["b_mag"].numpy(), 0), atol=1e-4)
