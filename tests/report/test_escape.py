import pytest

from optigram.report.escape import Word


@pytest.mark.parametrize(
    ("word", "seen"),
    [
        ("dog", "dog"),
        (" dog", " dog"),
        ("\n", "↵"),
        ("a\tb", "a⇥b"),
        ("\u200b", "⟨U+200B⟩"),
        ("\u202eabc", "⟨U+202E⟩abc"),
        ("", "∅"),
        ("سلام", "سلام"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("\u200d", "⟨U+200D⟩"),
        ("<b>", "<b>"),
    ],
)
def test_what_prints_nothing_is_named(word, seen):
    assert Word.visible(word) == seen


def test_pieces_of_one_character_are_shown_as_it():
    words = ["a", "\ufffd", "\ufffd", " b", "\ufffd"]
    assert Word.joined(words, [1.0, 3.0, 2.0, 4.0, None], "aé bü") == [
        ("a", 1.0, True),
        ("é", 2.0, True),
        (" b", 4.0, True),
        ("ü", None, True),
    ]


def test_pieces_of_nothing_stay_a_sign():
    assert Word.joined(["\ufffd", "a"], [1.0, 2.0], "a") == [("\ufffd", 1.0, True), ("a", 2.0, True)]
