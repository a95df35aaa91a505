"""A type checker knows the types of what the package exports, as a user's project sees them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import optigram

LEAST = 0.95  # of the symbols that all modules export


def test_the_types_of_what_is_exported_are_known(tmp_path):
    """Pyright reads the package as an installed one: the interpreter that it finds first is this one, with these sources."""
    programs = Path(sys.executable).parent
    sources = Path(optigram.__file__).parents[1]
    here = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(sources)}
    command = [str(programs / "pyright"), "--verifytypes", "optigram", "--ignoreexternal", "--outputjson"]
    found = subprocess.run(command, cwd=tmp_path, env=os.environ | here, capture_output=True, text=True, check=False, timeout=300)
    report = json.loads(found.stdout)["typeCompleteness"]
    assert report["packageRootDirectory"] == str(sources / "optigram"), "pyright did not find the package, or no py.typed in it"
    unknown = [
        f"{symbol['name']}: {symbol['diagnostics'][0]['message'].splitlines()[0] if symbol['diagnostics'] else 'of something unknown'}"
        for symbol in report["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"]
    ]
    shown = "\n".join(unknown[:40])
    assert report["completenessScore"] >= LEAST, (
        f"{report['completenessScore']:.1%} of {len(report['symbols'])} symbols; unknown are\n{shown}"
    )
