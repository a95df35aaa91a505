"""What a scan of 10 billion tokens asks for: arithmetic, from rates that are measured here.

python benchmarks/capacity.py MODEL --corpus FILE [--sites mlp_act.1,mlp_act.3,mlp_act.5] [--before 600] [--sentences 800]
    [--product 600e12] [--devices 8] [--price 3.0]

MODEL is as in scan.py. Measured on one thread, by processor time, after the first documents, of which nearly every place is kept:
what a large product of matrices reaches, what share of that the forwards of a scan reach, and what looking at an activation takes.
What is not measured but assumed: --product, the operations a second of a large product on the wanted device (600e12 is of the order
of an H100 in bfloat16), that forwards reach the same share of it there, and --price, of a device for an hour. A node has --devices.
"""

import argparse
import itertools
import time
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from optigram import load, resolve, sentences
from optigram.models.base import Model
from optigram.scanning.activations import ActivationReader, activation_reader
from optigram.scanning.chunks import Chunk, read_documents, read_settings
from optigram.scanning.forward import Forward
from optigram.scanning.in_context import InContextScan
from optigram.scanning.plan import ScanSettings
from optigram.scanning.statistics import Statistics
from optigram.scanning.top_places import TopPlaces
from optigram.text.documents import Document
from scan import bare, small_gpt2

TOKENS = 10_000_000_000
LETTERS = 4  # bytes of text a token
SIDE, PRODUCTS = 1024, 12  # of the matrices whose product is timed
CONTEXT = 256


@dataclass(frozen=True)
class Network:
    """A transformer by its sizes: `keys` is the width of keys and of values, `matrices` those of an MLP."""

    name: str
    layers: int
    width: int
    keys: int
    neurons: int
    matrices: int

    @property
    def weights(self) -> int:
        """Of the blocks; the embedding is looked up, and logits are not read."""
        return self.layers * (2 * self.width * (self.width + self.keys) + self.matrices * self.width * self.neurons)

    @property
    def operations(self) -> int:
        """Of a token: two for each weight, and attention to a whole context, as models without a causal kernel compute it."""
        return 2 * self.weights + 4 * CONTEXT * self.width * self.layers


NETWORKS = (Network("GPT-2 small", 12, 768, 768, 3072, 2), Network("8 billion (Llama 3.1)", 32, 4096, 1024, 14336, 3))


@dataclass(frozen=True)
class Rates:
    """Measured: operations a second of a large product and of a scan's forwards; activations a second that a scan looks at."""

    product: float
    forward: float
    looks: float

    @property
    def share(self) -> float:
        """Of a large product's rate, that forwards reach."""
        return self.forward / self.product


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--corpus", nargs="+", required=True)
    parser.add_argument("--sites", default="mlp_act.1,mlp_act.3,mlp_act.5")
    parser.add_argument("--before", type=int, default=600)
    parser.add_argument("--sentences", type=int, default=800)
    parser.add_argument("--product", type=float, default=600e12)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--price", type=float, default=3.0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    model = small_gpt2() if asked.model == "small-gpt2" else load(asked.model)
    settings = ScanSettings(context=128)
    panel = activation_reader(model, resolve([f"{site}:*" for site in asked.sites.split(",")], model))
    texts = [found.text for found in itertools.islice(itertools.chain(*map(sentences, asked.corpus)), asked.sentences)]
    documents = [Document(number, text) for number, text in enumerate(texts)]
    how = read_settings(model.vocabulary, settings.context, settings.skipped, settings.special)
    rates = measured(model, panel, read_documents(documents, model.vocabulary, how), settings, asked.before)
    show(rates, asked.product, asked.devices, asked.price)


def product_rate() -> float:
    """Operations a second of the product of two large matrices in float32: the best of several."""
    one, two = torch.randn(2, SIDE, SIDE)
    seconds = []
    for _ in range(PRODUCTS):
        begun = time.process_time()
        torch.matmul(one, two)
        seconds.append(time.process_time() - begun)
    return 2 * SIDE**3 / min(seconds)


def measured(model: Model, panel: ActivationReader, pieces: list[Chunk], settings: ScanSettings, before: int) -> Rates:
    """The rates of a scan, and of the bare forwards in the same batches, once so many documents have been read."""
    forward, sweep = Forward(model, panel.sites), InContextScan(model, panel, settings)
    list(sweep.take([[piece for piece in pieces if piece.document < before]]))
    rest = [piece for piece in pieces if piece.document >= before]
    with FlopCounterMode(display=False) as counter:
        tokens = bare(forward, rest, settings)
    operations, earlier = counter.get_total_flops(), product_rate()
    begun = time.process_time()
    bare(forward, rest, settings)
    middle = time.process_time()
    list(sweep.take([rest]))
    ended = time.process_time()
    extra = max(ended - middle - (middle - begun), 0.02 * (ended - middle))  # less cannot be told from noise
    print(
        f"{tokens} tokens, {len(panel.targets)} targets, {operations / tokens / 1e6:.1f} million operations a token as they were read: "
        f"bare {tokens / (middle - begun):.0f} tokens a second, scan {tokens / (ended - middle):.0f}"
    )
    return Rates(max(earlier, product_rate()), operations / (middle - begun), tokens * len(panel.targets) / extra)


def state_bytes(settings: ScanSettings) -> int:
    """Bytes of a target in the state of a scan whose sample is full, from the arrays themselves."""
    tallies, leaders = Statistics.empty(1), TopPlaces.empty(1, settings.top)
    arrays = [tallies.sums, tallies.histogram, tallies.best, *(2 * [*vars(leaders).values()])]
    return sum(array.nbytes for array in arrays) + 4 * settings.sample


def show(rates: Rates, product: float, devices: int, price: float) -> None:
    """Print the table, in markdown."""
    print(f"here, a second: {rates.product:.3g} operations in a large product, {rates.forward:.3g} in forwards: {rates.share:.0%}")
    print(f"looking at activations: {rates.looks / 1e6:.0f} million a second\n")
    print(f"| 10 billion tokens, all neurons of the MLPs | {' | '.join(network.name for network in NETWORKS)} |\n|---|---|---|")
    bytes_each = state_bytes(ScanSettings())
    for name, row in rows(rates, product, devices, price, bytes_each).items():
        print(f"| {name} | {' | '.join(row)} |")


def rows(rates: Rates, product: float, devices: int, price: float, bytes_each: int) -> dict[str, list[str]]:
    """The lines of the table, by name."""
    table: dict[str, list[str]] = {}
    for network in NETWORKS:
        targets, operations = network.layers * network.neurons, network.operations * TOKENS
        here = operations / rates.forward + TOKENS * targets / rates.looks
        device = operations / (rates.share * product) / 3600
        for name, value in (
            ("weights in the blocks", f"{network.weights / 1e6:,.0f} million"),
            ("neurons", f"{targets:,}"),
            ("operations a token", f"{network.operations:.2g}"),
            ("operations", f"{operations:.2g}"),
            ("activations looked at", f"{TOKENS * targets:.2g}"),
            ("text", f"{TOKENS * LETTERS / 1e9:.0f} GB"),
            (f"state of a worker ({bytes_each:,} bytes a neuron)", f"{targets * bytes_each / 1e6:,.0f} MB"),
            ("one core as here", f"{here / 86400 / 365:,.1f} years"),
            (f"one device of {product / 1e12:.0f}e12 at the same {rates.share:.0%}", f"{device:,.1f} hours"),
            (f"a node of {devices}", f"{device / devices:,.2f} hours"),
            (f"at {price:g} an hour and device", f"{device * price:,.0f}"),
        ):
            table.setdefault(name, []).append(value)
    return table


if __name__ == "__main__":
    main()
