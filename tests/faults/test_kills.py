"""Commands that are killed anywhere and run again leave what an undisturbed run leaves: the same records, no litter, no orphans.

`OPTIGRAM_KILLS=200` kills so many times (`make test-faults`); by default a handful, of those that resume first. `OPTIGRAM_SEED` draws
other moments.
"""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from fault_cases import CASES, begin, filled, outcome

KILLS, SEED = int(os.environ.get("OPTIGRAM_KILLS", "6")), int(os.environ.get("OPTIGRAM_SEED", "0"))
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
MOST = 3  # kills of one run, one after the other
RESUMING = ("scan", "study by processes", "train")
PATIENCE = 20.0  # seconds that the processes of a killed command have to end


def test_killed_anywhere_and_run_again(zygote, inputs, expected, tmp_path):
    rng, kills, trial = random.Random(SEED), {case.name: 0 for case in CASES}, 0
    several = KILLS > 50
    first = CASES if several else [case for case in CASES if case.name in RESUMING]
    drawn = [case for case in CASES for _ in range(case.weight) if several or case.weight > 1]
    while sum(kills.values()) < KILLS:
        case = first[trial] if trial < len(first) else rng.choice(drawn)
        folder = tmp_path / f"{trial} {case.name}"
        begin(case, inputs, folder)
        whole, answer = expected(case)
        for _ in range(rng.randint(1, MOST)):
            kills[case.name] += _kill(zygote, case, inputs, folder, answer, rng)
        last = _finish(zygote, case, inputs, folder)
        told = f"{case.name}, trial {trial} of seed {SEED}"
        assert last["code"] == 0, f"{told}: {(folder / 'log' / 'err').read_text()}"
        assert outcome(folder / "out") == outcome(whole / "out"), told
        shutil.rmtree(folder)
        trial += 1
    sys.stdout.write(f"{sum(kills.values())} kills in {trial} runs: {kills}\n")


def _kill(zygote, case, inputs, folder: Path, answer, rng: random.Random) -> bool:
    """Run a case and kill it at a random write or moment; whether it was killed before its end."""
    how = {"signal": rng.choice(SIGNALS)}
    if rng.random() < 0.6:
        how["event"] = rng.randint(1, answer["events"])
    else:
        how["after"] = rng.uniform(0.05, answer["seconds"])
    found = zygote(filled(case, inputs), folder, **{name: value if isinstance(value, float) else int(value) for name, value in how.items()})
    until = time.monotonic() + PATIENCE
    while (left := _session(found["pid"])) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left, f"{case.name}: processes {left} outlive it"
    assert found["code"] in (0, 130, -how["signal"]) or (found["code"] == 2 and not case.resumes), (
        f"{case.name}: {(folder / 'log' / 'err').read_text()}"
    )
    assert "Traceback" not in (folder / "log" / "err").read_text(), (folder / "log" / "err").read_text()
    return found["code"] not in (0, 2)


def _finish(zygote, case, inputs, folder: Path):
    """Run a case to its end. A search does not resume: what Ctrl-C made of it is a run of its own, which is removed here."""
    if not case.resumes and (folder / "out" / "manifest.json").exists():
        assert zygote(["show", "out"], folder)["code"] in (0, 2)
        shutil.rmtree(folder / "out")
    return zygote(filled(case, inputs), folder)


def _session(pid: int) -> list[int]:
    """The processes of a session that are alive."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
