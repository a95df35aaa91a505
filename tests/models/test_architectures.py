"""Every architecture of the table: its points are what transformers alone computes, alone and together; the page says what is read."""

import pytest
import torch
from architectures import END, NAMES, PAGE, markers, opened, plain_states, table

from optigram.models.network import Network

EACH = pytest.mark.parametrize("name", NAMES)
SHAPE = 2, 7


def random_ids(seed: int = 5) -> torch.Tensor:
    ids = torch.randint(2, END, SHAPE, generator=torch.Generator().manual_seed(seed))
    ids[:, -1] = END
    return ids


@EACH
def test_points_are_what_transformers_computes_alone_and_together(name):
    model, ids = opened(name), random_ids()
    if not isinstance(model, Network):
        assert "\n" not in model
        return
    # a text that is not padded, as SigLIP's is; one text at a time where experts read it
    texts = [ids] if not model.routed else [row[None] for row in ids]
    padded = [torch.nn.functional.pad(text, (0, model.inputs.length(SHAPE[1]) - SHAPE[1]), value=0) for text in texts]
    plain = [plain_states(model, text)[0] for text in padded]
    sites = [*model.sites.canonical, *model.sites.scores] or [str(point) for point in list(model.sites.widths)[::7]]
    with torch.no_grad():
        together = model.read(model.embedding[ids], sites)
        for site in sites:
            point = model.sites.point(site)
            expected = torch.cat([one[point.path, point.side][point.run] for one in plain], dim=1 if point.turned else 0)
            expected = expected.transpose(0, 1) if point.turned else expected
            expected = (
                expected[:, None].expand(-1, SHAPE[1], -1)
                if point.whole
                else expected.reshape(SHAPE[0], -1, together[site].shape[-1] * (1 if point.half is None else 2))
            )
            expected = expected[:, : SHAPE[1]] if point.half is None else expected.chunk(2, -1)[point.half]
            torch.testing.assert_close(together[site], expected, atol=1e-5, rtol=1e-4)
            assert torch.equal(model.read(model.embedding[ids], [site])[site], together[site]), site


@EACH
def test_the_output_is_that_of_transformers(name):
    model, ids = opened(name), random_ids()
    if not isinstance(model, Network) or not ({"logits", *model.sites.scores} & set(model.sites)):
        return
    length = model.inputs.length(SHAPE[1])
    output = plain_states(model, torch.nn.functional.pad(ids, (0, length - SHAPE[1]), value=0))[1]
    with torch.no_grad():
        if model.sites.logits is not None:
            linear = model.sites.logits.linear
            values = model.read(model.embedding[ids], [linear.source])[linear.source] @ linear.weight.T + linear.bias
            values = values if linear.softcap is None else linear.softcap * torch.tanh(values / linear.softcap)
            expected = output["prediction_logits"] if "prediction_logits" in output else output["logits"]
            torch.testing.assert_close(values, expected, atol=1e-4, rtol=1e-4)
            return
        (site,) = model.sites.scores
        values = model.read(model.embedding[ids], [site])[site]
    if site == "answer":
        expected = torch.stack([output["start_logits"], output["end_logits"]], -1)
    elif site == "image_space":
        expected = (
            output if isinstance(output, torch.Tensor) else output["text_embeds"] if "text_embeds" in output else output["pooler_output"]
        )
    else:
        expected = output["logits"]
    values = values[:, -1] if expected.ndim == 2 and site != "score" else values
    torch.testing.assert_close(values.reshape(expected.shape), expected, atol=1e-4, rtol=1e-4)


def test_the_page_says_what_is_read():
    begin, end = markers()
    stored = PAGE.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]
    assert stored == table(), "run: python tests/models/architectures.py"
