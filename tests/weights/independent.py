"""What a text is worth to a neuron or a logit, by transformers alone: what optigram's scores are held against."""

import torch


def activation(model, tokenizer, text: str, unit: int, module: str | None, pool: str) -> float:
    """The input `unit` of `module` for a text as a reader would type it, or a logit if there is no module."""
    inputs, seen = tokenizer(text, return_tensors="pt"), []
    hook = model.get_submodule(module or "").register_forward_pre_hook(lambda module, args: seen.append(args[0]) if args else None)
    with torch.no_grad():
        output = model(**inputs)
    hook.remove()
    states = (seen[-1] if module else output.logits)[0, :, unit]
    ordinary = [place for place, i in enumerate(inputs.input_ids[0].tolist()) if place and i not in tokenizer.all_special_ids]
    return float(states[-1] if pool == "last" else states[ordinary].max())
