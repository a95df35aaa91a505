"""Models of transformers, versions 4.56 to 5: opened from a Hub id, a folder or a GGUF file, or already loaded.

Causal and masked models and encoders are read whole, of encoder-decoders the encoder. transformers is imported here only, when
it is needed.
"""

import contextlib
import functools
import importlib
import importlib.util
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError

from optigram.errors import InputError
from optigram.models.adapters import Adapter
from optigram.models.bodies import Body
from optigram.models.checkpoint import open_checkpoint
from optigram.models.gguf import read_gguf
from optigram.models.network import Network
from optigram.models.tokenizers import vocabulary_of

GGUF = ".gguf"
MODELS = "imaginet, a folder, a GGUF file, module:factory or the id of a model on the Hugging Face Hub"
TOKENIZER_FILES = "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt"
# what the report says, which `checkpoint` reads; and advice to callers who give embeddings to a classifier, where optigram pools itself
READ = re.compile(
    r"LOAD REPORT|checkpoint seem corrupted|newly initialized|were not used when initializing|did not match the original|in `inputs_embeds`"
)


@dataclass(frozen=True)
class _Opening:
    """The arguments of `from_pretrained`: `where` is a Hub id or a folder."""

    where: str
    revision: str | None = None
    trust_remote_code: bool = False

    @classmethod
    def of(cls, source: str, revision: str | None, trust_remote_code: bool) -> "_Opening":
        """Read `gpt2`, `gpt2@REVISION` or `folder`."""
        if not Path(source).exists() and "@" in source:
            source, _, revision = source.partition("@")
        return cls(source, revision, trust_remote_code)

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword arguments for `from_pretrained`."""
        return {"revision": self.revision or "main", "trust_remote_code": self.trust_remote_code}


def open_model(
    source: str,
    tokenizer: Any,
    device: torch.device,
    dtype: torch.dtype | None,
    revision: str | None,
    words: Sequence[str] | None,
    trust_remote_code: bool,
) -> Network:
    """A model from a Hub id, a folder or a GGUF file, frozen; its own tokenizer unless one is given, or `words`.

    `dtype` None: as it was saved; of a GGUF file, float32. Raises InputError for what cannot be opened.
    """
    library, path = _transformers(), Path(source)
    packed = path.suffix == GGUF
    if packed:
        if not path.is_file():
            raise InputError(f"there is no file {source}; give the path of a GGUF file")
        for package in "gguf", "accelerate":
            _need(package, "gguf")
    with _quiet(library, packed), _in_one_line(source, MODELS):
        if packed:
            model, own_tokenizer = read_gguf(library, path, dtype)
            tokenizer = own_tokenizer() if tokenizer is None and words is None else tokenizer
            remark = ""
        else:
            opening = _Opening.of(source, revision, trust_remote_code)
            adapter = Adapter.found(opening.where)
            where = opening.where if adapter is None else adapter.base
            config = library.AutoConfig.from_pretrained(where, **opening.settings)
            if tokenizer is None and words is None:
                own = adapter is None or any((Path(opening.where) / file).is_file() for file in TOKENIZER_FILES)
                tokenizer = library.AutoTokenizer.from_pretrained(opening.where if own else where, **opening.settings)
            model, remark = open_checkpoint(library, where, config, dtype or "auto", opening.settings)
            model = model if adapter is None else adapter.merged_into(model)
    return wrap_model(model.to(device).eval().requires_grad_(False), tokenizer, source, words, remark)


def open_tokenizer(source: str) -> Any:
    """A tokenizer by its Hub id, or from a folder. Raises InputError for what cannot be opened."""
    library = _transformers()
    with _quiet(library), _in_one_line(source, "a folder with a tokenizer, or the id of one on the Hugging Face Hub"):
        return library.AutoTokenizer.from_pretrained(source)


def wrap_model(model: Any, tokenizer: Any = None, name: str | None = None, words: Sequence[str] | None = None, remark: str = "") -> Network:
    """A loaded model of transformers, which is left as it was found. `words` in id order may stand in for its tokenizer.

    Without either, the tokenizer is opened from the local folder that the model came from. Raises InputError if there is none.
    """
    if tokenizer is None and words is None:
        tokenizer = _own_tokenizer(model)
    body = Body.of(model)
    weight: Any = body.embedding.weight
    vocabulary = vocabulary_of(len(weight), tokenizer, words)
    cache = None if model.config.is_encoder_decoder else _transformers().DynamicCache
    network = Network(name or model.config.name_or_path or type(model).__name__, model, vocabulary, body, cache)
    network.remark = "; ".join(text for text in (remark, body.remark or _unused_head(model, network)) if text)
    return network


def _unused_head(model: Any, network: Network) -> str:
    """What to say of a head that gives no site."""
    if model.base_model is model or network.sites.logits is not None or network.sites.scores:
        return ""
    return f"the head of {type(model).__name__} cannot be read as scores; its modules can, by their paths"


def _own_tokenizer(model: Any) -> Any:
    """The tokenizer beside a loaded model's weights. Only in a local folder: nothing is fetched without being asked for."""
    origin = model.config.name_or_path
    if origin and any((Path(origin) / file).is_file() for file in TOKENIZER_FILES):
        return open_tokenizer(origin)
    raise InputError(f"expected a tokenizer with a loaded {type(model).__name__}, got none; give load(model, tokenizer) or words=[...]")


def _transformers() -> ModuleType:
    """The library, imported now; an InputError if it is not installed."""
    _need("transformers", "transformers")
    return importlib.import_module("transformers")


def _need(package: str, extra: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise InputError(f"expected the package {package} for this model, got none installed; pip install 'optigram[{extra}]'")


@contextlib.contextmanager
def _in_one_line(source: str, expected: str) -> Iterator[None]:
    """Say in one line what the library could not do, what was `expected`, and the remedy."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"cannot load {source!r} ({type(error).__name__}: {reason}); expected {expected}: check the spelling and the network, "
            "log in with `hf auth login` if it is gated, or give a local folder"
        ) from error


@contextlib.contextmanager
def _quiet(library: ModuleType, gguf: bool = False) -> Iterator[None]:
    """Keep the library's progress bars off the terminal, with `gguf` that of its reader of GGUF files too.

    Its warnings are read, and shown afterwards unless they were acted on.
    """
    bars = library.utils.logging.is_progress_bar_enabled()
    logger = logging.getLogger(library.__name__)
    heard = _Heard(logging.WARNING)
    handlers = logger.handlers
    logger.handlers = [heard]
    library.utils.logging.disable_progress_bar()
    try:
        with _without_bar(library.__name__) if gguf else contextlib.nullcontext():
            yield
    finally:
        logger.handlers = handlers
        if bars:
            library.utils.logging.enable_progress_bar()
    for record in heard.records:
        logger.handle(record)


class _Heard(logging.Handler):
    """Keeps what is not about the loading report, each message once."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        text = record.getMessage()
        if not READ.search(text) and text not in {kept.getMessage() for kept in self.records}:
            self.records.append(record)


@contextlib.contextmanager
def _without_bar(library: str) -> Iterator[None]:
    """The reader of GGUF files draws a bar of its own, which no setting of the library reaches."""
    reader: Any = importlib.import_module(f"{library}.modeling_gguf_pytorch_utils")
    drawn = reader.tqdm
    reader.tqdm = functools.partial(drawn, disable=True)
    try:
        yield
    finally:
        reader.tqdm = drawn
