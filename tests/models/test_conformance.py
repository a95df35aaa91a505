"""One table for the seam `base.Model`: every architecture of `tiny_models.ARCHITECTURES` against transformers alone."""

import pytest
import torch
from tiny_models import ARCHITECTURES, network, pretrained

from optigram.models.sites import Sites

EACH = pytest.mark.parametrize("name", ARCHITECTURES)
SHAPE = 3, 7


def random_ids(name: str) -> torch.Tensor:
    return torch.randint(6, 60, SHAPE, generator=torch.Generator().manual_seed(2))


def plain_states(name: str, ids: torch.Tensor, **settings) -> dict[str, torch.Tensor]:
    """What every module takes and gives in a forward from ids that optigram has no part in: {path or path@in: tensor}."""
    model, found, handles = pretrained(name), {}, []

    def before(path):
        return lambda module, args, named: found.update({f"{path}@in": args[0] if args else next(iter(named.values()), None)})

    for path, module in model.named_modules():
        handles.append(module.register_forward_hook(lambda module, args, output, path=path: found.update({path: output})))
        handles.append(module.register_forward_pre_hook(before(path), with_kwargs=True))
    with torch.no_grad():
        (model.get_encoder() if model.config.is_encoder_decoder else model)(input_ids=ids, **settings)
    for handle in handles:
        handle.remove()
    first = {path: value if isinstance(value, torch.Tensor) else value[0] for path, value in found.items() if not_empty(value)}
    return {path: value.reshape(*ids.shape, -1) for path, value in first.items() if value.numel() % ids.numel() == 0}


def not_empty(value) -> bool:
    return (
        isinstance(value, torch.Tensor)
        or (isinstance(value, tuple | list) and isinstance(value[0], torch.Tensor))
        or hasattr(value, "logits")
    )


@EACH
def test_every_point_is_what_a_plain_forward_computes(name):
    model, ids = network(name), random_ids(name)
    plain = plain_states(name, ids)
    for site, point in model.sites.canonical.items():
        read = model.read(model.embedding[ids], [site])[site]
        expected = plain[str(point._replace(half=None))]
        expected = expected if point.half is None else expected.chunk(2, -1)[point.half]
        assert read.shape == (*SHAPE, model.sites[site].width)
        torch.testing.assert_close(read, expected, atol=1e-5, rtol=1e-5)


@EACH
def test_it_has_the_points_of_its_kind(name):
    row, model = ARCHITECTURES[name], network(name)
    assert set(row.points + row.more) <= set(model.sites)
    layers = 3
    assert {site.partition(".")[2] for site in model.sites.canonical} == {str(layer) for layer in range(layers)}
    for site in model.sites.canonical:
        for alias in Sites.lens_names(site):
            assert model.sites[alias] == model.sites[site]
    assert ("logits" in row.more) == ("logits" in model.sites)


@EACH
def test_residual_stream_is_that_of_transformers(name):
    """`resid_post` before the last block is `hidden_states`; after the last block transformers has normed it, and we have not."""
    model, ids = network(name), random_ids(name)
    reference = pretrained(name)
    body = reference.get_encoder() if reference.config.is_encoder_decoder else reference
    with torch.no_grad():
        hidden = body(input_ids=ids, output_hidden_states=True).hidden_states
    states = model.read(model.embedding[ids], ["resid_pre.0", "resid_post.0", "resid_post.1"])
    for site, number in (("resid_pre.0", 0), ("resid_post.0", 1), ("resid_post.1", 2)):
        torch.testing.assert_close(states[site], hidden[number], atol=1e-5, rtol=1e-5)


@EACH
def test_logits_are_a_linear_site(name):
    if "logits" not in ARCHITECTURES[name].more:
        assert "logits" not in network(name).sites
        return
    model, ids = network(name), random_ids(name)
    with torch.no_grad():
        expected = pretrained(name)(input_ids=ids).logits
    linear = model.sites["logits"].linear
    values = model.read(model.embedding[ids], [linear.source])[linear.source] @ linear.weight.T + linear.bias
    values = values if linear.softcap is None else linear.softcap * torch.tanh(values / linear.softcap)
    torch.testing.assert_close(values, expected, atol=1e-4, rtol=1e-4)


@EACH
def test_one_hot_mixtures_are_ids(name):
    model, ids = network(name), random_ids(name)
    hot = torch.nn.functional.one_hot(ids, len(model.vocabulary)).float()
    torch.testing.assert_close(hot @ model.embedding, model.embedding[ids])
    plain = plain_states(name, ids)
    site = "resid_post.2"
    read = model.read(hot @ model.embedding, [site])[site]
    torch.testing.assert_close(read, plain[str(model.sites.point(site))], atol=1e-4, rtol=1e-4)


@EACH
def test_stopping_early_changes_nothing(name):
    model, ids = network(name), random_ids(name)
    last = list(model.sites.widths)[-1]
    sites = ["mlp_act.0", "resid_post.1"]
    early = [model.read(model.embedding[ids], [site])[site] for site in sites]
    together = model.read(model.embedding[ids], [*sites, str(last)])
    for site, state in zip(sites, early, strict=True):
        assert torch.equal(state, together[site])


@EACH
def test_gradient_agrees_with_finite_differences(name):
    model = network(name, torch.float64)
    ids = random_ids(name)[:1]
    embeds = model.embedding[ids].requires_grad_()

    def value(at):
        states = model.read(at, ["mlp_act.1", "resid_post.2"])
        return states["mlp_act.1"][..., 5].sum() + states["resid_post.2"][..., 3].sum()

    (slope,) = torch.autograd.grad(value(embeds), embeds)
    direction = torch.randn(embeds.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    step = 1e-4  # not smaller, for many norms compute in single precision whatever they are given
    with torch.no_grad():
        difference = (value(embeds + step * direction) - value(embeds - step * direction)) / (2 * step)
    assert float(difference) == pytest.approx(float((slope * direction).sum()), rel=1e-2, abs=5e-2)


@EACH
def test_padding_and_company_change_nothing(name):
    """Texts padded on either side, in a batch, are read as when they are alone."""
    model, ids = network(name), random_ids(name)
    site = "resid_post.2"
    embeds = model.embedding[ids]
    junk = model.embedding[torch.full((1, 2), 5)]
    padded = torch.cat(
        [torch.cat([junk, embeds[:1]], 1), torch.cat([embeds[1:2], junk], 1), torch.cat([junk[:, :1], embeds[2:], junk[:, :1]], 1)]
    )
    keep = torch.tensor([[0, 0, *[1] * 7], [*[1] * 7, 0, 0], [0, *[1] * 7, 0]], dtype=torch.bool)
    states = model.read(padded, [site], keep)[site]
    for row in range(3):
        alone = model.read(embeds[row : row + 1], [site])[site][0]
        torch.testing.assert_close(states[row][keep[row]], alone, atol=2e-5, rtol=1e-4)
