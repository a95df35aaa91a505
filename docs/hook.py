"""Notebooks as pages of the documentation: a hook of mkdocs, which shows them as they were executed."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Put a page in the place of every notebook."""
    from mkdocs.structure.files import File

    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            files.remove(file)
            made = markdown_of(json.loads(file.content_string))
            files.append(File.generated(config, file.src_uri.replace(".ipynb", ".md"), content=made))
    return files


def on_page_markdown(markdown: str, **about: Any) -> str:
    """Links to notebooks lead to their pages."""
    return markdown.replace(".ipynb)", ".md)")


def markdown_of(notebook: Mapping[str, Any]) -> str:
    """Texts as they are, code in fences, and each output as the richest of its kinds that a page can show."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts += [source] if cell["cell_type"] == "markdown" else [fenced(source, "python"), *outputs(cell["outputs"])]
    return "\n\n".join(parts) + "\n"


def outputs(found: list[Mapping[str, Any]]) -> Iterator[str]:
    """What a cell printed and gave."""
    for one in found:
        data = {kind: "".join(value) for kind, value in one.get("data", {}).items()}
        if "image/png" in data:
            yield f"![What the cell above draws](data:image/png;base64,{data['image/png'].replace(chr(10), '')})"
        elif "text/html" in data:
            yield f'<div class="result">\n{data["text/html"]}\n</div>'
        else:
            yield fenced(data.get("text/plain", "") or "".join(one.get("text", "")), "text")


def fenced(text: str, language: str) -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```"
