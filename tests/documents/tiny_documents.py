"""A random GPT-2 in a folder, for the pages that ask for gpt2."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "models"))

from tiny_models import pretrained, tokenizer


def save_gpt2(folder: Path) -> None:
    """Write the model and its tokenizer as transformers does."""
    pretrained("gpt2").save_pretrained(folder)
    tokenizer("bpe").save_pretrained(folder)
