"""One process that forks the commands, and what they work on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from fault_cases import begin, filled, make_inputs  # noqa: E402 - which stands beside this file


@pytest.fixture(scope="session")
def zygote():
    """A function that runs a command in a folder: its answer (see `zygote.py`)."""
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, str(HERE / "zygote.py")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def run(argv, folder, **how):
            process.stdin.write(json.dumps({"argv": argv, "cwd": str(folder), **how}) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.fixture(scope="session")
def inputs(zygote, tmp_path_factory):
    """What the commands work on, by name."""
    folder = tmp_path_factory.mktemp("inputs")
    folder.chmod(0o755)

    def made(argv, place):
        assert zygote(argv, place)["code"] == 0, (place / "log" / "err").read_text()

    return make_inputs(folder, made)


@pytest.fixture(scope="session")
def expected(zygote, inputs, tmp_path_factory):
    """A function that gives the undisturbed run of a case: its folder and the zygote's answer. Each is made once."""
    known = {}

    def give(case):
        if case.name not in known:
            folder = tmp_path_factory.mktemp("expected") / "work"
            begin(case, inputs, folder)
            answer = zygote(filled(case, inputs), folder)
            assert answer["code"] == 0, (folder / "log" / "err").read_text()
            known[case.name] = folder, answer
        return known[case.name]

    return give
