"""Targets made in Python: they resolve as their addresses do, add and scale as numbers do, and are equal only if they read the same."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_latent import saelens, sparsify, weights

from optigram.errors import InputError
from optigram.objective.objective import Objective
from optigram.runs.find import score_texts
from optigram.targets.address import Address
from optigram.targets.build import custom, direction, latent, log_prob, logit, neuron
from optigram.targets.readouts import Term, Unit
from optigram.targets.sae_objects import convert_autoencoder
from optigram.targets.target import Target, resolve
from optigram.text.template import Template
from toy import WIDTH, Toy

VECTOR = np.linspace(-1, 2, WIDTH)
TEXTS = torch.tensor([[[5, 6, 9], [6, 6, 6], [12, 13, 14], [9, 5, 11]]])
PAIRS = {
    "resid:3": neuron("resid", 3),
    'logits:" dog"': logit(" dog"),
    "logits:6": logit(6),
    'logit:" dog"': neuron("logits", " dog"),
    'log_prob:" dog"@max': log_prob(" dog").max(),
    "log_prob:6": log_prob(6),
    "-resid:3@mean": -neuron("resid", 3).mean(),
    'logit:" dog" - 0.5*logit:" cat"': logit(" dog") - 0.5 * logit(" cat"),
    "2*resid:1 + early:0 - 0.25*resid:3@2": (2 * neuron("resid", 1) + neuron("early", 0) - neuron("resid", 3) / 4).at(2),
    "-resid:0 - resid:1@anywhere": (-(neuron("resid", 0) + neuron("resid", 1))).anywhere(),
    "resid:1 + resid:2": sum([neuron("resid", 1), neuron("resid", 2)]),
    "3*resid:1": np.float64(3) * neuron("resid", 1).last(),
}


def of_module(states, mask):
    """A function that an address can name."""
    return states["resid"].square().sum(-1)


@pytest.mark.parametrize("address", PAIRS)
def test_a_factory_and_an_address_give_the_same_target(address):
    toy = Toy()
    (built,), (read,) = resolve(PAIRS[address], toy), resolve(address, toy)
    assert built == read
    assert hash(built) == hash(read)
    assert resolve(str(built), toy) == (built,)
    assert str(Address.parse(str(PAIRS[address]))) == str(PAIRS[address])


def test_strings_and_targets_mix_each_once_and_in_order():
    toy = Toy()
    found = resolve([neuron("resid", 3), "resid:0-4", "early:1", neuron("early", 1)], toy)
    assert list(map(str, found)) == ["resid:3", "resid:0", "resid:1", "resid:2", "resid:4", "early:1"]
    assert resolve(found, toy) == found
    assert resolve("resid:3", toy) == resolve(iter([neuron("resid", 3)]), toy)


def test_equal_vectors_are_equal_targets_and_others_never_are():
    toy = Toy()
    one = direction("resid", VECTOR, "probe")
    for same in (VECTOR.tolist(), torch.from_numpy(VECTOR), torch.from_numpy(VECTOR).float().requires_grad_()):
        assert direction("resid", same, "probe") == one
        assert hash(direction("resid", same, "probe")) == hash(one)
    other = direction("resid", np.nextafter(VECTOR.astype(np.float32), 9), "probe")
    assert other != one
    assert str(other) != str(one)
    assert len(resolve([one, other, one], toy)) == 2
    assert direction("resid", VECTOR, "another") != one
    frozen = VECTOR.copy()
    frozen.flags.writeable = False
    kept = direction("resid", frozen)
    frozen = torch.from_numpy(VECTOR.copy())
    mine = direction("resid", frozen)
    frozen += 1
    assert mine == kept


def test_a_vector_in_memory_scores_as_one_in_a_file(tmp_path):
    toy = Toy()
    save_file({"probe": torch.from_numpy(VECTOR).float()}, tmp_path / "probe.safetensors")
    objective = Objective(toy, [direction("resid", VECTOR, "probe"), f"resid:{tmp_path}/probe.safetensors#probe"], 3)
    memory, file = objective.score(TEXTS).activation
    assert torch.equal(memory, file)
    expected = [toy.state([0, *text])[-1] @ VECTOR for text in TEXTS[0].tolist()]
    np.testing.assert_allclose(memory, expected, atol=1e-5)


def test_random_numbers_depend_on_what_a_file_holds_and_on_no_path(tmp_path):
    encoder, vectors = torch.eye(WIDTH), {"one": VECTOR, "other": VECTOR + 1}
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        save_file({name: torch.from_numpy(vector).float() for name, vector in vectors.items()}, tmp_path / folder / f"{folder}.st")
        save_file({"encoder": encoder, "k": torch.tensor(2)}, tmp_path / folder / "sae.st")

    def keys(*addresses):
        return [target.key for target in resolve(addresses, Toy())]

    here, there = (
        keys(f"resid:{tmp_path}/{name}/{name}.st#one,other", f"resid:{tmp_path}/{name}/sae.st#1,2") for name in ("here", "there")
    )
    assert here == there
    assert len(set(here)) == 4
    assert keys(direction("resid", VECTOR, "named"), latent("resid", {"encoder": encoder, "k": 2}, 1)) == [here[0], here[2]]
    file = tmp_path / "here" / "here.st"
    mixed = keys(f"2*resid:{file}#one@mean", f"2*resid:{file}#other@mean", f"-resid:{file}#one@mean")
    assert len(set(mixed)) == 3
    assert not any("here" in key or "one" in key for key in mixed)
    assert keys(custom(of_module, "resid"), "logits:dog@max", "-resid:3") == [
        "custom:test_build.of_module#resid",
        "logits:dog@max",
        "-resid:3",
    ]


def test_what_was_made_in_memory_says_so_in_its_address():
    toy, sae = Toy(), {"encoder": torch.eye(WIDTH)}
    made = (direction("resid", VECTOR, "my probe"), latent("resid", sae, 2), custom(lambda states, mask: states["resid"][..., 0], "resid"))
    for target in made:
        (found,) = resolve(target, toy)
        assert str(Address.parse(str(found))) == str(found)
        with pytest.raises(InputError, match=r"made in memory.*pass the object") as error:
            resolve(str(found), toy)
        assert "\n" not in str(error.value)
    assert str(made[0]).endswith("#my probe")


def test_a_function_of_a_module_has_an_address_that_finds_it():
    toy = Toy()
    target = custom(of_module, ["resid", "early"])
    assert str(target) == "custom:test_build.of_module#resid,early"
    assert resolve(str(target), toy) == resolve(target, toy) == (target,)
    combined = (target - 2 * neuron("resid", 1)).max()
    assert str(combined) == "custom:test_build.of_module#resid,early - 2*resid:1@max"
    assert resolve(str(combined), toy) == resolve(combined, toy)
    assert str(custom(lambda states, mask: of_module(states, mask), "resid", "energy")).startswith("custom:memory:energy.")


def test_functions_with_other_numbers_inside_have_other_addresses():
    def probe(vector):
        return lambda states, mask: states["resid"] @ vector

    one, same, other = (str(custom(probe(torch.full((WIDTH,), value)), "resid")) for value in (1.0, 1.0, 2.0))
    assert one == same != other
    with pytest.raises(InputError, match="give them names"):
        resolve([custom(probe(torch.ones(WIDTH)), "resid"), custom(probe(torch.ones(WIDTH)), "resid")], Toy())


def sae_objects(tmp_path):
    encoder, bias, decoder, center = weights()
    threshold = torch.linspace(-1, 2, len(bias))
    config = SimpleNamespace(to_dict=lambda: {"architecture": "jumprelu", "normalize_activations": "layer_norm"})
    yield (
        SimpleNamespace(W_enc=encoder.T.clone().requires_grad_(), b_enc=bias, W_dec=decoder, b_dec=center, threshold=threshold, cfg=config),
        saelens(tmp_path / "jump", config.to_dict(), threshold),
    )
    yield (
        {"W_enc": encoder.T.numpy(), "b_enc": bias.numpy(), "W_dec": decoder, "b_dec": center, "cfg": {"architecture": "topk", "k": 3}},
        saelens(tmp_path / "top", {"architecture": "topk", "k": 3}),
    )
    layer = SimpleNamespace(weight=encoder, bias=bias)
    yield (
        SimpleNamespace(encoder=layer, W_dec=decoder, b_dec=center, cfg=SimpleNamespace(k=4, activation="topk", transcode=False)),
        sparsify(tmp_path / "sparse", {"k": 4}),
    )
    save_file({"encoder": encoder, "bias": bias, "k": torch.tensor(2)}, tmp_path / "plain.st")
    yield {"encoder": encoder, "bias": bias, "k": 2}, str(tmp_path / "plain.st")


def test_autoencoders_in_memory_score_as_those_in_files(tmp_path):
    toy = Toy()
    for held, file in sae_objects(tmp_path):
        targets = [*(latent("resid", held, i) for i in (1, 7)), *(latent("resid", file, i) for i in (1, 7))]
        found = Objective(toy, targets, 3).viewed("exact").score(TEXTS).activation
        torch.testing.assert_close(found[:2], found[2:], msg=str(file))  # some processors round by how a matrix lies in memory
        assert resolve(targets[2], toy) == resolve(f"resid:{file}#1", toy)
        ours = convert_autoencoder(held)
        assert resolve(latent("resid", ours, 1), toy) == resolve(targets[0], toy)
        one, two = resolve(targets[:2], toy)
        assert one.terms[0].readout.autoencoder is two.terms[0].readout.autoencoder


def test_autoencoders_in_memory_are_told_apart():
    toy, encoder = Toy(), torch.eye(WIDTH)
    one, same, other = ({"encoder": part} for part in (encoder, encoder.clone(), encoder + 1e-6))
    assert len(resolve([latent("resid", sae, 0) for sae in (one, same, other)], toy)) == 2


WRONG = {
    "a number": (lambda toy: 3.5, "an address such as .* got float 3.5"),
    "nothing": (lambda toy: None, "got None"),
    "indices": (lambda toy: [1, 2], "got int 1 in a list"),
    "a model": (lambda toy: toy, "got Toy"),
    "a tensor": (lambda toy: torch.ones(3), "got Tensor in a Tensor"),
    "an empty list": (lambda toy: [], "no target was given"),
    "a mapping": (lambda toy: {"resid:1": 1}, "got dict"),
    "another site": (lambda toy: neuron("rezid", 1), "did you mean resid"),
    "another name": (lambda toy: logit(" dgo"), "no unit named"),
    "several tokens": (lambda toy: log_prob(" dogs"), "is 2 tokens"),
    "a large index": (lambda toy: neuron("resid", 8), "units 0 to 7"),
    "a large token": (lambda toy: log_prob(99), "units 0 to 14"),
    "a negative index": (lambda toy: neuron("resid", -1), "from 0, got -1"),
    "a float index": (lambda toy: neuron("resid", 1.0), "index or the name"),
    "no name": (lambda toy: logit(""), "empty string"),
    "no site": (lambda toy: neuron(3, 3), "name of a site"),
    "a narrow vector": (lambda toy: direction("resid", [1.0, 2.0]), "width 2, but resid has 8"),
    "a matrix": (lambda toy: direction("resid", np.eye(8)), "one dimension"),
    "words": (lambda toy: direction("resid", ["a"]), "vector of real numbers"),
    "NaN": (lambda toy: direction("resid", [math.nan] * 8), "finite in float32"),
    "too large for float32": (lambda toy: direction("resid", [1e39] * 8), "finite in float32"),
    "an infinite vector": (lambda toy: direction("resid", [math.inf] * 8), "finite in float32.*8 of 8"),
    "complex numbers in an array": (lambda toy: direction("resid", np.ones(8, dtype=complex)), "real numbers.*complex"),
    "dates": (lambda toy: direction("resid", np.zeros(8, dtype="datetime64[s]")), "datetime64"),
    "four bits": (lambda toy: direction("resid", torch.zeros(8, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)), "float4"),
    "no weights in memory": (lambda toy: direction("resid", torch.zeros(8, device="meta")), "real numbers"),
    "a ragged list": (lambda toy: direction("resid", [[1.0], [1.0, 2.0]]), "real numbers"),
    "a weight of 1e39": (lambda toy: 1e39 * neuron("resid", 1), "finite weight other than 0, as float32 can hold it"),
    "a weight too small": (lambda toy: 1e-46 * neuron("resid", 1), "as float32 can hold it"),
    "a weight of 1e39 in an address": (lambda toy: "1e39*resid:1", "as float32 can hold it"),
    "a weight of many digits": (lambda toy: f"{'9' * 5000}*resid:1", "as float32 can hold it"),
    "an index of many digits": (lambda toy: f"resid:{'9' * 5000}", "at most 18 digits"),
    "a position of many digits": (lambda toy: f"resid:1@{'9' * 5000}", "at most 18 digits"),
    "a range of many digits": (lambda toy: f"resid:1-{'9' * 5000}", "at most 18 digits"),
    "half a character": (lambda toy: 'resid:"\\ud800"', "half a character"),
    "a factor of many digits": (lambda toy: neuron("resid", 1) * 10**400, "finite number other than 0"),
    "a divisor too small": (lambda toy: neuron("resid", 1) / 1e-320, "finite"),
    "complex numbers": (lambda toy: direction("resid", torch.ones(8, dtype=torch.complex64)), "real numbers"),
    "a vector of logits": (lambda toy: direction("logits", [1.0] * 15), "read from resid"),
    "no autoencoder": (lambda toy: latent("resid", SimpleNamespace(weight=1), 0), "an object with W_enc"),
    "a narrow autoencoder": (lambda toy: latent("resid", {"encoder": torch.zeros(4, 5)}, 0), "width 5, but resid has 8"),
    "a large latent": (lambda toy: latent("resid", {"encoder": torch.zeros(4, 8)}, 4), "units 0 to 3"),
    "a gated autoencoder": (
        lambda toy: latent("resid", {"W_enc": torch.eye(8), "b_enc": torch.zeros(8), "cfg": {"architecture": "gated"}}, 0),
        "is of the kind gated, but holds",
    ),
    "no function": (lambda toy: custom(3, "resid"), r"function\(states, mask\), got int"),
    "one argument": (lambda toy: custom(lambda states: states, "resid"), r"function\(states, mask\), got lambda"),
    "no sites": (lambda toy: custom(of_module, []), "names of one or several sites"),
    "unknown sites": (lambda toy: custom(of_module, ["resid", "erly"]), "did you mean early"),
    "an unknown module": (lambda toy: "custom:nowhere.function#resid", "cannot import"),
    "no function there": (lambda toy: "custom:test_build.VECTOR#resid", "expected a function at"),
    "no path": (lambda toy: "custom:resid", "malformed custom"),
    "a weight of 0": (lambda toy: 0 * neuron("resid", 1), "finite number other than 0"),
    "an infinite weight": (lambda toy: math.inf * neuron("resid", 1), "finite number other than 0"),
    "an overflow": (lambda toy: 1e300 * (1e300 * neuron("resid", 1)), "finite weight"),
    "an infinite weight in an address": (lambda toy: "1e999*resid:1", "finite weight"),
    "division by 0": (lambda toy: neuron("resid", 1) / 0, "divide"),
    "two pools": (lambda toy: neuron("resid", 1).max() + neuron("resid", 2), "pooled differently"),
    "a sum of maxima": (lambda toy: neuron("resid", 1).max() + neuron("resid", 2).max(), "add first, then pool"),
    "minus a maximum": (lambda toy: -neuron("resid", 1).max(), "negate first, then pool"),
    "a sum with a string": (lambda toy: neuron("resid", 1) + "resid:2", "expected a target to add"),
    "no position": (lambda toy: neuron("resid", 1).at(-1), "position from 0"),
    "half a position": (lambda toy: neuron("resid", 1).at(0.5), "position from 0"),
    "the token of another model": (
        lambda toy: Target((Term("logits", Unit(7, " dog")),)),
        "in toy, not ' dog'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line(case):
    toy, (make, said) = Toy(), WRONG[case]
    with pytest.raises(InputError, match=said) as error:
        resolve(make(toy), toy)
    assert "\n" not in str(error.value)


KINDS = {
    "half": lambda numbers: torch.tensor(numbers).half(),
    "bfloat16": lambda numbers: torch.tensor(numbers).bfloat16(),
    "eight bits": lambda numbers: torch.tensor(numbers).to(torch.float8_e4m3fn),
    "with a gradient": lambda numbers: torch.nn.Parameter(torch.tensor(numbers)),
    "sparse": lambda numbers: torch.tensor(numbers).to_sparse(),
    "integers": lambda numbers: torch.tensor(numbers).long(),
    "float16 array": lambda numbers: np.array(numbers, dtype=np.float16),
    "long doubles": lambda numbers: np.array(numbers, dtype=np.longdouble),
    "big endian": lambda numbers: np.array(numbers, dtype=">f8"),
    "every second number": lambda numbers: np.repeat(numbers, 2)[::2],
    "a tuple": tuple,
}


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_of_every_real_type_are_the_same_direction(kind):
    numbers = [0.0, 1, -2, 3, 0, 4, -8, 16]
    assert direction("resid", KINDS[kind](numbers)) == direction("resid", np.array(numbers))


def test_weights_that_overflow_together_are_refused():
    toy = Toy()
    for wrong in (1e30 * direction("resid", [1e30] * 8), 3e38 * neuron("resid", 1) + 3e38 * neuron("resid", 1)):
        with pytest.raises(InputError, match="weights that are not finite in float32"):
            Objective(toy, wrong, 3)


def test_a_score_that_overflows_is_no_score():
    toy = Toy()
    large = direction("resid", 3e38 * np.sign(toy.state([0, 5, 6, 9])[-1]))
    objective = Objective(toy, [large, "resid:1"], 3)
    with pytest.raises(InputError, match="is not finite on a text"):
        score_texts(objective, [[5, 6, 9], [12, 13, 14]])


def test_a_function_may_enclose_anything():
    """The address holds a hash of what a function encloses, whatever that is."""
    for held in (torch.ones(2, dtype=torch.complex64), torch.ones(2).to_sparse(), torch.ones(2, device="meta"), np.array([object()])):
        assert str(custom(lambda states, mask, held=held: states["resid"][..., 0], "resid")).startswith("custom:memory:lambda.")

    def late(states, mask):
        return states["resid"] @ probe

    assert str(custom(late, "resid")).startswith("custom:memory:late.")
    probe = torch.ones(8)


def test_a_target_needs_a_model():
    for model, said in (("gpt2", "got str 'gpt2'"), (None, "got None")):
        with pytest.raises(InputError, match=said):
            resolve("visual:pizza", model)


def test_a_model_without_logits_has_no_log_probabilities():
    toy = Toy()
    del toy.sites["logits"]
    with pytest.raises(InputError, match="no vocabulary logits"):
        resolve(log_prob(" dog"), toy)


def test_targets_and_objectives_print_what_they_are(tiny):
    assert repr(neuron("visual", "dog").max()) == "Target('visual:dog@max')"
    assert repr(Objective(tiny, "visual:dog", 3)) == "Objective(tiny, 'visual:dog', length=3)"
    template = Template.parse("a {} b", tiny.vocabulary)
    two = Objective(tiny, ["visual:dog", log_prob("a")], 3, template)
    assert repr(two) == "Objective(tiny, 2 targets, length=3, template='a {3} b')"
    with pytest.raises(InputError, match=r"got float 3\.5"):
        Objective(tiny, 3.5, 3)
