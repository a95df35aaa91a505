"""Random models in folders, for the pages that ask for a model of the Hub: there is no network."""

import sys
from pathlib import Path

import torch
import transformers

sys.path.append(str(Path(__file__).parents[1] / "models"))

from tiny_models import ROWS, tokenizer

IDS = {"vocab_size": ROWS, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
GPT2 = IDS | {"n_embd": 32, "n_layer": 6, "n_head": 4, "n_inner": 160}
BERT = IDS | {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
MODELS = {
    "gpt2": (transformers.GPT2Config, transformers.GPT2LMHeadModel, GPT2, "bpe"),
    "gpt2-reviews": (transformers.GPT2Config, transformers.GPT2ForSequenceClassification, GPT2, "bpe"),
    "bert-reviews": (transformers.BertConfig, transformers.BertForSequenceClassification, BERT, "wordpiece"),
}


def save_models(text: str, folder: Path) -> None:
    """Write the models that a page names in quotes or as an argument, each with its tokenizer, as transformers does."""
    for name, (config, model, settings, kind) in MODELS.items():
        if f'"{name}"' in text or f" {name} " in text:
            torch.manual_seed(1)
            model(config(**settings)).save_pretrained(folder / name)
            tokenizer(kind).save_pretrained(folder / name)
