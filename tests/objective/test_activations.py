"""Sums, directions, latents, soft caps and pools, each against NumPy on the states of a toy transformer."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_latent import THRESHOLD, B, C, E, largest, layer_normed, relu, saelens

from optigram.errors import InputError
from optigram.methods import Corpus
from optigram.methods import paper as presets
from optigram.objective.objective import Objective
from optigram.objective.scores import SoftText
from optigram.optimize.search import search
from optigram.targets.target import resolve
from optigram.text.template import Template
from toy import TOKENS, WIDTH, Toy

TEXTS = [[5, 6, 9], [6, 6, 6], [12, 13, 14], [9, 5, 11]]
JUMP = np.maximum(THRESHOLD, 0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    path = tmp_path_factory.mktemp("files")
    save_file({"happy": torch.arange(WIDTH).float(), "short": torch.ones(3)}, path / "probe.safetensors")
    saelens(path / "relu", {})
    saelens(path / "jump", {"architecture": "jumprelu"}, torch.from_numpy(THRESHOLD))
    saelens(path / "top", {"architecture": "topk", "k": 2, "normalize_activations": "layer_norm"})
    saelens(path / "dead", {"architecture": "jumprelu"}, torch.full((12,), 50.0))
    return path


def before(x):
    return (x - C) @ E.T + B


VALUES = {
    "resid:3": lambda toy, x, early: x[:, 3],
    "-2*resid:3 + early:1 - 0.5*resid:0": lambda toy, x, early: -2 * x[:, 3] + early[:, 1] - 0.5 * x[:, 0],
    "resid:FILES/probe.safetensors#happy": lambda toy, x, early: x @ np.arange(WIDTH),
    "early:FILES/probe.safetensors#happy - resid:1": lambda toy, x, early: early @ np.arange(WIDTH) - x[:, 1],
    "resid:FILES/relu#4": lambda toy, x, early: relu(before(x))[:, 4],
    "-resid:FILES/jump#10": lambda toy, x, early: -np.where(before(x) > JUMP, before(x), 0)[:, 10],
    "resid:FILES/top#1": lambda toy, x, early: largest(before(layer_normed(x)), 2)[:, 1],
    "resid:FILES/top#2 + resid:FILES/top#3 - early:0": lambda toy, x, early: (
        largest(before(layer_normed(x)), 2)[:, [2, 3]].sum(-1) - early[:, 0]
    ),
}
POOLS = {
    "@last": lambda values: values[-1],
    "@max": lambda values: values[3:].max(),  # "<s> a" and the first position are left out
    "@mean": lambda values: values[3:].mean(),
    "@anywhere": lambda values: values.max(),
    "@2": lambda values: values[2],
}
TEMPLATE = " a 7{}"


def judged(toy, files, *addresses, view="exact", template=TEMPLATE):
    targets = resolve([address.replace("FILES", str(files)) for address in addresses], toy)
    return Objective(toy, targets, 3, Template.parse(template, toy.vocabulary)).viewed(view)


@pytest.mark.parametrize("pool", POOLS)
def test_activations_follow_the_definition(files, pool):
    toy = Toy()
    objective = judged(toy, files, *(address + pool for address in VALUES))
    found = objective.score(torch.tensor([TEXTS])).activation
    inputs = [[0, 5, 12, *text] for text in TEXTS]
    expected = [
        [POOLS[pool](np.asarray(value(toy, toy.state(ids), toy.state(ids, "early")))) for ids in inputs] for value in VALUES.values()
    ]
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_logits_with_a_soft_cap(files):
    toy = Toy(softcap=2.0)
    objective = judged(toy, files, 'logits:" dog"', 'logits:" dog" - logits:" cat"')
    found = objective.score(torch.tensor([TEXTS])).activation
    logits = np.array([toy.logits([0, 5, 12, *text])[-1] for text in TEXTS])
    np.testing.assert_allclose(found, [logits[:, 6], logits[:, 6] - logits[:, 9]], atol=1e-5)
    assert np.abs(found.numpy()).max() < 4


def test_a_sum_of_linear_terms_is_one_product(files):
    (part,) = judged(Toy(), files, 'logits:" dog" - 2*logits:" cat" + resid:1')._groups
    assert part.weight.shape == (1, 1, WIDTH)


def test_each_target_may_judge_its_own_texts(files):
    objective = judged(Toy(), files, *VALUES, view="search")
    texts = torch.tensor([[TEXTS[i % 4], TEXTS[(i + 1) % 4]] for i in range(len(VALUES))])
    own = objective.score(texts).activation
    for row in range(len(VALUES)):
        torch.testing.assert_close(own[row], objective.score(texts[row : row + 1]).activation[row], atol=1e-5, rtol=0)


def test_relax_at_one_hot_is_score(files):
    toy = Toy()
    objective = judged(toy, files, *(address + pool for address in VALUES for pool in POOLS), view="search")
    ids = torch.tensor([TEXTS])
    soft = objective.relax(SoftText(toy.embedding[ids], None)).activation
    torch.testing.assert_close(soft, objective.score(ids).activation, atol=1e-5, rtol=0)


@pytest.mark.parametrize("address", ["resid:FILES/dead#4", "resid:FILES/dead#4@max", "resid:FILES/jump#4", "resid:FILES/top#7"])
def test_a_latent_that_is_off_shows_0_keeps_an_order_and_has_a_way_up(files, address):
    toy = Toy()
    texts = torch.tensor([[[i, j, 9] for i in (5, 6, 8, 9) for j in (5, 6, 12, 14)]])
    shown = judged(toy, files, address).score(texts).activation[0]
    ranked = judged(toy, files, address, view="search").score(texts).activation[0]
    off = shown == 0
    assert off.sum() > 4
    torch.testing.assert_close(ranked, shown, atol=2e-4, rtol=0)
    assert (ranked[off] < 0).all()
    assert len(ranked[off].unique()) > 4
    raw = judged(toy, files, address, view="before").score(texts).activation[0]
    if "top" not in address:  # what a TopK latent lacks depends on the others
        assert (ranked[off][raw[off].argsort()].diff() > -1e-8).all()  # but for ties, which rounding breaks either way
    slope = judged(toy, files, address, view="search").gradient(texts[:, off][:, :1])
    assert torch.equal(slope, judged(toy, files, address, view="before").gradient(texts[:, off][:, :1]))
    assert slope.abs().max() > 0


def test_nothing_is_gained_by_pushing_a_latent_further_off(files):
    slope = judged(Toy(), files, "-resid:FILES/dead#4", view="search").gradient(torch.tensor([[TEXTS[0]]]))
    assert not slope.any()


def test_a_dead_latent_is_climbed_to_a_good_text_and_shown_as_0(files):
    toy = Toy()
    targets = resolve([f"resid:{files}/dead#4"], toy)
    objective = Objective(toy, targets, 2)
    every = np.array([[i, j] for i in objective.lexicon.tolist() for j in objective.lexicon.tolist()])
    highest = search(objective, Corpus("all", every)).found[0]
    climbed = search(objective, presets.modern("gbl", 900)).found[0]
    assert climbed.activation.tolist() == highest.activation.tolist() == [0]
    raw = [before(toy.state([0, *text]))[-1, 4] for text in every.tolist()]
    assert float(highest.remarks["preactivation"][0]) == pytest.approx(max(raw), abs=1e-4)
    assert float(climbed.remarks["preactivation"][0]) > np.quantile(raw, 0.95)  # its optima are local


def test_the_first_position_and_special_tokens_never_count_for_a_maximum():
    toy = Toy(suffix=(1,))
    for template, looked in (("{}", [1, 2, 3]), (" a{}", [2, 3, 4]), ("{2} dog {1}", [1, 2, 3, 4]), ("{3} a", [1, 2, 3, 4])):
        objective = Objective(toy, resolve(["resid:0@max"], toy), 3, Template.parse(template, toy.vocabulary))
        assert objective._groups[0].positions == looked
    bare = Toy(prefix=())
    assert Objective(bare, resolve(["resid:0@max"], bare), 3)._groups[0].positions == [1, 2]
    with pytest.raises(InputError, match="looks at no position"):
        Objective(bare, resolve(["resid:0@max"], bare), 1)


def test_a_target_with_latents_prints_the_address_that_resolves_to_it(files):
    toy = Toy()
    for address in VALUES:
        (target,) = resolve([address.replace("FILES", str(files))], toy)
        assert resolve([str(target)], toy) == (target,)
    assert len(resolve([f"resid:{files}/relu#*"], toy)) == 12


BAD = {
    "resid:FILES/probe.safetensors#short": "width 3, but resid has 8",
    "resid:FILES/probe.safetensors#hapy": "did you mean happy",
    "resid:FILES/nowhere.safetensors#happy": "no file",
    "resid:FILES/nowhere#3": "no autoencoder",
    "resid:FILES/relu#12": "units 0 to 11",
    "resid:FILES/relu#3,happy": "have no names",
    "logits:FILES/relu#1": "read from resid",
    'logits:" dogs"': "is 2 tokens, ' dog', 's'",
    "logits: zebra": "no unit named",
    "resid:1 +": "no names",
    "resid:1 + ": "no names",
    "resid:1 + early": "malformed",
    "+ resid:1": "malformed",
    "resid:1 + resid:0-3": "one unit in each term",
    "resid:* - resid:1": "one unit in each term",
    "resid:1@max + resid:2": "one pool, at the end",
    "0*resid:1": "weight of 0",
    "rezid:1": "did you mean resid",
}


@pytest.mark.parametrize(("address", "said"), BAD.items())
def test_a_bad_address_is_one_line_that_names_the_remedy(files, address, said):
    toy = Toy()
    with pytest.raises(InputError, match=said) as error:
        resolve([address.replace("FILES", str(files))], toy)
    assert "\n" not in str(error.value)


def test_an_autoencoder_of_another_width_is_refused(files, tiny, tmp_path):
    save_file({"encoder": torch.zeros(4, 5)}, tmp_path / "sae.st")
    with pytest.raises(InputError, match=r"width 5, but visual.hidden has 8"):
        resolve([f"visual.hidden:{tmp_path}/sae.st#0"], tiny)


def test_latents_of_a_recurrent_model_agree_with_reading_it_whole(files, tiny, every_text):
    addresses = ["visual.hidden:FILES/top#1@max", "visual.hidden:FILES/relu#2 - language:a", "language.hidden:FILES/jump#3@mean"]
    targets = resolve([address.replace("FILES", str(files)) for address in addresses], tiny)
    objective = Objective(tiny, targets, 3)
    texts = torch.from_numpy(every_text[::9])[None]
    shared = objective.score(texts).activation
    torch.testing.assert_close(objective.score(texts.expand(3, -1, -1)).activation, shared, atol=1e-5, rtol=0)
    torch.testing.assert_close(objective.relax(SoftText(tiny.embedding[texts], None)).activation, shared, atol=1e-5, rtol=0)


def test_names_are_tokens_as_they_are_typed():
    toy = Toy()
    (target,) = resolve(['logits:" dog"'], toy)
    assert target.terms[0].readout.index == TOKENS.index(" dog")
    assert str(target) == 'logits:" dog"'
