"""Two promises of a study: what its plan says a step costs is what steps cost, and a killed study ends the same.

    python benchmarks/study.py plan                    # an Imaginet of the paper's size with random weights
    python benchmarks/study.py kills [--times 10]      # the paper's arms in little, killed with SIGKILL and gone on with

`plan` compares the plan's seconds of one full gumbel run of a neuron (64 samples) with ten steps run one by one.
`kills` runs the same study twice, once undisturbed, and compares every record but for its seconds.
"""

import argparse
import dataclasses
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from optigram.methods import method_named
from optigram.models import loading
from optigram.models.imaginet import Imaginet, Sizes
from optigram.models.loading import load, load_imaginet
from optigram.objective.rng import Streams
from optigram.papers.poerner2018 import recipe
from optigram.runs.records import read
from optigram.study.cells import StudyContext
from optigram.study.estimate import estimate
from optigram.study.spec import Arm, Study

WORDS, SIZES, STEPS = 27_406, Sizes(1024, 1024, 4096), 10
SHORT = recipe.Recipe(budget=300, shorter=200, few=2, placebos=2, groups=2)
LONG = ("faithful", "fair")  # arms that would take minutes a cell, through the same code
SECONDS = (1.0, 20.0)  # the range of moments at which a run is killed


def plan(folder: Path) -> None:
    """The plan of one neuron's faithful gumbel run, beside ten of its steps."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    loading.save(Imaginet(tuple(f"w{i}" for i in range(WORDS)), (), SIZES), folder / "model", {})
    study = Study(model=str(folder / "model"), arms=(Arm(name="a", targets=("visual:657",), methods=("gbl:faithful",)),))
    workshop = StudyContext(study)
    (row,) = estimate(workshop, workshop.cells())
    method = method_named("gbl:faithful")
    objective = workshop.objective("a", ["visual:657"])
    streams = Streams(0, ["visual:657"], 1, objective.device)
    theta = method.relaxation.start(streams, 5, objective.table).requires_grad_()
    adam = torch.optim.Adam([theta], lr=method.rate, fused=True)
    begun = time.perf_counter()
    for step in range(STEPS + 1):
        if step == 1:  # the first one warms up
            begun = time.perf_counter()
        adam.zero_grad()
        objective.relax(method.relaxation.soften(theta, objective.table, step, streams)).activation.mean().neg().backward()
        adam.step()
    took = (time.perf_counter() - begun) / STEPS
    operations = recipe.gumbel_operations(load_imaginet(study.model)) / 1e9
    print(f"a step of gbl:faithful: plan {row.seconds / method.steps:.2f} s, ten steps {took:.2f} s; {operations:.0f} GFLOP; ", end="")
    print(f"plan / measured {row.seconds / method.steps / took:.2f}")


def kills(folder: Path, times: int) -> None:
    """Run, kill, go on; compare with an undisturbed run."""
    recipe.RECIPES["small"] = SHORT
    study = recipe.study("small", load("imaginet"))
    study = study.model_copy(
        update={"arms": tuple(arm.model_copy(update={"targets": _few(arm.targets)}) for arm in study.arms if arm.name not in LONG)}
    )
    path = folder / "study.toml"
    path.write_text(_toml(study), encoding="utf-8")
    killed, chance = 0, random.Random(0)
    while killed < times:
        process = _begin(path, folder / "killed")
        try:
            process.wait(timeout=chance.uniform(*SECONDS))
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
    for name in ("killed", "undisturbed"):
        if _begin(path, folder / name).wait():
            sys.exit(f"the {name} study failed")
    one, other = (
        [dataclasses.replace(record, seconds=0.0) for record in read(folder / name / "records.parquet")]
        for name in ("killed", "undisturbed")
    )
    print(f"killed {killed} times; {len(one)} records, {sum(a != b for a, b in zip(one, other, strict=True))} differ")


def _begin(path: Path, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "optigram", "study", str(path), "--out", str(out), "--quiet"], stdout=subprocess.DEVNULL)


def _few(addresses: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(",".join(address.split(",")[:9]) for address in addresses)


def _toml(study: Study) -> str:
    arms = "".join(
        "\n[[arms]]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in arm.model_dump(mode="json").items() if value is not None)
        for arm in study.arms
    )
    return f"name = {json.dumps(study.name)}\nmodel = {json.dumps(study.model)}\n{arms}"


def main() -> None:
    """Run one of the two."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=("plan", "kills"))
    options.add_argument("--times", type=int, default=10)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if chosen.what == "plan":
            plan(Path(folder))
        else:
            kills(Path(folder), chosen.times)


if __name__ == "__main__":
    main()
