"""A hook of mkdocs: notebooks become pages, and the command line, the options of `find` and its signature become tables."""

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
NOTEBOOK = re.compile(r"\]\((?!\w+:)([^)]*)\.ipynb\)")  # a link within the documentation


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Replace every notebook by a page."""
    from mkdocs.structure.files import File

    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            files.remove(file)
            made = markdown_of(json.loads(file.content_string))
            files.append(File.generated(config, file.src_uri.replace(".ipynb", ".md"), content=made))
    return files


def on_page_markdown(markdown: str, **about: Any) -> str:
    """Link to the pages of notebooks, and fill in what is generated."""
    return MARK.sub(lambda found: GENERATED[found[1]](), NOTEBOOK.sub(r"](\1.md)", markdown))


def markdown_of(notebook: Mapping[str, Any]) -> str:
    """Text as it is, code in fences, and each output in the richest of its formats that a page can show."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts += [source] if cell["cell_type"] == "markdown" else [fenced(source, "python"), *outputs(cell["outputs"])]
    return "\n\n".join(parts) + "\n"


def outputs(found: list[Mapping[str, Any]]) -> Iterator[str]:
    """What a cell printed and returned."""
    for one in found:
        data = {kind: "".join(value) for kind, value in one.get("data", {}).items()}
        if "image/png" in data:
            yield f"![The figure of the cell above](data:image/png;base64,{data['image/png'].replace(chr(10), '')})"
        elif "text/html" in data:
            yield f'<div class="result">\n{data["text/html"]}\n</div>'
        else:
            yield fenced(data.get("text/plain", "") or "".join(one.get("text", "")), "text")


def fenced(text: str, language: str) -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    escaped = [[cell.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *escaped])


def commands() -> str:
    """A section per command, with its usage and a table of its arguments and options."""
    import typer.main

    from optigram.apps.cli import app

    group: Any = typer.main.get_command(app)
    return "\n\n".join(command_section(name, command) for name, command in commands_of("optigram", group))


def commands_of(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """A command, or all commands of a group by name."""
    if not hasattr(command, "commands"):
        yield name, command
        return
    for part, inner in sorted(command.commands.items()):
        yield from commands_of(f"{name} {part}", inner)


def command_section(name: str, command: Any) -> str:
    """Heading, help, usage and parameters of a command."""
    shown = [each for each in command.params if not getattr(each, "hidden", False) and each.name != "help"]
    arguments = [each for each in shown if each.param_type_name == "argument"]
    usage = " ".join([name, *map(argument, arguments), "[OPTIONS]"])
    rows = [[parameter_name(each), default_of(each), help_of(each)] for each in shown]
    parts = [f"## {name}", inspect.cleandoc(command.help or ""), fenced(usage, "text")]
    return "\n\n".join([*parts, table(["option", "default", "meaning"], rows)] if rows else parts)


def argument(parameter: Any) -> str:
    """An argument as in a usage line: MODEL, [MODEL] or TARGETS..."""
    name = parameter.name.upper() + ("..." if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def parameter_name(parameter: Any) -> str:
    """An argument as in the usage line, or all spellings of an option with its type."""
    if parameter.param_type_name == "argument":
        return f"`{argument(parameter)}`"
    spelled = ", ".join(f"`{each}`" for each in (*parameter.opts, *parameter.secondary_opts))
    return spelled if parameter.is_flag else f"{spelled} `{parameter.metavar or parameter.bare_type()}`"


def help_of(parameter: Any) -> str:
    """The help text without the default in words, which has a column of its own."""
    return re.sub(r"\s*\[default: .*?\]$", "", getattr(parameter, "help", None) or "")


def default_of(parameter: Any) -> str:
    """The default as typed, or in the words of the help text."""
    words = re.search(r"\[default: (.*?)\]$", getattr(parameter, "help", None) or "")
    shown = getattr(parameter, "show_default", None)
    if isinstance(shown, str) or words:
        return shown if isinstance(shown, str) else words[1]
    if parameter.required:
        return "required"
    value = parameter.default
    return f"`{value}`" if isinstance(value, str | int | float | Path) and value is not False else ""


def options() -> str:
    """A table per group of the fields of `optigram.FindOptions`: name, type, default, meaning."""
    from optigram.runs.options import FindOptions

    panels: dict[str, list[list[str]]] = {}
    for name, field in FindOptions.model_fields.items():
        about = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = about.get("shown") or ("required" if field.is_required() else f"`{field.default!r}`")
        row = [f"`{name}`", f"`{flag(name, about.get('flag'))}`", str(default), field.description or ""]
        panels.setdefault(str(about.get("panel") or "Options"), []).append(row)
    header = ["Python", "command line", "default", "meaning"]
    ordered = sorted(panels.items(), key=lambda item: item[0] != "Search")
    return "\n\n".join(f"## {panel}\n\n{table(header, rows)}" for panel, rows in ordered)


def flag(name: str, given: Any) -> str:
    """An option on the command line."""
    return str(given or f"--{name.replace('_', '-')}")


def signature() -> str:
    """The signature of `find`, a parameter per line."""
    import optigram

    parameters = inspect.signature(optigram.find).parameters.values()
    lines = [each.name if each.default is each.empty else f"{each.name}={each.default!r}" for each in parameters]
    kinds = [each.kind for each in parameters]
    if inspect.Parameter.KEYWORD_ONLY in kinds:
        lines.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    return fenced("\n".join(["optigram.find(", *(f"    {line}," for line in lines), ") -> Results"]), "python")


GENERATED: dict[str, Callable[[], str]] = {"commands": commands, "options": options, "signature": signature}
