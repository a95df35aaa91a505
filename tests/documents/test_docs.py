"""Every snippet of the documentation is run, page by page, as a reader would type it; notebooks too."""

import gzip
import json
import re
import shlex
import sys
from pathlib import Path

import hook
import pytest
import tiny_documents

import optigram
from optigram.apps import cli

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if re.search(r"^```(python|sh)$", path.read_text(encoding="utf-8"), re.MULTILINE))
NOTEBOOKS = sorted(DOCS.rglob("*.ipynb"))
INSTALLING = ("python -m venv", ". .venv", "pip install")  # what a test environment has done already


@pytest.fixture(scope="module", autouse=True)
def small_corpus(tmp_path_factory):
    """The first sentences of the bundled corpus stand for all of it."""
    from optigram.models.loading import CAPTIONS, bundled

    folder = tmp_path_factory.mktemp("bundled")
    with gzip.open(bundled() / CAPTIONS, "rt", encoding="utf-8") as file:
        few = "".join(file.readlines()[:300])
    with gzip.open(folder / CAPTIONS, "wt", encoding="utf-8") as file:
        file.write(few)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("optigram.runs.corpus", "optigram.scanning.scan"):
            patch.setattr(f"{module}.bundled", lambda: folder)
        yield


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def brief(text: str) -> str:
    """The same at a small budget, which changes how good the texts are and nothing else."""
    return re.sub(r"(--budget |budget ?= ?|forwards=)\d+", r"\g<1>40", text)


def typed(line: str, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0, line


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_snippets_of_a_page(page, place, monkeypatch, capsys):
    names: dict = {}
    text = brief(page.read_text(encoding="utf-8"))
    tiny_documents.save_models(text, place)
    for kind, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        match kind:
            case "python":
                exec(compile(block, str(page), "exec"), names)
            case "toml":
                (place / "study.toml").write_text(block)
            case "sh":
                for line in block.splitlines():
                    if not line.startswith(INSTALLING):
                        typed(line, monkeypatch)
    assert capsys.readouterr().out


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_holds_its_outputs(path, place):
    names: dict = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert cell["execution_count"], "execute it: python docs/execute.py"
            assert all(output["output_type"] != "error" for output in cell["outputs"])
            lines = [line for line in cell["source"] if not line.startswith("%")]  # which are the notebook's own, not Python's
            exec(compile(brief("".join(lines)), str(path), "exec"), names)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_a_page_with_its_outputs(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    page = hook.markdown_of(notebook)
    assert page.count("```python") == sum(cell["cell_type"] == "code" for cell in notebook["cells"])
    assert '<div class="result">\n<table>' in page
    assert "\n\n</div>" not in page
    assert hook.on_page_markdown("[a](b/c.ipynb)") == "[a](b/c.md)"


def test_every_page_is_in_the_contents():
    contents = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [str(page.relative_to(DOCS).with_suffix(".md")) for kind in ("*.md", "*.ipynb") for page in DOCS.rglob(kind)]
    assert [page for page in pages if page not in contents] == []


GUIDES = sorted(path for path in (DOCS / "howto").glob("*.md") if path.stem not in ("report", "own-model"))


@pytest.mark.parametrize("page", GUIDES, ids=lambda path: path.stem)
def test_a_guide_is_short_and_starts_with_few_lines(page):
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 40
    first = re.search(r"^```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
    assert len([line for line in first.splitlines() if line]) <= 5 or page.stem == "cluster"


def test_the_command_line_page_has_every_command_and_option():
    page = hook.on_page_markdown((DOCS / "cli.md").read_text(encoding="utf-8"))
    for command in ("find", "score", "explain", "scan", "report", "sites", "study", "explore"):
        assert f"\n## optigram {command}\n" in page
    find = page.partition("\n## optigram find\n")[2].partition("\n## ")[0]
    assert "```text\noptigram find MODEL TARGETS... [OPTIONS]\n```" in find
    rows = {row.split("|")[1].strip(): row for row in find.splitlines() if row.startswith("| `--")}
    assert "`--must-survive`" in rows
    assert {row.count("|") for row in rows.values()} == {4}
    assert "| `0` |" in rows["`--seed` `int`"]
    assert "<unk>" not in find  # which a browser would take for a tag


def test_the_options_page_is_the_model_of_the_options():
    from optigram.runs.options import FindOptions

    page = hook.on_page_markdown((DOCS / "options.md").read_text(encoding="utf-8"))
    for name, field in FindOptions.model_fields.items():
        assert f"| `{name}` | `--" in page
        assert (field.description or "").replace("<", "&lt;") in page


def test_the_reference_has_every_public_name():
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^::: optigram\.(\w+)$", page, re.MULTILINE))
    assert set(optigram.__all__) - shown - {"methods", "relaxations"} == set()


def test_search_finds_the_parts_of_an_address():
    """By the separator that the site's search splits words with."""
    separator = re.search(r"separator: '(.*)'", (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8"))[1]
    assert [part for part in re.split(separator, "language:umbrella mlp_act.5:137 og.find(x)") if part] == [
        *("language", "umbrella", "mlp", "act.5", "137", "og", "find", "x")
    ]
