"""A GGUF file is parsed once and converted once; what the cache gives later is what transformers alone reads from the file."""

import gguf
import pytest
import torch
import transformers
from tiny_gguf import write_gguf

from optigram.errors import InputError
from optigram.files import FolderCache
from optigram.models import gguf as converting
from optigram.models.loading import load

TEXT = "the 3rd, and more"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OPTIGRAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path):
    return write_gguf(tmp_path / "tiny.gguf")


@pytest.fixture
def parsed(monkeypatch):
    """The files that are parsed from now on."""
    made, begin = [], gguf.GGUFReader.__init__

    def noted(self, path, *rest):
        made.append(path)
        begin(self, path, *rest)

    monkeypatch.setattr(gguf.GGUFReader, "__init__", noted)
    return made


def test_a_file_is_parsed_once_and_read_as_transformers_reads_it(cache, file, parsed):
    where = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    alone = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).state_dict()
    own = transformers.AutoTokenizer.from_pretrained(**where)
    parsed.clear()
    first, second, half = load(str(file)), load(str(file)), load(str(file), dtype="bfloat16")
    assert len(parsed) == 1
    assert {made.suffix for made in cache.rglob("*") if made.is_file()} <= {".json", ".safetensors", ".jinja"}
    for model in first, second:
        found = model.module.state_dict()
        assert {name: torch.equal(found[name], part) for name, part in alone.items()} == dict.fromkeys(alone, True)
        assert [*model.vocabulary.prefix, *model.vocabulary.encode(TEXT)] == own(TEXT).input_ids
    assert (second.name, second.fingerprint) == (str(file), first.fingerprint)
    assert torch.equal(half.embedding, alone["model.embed_tokens.weight"].bfloat16().float())


def test_another_file_of_the_same_name_is_another_model(cache, file):
    before = load(str(file)).fingerprint
    assert load(str(write_gguf(file, seed=1))).fingerprint != before


@pytest.mark.parametrize("hindrance", ["too large", "cannot be written"])
def test_a_model_that_is_not_kept_is_converted_all_the_same(cache, file, hindrance, monkeypatch):
    kept = load(str(file), dtype="bfloat16")
    if hindrance == "too large":
        monkeypatch.setattr(converting, "CACHE", FolderCache("others", 1000))
    else:
        monkeypatch.setenv("OPTIGRAM_CACHE", str(file / "below"))
    again = load(str(file), dtype="bfloat16")
    assert (again.dtype, again.fingerprint) == (torch.bfloat16, kept.fingerprint)
    assert again.vocabulary.encode(TEXT) == kept.vocabulary.encode(TEXT)
    assert not (cache / "others").exists()


def test_a_broken_file_is_one_line_and_leaves_nothing(cache, file):
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(InputError, match="cannot load") as error:
        load(str(file))
    assert "\n" not in str(error.value)
    assert not cache.exists()
