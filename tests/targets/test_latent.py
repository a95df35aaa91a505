import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from optigram.errors import InputError
from optigram.targets.latent import scaled
from optigram.targets.sae_formats import open_autoencoder, read_vector

N, H = 12, 8


def weights(seed=0):
    """Encoder [n h], bias [n], decoder [n h] and its bias [h]."""
    rng = np.random.default_rng(seed)
    return tuple(torch.from_numpy(rng.normal(size=size)).float() for size in ((N, H), (N,), (N, H), (H,)))


def saelens(folder, config, threshold=None):
    encoder, bias, decoder, center = weights()
    parts = {"W_enc": encoder.T.contiguous(), "b_enc": bias, "W_dec": decoder, "b_dec": center}
    folder.mkdir(exist_ok=True)
    save_file(parts | ({} if threshold is None else {"threshold": threshold}), folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps(config))
    return str(folder)


def sparsify(folder, config):
    encoder, bias, decoder, center = weights()
    folder.mkdir(exist_ok=True)
    save_file({"encoder.weight": encoder, "encoder.bias": bias, "W_dec": decoder, "b_dec": center}, folder / "sae.safetensors")
    (folder / "cfg.json").write_text(json.dumps(config))
    return str(folder)


@pytest.fixture
def states():
    return np.random.default_rng(1).normal(size=(30, H)).astype(np.float32)


def relu(x):
    return np.maximum(x, 0)


def largest(x, k):
    return np.where(x >= np.sort(x, axis=-1)[:, -k:][:, :1], relu(x), 0)


def normed(x):
    return x * np.sqrt(H) / np.linalg.norm(x, axis=-1, keepdims=True)


def layer_normed(x):
    centered = x - x.mean(-1, keepdims=True)
    return centered / (centered.std(-1, ddof=1, keepdims=True) + 1e-5)


THRESHOLD = np.linspace(-1, 2, N).astype(np.float32)
E, B, D, C = (part.numpy() for part in weights())
LENGTH = np.linalg.norm(D, axis=-1)

SAELENS = {
    "standard": ({"architecture": "standard"}, lambda x: relu((x - C) @ E.T + B)),
    "no architecture": ({}, lambda x: relu((x - C) @ E.T + B)),
    "b_dec kept out": ({"apply_b_dec_to_input": False}, lambda x: relu(x @ E.T + B)),
    "norm": ({"normalize_activations": "constant_norm_rescale"}, lambda x: relu((normed(x) - C) @ E.T + B)),
    "layer norm": ({"normalize_activations": "layer_norm"}, lambda x: relu((layer_normed(x) - C) @ E.T + B)),
    "folded norm": ({"normalize_activations": "expected_average_only_in"}, lambda x: relu((x - C) @ E.T + B)),
    "topk": ({"architecture": "topk", "k": 3}, lambda x: largest((x - C) @ E.T + B, 3)),
    "old topk": ({"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}}, lambda x: largest((x - C) @ E.T + B, 3)),
    "decoder's length": (
        {"architecture": "topk", "k": 3, "rescale_acts_by_decoder_norm": True},
        lambda x: largest(((x - C) @ E.T + B) * LENGTH, 3),
    ),
    "jumprelu": (
        {"architecture": "jumprelu"},
        lambda x: np.where((x - C) @ E.T + B > relu(THRESHOLD), (x - C) @ E.T + B, 0),
    ),
}


@pytest.mark.parametrize(("config", "formula"), SAELENS.values(), ids=SAELENS.keys())
def test_latents_of_saelens_follow_the_formula(tmp_path, states, config, formula):
    threshold = torch.from_numpy(THRESHOLD) if config.get("architecture") == "jumprelu" else None
    found = open_autoencoder(saelens(tmp_path / "sae", config, threshold))
    latents = found.latents(scaled(torch.from_numpy(states), found.scaling))
    np.testing.assert_allclose(latents, formula(states), atol=1e-4)


@pytest.mark.parametrize(("transcode", "center"), [(False, C), (True, 0)])
def test_latents_of_sparsify_follow_the_formula(tmp_path, states, transcode, center):
    found = open_autoencoder(sparsify(tmp_path / "sae", {"k": 4, "d_in": H, "transcode": transcode}))
    np.testing.assert_allclose(found.latents(torch.from_numpy(states)), largest((states - center) @ E.T + B, 4), atol=1e-4)


def test_latents_of_a_plain_file_follow_the_formula(tmp_path, states):
    save_file({"encoder": weights()[0], "center": weights()[3], "k": torch.tensor(2)}, tmp_path / "sae.st")
    found = open_autoencoder(str(tmp_path / "sae.st"))
    np.testing.assert_allclose(found.latents(torch.from_numpy(states)), largest((states - C) @ E.T, 2), atol=1e-4)


def test_the_fit_is_arithmetic(tmp_path, states):
    found = open_autoencoder(saelens(tmp_path / "sae", {"metadata": {"hook_name": "blocks.0.hook_resid_post"}}))
    latents = relu((states - C) @ E.T + B)
    lost = np.square(states - (latents @ D + C)).sum() / np.square(states - states.mean(0)).sum()
    measured = found.fit(torch.from_numpy(states))
    assert measured.unexplained == pytest.approx(lost, rel=1e-4)
    assert measured.active == pytest.approx((latents > 0).sum(-1).mean())
    assert measured.poor
    assert found.made_for == "blocks.0.hook_resid_post"


def test_an_autoencoder_that_rebuilds_its_input_fits(tmp_path, states):
    eye = torch.eye(H)
    save_file({"encoder": torch.cat([eye, -eye]), "decoder": torch.cat([eye, -eye])}, tmp_path / "sae.st")
    found = open_autoencoder(str(tmp_path / "sae.st"))
    assert found.fit(torch.from_numpy(states)).unexplained == pytest.approx(0, abs=1e-10)
    assert not found.fit(torch.from_numpy(states)).poor
    dead = dataclasses.replace(found, threshold=torch.full((2 * H,), 99.0), decoder=None)
    assert dead.fit(torch.from_numpy(states)) == (None, 0)
    assert dead.fit(torch.from_numpy(states)).poor


def test_a_direction_is_read_by_name(tmp_path):
    save_file({"happy": torch.arange(3).half(), "table": torch.zeros(2, 2)}, tmp_path / "probe.safetensors")
    path = str(tmp_path / "probe.safetensors")
    assert read_vector(path, "happy").tolist() == [0, 1, 2]
    for name, said in (("hapy", "did you mean happy"), ("table", "of one dimension")):
        with pytest.raises(InputError, match=said):
            read_vector(path, name)
    with pytest.raises(InputError, match="no file"):
        read_vector(str(tmp_path / "nowhere.safetensors"), "happy")


def test_what_is_no_autoencoder_is_refused_in_one_line(tmp_path):
    def plain(name, parts):
        save_file(parts, tmp_path / name)
        return tmp_path / name

    (tmp_path / "torn.safetensors").write_bytes(b"\x80\x04 a pickle")
    without = tmp_path / "without"
    without.mkdir()
    save_file({"W_enc": torch.zeros(H, N)}, without / "sae_weights.safetensors")
    cases = [
        (tmp_path / "nowhere", "no autoencoder at"),
        (tmp_path / "torn.safetensors", "as safetensors"),
        (without, "must stand beside the weights"),
        (saelens(tmp_path / "gated", {"architecture": "gated"}), "is of the kind gated, but holds W_dec"),
        (saelens(tmp_path / "temporal", {"architecture": "temporal"}), "expected standard, gated"),
        (saelens(tmp_path / "two", {"architecture": "standard"}, torch.ones(N)), "is of the kind standard, but holds"),
        (saelens(tmp_path / "words", {"architecture": "topk", "k": "ten"}), "expected k in its configuration to be a whole number from 1"),
        (saelens(tmp_path / "list", {"metadata": [1]}), "expected metadata in its configuration to be an object"),
        (saelens(tmp_path / "odd", {"normalize_activations": "batch"}), "normalises"),
        (saelens(tmp_path / "k", {"architecture": "topk"}), "does not say k"),
        (saelens(tmp_path / "jump", {"architecture": "jumprelu"}), "no tensor 'threshold'"),
        (sparsify(tmp_path / "groups", {"k": 4, "activation": "groupmax"}), "expected topk"),
        (sparsify(tmp_path / "no-k", {}), "does not say k"),
        (plain("a", {"weight": torch.zeros(2, 2)}), "no tensor 'encoder'"),
        (plain("b", {"encoder": torch.zeros(2)}), "latents x width"),
        (plain("c", {"encoder": torch.zeros(2, 3), "bias": torch.zeros(3)}), "as its encoder has"),
        (plain("n", {"encoder": torch.tensor([[1.0, torch.nan]])}), "encoder of .* that is finite in float32"),
        (plain("z", {"encoder": torch.ones(2, 3), "bias": torch.ones(2, dtype=torch.complex64)}), "complex"),
        (plain("f", {"encoder": torch.zeros(2, 2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)}), "cannot read|real numbers"),
        (tmp_path / ("x" * 300), "no autoencoder at"),
        (plain("d", {"encoder": torch.zeros(2, 3), "k": torch.tensor(3)}), "from 1 to 2"),
    ]
    for path, said in cases:
        with pytest.raises(InputError, match=said) as error:
            open_autoencoder(str(path))
        assert "\n" not in str(error.value)
