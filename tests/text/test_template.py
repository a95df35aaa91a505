"""What a template's slots are filled with is read as if the whole text had been typed, by every family of tokenizers."""

import pytest
from tokenizer_families import END, FAMILIES, tokenizer_of

from optigram.errors import InputError
from optigram.models.tokenizers import vocabulary_of
from optigram.text.template import Template

FREE = "dog play"
AROUND = (
    "{}",
    "a {}.",
    "{} play",
    "{}, and the cats play",
    "a woman sits under {}!",
    "the {1} and {1}, too",
    "(a {}) play",
    "Is {} a good dog? answer:",
    "a  {}.",
    "{} play.",
)


def vocabulary(family):
    tokenizer = tokenizer_of(family)
    return vocabulary_of(len(tokenizer), tokenizer)


def typed(around, words):
    """The text with its slots filled by hand: all words in the one slot, or a word in each."""
    for slot, word in (("{}", " ".join(words)), ("{1}", words[0]), ("{1}", words[1])):
        around = around.replace(slot, word, 1)
    return around


def free_of(template, whole):
    """The ids of a whole input that stand in the slots of a template."""
    count = next(n for n in range(1, len(whole) + 1) if len(template.fill([-1] * n)) == len(whole))
    return [id_ for id_, mark in zip(whole, template.fill([-1] * count), strict=True) if mark < 0]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("around", AROUND)
def test_a_filled_template_is_the_typed_text(family, around):
    known = vocabulary(family)
    words = FREE.split()
    whole = [*known.prefix, *known.encode(typed(around, words)), *known.suffix]
    template = Template.parse(around, known)
    found = free_of(template, whole)
    assert template.fill(found) == whole
    assert known.decode(found).split() == words
    assert known.survives(whole)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_chat_is_the_typed_text_too(family):
    known, tokenizer = vocabulary(family), tokenizer_of(family)
    template = Template.parse("a {}.", known, chat=True)
    turns = [{"role": "user", "content": f"a {FREE}."}]
    whole = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    ids = known.encode(whole)
    ids = ids if tuple(ids[: len(known.prefix)]) == known.prefix else [*known.prefix, *ids]
    ids = [*ids, *known.suffix]
    free = free_of(template, ids)
    assert template.fill(free) == ids
    assert known.decode(free).split() == FREE.split()
    assert tokenizer.convert_tokens_to_ids(END) in template.suffix


def test_a_slot_is_what_the_user_wrote_and_not_what_a_chat_template_holds():
    """The braces of the chat template are text."""
    known = vocabulary("gpt2")
    assert known.decode(Template.parse("{}", known, chat=True).suffix).endswith("answer: {as json}")


@pytest.mark.parametrize("family", ["gpt2", "gemma", "bert", "llama2 legacy"])
def test_text_that_joins_the_word_before_it_gets_no_blank(family):
    known = vocabulary(family)
    (suffix,) = {known.decode(Template.parse(around, known).suffix) for around in ("{}ing", "{}ing")}
    assert suffix.strip("#").removesuffix("</s>").strip(" #") == "ing"
    template = Template.parse("{}ing", known)
    filled = known.decode([*known.encode("play"), *template.suffix[: len(template.suffix) - len(known.suffix)]])
    assert filled == known.decode(known.encode("playing"))


def test_where_no_tokens_can_join_a_word_it_is_said():
    """CLIP's tokens end words: an "s" behind a word of its own would be read as another word."""
    with pytest.raises(InputError, match=r"'s' joins the word before it.*a blank") as error:
        Template.parse("{}s", vocabulary("clip"))
    assert "\n" not in str(error.value)


def test_half_a_character_is_refused():
    with pytest.raises(InputError, match="half a character"):
        Template.parse("a \ud800 {}", vocabulary("gpt2"))


def test_blanks_that_were_typed_stay():
    known = vocabulary("gpt2")
    assert known.decode(Template.parse("a   {}", known).prefix) == "a  "
    assert known.decode(Template.parse("{}  play", known).suffix) == "  play"
