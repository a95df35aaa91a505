"""What `load` takes and refuses: objects of every kind, import paths, tokenizers, and their mistakes in one line."""

import subprocess
import sys
import textwrap

import pytest
import torch
import transformers
from tiny_models import network, pretrained, tokenizer

import toy
from optigram.errors import InputError
from optigram.methods import paper as presets
from optigram.models.imaginet import Imaginet
from optigram.models.loading import load
from optigram.models.objects import MEMBERS, imported
from optigram.models.sites import Sites
from optigram.models.validation import checks
from optigram.objective.objective import Objective
from optigram.optimize.search import search
from optigram.targets.target import resolve


class Proxy:
    """A model that is no torch module: it has the members of the protocol, one by one, and nothing else."""

    def __init__(self, model):
        self._model = model

    name, vocabulary, embedding, sites, attends, step, fingerprint = (
        property(lambda self, member=member: getattr(self._model, member)) for member in MEMBERS if member != "read"
    )

    def read(self, embeds, sites, keep=None):
        return self._model.read(embeds, sites, keep)


def test_a_model_of_ones_own_class_passes_unchanged():
    for model in (toy.Toy(), Proxy(network("gpt2")), network("gpt2")):
        assert load(model) is model


def test_a_model_that_is_no_module_is_scored_and_checked():
    model = load(toy.Toy())
    objective = Objective(model, resolve(["resid:3", "logits:4"], model), 2)
    texts = torch.tensor([[5, 6], [9, 12]])
    scores = objective.score(texts[None]).activation
    expected = [model.state([0, *text])[-1, 3] for text in texts.tolist()], [model.logits([0, *text])[-1, 4] for text in texts.tolist()]
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float32), atol=1e-5, rtol=1e-5)
    assert Sites.aliases(model, "resid") == {}
    with pytest.raises(InputError, match="expected an Imaginet"):
        Imaginet.placebo_of(model, "weights")


def test_a_model_lacks_a_member():
    class Half:
        name, vocabulary, embedding, sites, attends, step = "half", None, None, {}, True, None

        def read(self, embeds, sites, keep=None): ...

    with pytest.raises(InputError, match="got Half without fingerprint; add them"):
        load(Half())
    assert set(MEMBERS) == set(dir(toy.Toy())) & set(MEMBERS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None,), "expected the name of a model, a folder, or a loaded model, got NoneType"),
        ((3,), "got int"),
        ((["gpt2"],), "got list"),
        (("TOKENIZER",), "expected a model first, got the tokenizer"),
        (("TOKENIZER", "MODEL"), "expected a model first"),
        (("MODEL", "MODEL"), "expected a tokenizer of transformers, or the name or folder of one, got GPT2LMHeadModel"),
        (("MODEL", ["a", "b"]), "got list; give AutoTokenizer"),
        (("MODEL", 3), "got int; give AutoTokenizer"),
        (("MODEL", "no/such-tokenizer"), "cannot load 'no/such-tokenizer'.*expected a folder with a tokenizer"),
        (("TOY", "TOKENIZER"), "expected no tokenizer, words or embedding with toy"),
        (("imaginet", "TOKENIZER"), "expected no tokenizer with an Imaginet"),
        (("MODEL",), r"expected a tokenizer with a loaded GPT2LMHeadModel, got none; give load\(model, tokenizer\)"),
    ],
)
def test_wrong_objects_are_one_line(arguments, message):
    things = {"TOKENIZER": tokenizer("bpe"), "MODEL": pretrained("gpt2"), "TOY": toy.Toy()}
    with pytest.raises(InputError, match=message) as error:
        load(*(things.get(argument, argument) if isinstance(argument, str) else argument for argument in arguments))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"words": ["a", "b"]}, "expected a word for each of the 384 rows of the embedding, got 2"),
        ({"words": "a b"}, "expected words as a list of strings in id order, got str"),
        ({"words": ["a"] * 384, "tokenizer": "TOKENIZER"}, "either a tokenizer or a word list, got both"),
        ({"tokenizer": "TOKENIZER", "embedding": "transformer.wtf"}, "got 'transformer.wtf'; did you mean transformer.wte"),
        ({"tokenizer": "TOKENIZER", "embedding": "transformer.drop"}, "got 'transformer.drop' without weights"),
        ({"tokenizer": "TOKENIZER", "dtype": "int8"}, "unknown dtype 'int8'; expected float32"),
        ({"tokenizer": "TOKENIZER", "device": "toaster"}, "cannot use device 'toaster'"),
    ],
)
def test_wrong_settings_are_one_line(settings, message):
    settings = {name: tokenizer("bpe") if value == "TOKENIZER" else value for name, value in settings.items()}
    with pytest.raises(InputError, match=message) as error:
        load(pretrained("gpt2"), **settings)
    assert "\n" not in str(error.value)


def test_settings_of_wrong_types_are_one_line():
    """In a process of its own, where no annotation is checked."""
    code = """
import torch
from optigram import InputError, load
for settings in ({"words": 3}, {"words": [1, 2, 3]}, {"dtype": 16}, {"dtype": "stack"}, {"device": 1.5}):
    try:
        load(torch.nn.Embedding(3, 4), **settings)
    except InputError as error:
        print(error)
"""
    out = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()
    starts = "expected words as a list", "expected words as a list", "unknown dtype 16", "unknown dtype 'stack'", "cannot use device 1.5"
    assert [line.startswith(start) for line, start in zip(out, starts, strict=True)] == [True] * 5


def test_settings_that_a_bundled_model_has_not():
    for settings in ({"words": ["a"]}, {"embedding": "x"}, {"revision": "main"}, {"dtype": "bfloat16"}):
        with pytest.raises(InputError, match="Imaginet"):
            load("imaginet", **settings)
    assert load("imaginet", dtype="float32").embedding.dtype == torch.float32


@pytest.fixture
def folder(tmp_path):
    pretrained("gpt2").save_pretrained(tmp_path / "model")
    tokenizer("bpe").save_pretrained(tmp_path / "tokenizer")
    return tmp_path


def test_a_tokenizer_may_be_a_folder(folder):
    expected = network("gpt2").vocabulary.tokens
    for model in (pretrained("gpt2"), str(folder / "model")):
        assert load(model, folder / "tokenizer").vocabulary.tokens == expected
        assert load(model, tokenizer("bpe")).vocabulary.tokens == expected


def test_a_loaded_model_finds_the_tokenizer_of_its_local_folder_only(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "model")
    with pytest.raises(InputError, match="expected a tokenizer"):
        load(model)
    tokenizer("bpe").save_pretrained(folder / "model")
    assert load(model).vocabulary.tokens == network("gpt2").vocabulary.tokens
    model.config.name_or_path = "gpt2"
    with pytest.raises(InputError, match="expected a tokenizer"):  # nothing is fetched unasked
        load(model)


def test_words_may_stand_in_for_a_tokenizer(folder):
    words = [f"w{i}" for i in range(384)]
    for model in (pretrained("gpt2"), str(folder / "model")):
        assert load(model, words=words).sites["logits"].names == tuple(words)


def test_what_is_opened_by_name_is_frozen_and_on_the_best_device(folder):
    model = load(folder / "model", tokenizer("bpe"))
    assert not any(weight.requires_grad for weight in model.module.parameters())
    assert not any(part.training for part in model.module.modules())
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert model.embedding.device.type == load("imaginet").embedding.device.type == best


MODULE = """
import toy
from tiny_models import network, pretrained

instance = toy.Toy(name="mine")
number = 3

def make():
    return toy.Toy(name="made")

class Own(toy.Toy):
    def __init__(self):
        super().__init__(name="own")

def transformer():
    return pretrained("gpt2")

class Space:
    inner = instance

def nothing(): ...

def fails():
    raise ZeroDivisionError
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("own_models", None)


@pytest.mark.parametrize(("member", "name"), [("instance", "mine"), ("make", "made"), ("Own", "own"), ("Space.inner", "mine")])
def test_an_import_path_is_a_model(own_module, member, name):
    path = list(sys.path)
    assert load(f"own_models:{member}").name == name
    assert sys.path == path


def test_a_module_by_its_import_path_bears_that_name(own_module):
    assert load("own_models:transformer", tokenizer("bpe")).name == "own_models:transformer"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no_such_module:make", "cannot import 'no_such_module'.*expected package.module:factory"),
        ("own_models:mak", "expected a member of own_models, got 'mak'; did you mean make"),
        ("own_models:number", "got int"),
        ("own_models:nothing", "got None; return one"),
    ],
)
def test_a_wrong_import_path_is_one_line(own_module, source, message):
    with pytest.raises(InputError, match=message) as error:
        load(source)
    assert "\n" not in str(error.value)


def test_an_error_of_ones_own_code_comes_through(own_module):
    with pytest.raises(ZeroDivisionError):
        load("own_models:fails")


def test_import_paths_are_told_from_names_and_files(tmp_path, monkeypatch):
    assert imported("math:pi") == pytest.approx(3.14159, abs=1e-5)
    for name in ("gpt2", "nobody/model@main", "folder/model.gguf", "C:\\models", "a:b/c", "1:2"):
        assert imported(name) is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd:name").touch()
    assert imported("odd:name") is None


def test_the_command_line_takes_an_import_path(own_module, run):
    code, out, err = run("score", "own_models:make", "resid:3", "--text", " a dog")
    assert code == 0, err
    assert "resid:3" in out


def test_every_claim_holds_for_a_model_that_is_no_module():
    found = checks(Proxy(network("llama")))
    assert [check.claim for check in found if not check.holds and "survive" not in check.claim] == []
    assert len(found) == 6


def test_a_search_in_a_model_that_is_no_module_is_that_of_the_network():
    results = []
    for model in (Proxy(network("gpt2")), network("gpt2")):
        objective = Objective(model, resolve(["mlp_act.1:3"], model), 3)
        results.append(search(objective, presets.modern("gbl", 100)).found[0])
    assert torch.equal(results[0].ids, results[1].ids)
    assert torch.equal(results[0].activation, results[1].activation)


def test_sites_print_what_there_is():
    assert repr(network("gpt2").sites) == (
        f"<27 sites (resid_pre.0, z.0, attn_out.0, attn_out_post.0, ...) and logits and {len(network('gpt2').sites.widths)} module paths>"
    )
    assert "tensor" not in repr(network("gpt2").sites["logits"]) + repr(load("imaginet").sites)


def test_loading_a_module_imports_no_transformers():
    code = """
import sys, torch
from optigram import load
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.words = torch.nn.Embedding(3, 4)
    def forward(self, ids):
        return self.words(ids)
load(Net(), words=["a", "b", "c"])
sys.exit("transformers" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
