import json
import sys

import pytest
from tiny_models import pretrained, tokenizer

from optigram.apps import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("gpt2")
    pretrained("gpt2").save_pretrained(path)
    tokenizer("bpe").save_pretrained(path)
    return str(path)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command; its exit code, standard output and standard error."""

    def go(*words: str):
        monkeypatch.setattr(sys, "argv", ["optigram", *words])
        with pytest.raises(SystemExit) as done:
            cli.main()
        out, err = capsys.readouterr()
        return done.value.code, out, err

    return go


def test_sites_are_listed_with_addresses_that_work(run, folder):
    code, out, _ = run("sites", folder, "--json")
    rows = {row["site"]: row for row in map(json.loads, out.splitlines())}
    assert code == 0
    assert rows["mlp_act.1"]["path"] == "transformer.h.1.mlp.c_proj@in"
    assert rows["mlp_act.1"]["transformer_lens"] == "blocks.1.mlp.hook_post"
    assert rows["logits"]["units"] == 384
    for site in ("mlp_act.1", "logits", "transformer.h.1.ln_2"):
        code, out, err = run("score", folder, rows[site]["address"], "--text", "two dogs", "--json")
        assert code == 0, err
        assert json.loads(out.splitlines()[0])["target"] == rows[site]["address"]


def test_sites_are_a_tree(run, folder):
    _, out, _ = run("sites", folder)
    assert "mlp_act.0 to .2" in out
    assert 'logits:"' in out or "logits:" in out
    assert "transformer.h.0.attn" in out


def test_check_says_what_holds_and_fails_with_what_does_not(run, folder):
    assert run("check", "imaginet")[0] == 0
    code, out, _ = run("check", folder, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == int(not all(row["holds"] for row in rows))
    assert {row["claim"] for row in rows if not row["holds"]} <= {"tokens survive decoding and encoding"}
    assert "embeds and ids agree at every point" in run("check", folder)[1]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("transformer.h.1.mlp.c_prj:0", "did you mean"),
        ("mlp_act.7:0", "did you mean mlp_act"),
        ("mlp_act.1:48", "mlp_act.1 has units 0 to 47"),
        ('logits:" zebra crossing"', "tokens"),
        ("lm_head@in:nose", "have no names"),
    ],
)
def test_bad_targets_are_one_line(run, folder, target, message):
    code, out, err = run("score", folder, target, "--text", "two dogs")
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_search_finds_what_it_scores(run, folder, tmp_path):
    corpus = tmp_path / "sentences.txt"
    corpus.write_text("a woman sitting under an umbrella\ntwo dogs play in the snow\n")
    words = ("--by", "crp,gbl", "--length", "3", "--budget", "60", "--corpus", str(corpus), "--json", "--quiet")
    code, out, err = run("find", folder, "blocks.1.mlp.hook_post:5", 'logits:"a"', *words)
    assert code == 0, err
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["method"] for row in rows] == ["crp", "crp", "gbl", "gbl"]
    for row in rows:
        code, out, _ = run("score", folder, row["target"], "--text", row["text"], "--json")
        if row["survives"]:
            assert json.loads(out)["activation"] == pytest.approx(row["activation"], rel=1e-4, abs=1e-4)
