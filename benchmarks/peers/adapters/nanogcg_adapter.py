"""nanogcg: its only loss is the cross-entropy of a string that follows the text; here of one word."""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from counting import Counter, before_last, serve
from nanogcg.gcg import GCG, GCGConfig
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

NEVER = 100_000  # steps; the budget ends the run
WIDTHS = {"gcg": {"search_width": 512, "topk": 256}, "gcg/44": {"search_width": 44, "topk": 200}}


def main() -> None:
    """Open the whole model, and answer."""
    model, tokenizer = opened(Path(sys.argv[1]) / "whole")
    running: list[GCG] = []
    limit = [0.0]

    def stop(spent: float) -> None:
        if running and spent > limit[0]:
            running[-1].stop_flag = True

    counter = Counter(model, stop)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        allowed = set(request["allowed"])
        widths = WIDTHS[request["method"]]
        widths = widths | {"topk": min(widths["topk"], len(allowed))}  # of more than are allowed it would draw some that are not
        settings = GCGConfig(
            num_steps=NEVER, optim_str_init=request["start"], use_prefix_cache=False, seed=request["seed"], verbosity="ERROR", **widths
        )
        search = GCG(model, tokenizer, settings)
        search.not_allowed_ids = torch.tensor([i for i in range(model.config.vocab_size) if i not in allowed])
        before = counter.spent
        limit[0] = before + before_last(request, widths["search_width"] + 3)
        running[:] = [search]
        found = search.run("{optim_str}", request["word"])
        ids = tokenizer.encode(found.best_string, add_special_tokens=False)
        return {"ids": ids, "text": found.best_string, "reported": -float(found.best_loss), "spent": counter.spent - before}

    serve("nanogcg", answer)


def opened(folder: Path) -> tuple[Any, Any]:
    """The model and the tokenizer, from a folder that a newer transformers wrote than nanogcg can be installed with."""
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = (LlamaConfig if "rope_parameters" in told else AutoConfig).from_pretrained(folder)
    if "rope_parameters" in told:
        config.rope_theta = told["rope_parameters"]["rope_theta"]
    model = AutoModelForCausalLM.from_pretrained(folder, config=config, torch_dtype=torch.float32).eval()
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    return model, PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), chat_template=template)


if __name__ == "__main__":
    main()
