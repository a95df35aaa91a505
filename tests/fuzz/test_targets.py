"""Vectors, autoencoders, their configurations and targets in memory, damaged at random: read, or refused in one line.

Nothing may end in another error or a warning, and nothing that is read may hold a number that is not finite. There are 2,000 of them;
`numbered` says which of them a run makes.
"""

import json
import math
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from inputs import numbered
from safetensors.torch import save, save_file

from optigram.errors import InputError
from optigram.objective.objective import Objective
from optigram.runs.find import score_texts
from optigram.targets.build import custom, direction, latent
from optigram.targets.latent import scaled
from optigram.targets.target import resolve
from toy import WIDTH, Toy

SHARES = {"vectors": 300, "configurations": 500, "weights": 400, "torn files": 300, "objects": 300, "vectors in memory": 200}
N = 12
TEXTS = [[5, 6, 9], [12, 13, 14]]
NUMBERS = (0, 1, -1, 3, 3.0, 2.5, 12, 13, 10**30, 1e308, -1e39, math.nan, math.inf)
WORDS = (
    "",
    "relu",
    "topk",
    "standard",
    "gated",
    "jumprelu",
    "batchtopk",
    "transcoder",
    "layer_norm",
    "none",
    "a\nb",
    "\ud800",
    "\u202e",
    "x" * 500,
)
ODD = (None, True, False, *NUMBERS, *WORDS, [], [1], ["topk"], {}, {"k": 3}, {"k": "x"}, {"hook_name": 3}, {"dict_class": "BatchTopKSAE"})
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool, torch.complex64]
DTYPES += [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu]
SAE_KEYS = (
    "architecture",
    "k",
    "activation_fn_str",
    "activation_fn",
    "activation_fn_kwargs",
    "normalize_activations",
    "apply_b_dec_to_input",
)
SAE_KEYS += ("metadata", "hook_name", "hook_point", "rescale_acts_by_decoder_norm", "transcode", "signed", "activation", "trainer", "d_in")


def tensor(chance, *shape):
    """A tensor of this shape, or nearly, perhaps of an odd type or with odd numbers."""
    if chance.random() < 0.15:
        shape = chance.choice([(), (0,), (1,), (WIDTH + 1,), (N, WIDTH, 1), shape[::-1], (*shape, 1), (0, WIDTH)])
    found = torch.randn(shape, generator=torch.Generator().manual_seed(chance.randrange(1 << 30)))
    if found.numel() and chance.random() < 0.15:
        found = found.double()
        found.view(-1)[chance.randrange(found.numel())] = float(min(max(chance.choice(NUMBERS), -1e300), 1e300))
    if chance.random() < 0.25:
        found = found.to(chance.choice(DTYPES))
    return found.contiguous()


def parts(chance):
    """Tensors with the names of a library, some of them missing, of another shape or type, or more than there are."""
    kinds = [
        {"W_enc": (WIDTH, N), "b_enc": (N,), "W_dec": (N, WIDTH), "b_dec": (WIDTH,)},
        {"W_enc": (WIDTH, N), "b_enc": (N,), "W_dec": (N, WIDTH), "b_dec": (WIDTH,), "threshold": (N,)},
        {"W_enc": (WIDTH, N), "b_gate": (N,), "b_mag": (N,), "r_mag": (N,), "W_dec": (N, WIDTH), "b_dec": (WIDTH,)},
        {"encoder.weight": (N, WIDTH), "encoder.bias": (N,), "W_dec": (N, WIDTH), "b_dec": (WIDTH,)},
        {"encoder.weight": (N, WIDTH), "encoder.bias": (N,), "decoder.weight": (WIDTH, N), "bias": (WIDTH,)},
        {"encoder.weight": (N, WIDTH), "encoder.bias": (N,), "decoder.weight": (WIDTH, N), "b_dec": (WIDTH,), "threshold": (), "k": ()},
        {
            "encoder.weight": (N, WIDTH),
            "r_mag": (N,),
            "gate_bias": (N,),
            "mag_bias": (N,),
            "decoder.weight": (WIDTH, N),
            "decoder_bias": (WIDTH,),
        },
        {"encoder": (N, WIDTH), "bias": (N,), "center": (WIDTH,), "threshold": (N,), "k": ()},
    ]
    shapes = chance.choice(kinds)
    found = {name: tensor(chance, *shape) for name, shape in shapes.items() if chance.random() > 0.05}
    if "k" in found and chance.random() < 0.8:
        found["k"] = torch.tensor(chance.choice([1, 3, 12, 13, 0, -1]))
    if chance.random() < 0.1:
        found[chance.choice(["threshold", "topk_threshold", "log_threshold", "group_sizes", "a\nname", ""])] = tensor(chance, N)
    return found


def config(chance):
    found = {name: chance.choice(ODD) for name in SAE_KEYS if chance.random() < 0.15}
    if chance.random() < 0.5:
        found["architecture"] = chance.choice(["standard", "gated", "jumprelu", "topk", "batchtopk", "transcoder", "jumprelu_transcoder"])
    return found | ({"k": 3} if chance.random() < 0.5 else {})


def torn(chance, data):
    """Bytes that were cut, changed, or repeated."""
    data = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) or 1)
        match chance.randint(0, 3):
            case 0:
                del data[at:]
            case 1:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 2:
                del data[at : at + chance.randint(1, 40)]
            case 3:
                data[at:at] = data[at : at + 20]
    return bytes(data)


def written(chance, folder):
    """A folder of a library with weights and a configuration that go together, or do not."""
    found, said = parts(chance), config(chance)
    match chance.choice(["sae_weights.safetensors", "sae.safetensors", "ae.pt", "params.npz", "params.safetensors", "plain.safetensors"]):
        case "ae.pt":
            torch.save(found, folder / "ae.pt")
            (folder / "config.json").write_text(
                json.dumps({"trainer": {"dict_class": chance.choice(ODD)} if chance.random() < 0.5 else said})
            )
        case "params.npz":
            whole = {name.replace("\n", ""): part.float().numpy() for name, part in found.items() if not part.is_complex()}
            np.savez(folder / "params.npz", **{name: part for name, part in whole.items() if name})
        case name:
            save_file(found, folder / name)
            for config_name in ("cfg.json", "config.json"):
                (folder / config_name).write_text(json.dumps(said))
            if name.startswith("plain"):
                return folder / name
    return folder


def spoilt(chance, folder):
    """The same with one file torn, or the configuration odd as a file."""
    where = written(chance, folder)
    files = [part for part in folder.iterdir() if part.stat().st_size]
    one = chance.choice(files)
    odd = [b"[" * 5000, b'{"k": ' + b"9" * 6000 + b"}", b"\xef\xbb\xbf{}", b"\xff\xfe{}", b"", b"null", b'{"k": 3', b"\x80\x04."]
    one.write_bytes(chance.choice(odd) if chance.random() < 0.3 else torn(chance, one.read_bytes()))
    return where


def vectors(chance, folder, toy):
    file = folder / "probe.safetensors"
    data = save({"v": tensor(chance, WIDTH), "w": tensor(chance, WIDTH)})
    file.write_bytes(torn(chance, data) if chance.random() < 0.3 else data)
    weight = chance.choice(["", "", "2*", "1e39*", "1e-50*", "0*", "1e999*", "3e38*"])
    yield from resolve(f"{weight}resid:{file}#{chance.choice('vwx')}", toy)


def configurations(chance, folder, toy):
    name = chance.choice(["sae_weights.safetensors", "sae.safetensors"])
    encoder = {"W_enc": (WIDTH, N), "b_enc": (N,)} if name[:4] == "sae_" else {"encoder.weight": (N, WIDTH), "encoder.bias": (N,)}
    shapes = encoder | {"W_dec": (N, WIDTH), "b_dec": (WIDTH,)}
    save_file({part: torch.randn(shape) for part, shape in shapes.items()}, folder / name)
    (folder / "cfg.json").write_text(json.dumps(config(chance)))
    yield from resolve(f"resid:{folder}#{chance.choice(['3', '0-11', '*', '12', 'a'])}", toy)


def weights(chance, folder, toy):
    yield from resolve(latent("resid", written(chance, folder), chance.randrange(N)), toy)


def torn_files(chance, folder, toy):
    yield from resolve(latent("resid", spoilt(chance, folder), chance.randrange(N)), toy)


def objects(chance, folder, toy):
    found = parts(chance)
    said = chance.choice([config(chance), SimpleNamespace(**config(chance)), chance.choice(ODD)])
    held = {name: part.float().numpy() if chance.random() < 0.3 and not part.is_complex() else part for name, part in found.items()}
    if chance.random() < 0.3:
        held = SimpleNamespace(**{name: part for name, part in held.items() if name.isidentifier()}, cfg=said)
    elif chance.random() < 0.8:
        held |= {"cfg": said}
    yield from resolve(latent("resid", held, chance.randrange(N)), toy)


def vectors_in_memory(chance, folder, toy):
    value = tensor(chance, WIDTH)
    value = chance.choice([value, value.float().tolist() if not value.is_complex() else value, chance.choice(ODD), [value], {"v": value}])
    if chance.random() < 0.5:
        yield from resolve(chance.choice(NUMBERS) * direction("resid", value, chance.choice([None, "x", "a\nb"])), toy)
    else:
        yield from resolve(custom(lambda states, mask: states["resid"] @ value if isinstance(value, torch.Tensor) else value, "resid"), toy)


KINDS = {
    "vectors": vectors,
    "configurations": configurations,
    "weights": weights,
    "torn files": torn_files,
    "objects": objects,
    "vectors in memory": vectors_in_memory,
}


def is_finite(target):
    """Whether all numbers that a target reads with are finite: its weights, and the latents of some states."""
    for term in target.terms:
        autoencoder, vector = getattr(term.readout, "autoencoder", None), getattr(term.readout, "vector", None)
        if autoencoder is not None:
            states = torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(0))
            held = [part for part in vars(autoencoder).values() if isinstance(part, torch.Tensor)]
            if not all(part.isfinite().all() and part.dtype == torch.float32 for part in held):
                return False
            assert autoencoder.latents(scaled(states, autoencoder.scaling)).shape == (3, len(autoencoder.encoder))
        if vector is not None and not (vector.isfinite().all() and vector.dtype == torch.float32):
            return False
    return True


def refusal(kind, number, folder, toy):
    """The message by which damage was refused, or None where it was read, and every number of it is finite."""
    chance = random.Random(f"{kind} {number}")
    folder.mkdir()
    try:
        targets = list(KINDS[kind](chance, folder, toy))
        records = score_texts(Objective(toy, targets, 3), TEXTS) if number % 4 == 0 else {}
    except InputError as error:
        return str(error)
    assert all(map(is_finite, targets))
    assert all(math.isfinite(record.activation) for row in records.values() for record in row)
    return None


@pytest.mark.parametrize("kind", SHARES)
def test_what_is_damaged_is_read_or_refused(kind, tmp_path):
    toy, read, refused = Toy(), 0, 0
    for number, _ in numbered(SHARES[kind], SHARES[kind]):
        try:
            said = refusal(kind, number, tmp_path / str(number), toy)
        except Exception as error:
            raise AssertionError(f"{kind} {number}: {type(error).__name__}: {error}") from error
        read, refused = read + (said is None), refused + (said is not None)
        assert said is None or (said.isprintable() and len(said) < 2000), f"{kind} {number}: {said!r}"
    assert read >= refused / 100  # not everything is refused
    assert refused >= read / 20
