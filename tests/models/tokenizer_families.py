"""A small tokenizer of every family, built on the spot: each as the models that it is named for have it."""

import functools
from collections.abc import Callable
from typing import Any

import tokenizers
import transformers
from tokenizers import Regex, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers import models as kinds

MARK = "\u2581"
TEXTS = [
    "a woman sits under an umbrella.",
    "the dogs play , and the cats play too !",
    "two dogs play in the snow (a man rides a wave).",
    "Is the dog a good dog? user: hello. answer: playing {as json}",
] * 5
END = "<|end|>"
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", END]
CHAT = "{% for m in messages %}<s>user: {{ m['content'] }}" + END + " {% endfor %}answer: {as json}"


def _train(made: tokenizers.Tokenizer, trainer: Any, single: str | None = "<s> $A") -> tokenizers.Tokenizer:
    made.train_from_iterator(TEXTS, trainer)
    if single:
        made.post_processor = processors.TemplateProcessing(single=single, special_tokens=[("<s>", 1), ("</s>", 2)])
    return made


def _bpe(**settings: Any) -> trainers.BpeTrainer:
    return trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, show_progress=False, **settings)


def _byte_level(add_prefix_space: bool = False) -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(kinds.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    made.decoder = decoders.ByteLevel()
    return _train(made, _bpe(initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())), None)


def _sentencepiece_bpe(legacy: bool, prepend: str = "first") -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(kinds.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)  # to train on words
    alphabet = [f"<0x{byte:02X}>" for byte in range(256)]
    made.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIAL + alphabet, show_progress=False))
    if legacy:
        made.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
        made.pre_tokenizer = None
    elif prepend == "replace":
        made.normalizer, made.pre_tokenizer = normalizers.Replace(" ", MARK), None
    else:
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend, split=False)
    strip = [] if prepend == "replace" else [decoders.Strip(" ", 1, 0)]
    made.decoder = decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return made


def _unigram(normalizer: Any, pre_tokenizer: Any, single: str) -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(kinds.Unigram())
    made.normalizer, made.pre_tokenizer, made.decoder = normalizer, pre_tokenizer, decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    return _train(made, trainer, single)


def _metaspace() -> Any:
    return pre_tokenizers.Metaspace(prepend_scheme="always")


def _wordpiece() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(kinds.WordPiece(unk_token="<unk>"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    return _train(made, trainers.WordPieceTrainer(vocab_size=250, special_tokens=SPECIAL, show_progress=False), "<s> $A </s>")


def _clip() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(kinds.BPE(unk_token="</s>", end_of_word_suffix="</w>"))
    made.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    split = pre_tokenizers.Split(words, behavior="removed", invert=True)
    made.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    made.decoder = decoders.ByteLevel()
    trainer = _bpe(end_of_word_suffix="</w>", initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    return _train(made, trainer, "<s> $A </s>")


FAMILIES: dict[str, Callable[[], tokenizers.Tokenizer]] = {
    "gpt2": _byte_level,
    "roberta": lambda: _byte_level(add_prefix_space=True),
    "llama2 legacy": lambda: _sentencepiece_bpe(legacy=True),
    "llama2": lambda: _sentencepiece_bpe(legacy=False),
    "mistral": lambda: _sentencepiece_bpe(legacy=False, prepend="always"),
    "gemma": lambda: _sentencepiece_bpe(legacy=False, prepend="replace"),
    "t5": lambda: _unigram(normalizers.NFKC(), _metaspace(), "$A </s>"),
    "xlm-r": lambda: _unigram(normalizers.NFKC(), pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), _metaspace()]), "<s> $A </s>"),
    "albert": lambda: _unigram(normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase()]), _metaspace(), "<s> $A </s>"),
    "bert": _wordpiece,
    "clip": _clip,
}


@functools.cache
def tokenizer_of(family: str) -> Any:
    """The tokenizer of a family, behind transformers, with a chat template."""
    named = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=FAMILIES[family](), **named)
    made.chat_template = CHAT
    return made
