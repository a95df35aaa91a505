"""A small TopK autoencoder, trained on the states of an encoder in a minute, and saved as a plain .safetensors file."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from optigram.files import written_whole
from optigram.shapes import Float

RATE, CLIP = 1e-3, 1.0  # of Adam; of the norm of the gradient
REVIVED = 50  # steps after which latents that were never on are set to states that are rebuilt worst
SELDOM, OFTEN = 5e-4, 0.2  # shares of positions: latents that are on less or more often are no units of the study


@dataclass(frozen=True)
class Autoencoder:
    """`latents` are those that are on at some positions and not at most, `unexplained` the share of the variance that is lost."""

    latents: list[int]
    unexplained: float

    @classmethod
    def train(cls, states: Float[Tensor, "n h"], latents: int, active: int, steps: int, batch: int, seed: int, path: Path) -> "Autoencoder":
        """Train on states with `active` latents on per position, by Adam, and write weights and facts to `path`.

        Decoder rows have norm 1. Latents that are never on are set anew to what is rebuilt worst.
        """
        rng = torch.Generator().manual_seed(seed)
        center, scale = states.mean(0), float((states - states.mean(0)).norm(dim=1).mean())
        inputs = (states - center) / scale
        decoder = torch.nn.functional.normalize(torch.randn(latents, states.shape[1], generator=rng), dim=1).requires_grad_()
        encoder, bias = decoder.detach().clone().requires_grad_(), torch.zeros(latents, requires_grad=True)
        optimizer, on = torch.optim.Adam([encoder, bias, decoder], RATE), torch.zeros(latents)
        for step in range(steps):
            rows = inputs[torch.randint(len(inputs), (batch,), generator=rng)]
            values, chosen = (rows @ encoder.T + bias).topk(active, dim=1)
            values = values.relu()
            rebuilt = torch.zeros(batch, latents).scatter(1, chosen, values) @ decoder
            left = (rows - rebuilt).square().sum(1)
            optimizer.zero_grad()
            left.mean().backward()
            torch.nn.utils.clip_grad_norm_([encoder, bias, decoder], CLIP)
            optimizer.step()
            on.index_add_(0, chosen.flatten(), (values.detach() > 0).float().flatten())
            with torch.no_grad():
                decoder /= decoder.norm(dim=1, keepdim=True).clamp(min=1e-6)
                if step % REVIVED == REVIVED - 1 and step < steps - 2 * REVIVED:
                    dead = (on == 0).nonzero().flatten()[:batch]
                    worst = torch.nn.functional.normalize((rows - rebuilt)[left.topk(len(dead)).indices], dim=1)
                    encoder[dead], decoder[dead], bias[dead] = worst, worst, 0.0
                    on.zero_()
        weights = {"encoder": encoder.detach() / scale, "bias": bias.detach(), "center": center, "k": torch.tensor(active)}
        weights |= {"decoder": decoder.detach() * scale, "decoder_bias": center.clone()}
        made = cls._facts(weights, states, active)
        with written_whole(path) as temporary:
            save_file(
                {name: part.contiguous() for name, part in weights.items()},
                temporary,
                {"latents": " ".join(map(str, made.latents)), "unexplained": str(made.unexplained)},
            )
        return made

    @classmethod
    def _facts(cls, weights: dict[str, Tensor], states: Tensor, active: int) -> "Autoencoder":
        """Which latents are on how often, in blocks."""
        on, lost = torch.zeros(len(weights["encoder"])), 0.0
        for part in states.split(4096):
            values, chosen = ((part - weights["center"]) @ weights["encoder"].T + weights["bias"]).topk(active, dim=1)
            full = torch.zeros(len(part), len(on)).scatter(1, chosen, values.relu())
            on += (full > 0).float().sum(0)
            lost += float((part - full @ weights["decoder"] - weights["decoder_bias"]).square().sum())
        share = on / len(states)
        usable = ((share > SELDOM) & (share < OFTEN)).nonzero().flatten().tolist()
        return cls(usable, lost / float((states - states.mean(0)).square().sum()))

    @classmethod
    def read(cls, path: Path) -> "Autoencoder":
        """What `train` wrote."""
        with safe_open(path, "pt") as file:
            about = file.metadata()
        return cls(list(map(int, about["latents"].split())), float(about["unexplained"]))
