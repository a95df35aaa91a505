import pytest
import tokenizers
import torch
import transformers
from tiny_models import ARCHITECTURES, ROWS, network, tokenizer
from tokenizer_families import tokenizer_of

from optigram.errors import InputError
from optigram.models.tokenizers import vocabulary_of
from optigram.text.lexicon import Rules, lexicon

KINDS = ["bpe", "wordpiece", "unigram"]


def vocabulary(kind):
    return vocabulary_of(ROWS, tokenizer(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_encoding_adds_nothing_and_decoding_cleans_nothing(kind):
    known = vocabulary(kind)
    text = "a woman sitting under an umbrella"
    assert known.decode(known.encode(text)) == text
    assert known.survives(known.encode(text))
    assert not set(known.encode(text)) & set(known.prefix + known.suffix)


def test_spaces_before_punctuation_stay():
    known = vocabulary("bpe")
    text = "a man , n't  the umbrella ."
    assert known.decode(known.encode(text)) == text


@pytest.mark.parametrize(("kind", "prefix", "suffix"), [("bpe", (), ()), ("wordpiece", (3,), (4,)), ("unigram", (1,), ())])
def test_what_the_tokenizer_adds_stands_beside_the_text(kind, prefix, suffix):
    known = vocabulary(kind)
    assert (known.prefix, known.suffix) == (prefix, suffix)
    whole = tokenizer(kind)("two dogs").input_ids
    assert whole == [*prefix, *known.encode("two dogs"), *suffix]


@pytest.mark.parametrize("kind", KINDS)
def test_special_are_all_ids_without_a_text(kind):
    known, tool = vocabulary(kind), tokenizer(kind)
    assert set(range(len(tool), ROWS)) <= known.special  # rows of padding
    assert set(tool.all_special_ids) <= known.special
    unused = {"bpe": "<unused5>", "wordpiece": "[unused5]", "unigram": "<extra_id_3>"}[kind]
    assert tool.convert_tokens_to_ids(unused) in known.special
    assert len(known) == ROWS


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_read_as_they_stand_in_a_text(kind):
    known = vocabulary(kind)
    ids = known.encode("the snow")
    if kind == "wordpiece":
        assert "".join(known.tokens[i].removeprefix("##") for i in ids) == "thesnow"
    else:
        assert "".join(known.tokens[i] for i in ids).strip() == "the snow"
        assert any(known.tokens[i].startswith(" ") for i in ids)


def test_bytes_that_are_part_of_a_character_are_shown_and_never_proposed():
    known = vocabulary("bpe")
    halves = [i for i, token in enumerate(known.tokens) if token.startswith("<0x")]
    assert len(halves) >= 128 - 2  # the bytes from 0x80 on, but for what training joined
    assert set(halves) <= known.special
    euro = known.encode("€")
    assert known.decode(euro) == "€"
    assert {known.tokens[i] for i in euro} <= {"<0xE2>", "<0x82>", "<0xAC>", "<0x82><0xAC>", "<0xE2><0x82>"}


def test_logits_are_named_as_users_type_them():
    names = network("gpt2").sites["logits"].names
    assert " umbrella" in names or " u" in names
    assert not any("Ġ" in name for name in names)
    assert len(names) == ROWS


def test_a_chat_template_renders_text():
    tool = tokenizer("bpe")
    known = vocabulary_of(ROWS, tool)
    assert known.chat is None
    tool.chat_template = "{% for m in messages %}<s>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}</s>{% endif %}"
    try:
        rendered = vocabulary_of(ROWS, tool).chat("two {}")
    finally:
        tool.chat_template = None
    assert rendered == "<s>two {}</s>"


def test_a_word_list_is_split_at_blanks():
    known = vocabulary_of(4, words=["<pad>", "a", "dog", "[UNK]"])
    assert known.encode("a dog barks") == [1, 2, 3]
    assert known.decode([1, 2]) == "a dog"
    assert known.special == {0, 3}
    with pytest.raises(InputError, match="'barks'"):
        vocabulary_of(2, words=["a", "dog"]).encode("a dog barks")


def test_rows_are_those_of_the_embedding_not_of_the_tokenizer():
    for name in ("gpt2", "bert", "t5"):
        model = network(name)
        assert len(model.vocabulary) == len(model.embedding) == ROWS > len(tokenizer(ARCHITECTURES[name].tokenizer))
        assert isinstance(model.embedding, torch.Tensor)


def test_tokens_that_end_a_word_are_written_with_a_blank_behind_them():
    """CLIP's `dog</w>` is the word, its `dog` the beginning of a longer one."""
    tool = tokenizer_of("clip")
    known = vocabulary_of(len(tool), tool)
    ids = known.encode("the dogs play")
    assert [known.tokens[i] for i in ids] == ["the ", "dogs ", "play "]
    assert known.decode(ids) == "the dogs play"
    assert not any("</w>" in token for token in known.tokens)
    whole = {known.tokens[i] for i in lexicon(known, Rules(words="whole"))}
    assert {"the ", "dogs "} < whole
    assert all(word.endswith(" ") for word in whole)
    assert not {"dogs ", "dogs"} & {known.tokens[i] for i in lexicon(known, Rules(without=("dogs",)))}


def test_a_tokenizer_that_knows_no_latin_letter_still_tells_what_it_adds():
    made = tokenizers.Tokenizer(tokenizers.models.BPE({"<s>": 0, "1": 1, "2": 2}, []))
    made.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A <s>", special_tokens=[("<s>", 0)])
    known = vocabulary_of(3, transformers.PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>"))
    assert (known.prefix, known.suffix) == ((0,), (0,))


def test_a_chat_template_that_fails_is_one_line():
    tool = tokenizer("bpe")
    tool.chat_template = "{{ raise_exception('roles must alternate') }}"
    try:
        with pytest.raises(InputError, match="roles must alternate"):
            vocabulary_of(ROWS, tool).chat("two {}")
    finally:
        tool.chat_template = None
