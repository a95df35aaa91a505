import pytest
import torch
from tiny_models import ROWS, network, pretrained, tokenizer

from optigram.errors import InputError
from optigram.models.huggingface import wrap_model
from optigram.models.sites import Sites


def test_the_effective_embedding_is_what_the_layer_gives():
    """Gemma scales within its embedding layer in transformers 5, and after it in 4.57: read either way, ids and embeds agree."""
    for name in ("gemma", "gemma3", "opt-350m", "granite"):
        layer = pretrained(name).get_input_embeddings()
        assert torch.equal(network(name).embedding, layer(torch.arange(ROWS)))
    scale = pretrained("gemma3").get_input_embeddings()(torch.arange(4)) / pretrained("gemma3").get_input_embeddings().weight[:4]
    torch.testing.assert_close(scale, torch.full_like(scale, 32**0.5))


def test_the_last_residual_is_before_the_final_norm():
    model = network("llama")
    ids = torch.tensor([[7, 8, 9]])
    last = model.read(model.embedding[ids], ["resid_post.2"])["resid_post.2"]
    with torch.no_grad():
        hidden = pretrained("llama")(input_ids=ids, output_hidden_states=True).hidden_states[-1]
    assert not torch.allclose(last, hidden, atol=1e-2)
    torch.testing.assert_close(pretrained("llama").model.norm(last), hidden)


def test_block_contributions_differ_from_the_raw_output_where_a_norm_stands_between():
    ids = torch.tensor([[7, 8, 9]])
    for name, differ in (("gemma2", True), ("olmo2", True), ("llama", False)):
        model = network(name)
        states = model.read(
            model.embedding[ids], [f"{kind}.1" for kind in ("resid_pre", "attn_out_post", "mlp_out", "mlp_out_post", "resid_post")]
        )
        total = states["resid_pre.1"] + states["attn_out_post.1"] + states["mlp_out_post.1"]
        torch.testing.assert_close(total, states["resid_post.1"], atol=1e-4, rtol=1e-4)
        assert torch.allclose(states["mlp_out.1"], states["mlp_out_post.1"]) != differ


def test_a_gated_neuron_is_gate_times_linear():
    ids = torch.tensor([[7, 8, 9]])
    for name, bend in (("llama", torch.nn.functional.silu), ("phi3", torch.nn.functional.silu), ("modernbert", torch.nn.functional.gelu)):
        model = network(name)
        states = model.read(model.embedding[ids], ["mlp_pre.1", "mlp_pre_linear.1", "mlp_act.1"])
        torch.testing.assert_close(bend(states["mlp_pre.1"]) * states["mlp_pre_linear.1"], states["mlp_act.1"], atol=1e-5, rtol=1e-4)


def test_a_head_has_its_units_side_by_side():
    """Unit h * d_head + i of `z` is unit i of head h: silencing the others of the output projection leaves that head's part."""
    model, ids = network("gpt2"), torch.tensor([[7, 8, 9]])
    z = model.read(model.embedding[ids], ["z.1"])["z.1"]
    heads = z.unflatten(-1, (4, 8))
    assert torch.equal(heads[0, 0, 2, 3], z[0, 0, 2 * 8 + 3])


@pytest.mark.parametrize("name", ["gpt2", "bert", "t5"])
def test_half_precision_is_near_and_gives_single_precision(name):
    ids = torch.tensor([[7, 8, 9, 10]])
    model = pretrained(name, torch.bfloat16)
    half = wrap_model(model, tokenizer("bpe"), "half")
    state = half.read(half.embedding[ids], ["mlp_out.0"])["mlp_out.0"]
    assert state.dtype == half.embedding.dtype == torch.float32
    exact = network(name).read(network(name).embedding[ids], ["mlp_out.0"])["mlp_out.0"]
    assert (state - exact).abs().max() < 0.1 * exact.abs().max()


def test_names_of_other_tools():
    model = network("gpt2")
    expected = {"point": "mlp_act.1", "module": "transformer.h.1.mlp.c_proj@in", "transformer_lens": "blocks.1.mlp.hook_post"}
    for name in expected.values():
        assert Sites.aliases(model, name) == expected
        assert model.sites[name].width == 48
    assert Sites.aliases(model, "transformer.h.1.ln_1") == {"module": "transformer.h.1.ln_1"}
    assert Sites.aliases(model, "logits") == {}


def test_every_listed_site_can_be_read():
    model = network("phi3")
    ids = torch.tensor([[7, 8, 9]])
    sites = [site for site in model.sites if model.sites[site].linear is None]
    for site in sites:
        assert model.read(model.embedding[ids], [site])[site].shape[-1] == model.sites[site].width


def test_an_unknown_site_is_refused():
    model = network("gpt2")
    assert "transformer.h.9" not in model.sites
    with pytest.raises(InputError, match=r"no site 'transformer.h.9'"):
        model.read(model.embedding[torch.tensor([[7]])], ["transformer.h.9"])
