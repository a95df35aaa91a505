"""Random tiny models of many architectures, and small tokenizers of each kind, all made on the spot."""

import functools
from dataclasses import dataclass, field
from typing import Any

import tokenizers
import torch
import transformers
from tokenizers import decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers import models as kinds

from optigram.models.huggingface import wrap_model
from optigram.models.network import Network

TEXTS = ["a woman sitting under an umbrella", "two dogs play in the snow", "a man rides a wave", "the café is open — naïve 漢字"] * 3
ROWS = 384  # of the embeddings: a few more than any of the tokenizers knows
COMMON = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": ROWS}
GROUPED = COMMON | {"num_key_value_heads": 2}
GEMMA = GROUPED | {"head_dim": 8, "num_key_value_heads": 2}
MASKED = COMMON | {"max_position_embeddings": 40}


@dataclass(frozen=True)
class Architecture:
    """A configuration and model class of transformers, the point it must have beside the common ones, and its tokenizer."""

    config: str
    model: str
    settings: dict[str, Any]
    tokenizer: str = "bpe"
    points: tuple[str, ...] = ("mlp_act.1", "mlp_pre.1", "mlp_out.1", "z.1", "attn_out.1", "resid_pre.1", "resid_post.1")
    more: tuple[str, ...] = field(default=())


GATED = ("mlp_pre_linear.1",)
LOGITS = ("logits",)
NEOX = MASKED | {"use_parallel_residual": True}
OPT = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "ffn_dim": 48,
    "vocab_size": ROWS,
    "max_position_embeddings": 40,
}
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4, "vocab_size": ROWS}
SLIDING = {"sliding_window": 4, "attn_implementation": "eager"}

ARCHITECTURES = {
    "gpt2": Architecture(
        "GPT2Config", "GPT2LMHeadModel", {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_inner": 48, "vocab_size": ROWS}, more=LOGITS
    ),
    "pythia": Architecture("GPTNeoXConfig", "GPTNeoXForCausalLM", NEOX, more=LOGITS),
    "llama": Architecture("LlamaConfig", "LlamaForCausalLM", GROUPED, "unigram", more=GATED + LOGITS),
    "mistral": Architecture("MistralConfig", "MistralForCausalLM", GROUPED | {"sliding_window": 4}, more=GATED + LOGITS),
    "qwen2": Architecture("Qwen2Config", "Qwen2ForCausalLM", GROUPED, more=GATED + LOGITS),
    "qwen3": Architecture("Qwen3Config", "Qwen3ForCausalLM", GROUPED | {"head_dim": 8}, more=GATED + LOGITS),
    "gemma": Architecture("GemmaConfig", "GemmaForCausalLM", GEMMA, "unigram", more=GATED + LOGITS),
    "gemma2": Architecture(
        "Gemma2Config", "Gemma2ForCausalLM", GEMMA | SLIDING | {"final_logit_softcapping": 3.0}, "unigram", more=GATED + LOGITS
    ),
    "gemma3": Architecture("Gemma3TextConfig", "Gemma3ForCausalLM", GEMMA | {"sliding_window": 4}, "unigram", more=GATED + LOGITS),
    "opt": Architecture("OPTConfig", "OPTForCausalLM", OPT | {"word_embed_proj_dim": 32, "activation_function": "gelu"}, more=LOGITS),
    "opt-350m": Architecture(
        "OPTConfig",
        "OPTForCausalLM",
        OPT | {"word_embed_proj_dim": 16, "do_layer_norm_before": False, "activation_function": "gelu"},
        more=LOGITS,
    ),
    "phi": Architecture("PhiConfig", "PhiForCausalLM", MASKED, more=LOGITS),
    "phi3": Architecture("Phi3Config", "Phi3ForCausalLM", GROUPED | {"pad_token_id": 0}, more=GATED + LOGITS),
    "olmo2": Architecture("Olmo2Config", "Olmo2ForCausalLM", GROUPED, more=GATED + LOGITS),
    "cohere": Architecture("CohereConfig", "CohereForCausalLM", GROUPED | {"logit_scale": 0.25}, more=GATED + LOGITS),
    "granite": Architecture(
        "GraniteConfig", "GraniteForCausalLM", GROUPED | {"logits_scaling": 4.0, "embedding_multiplier": 3.0}, more=LOGITS
    ),
    "bert": Architecture("BertConfig", "BertForMaskedLM", MASKED, "wordpiece", more=LOGITS),
    "minilm": Architecture("BertConfig", "BertModel", MASKED, "wordpiece"),
    "roberta": Architecture("RobertaConfig", "RobertaForMaskedLM", MASKED, more=LOGITS),
    "distilbert": Architecture(
        "DistilBertConfig",
        "DistilBertForMaskedLM",
        {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48, "vocab_size": ROWS},
        "wordpiece",
        more=LOGITS,
    ),
    "modernbert": Architecture(
        "ModernBertConfig",
        "ModernBertForMaskedLM",
        MASKED | {"local_attention": 4, "global_attn_every_n_layers": 2, "pad_token_id": 0},
        more=GATED + LOGITS,
    ),
    "t5": Architecture("T5Config", "T5ForConditionalGeneration", T5, "unigram"),
    "flan-t5": Architecture("T5Config", "T5EncoderModel", T5 | {"feed_forward_proj": "gated-gelu"}, "unigram", more=GATED),
}


def config_of(name: str) -> Any:
    """The configuration of an architecture, with special ids that the tokenizers have."""
    row = ARCHITECTURES[name]
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    return getattr(transformers, row.config)(**{**ids, **row.settings})


@functools.cache
def pretrained(name: str, dtype: torch.dtype = torch.float32) -> Any:
    """A random model of an architecture, with weights large enough that its states differ."""
    torch.manual_seed(1)
    model = getattr(transformers, ARCHITECTURES[name].model)(config_of(name)).to(dtype).eval()
    return with_large_weights(model)


def with_large_weights(model: Any) -> Any:
    """The model with random weights large enough that its states differ."""
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2)
        else:
            weight.data += 0.1 * torch.randn_like(weight)
    model.tie_weights()
    return model


@functools.cache
def network(name: str, dtype: torch.dtype = torch.float32) -> Network:
    """The same, behind the seam."""
    return wrap_model(pretrained(name, dtype), tokenizer(ARCHITECTURES[name].tokenizer), name)


@functools.cache
def tokenizer(kind: str) -> Any:
    """A small tokenizer as GPT-2 (bpe), BERT (wordpiece) or Llama and T5 (unigram) have them, trained on a few sentences."""
    made = {"bpe": _bpe, "wordpiece": _wordpiece, "unigram": _unigram}[kind]()
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    if kind != "wordpiece":
        named = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **named)


def _bpe() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(kinds.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<pad>", "<s>", "</s>", "<unused5>"]
    made.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=340, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    return made


def _wordpiece() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(kinds.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    special = ["[PAD]", "[unused5]", "[UNK]", "[CLS]", "[SEP]"]
    made.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=120, special_tokens=special, show_progress=False))
    made.post_processor = processors.BertProcessing(("[SEP]", 4), ("[CLS]", 3))
    return made


def _unigram() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(kinds.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    special = ["<pad>", "<s>", "</s>", "<unk>", "<extra_id_3>", "<0xE2>"]
    trainer = trainers.UnigramTrainer(vocab_size=90, special_tokens=special[:5], unk_token="<unk>", show_progress=False)
    made.train_from_iterator(TEXTS, trainer)
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return made
