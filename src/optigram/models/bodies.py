"""What of a model of transformers is run on a text: all of it, its encoder, its text tower, or its base and a layer of scores."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from optigram.errors import InputError
from optigram.models.heads import Head, ScoreHead

PADDED = "siglip_text_model", "siglip2_text_model"  # read texts padded to their full length, and pool at its end
OTHERS = {"pixel_values": "images", "pixel_values_videos": "videos", "input_features": "sound", "input_values": "sound"}


@dataclass(frozen=True)
class Body:
    """`module` is called with ids; `embedding` is in it. `heads` are tried; a `remark` says what of the model is not read.

    `padding` is the length to which every text is padded, and the id that fills it; None: texts are not padded.
    """

    module: nn.Module
    embedding: nn.Module
    heads: tuple[Head | ScoreHead, ...] = ()
    remark: str = ""
    padding: tuple[int, int] | None = None

    @classmethod
    def of(cls, model: Any) -> "Body":
        """What of a loaded model of transformers is run on a text. Raises InputError for a model that reads no text."""
        kind = type(model).__name__
        if model.config.is_encoder_decoder and model.get_decoder() is not None:
            encoder = (model if hasattr(model, "get_encoder") else model.base_model).get_encoder()
            _check_reads_text(encoder, kind)
            return cls(encoder, _embedding_of(encoder, kind), remark=f"of {kind} the encoder is read; its decoder and head are not")
        if hasattr(model, "text_model") and hasattr(model, "vision_model") and hasattr(model, "get_text_features"):
            tower = _TextTower(model)
            text = getattr(model.text_model, "text_model", model.text_model)
            embedding = text.get_input_embeddings() if hasattr(text, "get_input_embeddings") else text.embeddings.token_embedding
            return cls(tower, embedding, (ScoreHead("TextTower"),), padding=_padding(model.config.text_config))
        _check_reads_text(model, kind)
        embedding, labels = _embedding_of(model, kind), _labels(model.config)
        if kind.endswith("ForMultipleChoice"):
            return cls(model.base_model, embedding, remark=f"the head of {kind} compares several texts, and is not read")
        if kind.endswith("ForSequenceClassification") and isinstance(getattr(model, "score", None), nn.Linear):
            return cls(_Scored(model.base_model, model.score), embedding, (ScoreHead(kind, labels),))
        return cls(model, embedding, (*_vocabulary_head(model), ScoreHead(kind, labels)), padding=_padding(model.config))


class _TextTower(nn.Module):
    """The text tower of a model of texts and images: called with ids, it gives the embedding of the text in their common space."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> dict[str, Tensor]:
        """The text embedding [b h] of texts [b s]."""
        found = self.model.get_text_features(input_ids=input_ids, attention_mask=attention_mask)
        return {"text_embeds": found if isinstance(found, Tensor) else found.pooler_output}


class _Scored(nn.Module):
    """A causal base and its layer of scores, which a classifier reads at the last position: here it is read at every position."""

    def __init__(self, base: nn.Module, score: nn.Module) -> None:
        super().__init__()
        self.base, self.score = base, score

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool = False,
    ) -> dict[str, Tensor]:
        """Scores [b s c]."""
        given = {
            "input_ids": input_ids,
            "inputs_embeds": inputs_embeds,
            "attention_mask": attention_mask,
            "past_key_values": past_key_values,
        }
        states = self.base(**{name: value for name, value in given.items() if value is not None}, use_cache=use_cache)[0]
        return {"logits": self.score(states)}


def _vocabulary_head(model: Any) -> tuple[Head, ...]:
    config = model.config.get_text_config()
    softcap = getattr(config, "final_logit_softcapping", None) or getattr(config, "logits_soft_cap", None)
    layer = model.get_output_embeddings()
    return () if layer is None else (Head(layer, softcap),)


def _embedding_of(body: Any, kind: str) -> nn.Module:
    try:
        found = body.get_input_embeddings()
    except (NotImplementedError, AttributeError) as error:
        raise InputError(f"expected a model that reads tokens, got {kind} without input embeddings; give its text model") from error
    if not isinstance(found, nn.Module):
        raise InputError(f"expected a model that reads tokens, got {kind} without input embeddings; give its text model")
    return found


def _check_reads_text(body: Any, kind: str) -> None:
    """Not of a Whisper, say: its encoder reads sound."""
    if (given := getattr(body, "main_input_name", "input_ids")) in OTHERS:
        raise InputError(f"expected a model that reads text, got {kind}, which reads {OTHERS[given]} ({given}); give its text model")


def _labels(config: Any) -> tuple[str, ...]:
    names = getattr(config, "id2label", None) or {}
    return tuple(str(names[i]) for i in range(len(names))) if set(names) == set(range(len(names))) else ()


def _padding(config: Any) -> tuple[int, int] | None:
    return (config.max_position_embeddings, config.pad_token_id) if config.model_type in PADDED else None
