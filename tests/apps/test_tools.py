"""The tools for agents, through the client of the package that carries them."""

import asyncio

import pytest
from mcp import Client

from optigram.apps.tools import Toolbox


@pytest.fixture
def ask(tiny, tmp_path):
    """Call a tool: what it gives, or the text of its error."""
    (tmp_path / "texts.txt").write_text("a b c\nd e f\n" * 3)
    made = Toolbox(tiny, tmp_path, "lexical", 500).server()

    async def called(name, arguments):
        async with Client(made) as client:
            found = await client.call_tool(name, arguments)
        return found.content[0].text if found.is_error else next(iter(found.structured_content.values()))

    return lambda name, **arguments: asyncio.run(called(name, arguments))


def test_every_tool_is_listed_with_what_it_takes(tiny):
    async def listed():
        async with Client(Toolbox(tiny, None).server()) as client:
            return (await client.list_tools()).tools

    found = {tool.name: tool for tool in asyncio.run(listed())}
    assert set(found) == {"find", "score", "explain", "concepts", "verify", "scan"}
    assert all(tool.description for tool in found.values())
    assert set(found["find"].input_schema["properties"]) >= {"targets", "by", "length", "budget", "corpus"}


def test_the_tools_give_what_the_functions_give(ask, tiny):
    import optigram as og

    (found,) = ask("find", targets=["visual:dog"], by="coordinate", length=3, budget=100)
    (scored,) = ask("score", targets=["visual:dog"], texts=[found["text"]])
    assert found["activation"] == scored["activation"] == og.score(tiny, "visual:dog", found["text"], quiet=True)[0].activation
    (explained,) = ask("explain", target="visual:dog", text="a b")
    assert [place["word"] for place in explained["places"]] == ["a", "b"]
    places = ask("scan", targets=["visual:dog"], corpus="texts.txt", top=2)
    assert [place["rank"] for place in places] == [1, 2]
    (tested,) = ask("verify", target="visual:dog", description="animal", budget=200, corpus=["a b c", "d e f", "g a b c"])
    assert tested["target"] == "visual:dog@max"
    known = ask("concepts", target="visual:dog", budget=300, corpus=["a b c d e f", "d e f g a a", "g a b c b b"])
    assert not isinstance(known, str), known
    (known,) = known
    assert known["concepts"]
    assert known["description"]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("find", {"targets": ["visual:dog"], "budget": 501}, "a budget of more than 0 and at most 500"),
        ("find", {"targets": ["visual:dog"], "by": "os.path:join"}, "optigram's own methods"),
        ("find", {"targets": ["visual:dog"], "by": "crp", "corpus": "../outside.txt"}, "in the folder that the tools were started with"),
        ("find", {"targets": ["visual:dog"], "by": "crp", "corpus": "/etc/passwd"}, "in the folder that the tools were started with"),
        ("find", {"targets": ["visual.hidden:/etc/passwd#x"]}, "in the folder that the tools were started with"),
        ("find", {"targets": ["custom:os.path.join#visual"]}, "run no code"),
        ("find", {"targets": []}, "no target"),
        ("score", {"targets": ["visual:dog"], "texts": ["a"] * 201}, "1 to 200 texts"),
        ("score", {"targets": ["visual:dgo"], "texts": ["a"]}, "dog"),
        ("verify", {"target": "visual:dog", "description": ""}, "a description"),
        ("scan", {"targets": ["visual:dog"], "corpus": "missing.txt"}, "in the folder"),
    ],
)
def test_what_is_too_much_or_outside_is_one_line(ask, name, arguments, said):
    found = ask(name, **arguments)
    assert said in found
    assert "\n" not in found


def test_a_wildcard_is_counted_by_what_it_stands_for(tiny):
    units = [f"{site}:*@{pool}" for site in ("visual", "visual.hidden", "language", "language.hidden") for pool in ("last", "max", "mean")]
    with pytest.raises(ValueError, match="expected 1 to 64 targets, got 87"):
        Toolbox(tiny, None).find(units)


def test_no_file_without_a_folder(tiny):
    made = Toolbox(tiny, None)
    with pytest.raises(ValueError, match="start the tools with --files"):
        made.scan(["visual:dog"], "texts.txt")
