import numpy as np
import torch

from optigram.models.imaginet import PATHS, Imaginet


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru_by_hand(model: Imaginet, path: str, ids: list[int]) -> np.ndarray:
    """States [s h] by the equations of a GRU (torch's form: the reset gate applies after the recurrent product)."""
    w, u, b, c = (weight.numpy().astype(float) for weight in model.gru(path).all_weights[0])
    h = model.sizes.hidden
    state, states = np.zeros(h), []
    for i in ids:
        x, r = w @ model.embedding[i].numpy() + b, u @ state + c
        reset, update = sigmoid(x[:h] + r[:h]), sigmoid(x[h : 2 * h] + r[h : 2 * h])
        candidate = np.tanh(x[2 * h :] + reset * r[2 * h :])
        state = (1 - update) * candidate + update * state
        states.append(state)
    return np.array(states)


IDS = [3, 9, 4, 4, 7]


def test_read_follows_the_equations(tiny):
    for path in PATHS:
        states = tiny.read(tiny.embedding[torch.tensor([IDS])], [f"{path}.hidden"])[f"{path}.hidden"]
        np.testing.assert_allclose(states[0], gru_by_hand(tiny, path, IDS), atol=1e-5)


def test_step_follows_the_equations(tiny):
    sites = [f"{path}.hidden" for path in PATHS]
    states = None
    for i in IDS:
        _, states = tiny.read_on(torch.tensor([[i]]), states, sites)
    for path in PATHS:
        np.testing.assert_allclose(states[f"{path}.hidden"][0], gru_by_hand(tiny, path, IDS)[-1], atol=1e-5)


def test_padding_on_either_side_changes_nothing(tiny):
    site = "visual.hidden"
    plain = tiny.read(tiny.embedding[torch.tensor([IDS])], [site])[site][0]
    padded = torch.tensor([[0, 0, *IDS], [0, *IDS, 0], [*IDS, 0, 0]])
    states = tiny.read(tiny.embedding[padded], [site], keep=padded != 0)[site]
    for row, start in enumerate((2, 1, 0)):
        torch.testing.assert_close(states[row, start : start + len(IDS)], plain)


def test_sites_name_their_units(tiny):
    assert tiny.sites["visual"].names == ("cat", "dog", "traffic light")
    assert tiny.sites["language"].names == tiny.vocabulary.tokens
    assert tiny.sites["language"].width == len(tiny.vocabulary)
    assert tiny.sites["language.hidden"].linear is None


def test_sampled_sentences_hang_on_the_seed_and_hold_no_special_token(tiny):
    def draw(seed):
        return list(tiny.sample(30, torch.Generator().manual_seed(seed), longest=6, block=8))

    found = draw(1)
    assert found == draw(1) != draw(2)
    assert len(found) == 30
    assert all(set(text.split()) <= set(tiny.words) and 1 <= len(text.split()) <= 6 for text in found)
    assert {len(text.split()) for text in found} != {6}  # some sentences end by themselves


def test_cudnn_is_asked_for_no_gradient_in_evaluation_and_for_no_tf32(tiny, monkeypatch):
    seen = []
    layer = tiny.gru("visual")

    def forward(embeds):
        seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))
        return type(layer).forward(layer, embeds)

    monkeypatch.setattr(layer, "forward", forward)
    embeds = tiny.embedding[torch.tensor([IDS])]
    tiny.states("visual", embeds)
    climbed = embeds.clone().requires_grad_()
    expected = tiny.states("visual", climbed)
    assert seen == [(True, False), (False, False)]
    read = tiny.read(climbed, ["visual.hidden"])["visual.hidden"]  # which asks nothing of cuDNN
    assert len(seen) == 2
    torch.testing.assert_close(read, expected)
    slopes = [torch.autograd.grad(states.square().sum(), climbed)[0] for states in (read, expected)]
    torch.testing.assert_close(*slopes)
