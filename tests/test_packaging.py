"""What the package declares is what it uses: dependencies, extras, versions."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import optigram

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "optigram").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEVELOPMENT = {"jaxtyping", "peft", "sae_lens"}  # used where they are installed: optigram works without them
BACKENDS = {"gguf", "accelerate"}  # transformers imports them for GGUF files
ASKED_BY_NAME = {"import_module", "find_spec", "__import__"}


def module(requirement: str) -> str:
    """The module that a requirement installs."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("-", "_")


BASE = {module(requirement) for requirement in PROJECT["dependencies"]}
EXTRAS = {name: {module(each) for each in found} for name, found in PROJECT["optional-dependencies"].items() if name != "all"}


def third_party(names: Iterator[str]) -> set[str]:
    """The packages among some modules that are neither Python's nor ours."""
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"optigram"}


def modules_of(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Every absolute import of some nodes, and every module that they ask for by name."""
    for node in nodes:
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(name), level=0):
                yield name
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(value=str(name)), *_]):
                if called in ASKED_BY_NAME:
                    yield name


def imported(path: Path) -> set[str]:
    return third_party(modules_of(ast.walk(ast.parse(path.read_text(encoding="utf-8")))))


def test_every_import_is_declared():
    declared = BASE.union(*EXTRAS.values()) | DEVELOPMENT
    undeclared = {str(path.relative_to(ROOT)): missing for path in SOURCES if (missing := imported(path) - declared)}
    assert undeclared == {}


def test_every_dependency_is_imported():
    used = set().union(*map(imported, SOURCES)) | BACKENDS
    assert BASE.union(*EXTRAS.values()) - used == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src" / "optigram")))
def test_extras_are_imported_where_they_are_used(path):
    """A module's own top needs base dependencies only; the live page's server is imported behind a check."""
    optional = EXTRAS["web"] if path.parent.name == "live" else set()
    top = ast.parse(path.read_text(encoding="utf-8")).body
    assert third_party(modules_of(iter(top))) - BASE - optional == set()


def test_extras_named_in_messages_exist():
    named = {extra for path in SOURCES for extra in re.findall(r"optigram\[([\w,]+)\]", path.read_text(encoding="utf-8"))}
    assert {each for extra in named for each in extra.split(",")} <= {*EXTRAS, "all"}


def test_all_is_every_extra():
    (everything,) = PROJECT["optional-dependencies"]["all"]
    assert everything == f"optigram[{','.join(EXTRAS)}]"


def test_the_citation_and_the_changelog_know_the_version():
    """The citation is of the newest version in the changelog."""
    versions = re.findall(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == versions[0]
    assert optigram.__version__ in versions


def test_development_installs_what_the_extras_allow():
    """A pinned development version lies within its extra's lower bound."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    pins = dict(pin.split("==") for group in groups.values() for pin in group)
    for requirement in [*PROJECT["dependencies"], *(each for found in PROJECT["optional-dependencies"].values() for each in found)]:
        if (bound := re.match(r"([\w-]+)>=([\d.]+)", requirement)) and bound[1] in pins:
            assert [*map(int, pins[bound[1]].split("."))] >= [*map(int, bound[2].split("."))], requirement


def test_continuous_integration_runs_the_gates():
    """Format, style, types and layers come before the tests, and no test run is started twice."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lint = makefile.partition("\nlint:")[2].partition("\n\n")[0]
    assert all(gate in lint for gate in ("ruff format --check", "ruff check", "pyright", "lint-imports"))
    assert re.findall(r"^make .*", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE) == ["make lint", "make test"]
    assert "\ncheck: lint test " in makefile
    assert ".ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
