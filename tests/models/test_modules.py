from types import SimpleNamespace

import pytest
import torch
from tiny_models import network, pretrained, tokenizer
from torch import nn

from optigram.errors import InputError
from optigram.models.loading import load
from optigram.objective.objective import Objective
from optigram.targets.target import resolve

WORDS = ["<pad>", "a", "b", "c", "d"]


class Bag(nn.Module):
    """Each word is embedded, bent, and projected to the words; states do not mix, so what each position gives is known."""

    def __init__(self, scale: float = 1.0, peek: bool = False):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(len(WORDS), 8)
        self.layers = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])
        self.out = nn.Linear(8, len(WORDS))
        self.peek = peek

    def forward(self, ids):
        states = self.embed(ids)
        if self.peek:
            states = states + ids[..., None]
        for layer in self.layers:
            states = torch.tanh(layer(states))
        return self.out(states)


def test_any_module_is_a_model():
    net = Bag()
    model = load(net, words=WORDS)
    ids = torch.tensor([[1, 2, 4]])
    expected = torch.tanh(net.layers[0](net.embed(ids)))
    torch.testing.assert_close(model.read(model.embedding[ids], ["layers.1@in"])["layers.1@in"], expected)
    assert model.sites["logits"].names == tuple(WORDS)
    objective = Objective(model, resolve(["logits:c", "-layers.0:3", "resid_post.1:2"], model), 3)
    scores = objective.score(ids[None]).activation
    assert float(scores[0, 0]) == pytest.approx(float(net(ids)[0, -1, 3].detach()), abs=1e-5)
    assert float(scores[1, 0]) == pytest.approx(-float(net.layers[0](net.embed(ids))[0, -1, 3].detach()), abs=1e-5)


def test_a_module_whose_embedding_cannot_be_bypassed_is_named():
    with pytest.raises(InputError, match="Bag does not read embeddings alone"):
        load(Bag(peek=True), words=WORDS)


def test_a_module_that_gives_nan_is_told_so():
    net = Bag()
    net.layers[1].weight.data[2, 3] = torch.nan
    with pytest.raises(InputError, match=r"Bag gives NaN or infinity .* the weights layers\.1\.weight are not finite") as error:
        load(net, words=WORDS)
    assert "\n" not in str(error.value)
    narrow = Bag().half()
    narrow.layers[1].bias.data[:] = 100
    narrow.out.weight.data[:] = 60000
    with pytest.raises(InputError, match=r"torch\.float16 is too narrow"):
        load(narrow, words=WORDS)


def test_logits_of_minus_infinity_are_those_of_tokens_that_are_never_written():
    net = Bag()
    net.out.bias.data[0] = -torch.inf
    assert "layers.0" in load(net, words=WORDS).sites


def test_a_module_without_a_mask_takes_texts_of_one_length():
    model = load(Bag(), words=WORDS)
    keep = torch.tensor([[True, False]])
    with pytest.raises(InputError, match="no attention_mask"):
        model.read(model.embedding[torch.tensor([[1, 2]])], ["layers.0"], keep)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "either a tokenizer or a word list"),
        ({"words": WORDS[:3]}, "a word for each of the 5 rows"),
        ({"words": WORDS, "embedding": "embde"}, "did you mean embed"),
    ],
)
def test_what_is_missing_is_named(settings, message):
    with pytest.raises(InputError, match=message):
        load(Bag(), **settings)


def test_two_embeddings_must_be_told_apart():
    net = Bag()
    net.position = nn.Embedding(4, 8)
    with pytest.raises(InputError, match="embed, position"):
        load(net, words=WORDS)
    assert load(net, words=WORDS, embedding="embed").embedding.shape == (5, 8)


@pytest.mark.parametrize("attribute", ["original_model", "_module"])
def test_wrappers_of_other_tools_are_opened(attribute):
    wrapped = SimpleNamespace(**{attribute: pretrained("gpt2"), "tokenizer": tokenizer("bpe")})
    model = load(wrapped)
    ids = torch.tensor([[7, 8]])
    site = "mlp_act.1"
    assert torch.equal(model.read(model.embedding[ids], [site])[site], network("gpt2").read(model.embedding[ids], [site])[site])


class Hooked(nn.Module):
    """The parts of a HookedTransformer that matter here: an embedding that is no nn.Embedding, and points that are modules."""

    def __init__(self):
        super().__init__()
        self.embed = Lookup()
        self.hook_embed, self.hook_post = nn.Identity(), nn.Identity()
        self.tokenizer = tokenizer("bpe")

    def forward(self, ids):
        return self.hook_post(torch.tanh(self.hook_embed(self.embed(ids))))


class Lookup(nn.Module):
    def __init__(self):
        super().__init__()
        self.W_E = nn.Parameter(torch.randn(340, 8))

    def forward(self, ids):
        return self.W_E[ids]


def test_a_hooked_transformer_is_read_at_its_own_points():
    model = load(Hooked())
    ids = torch.tensor([[7, 8]])
    states = model.read(model.embedding[ids], ["hook_post"])["hook_post"]
    torch.testing.assert_close(states, torch.tanh(model.embedding[ids]))


def test_something_else_is_refused():
    with pytest.raises(InputError, match="got int"):
        load(7)
