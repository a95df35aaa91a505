"""Tiny random models of many architectures, and what is read of each: the tables in docs/architectures.md.

`python tests/models/architectures.py` writes the table of the installed version of transformers.
"""

import functools
import inspect
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers
from tiny_models import with_large_weights
from tokenizers import pre_tokenizers, processors
from tokenizers.models import WordLevel

from optigram.errors import InputError
from optigram.models.huggingface import wrap_model
from optigram.models.network import Network

PAGE = Path(__file__).parents[2] / "docs" / "architectures.md"
ROWS, END = 96, 95  # of the embeddings; the id at the end of a text, the highest, as in CLIP
SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embedding_size", "word_embed_proj_dim", "lru_width"), 16),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads", "decoder_attention_heads"), 2),
    **dict.fromkeys(("intermediate_size", "n_inner", "ffn_dim", "d_ff", "hidden_dim", "d_inner", "encoder_ffn_dim", "decoder_ffn_dim"), 24),
    **dict.fromkeys(("ffn_hidden_size", "shared_intermediate_size", "intermediate_size_mlp", "dff"), 24),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx", "max_sequence_length"), 40),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token"), 2),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 8),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads"), 1),
    **dict.fromkeys(("head_dim", "d_kv", "d_head", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "kv_channels"), 8),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank", "patch_size", "image_size"), 8),
    **{"vocab_size": ROWS, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": END, "first_k_dense_replace": 1, "sliding_window": 4},
    **{"state_size": 4, "n_group": 1, "topk_group": 1, "n_shared_experts": 1, "projection_dim": 12, "projection_size": 12},
    **{"embed_dim": 16, "depth": 1},
}
MAMBA = {"mamba_n_heads": 4, "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_d_state": 4}
ROPE = {"rope_type": "default", "type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
OWN: dict[str, dict[str, Any]] = {  # of a configuration; None: not set at all
    "BambaConfig": {**MAMBA, "attn_layer_indices": [1]},
    "CodeGenConfig": {"n_head": 4, "rotary_dim": 4, "n_embd": 32, "head_dim": None, "hidden_size": None, "num_attention_heads": None},
    "DeepseekV3Config": {"num_key_value_heads": 2, "head_dim": None},
    "DiffLlamaConfig": {"num_key_value_heads": 2, "num_attention_heads": 4, "head_dim": None},
    "FalconConfig": {"head_dim": None, "ffn_hidden_size": 24},
    "FalconH1Config": {**MAMBA, "mamba_d_ssm": 32},
    "GPTJConfig": {"rotary_dim": 4},
    "GPTNeoConfig": {"attention_types": [[["global", "local"], 1]], "window_size": 4},
    "LongformerConfig": {"attention_window": [4, 4], "max_position_embeddings": 60},
    "Mamba2Config": {"num_heads": 4, "head_dim": 8, "expand": 2, "n_groups": 1},
    "MobileBertConfig": {"intra_bottleneck_size": 8, "true_hidden_size": None, "embedding_size": 8},
    "Qwen2VLTextConfig": {"rope_parameters": ROPE, "rope_scaling": ROPE},
    "XLNetConfig": {"max_position_embeddings": None},
}
CAUSAL = """GPT2LMHeadModel GPTNeoForCausalLM GPTNeoXForCausalLM GPTJForCausalLM GPTBigCodeForCausalLM OpenAIGPTLMHeadModel
    CodeGenForCausalLM
    OPTForCausalLM BloomForCausalLM FalconForCausalLM MptForCausalLM XGLMForCausalLM BioGptForCausalLM CTRLLMHeadModel BartForCausalLM
    LlamaForCausalLM MistralForCausalLM Qwen2ForCausalLM Qwen3ForCausalLM GemmaForCausalLM Gemma2ForCausalLM Gemma3ForCausalLM
    PhiForCausalLM Phi3ForCausalLM StableLmForCausalLM Starcoder2ForCausalLM PersimmonForCausalLM OlmoForCausalLM Olmo2ForCausalLM
    CohereForCausalLM Cohere2ForCausalLM GraniteForCausalLM NemotronForCausalLM GlmForCausalLM Glm4ForCausalLM HeliumForCausalLM
    SmolLM3ForCausalLM ArceeForCausalLM ApertusForCausalLM Exaone4ForCausalLM BitNetForCausalLM DiffLlamaForCausalLM
    MixtralForCausalLM Qwen2MoeForCausalLM Qwen3MoeForCausalLM OlmoeForCausalLM GraniteMoeForCausalLM PhimoeForCausalLM GptOssForCausalLM
    DeepseekV3ForCausalLM JetMoeForCausalLM Llama4ForCausalLM
    RecurrentGemmaForCausalLM MambaForCausalLM Mamba2ForCausalLM JambaForCausalLM BambaForCausalLM FalconH1ForCausalLM Lfm2ForCausalLM"""
MASKED = """BertForMaskedLM RobertaForMaskedLM DistilBertForMaskedLM AlbertForMaskedLM ElectraForMaskedLM ElectraForPreTraining
    XLMRobertaForMaskedLM MPNetForMaskedLM DebertaV2ForMaskedLM ModernBertForMaskedLM XLNetLMHeadModel FNetForMaskedLM
    LongformerForMaskedLM BigBirdForMaskedLM RoFormerForMaskedLM SqueezeBertForMaskedLM MobileBertForMaskedLM ConvBertForMaskedLM
    EsmForMaskedLM XLMWithLMHeadModel IBertForMaskedLM"""
SCORING = """BertForSequenceClassification RobertaForSequenceClassification DistilBertForSequenceClassification
    AlbertForSequenceClassification DebertaV2ForSequenceClassification XLNetForSequenceClassification ModernBertForSequenceClassification
    LlamaForSequenceClassification GPT2ForSequenceClassification Qwen2ForSequenceClassification OPTForSequenceClassification
    BertForTokenClassification LlamaForTokenClassification BertForQuestionAnswering LlamaForQuestionAnswering BertForMultipleChoice"""
OTHERS = """T5ForConditionalGeneration T5EncoderModel MT5ForConditionalGeneration BartForConditionalGeneration BartForSequenceClassification
    SwitchTransformersForConditionalGeneration WhisperForConditionalGeneration CLIPTextModel CLIPTextModelWithProjection CLIPModel
    SiglipTextModel SiglipModel LlavaForConditionalGeneration Gemma3ForConditionalGeneration Qwen2VLForConditionalGeneration
    PaliGemmaForConditionalGeneration Idefics3ForConditionalGeneration"""
NAMES = [name for group in (CAUSAL, MASKED, SCORING, OTHERS) for name in group.split() if hasattr(transformers, name)]
PARTS = ("mlp_act", "mlp_pre", "mlp_out", "z", "attn_out", "resid_post")


@functools.cache
def toy_tokenizer() -> Any:
    """Words, with a begin and an end around every text."""
    words = {"<pad>": 0, "<s>": 1, **{f"w{i}": i for i in range(2, END)}, "</s>": END}
    made = tokenizers.Tokenizer(WordLevel(words, unk_token="<pad>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", END)])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


def tiny_model(name: str, **settings: Any) -> Any:
    """A random model of an architecture of transformers, with states that differ."""
    kind = getattr(transformers, name)
    torch.manual_seed(0)
    model = kind(kind.config_class(**{**_settings(kind.config_class()), **settings})).eval()
    return with_large_weights(model)


def _settings(default: Any) -> dict[str, Any]:
    """The small sizes that a configuration has, of its parts too."""
    found = {name: size for name, size in SIZES.items() if hasattr(default, name)}
    for part in getattr(default, "sub_configs", {}):
        if hasattr(inner := getattr(default, part, None), "model_type"):
            found[part] = {**_settings(inner), "model_type": inner.model_type}
    found |= OWN.get(type(default).__name__, {})
    return {name: size for name, size in found.items() if size is not None}


@functools.cache
def opened(name: str) -> Network | str:
    """A tiny model behind the seam, or why it is refused."""
    try:
        return wrap_model(tiny_model(name), toy_tokenizer(), name)
    except InputError as error:
        return str(error)


def plain_states(model: Network, ids: torch.Tensor) -> tuple[dict[tuple[str, str], list[Any]], Any]:
    """What every module takes and gives in a forward of transformers, each tensor cloned at once, and the output of the forward."""
    found: dict[tuple[str, str], list[Any]] = {}
    handles = []

    def note(path: str, side: str, value: Any) -> None:
        while isinstance(value, tuple | list | dict) and value:
            value = next(iter(value.values())) if isinstance(value, dict) else value[0]
        found.setdefault((path, side), []).append(value.clone() if isinstance(value, torch.Tensor) else None)

    for path, module in model.module.named_modules():
        handles.append(module.register_forward_hook(lambda module, args, output, path=path: note(path, "out", output)))
        before = lambda module, args, named, path=path: note(path, "in", args or named)  # noqa: E731
        handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
    with torch.no_grad():
        whole: Any = model.module
        if whole.config.is_encoder_decoder:
            whole = (whole if hasattr(whole, "get_encoder") else whole.base_model).get_encoder()
        elif type(whole).__name__.endswith("MultipleChoice"):
            whole = whole.base_model
        given = {"use_cache": False} if "use_cache" in inspect.signature(whole.forward).parameters else {}
        output = whole.get_text_features(input_ids=ids) if hasattr(whole, "get_text_features") else whole(input_ids=ids, **given)
    for handle in handles:
        handle.remove()
    return found, output


@dataclass(frozen=True)
class Row:
    """What is read of an architecture: points of its blocks, the site of its output, and how."""

    name: str
    points: str = "none"
    output: str = "none"
    verdict: str = ""

    def __str__(self) -> str:
        return f"| `{self.name}` | {self.points} | {self.output} | {self.verdict} |"


def row_of(name: str) -> Row:
    """The row of the table."""
    model = opened(name)
    if isinstance(model, str):
        return Row(name, verdict="refused: " + re.split(r"[;:,] ", model.removeprefix("expected "))[0].replace(name, "it"))
    kinds = {site.partition(".")[0] for site in model.sites.canonical}
    points = ", ".join(f"`{part}`" for part in PARTS if part in kinds) or "module paths only"
    output = ", ".join(f"`{site}`" for site in ([] if model.sites.logits is None else ["logits"]) + [*model.sites.scores]) or "none"
    how = "one text at a time" if model.routed else "prefixes shared" if model.step is not None else "whole texts"
    return Row(name, points, output, how + ("; encoder only" if model.module.config.is_encoder_decoder else ""))


def table() -> str:
    """The table of the installed version."""
    head = "| class | points of its blocks | output | read |\n| --- | --- | --- | --- |\n"
    return head + "".join(f"{row_of(name)}\n" for name in NAMES)


def markers() -> tuple[str, str]:
    """What stands before and after the table in the page."""
    version = transformers.__version__.partition(".")[0]
    return f"<!-- transformers {version} -->\n", f"<!-- end of transformers {version} -->"


if __name__ == "__main__":
    begin, end = markers()
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    PAGE.write_text(before + begin + table() + end + rest.partition(end)[2], encoding="utf-8")
    sys.stdout.write(f"wrote {len(NAMES)} rows to {PAGE}\n")
