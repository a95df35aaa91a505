"""Models of transformers: opened from a Hub id, a folder or a GGUF file, or already loaded; versions 4.56 to 5 alike.

Causal and masked models and encoders are read whole, of encoder-decoders the encoder. transformers is imported here, when
it is needed, and nowhere else.
"""

import contextlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from optigram.errors import InputError
from optigram.models.heads import Head
from optigram.models.network import Network
from optigram.models.tokenizers import tokenizer_vocabulary

GGUF = ".gguf"


@dataclass(frozen=True)
class Opening:
    """What `from_pretrained` is asked for: `where` is a Hub id or a folder, `file` a GGUF file in it."""

    where: str
    revision: str | None = None
    file: str | None = None
    trust_remote_code: bool = False

    @classmethod
    def of(cls, source: str, revision: str | None, trust_remote_code: bool) -> "Opening":
        """Read `gpt2`, `gpt2@REVISION`, `folder` or `folder/model.gguf`."""
        path = Path(source)
        if path.suffix == GGUF:
            if not path.is_file():
                raise InputError(f"there is no file {source}; give the path of a GGUF file")
            return cls(str(path.parent), None, path.name)
        if not path.exists() and "@" in source:
            source, _, revision = source.partition("@")
        return cls(source, revision, None, trust_remote_code)

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword arguments for `from_pretrained`."""
        return {"revision": self.revision or "main", "trust_remote_code": self.trust_remote_code} | (
            {} if self.file is None else {"gguf_file": self.file}
        )


def open_model(source: str, device: torch.device, dtype: torch.dtype | None, revision: str | None, trust_remote_code: bool) -> Network:
    """A model and its tokenizer from a Hub id, a folder or a GGUF file. `dtype` None: as it was saved; of GGUF, float32."""
    library = transformers()
    opening = Opening.of(source, revision, trust_remote_code)
    for package in ("gguf", "accelerate") if opening.file is not None else ():
        _need(package, "gguf")
    with _quiet(library), _in_one_line(source):
        config = library.AutoConfig.from_pretrained(opening.where, **opening.settings)
        tokenizer = library.AutoTokenizer.from_pretrained(opening.where, **opening.settings)
        kind = getattr(library, "AutoModelForCausalLM" if opening.file else _kind_of(config))
        asked = torch.float32 if dtype is None and opening.file else dtype or "auto"
        model = kind.from_pretrained(opening.where, config=config, dtype=asked, **opening.settings)
    return wrap_model(model.to(device), tokenizer, source)


def wrap_model(model: Any, tokenizer: Any, name: str | None = None) -> Network:
    """A loaded model of transformers with its tokenizer; the model is frozen and set to evaluation."""
    if tokenizer is None:
        raise InputError("expected a tokenizer with a loaded model; give load(model, tokenizer=...)")
    model.eval()
    body = model.get_encoder() if _has_decoder(model) else model
    embedding = body.get_input_embeddings()
    vocabulary = tokenizer_vocabulary(tokenizer, len(embedding.weight))
    softcap = getattr(_text_config(model.config), "final_logit_softcapping", None)
    head = None if body is not model else Head(model.get_output_embeddings(), softcap)
    cache = transformers().DynamicCache if body is model else None
    return Network(name or model.config.name_or_path or type(model).__name__, model, vocabulary, body, embedding, head, cache)


def transformers() -> ModuleType:
    """The library, imported now; an InputError if it is not installed."""
    _need("transformers", "transformers")
    return importlib.import_module("transformers")


def is_pretrained(model: nn.Module) -> bool:
    """Whether a module is one of transformers' models; found out without importing the library."""
    return any(kind.__name__ == "PreTrainedModel" for kind in type(model).__mro__)


def _need(package: str, extra: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise InputError(f"the package {package} is needed for this model; pip install 'optigram[{extra}]'")


def _kind_of(config: Any) -> str:
    """The class that opens a model as it was saved, head and all."""
    saved = (config.architectures or [""])[0]
    if config.is_encoder_decoder:
        return "AutoModel"
    if saved.endswith(("ForCausalLM", "LMHeadModel")):
        return "AutoModelForCausalLM"
    return "AutoModelForMaskedLM" if saved.endswith(("ForMaskedLM", "ForPreTraining")) else "AutoModel"


def _has_decoder(model: Any) -> bool:
    return bool(model.config.is_encoder_decoder) and model.get_decoder() is not None


def _text_config(config: Any) -> Any:
    return config.get_text_config()


@contextlib.contextmanager
def _quiet(library: ModuleType) -> Iterator[None]:
    """Keep the library's bars and hints off the terminal; what goes wrong it raises."""
    logging = library.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _in_one_line(source: str) -> Iterator[None]:
    """Say what the library could not do in one line, with the remedy."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"cannot load {source!r} ({type(error).__name__}: {reason}); expected imaginet, a folder, a GGUF file or the id of a model on "
            "the Hugging Face Hub: look at the spelling and the network, log in with `hf auth login` if it is gated, or give a local folder"
        ) from error
