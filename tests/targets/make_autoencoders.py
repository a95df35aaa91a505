"""Makes `autoencoders.zip`: small autoencoders as SAELens, dictionary_learning and sparsify save them, and what each encodes.

    python tests/targets/make_autoencoders.py     # needs sae-lens, dictionary-learning and eai-sparsify; the tests do not

Every folder holds what the library wrote, and `expected.safetensors`: states [6 h] and the library's own latents of them [6 40].
"""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

H, N, ROWS = 6, 40, 6


def states():
    return torch.randn(ROWS, H, generator=torch.Generator().manual_seed(7)) * 2


def shaken(module, seed):
    """The module with random weights and biases; thresholds are positive, and latents neither all on nor all off."""
    random = torch.Generator().manual_seed(seed)
    for name, part in module.named_parameters():
        part.data = 0.5 * torch.randn(part.shape, generator=random)
        if "threshold" in name:
            part.data = part.data.abs() + 0.1
    return module.eval()


def keep(folder, encoded):
    save_file({"states": states(), "latents": encoded.detach().float().contiguous()}, folder / "expected.safetensors")


def of_saelens(out):
    from sae_lens import saes

    shape = {"d_in": H, "d_sae": N}
    kinds = {
        "standard": (saes.StandardSAE, saes.StandardSAEConfig(**shape)),
        "standard-without-b-dec": (saes.StandardSAE, saes.StandardSAEConfig(**shape, apply_b_dec_to_input=False)),
        "standard-layer-norm": (saes.StandardSAE, saes.StandardSAEConfig(**shape, normalize_activations="layer_norm")),
        "standard-norm": (saes.StandardSAE, saes.StandardSAEConfig(**shape, normalize_activations="constant_norm_rescale")),
        "gated": (saes.GatedSAE, saes.GatedSAEConfig(**shape)),
        "jumprelu": (saes.JumpReLUSAE, saes.JumpReLUSAEConfig(**shape)),
        "topk": (saes.TopKSAE, saes.TopKSAEConfig(**shape, k=5)),
        "topk-rescaled": (saes.TopKSAE, saes.TopKSAEConfig(**shape, k=5, rescale_acts_by_decoder_norm=True)),
        "transcoder": (saes.Transcoder, saes.TranscoderConfig(**shape, d_out=4, apply_b_dec_to_input=False)),
        "skip-transcoder": (saes.SkipTranscoder, saes.SkipTranscoderConfig(**shape, d_out=4, apply_b_dec_to_input=False)),
        "jumprelu-transcoder": (saes.JumpReLUTranscoder, saes.JumpReLUTranscoderConfig(**shape, d_out=4, apply_b_dec_to_input=False)),
    }
    for seed, (name, (kind, config)) in enumerate(kinds.items()):
        folder = out / f"saelens-{name}"
        module = shaken(kind(config), seed)
        module.save_model(folder)
        keep(folder, saes.SAE.load_from_disk(folder).encode(states()))
    trained = {
        "batchtopk": (saes.BatchTopKTrainingSAE, saes.BatchTopKTrainingSAEConfig(**shape, k=5, rescale_acts_by_decoder_norm=True)),
        "matryoshka": (
            saes.MatryoshkaBatchTopKTrainingSAE,
            saes.MatryoshkaBatchTopKTrainingSAEConfig(**shape, k=5, matryoshka_widths=[10, N]),
        ),
    }
    for seed, (name, (kind, config)) in enumerate(trained.items(), start=20):
        folder, checkpoint = out / f"saelens-{name}", out / f"saelens-{name}-checkpoint"
        module = shaken(kind(config), seed)
        module.topk_threshold.fill_(0.9)
        module.save_inference_model(folder)
        saved = saes.SAE.load_from_disk(folder).encode(states())
        keep(folder, saved)
        module.save_model(checkpoint)
        keep(checkpoint, saved)
    old = {
        "old-standard": ("standard", {"hook_point": "blocks.0.hook_resid_post", "normalize_activations": False}),
        "old-topk": ("topk", {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 5}, "normalize_activations": None}),
        "old-gated": ("gated", {"architecture": "gated", "activation_fn_str": "relu", "hook_name": "blocks.0.hook_resid_post"}),
        "old-jumprelu": ("jumprelu", {"architecture": "jumprelu", "activation_fn_str": "relu", "apply_b_dec_to_input": False}),
    }
    for name, (like, config) in old.items():
        folder = out / f"saelens-{name}"
        folder.mkdir()
        shutil.copy(out / f"saelens-{like}" / "sae_weights.safetensors", folder)
        (folder / "cfg.json").write_text(json.dumps({"d_in": H, "d_sae": N, "dtype": "float32"} | config))
        keep(folder, saes.SAE.load_from_disk(folder).encode(states()))


def of_gemma_scope(out):
    from sae_lens import saes

    folder = out / "gemma-scope"
    folder.mkdir()
    module = shaken(saes.JumpReLUSAE(saes.JumpReLUSAEConfig(d_in=H, d_sae=N, apply_b_dec_to_input=False)), 40)
    np.savez(folder / "params.npz", **{name: part.numpy() for name, part in module.state_dict().items()})
    keep(folder, module.encode(states()))


def of_dictionary_learning(out):
    from dictionary_learning import dictionary
    from dictionary_learning.trainers.batch_top_k import BatchTopKSAE
    from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE
    from dictionary_learning.trainers.top_k import AutoEncoderTopK

    made = {
        "AutoEncoder": dictionary.AutoEncoder(H, N),
        "GatedAutoEncoder": dictionary.GatedAutoEncoder(H, N),
        "AutoEncoderNew": dictionary.AutoEncoderNew(H, N),
        "JumpReluAutoEncoder": dictionary.JumpReluAutoEncoder(H, N),
        "AutoEncoderTopK": AutoEncoderTopK(H, N, 5),
        "BatchTopKSAE": BatchTopKSAE(H, N, 5),
        "MatryoshkaBatchTopKSAE": MatryoshkaBatchTopKSAE(H, N, 5, [10, 30]),
    }
    for seed, (name, module) in enumerate(made.items(), start=60):
        folder = out / f"dictionary-{name}"
        folder.mkdir()
        shaken(module, seed)
        if name in ("BatchTopKSAE", "MatryoshkaBatchTopKSAE"):
            module.threshold.fill_(0.8)
        torch.save(module.state_dict(), folder / "ae.pt")
        trainer = {"dict_class": name, "activation_dim": H, "dict_size": N, "layer": 0, "submodule_name": "resid_post_layer_0"}
        (folder / "config.json").write_text(json.dumps({"trainer": trainer | ({"k": 5} if "TopK" in name else {}), "buffer": {}}))
        keep(folder, type(module).from_pretrained(folder / "ae.pt").encode(states()))


def of_sparsify(out):
    from sparsify import SparseCoder, SparseCoderConfig

    for seed, transcode in enumerate((False, True), start=80):
        folder = out / f"sparsify-{'transcoder' if transcode else 'topk'}"
        module = shaken(SparseCoder(H, SparseCoderConfig(num_latents=N, k=5, transcode=transcode)), seed)
        module.save_to_disk(folder)
        values, places, _ = SparseCoder.load_from_disk(folder).encode(states())
        keep(folder, torch.zeros(ROWS, N).scatter(1, places, values))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        for make in (of_saelens, of_gemma_scope, of_dictionary_learning, of_sparsify):
            make(Path(made))
        shutil.make_archive(str(Path(__file__).parent / "autoencoders"), "zip", made)
