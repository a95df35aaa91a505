"""Environments of the peers, each in a folder of its own: python benchmarks/peers/setup.py DIR [--only whisperers,tropt,nanogcg]

torch comes first, by `constraints.txt`, so that a machine which offers a CPU build gets that one. What else pip plans is looked
at before anything is downloaded: a build for graphics cards ends the setup. Nothing of this is a dependency of the project.
"""

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path

RELEASES = {"whisperers": "0.1.0a5", "tropt": "0.1.1", "nanogcg": "0.3.0"}
CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"
UNWANTED = ("nvidia", "cuda", "triton")


def main() -> None:
    """Make what is missing; an environment that has its peer is left as it is."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--only", default=",".join(RELEASES))
    asked = options.parse_args()
    for peer in asked.only.split(","):
        make(asked.folder, peer)


def python_of(folder: Path, peer: str) -> Path:
    """The interpreter of a peer's environment."""
    return folder / "environments" / peer / "bin" / "python"


def make(folder: Path, peer: str) -> None:
    """Install torch, then the peer; a mark tells that both are there."""
    python = python_of(folder, peer)
    mark = python.parent.parent / f"{peer}-{RELEASES[peer]}"
    if mark.exists():
        print(f"{peer}: {mark.parent} is ready")
        return
    venv.create(mark.parent, with_pip=True, clear=True)
    for wanted in ("torch", f"{peer}=={RELEASES[peer]}"):
        planned = plan(python, wanted)
        if foreign := [name for name in planned if name.startswith(UNWANTED)]:
            sys.exit(f"{wanted} would bring {', '.join(foreign)}: builds for graphics cards; offer pip a CPU build of torch")
        print(f"{peer}: {wanted} brings {', '.join(planned)}", flush=True)
        pip(python, "--quiet", wanted)
    mark.touch()


def plan(python: Path, wanted: str) -> list[str]:
    """What pip would install for it, as name==version; no wheel of torch itself is fetched for that."""
    report = json.loads(pip(python, "--quiet", "--dry-run", "--report", "-", wanted))
    return sorted(f"{one['metadata']['name']}=={one['metadata']['version']}" for one in report["install"])


def pip(python: Path, *words: str) -> str:
    """What `pip install` prints."""
    command = [str(python), "-m", "pip", "install", "--constraint", str(CONSTRAINTS), *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
