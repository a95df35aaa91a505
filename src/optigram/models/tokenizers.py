"""Vocabularies of transformers' tokenizers and of plain word lists: the text of each id, and the ids that have none.

A token is written as it stands in a text: `" umbrella"` with its blank, and not in the tokenizer's own spelling. So is CLIP's
`dog</w>`, which ends a word: `"dog "`. Continuations of WordPiece keep their mark (`##ing`), and bytes that are part of a character
are `<0xE2>`.
"""

import functools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from optigram.errors import InputError
from optigram.text.vocabulary import Vocabulary

UNUSED = re.compile(r"\[?<?\|?(unused|extra_id_|reserved_?\w*?|madeupword|pad)_?\d+\|?>?\]?")
BYTE = re.compile(r"<0x[0-9A-F]{2}>")
MARK = "\u2581"  # how SentencePiece spells a blank
UNKNOWNS = ("<unk>", "[UNK]")
PROBES = "a", "A", "1", "."  # texts, one of which every tokenizer knows
NEEDED = "convert_ids_to_tokens", "encode", "decode", "all_special_ids", "added_tokens_decoder"


def vocabulary_of(rows: int, tokenizer: Any = None, words: Sequence[str] | None = None) -> Vocabulary:
    """The vocabulary of a network with `rows` embeddings: by a tokenizer of transformers, or by `words` in id order.

    `special` are the ids that stand for no text: special and unused tokens, parts of characters, rows beyond the tokenizer.
    With words, texts are split at blanks, `<...>` and `[...]` are special, and a word that is not listed is read as `<unk>` or
    `[UNK]`, or is an InputError where there is neither. Raises InputError unless exactly one of the two is given, and fits.
    """
    if (tokenizer is None) == (words is None):
        got = "neither" if words is None else "both"
        raise InputError(f"expected either a tokenizer or a word list, got {got}; give load(model, tokenizer) or load(model, words=[...])")
    if words is None:
        return _of_tokenizer(tokenizer, rows)
    if isinstance(words, str) or not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
        raise InputError(f"expected words as a list of strings in id order, got {type(words).__name__}; give words=['<pad>', 'a', ...]")
    if len(words) != rows:
        raise InputError(f"expected a word for each of the {rows} rows of the embedding, got {len(words)}; list them in id order")
    return _of_words(words)


def _of_tokenizer(tokenizer: Any, rows: int) -> Vocabulary:
    if not all(hasattr(tokenizer, name) for name in NEEDED):
        raise InputError(
            f"expected a tokenizer of transformers, or the name or folder of one, got {type(tokenizer).__name__}; "
            "give AutoTokenizer.from_pretrained(...), or words=[...] for a list of words"
        )
    _check_rows(tokenizer, rows)
    spelled = tokenizer.convert_ids_to_tokens(list(range(min(rows, len(tokenizer)))))
    read = _reader(tokenizer)
    tokens = [f"<no token {i}>" if token is None else read(token) for i, token in enumerate(spelled)]
    tokens += [f"<no token {i}>" for i in range(len(tokens), rows)]
    special = {i for i in tokenizer.all_special_ids if i is not None}
    special |= {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    special |= {i for i, token in enumerate(tokens) if i >= len(spelled) or spelled[i] is None or _has_no_text(token)}
    prefix, suffix = _surroundings(tokenizer)
    return Vocabulary(
        tokens=tuple(tokens),
        special=frozenset(i for i in special if i < rows),
        encode=functools.partial(tokenizer.encode, add_special_tokens=False),
        decode=functools.partial(_decode, tokenizer),
        prefix=prefix,
        suffix=suffix,
        chat=functools.partial(_chat, tokenizer) if tokenizer.chat_template else None,
        spans=functools.partial(_spans, tokenizer) if tokenizer.is_fast else None,
    )


def _check_rows(tokenizer: Any, rows: int) -> None:
    """Every ordinary token needs a row. Special ones may lack one, as that for images does in Gemma 3 1B."""
    added = tokenizer.added_tokens_decoder
    beyond = [i for i in range(rows, len(tokenizer)) if i not in tokenizer.all_special_ids and not (i in added and added[i].special)]
    if beyond:
        raise InputError(
            f"expected a tokenizer of at most {rows} tokens, the rows of the embedding, got {len(tokenizer)}: "
            f"{tokenizer.convert_ids_to_tokens(beyond[0])!r} has no row; give the tokenizer of this model"
        )


def _of_words(words: Sequence[str]) -> Vocabulary:
    ids = {word: i for i, word in enumerate(words)}
    unknown = next((ids[word] for word in UNKNOWNS if word in ids), None)
    special = frozenset(i for i, word in enumerate(words) if re.fullmatch(r"<.+>|\[.+\]", word))
    encode, decode = functools.partial(_encode_words, ids, unknown), functools.partial(Vocabulary.joined, tuple(words))
    return Vocabulary(tuple(words), special, encode, decode, spans=_blank_spans)


def _encode_words(ids: dict[str, int], unknown: int | None, text: str) -> list[int]:
    found = [ids.get(word, unknown) for word in text.split()]
    if None in found:
        raise InputError(f"expected words of the model's list, got {text.split()[found.index(None)]!r}; leave it out")
    return [i for i in found if i is not None]


def _blank_spans(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in re.finditer(r"\S+", text)]


def _decode(tokenizer: Any, ids: Iterable[int]) -> str:
    text = tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    suffix = _word_end(tokenizer)
    return text.replace(suffix, " ").strip() if suffix else text


def _word_end(tokenizer: Any) -> str:
    """How the tokenizer spells the end of a word: `</w>` in CLIP's; empty in most."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return getattr(getattr(backend, "model", None), "end_of_word_suffix", None) or ""


def _spans(tokenizer: Any, text: str) -> list[tuple[int, int]]:
    return tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]


def _reader(tokenizer: Any) -> Callable[[str], str]:
    """A function from the tokenizer's own spelling of a token to the text that it stands for."""
    backend, suffix = getattr(tokenizer, "backend_tokenizer", None), _word_end(tokenizer)
    if backend is None:
        return lambda token: token.replace(MARK, " ")
    read = _backend_reader(backend)
    return (lambda token: read(token.removesuffix(suffix)) + " " * token.endswith(suffix)) if suffix else read


def _backend_reader(backend: Any) -> Callable[[str], str]:
    decoder = json.dumps(json.loads(backend.to_str())["decoder"])
    if '"ByteLevel"' in decoder:
        letters = _byte_letters()
        return lambda token: _text_of(bytes(letters[letter] for letter in token)) if letters.keys() >= set(token) else token
    return (lambda token: token) if '"WordPiece"' in decoder else (lambda token: token.replace(MARK, " "))


def _byte_letters() -> dict[str, int]:
    """The letter by which a byte-level tokenizer spells each byte: itself if it prints, else the next letter from 256 on."""
    printing = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (byte for byte in range(256) if byte not in printing)
    return {chr(byte): byte for byte in printing} | {chr(256 + number): byte for number, byte in enumerate(others)}


def _text_of(data: bytes) -> str:
    """The text of some bytes, or their values where they are not whole characters."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in data)


def _has_no_text(token: str) -> bool:
    return not token or bool(UNUSED.fullmatch(token) or BYTE.match(token))


def _surroundings(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids that the tokenizer puts before and after every text."""
    for text in PROBES:
        plain, full = tokenizer.encode(text, add_special_tokens=False), tokenizer.encode(text, add_special_tokens=True)
        starts = [i for i in range(len(full)) if plain and full[i : i + len(plain)] == plain]
        if starts:
            return tuple(full[: starts[0]]), tuple(full[starts[0] + len(plain) :])
    return (), ()


def _chat(tokenizer: Any, message: str) -> str:
    turns = [{"role": "user", "content": message}]
    try:
        return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # whatever the model's own template raises
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"the chat template of this tokenizer fails ({type(error).__name__}: {reason}); leave --chat out") from error
