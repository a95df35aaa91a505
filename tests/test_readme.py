"""The README: its scripts run on tiny models, its commands parse, and its links hold on a package index too."""

import inspect
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
import typer.main
from safetensors.torch import save_file
from tiny_models import pretrained, tokenizer

import optigram as og
from optigram.apps import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
SCRIPTS = [block for kind, block in BLOCKS if kind == "python"]
COMMANDS = [line for kind, block in BLOCKS if not kind for line in block.splitlines() if line.startswith("optigram ")]
TEXTS = ["a woman sitting under an umbrella", "two dogs play in the snow", "a man rides a wave"]
HOME = "https://github.com/optigram/optigram/blob/main/"
SIZES = {r"\.5\b": ".0", r"\.8\b": ".2", ":137": ":7", "1234": "5", "0-99": "0-3", r"budget=\d+": "budget=40"}
RAW = "https://raw.githubusercontent.com/optigram/optigram/main/"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with what the scripts name, each tiny; and a `find` whose budget is."""
    pretrained("gpt2").save_pretrained(tmp_path / "gpt2")
    tokenizer("bpe").save_pretrained(tmp_path / "gpt2")
    sae = tmp_path / "path" / "to" / "sae"
    sae.mkdir(parents=True)
    torch.manual_seed(0)
    parts = {"W_enc": torch.randn(32, 12), "b_enc": torch.zeros(12), "W_dec": torch.randn(12, 32), "b_dec": torch.zeros(32)}
    save_file(parts, sae / "sae_weights.safetensors")
    (sae / "cfg.json").write_text('{"architecture": "standard"}')
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    np.save(tmp_path / "probe.npy", np.random.default_rng(0).normal(size=32))
    monkeypatch.chdir(tmp_path)
    find = og.find
    small = {"budget": 40, "corpus": ["a man on a bench with a pizza", *TEXTS]}
    monkeypatch.setattr(og, "find", lambda model, targets, **options: find(model, targets, **small | options), raising=False)


def shrunk(script: str) -> str:
    """The same script at the sizes of the tiny model: 3 blocks, 48 neurons in each, 12 latents."""
    for pattern, small in SIZES.items():
        script = re.sub(pattern, small, script)
    return script


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.splitlines()[-1][:40])
def test_a_script_runs(script, place, capsys):
    assert len(script.splitlines()) <= 5
    exec(compile(shrunk(script), "README.md", "exec"), {})
    if "print(" in script or ".show()" in script:
        assert capsys.readouterr().out


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_parses(line):
    """Every command, option and value, as the command line checks them before it starts."""
    _, name, *words = shlex.split(line, comments=True)
    commands = typer.main.get_command(cli.app).commands
    context = commands[name].make_context(name, words)
    assert not [target for target in context.params.get("targets") or () if target.startswith("--")]


def test_every_function_and_option_that_it_names_exists():
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    for name in set(re.findall(r"\bog\.(\w+)", text)):
        assert hasattr(og, name), name
    options = inspect.signature(og.find).parameters
    for name in set(re.findall(r"`(\w+)=[^`]*`", text)):
        assert name in options, name


def test_it_opens_with_the_name_one_sentence_and_the_make_commands():
    assert re.match(r"# optigram\n\n\*\*optigram finds ", README)
    assert [line.split("#")[0].strip() for line in BLOCKS[0][1].splitlines()] == ["make demo", "make test"]
    assert len(README.splitlines()) <= 220


def test_its_links_are_absolute_and_lead_to_files():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    for link in links:
        assert link.startswith("https://"), link
        for start in (HOME, RAW):
            assert not link.startswith(start) or (ROOT / link.removeprefix(start)).is_file(), link
