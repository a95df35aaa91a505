"""A cluster of two nodes on this machine: the same results as in one process, and workers and nodes may die.

Run by `make test-ray`, not with the other tests: a cluster takes seconds to come up, and ray is large.
"""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "0"}

import ray
from ray.cluster_utils import Cluster
from slow_work import fail, slowly

from optigram.engine import processes
from optigram.engine.launch import Place
from optigram.engine.ray_cluster import run
from optigram.errors import InputError
from optigram.models.imaginet import Imaginet, Sizes
from optigram.models.loading import load, save
from optigram.scanning.merge import merged
from optigram.scanning.plan import Plan, ScanSettings
from optigram.scanning.scan import plan_of
from optigram.scanning.state import State
from optigram.scanning.worker import Worker
from optigram.study.cells import StudyContext
from optigram.study.runner import run_study
from optigram.study.spec import Arm, Study
from optigram.targets.target import resolve
from optigram.text.sources import open_corpus

SHARDS = 8


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    import torch

    torch.manual_seed(1)
    made = Imaginet(tuple("abcdefg"), ("cat", "dog"), Sizes(8, 8, 2))
    folder = tmp_path_factory.mktemp("model")
    save(made, folder, {})
    return str(folder)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("".join(f"{'abcdefg'[i % 7]} {'gfedcba'[i % 5]} {'abc'[i % 3]} d e f\n" for i in range(4000)))
    return str(path)


def planned(folder: Path, model: str, corpus: str) -> Plan:
    loaded = load(model)
    targets = resolve(["language.hidden:*", "visual:*"], loaded)
    plan = plan_of(loaded, model, targets, open_corpus(corpus), ScanSettings(skipped=0, sample=40), folder, SHARDS)
    plan.write(folder)
    return plan


@pytest.fixture(scope="module")
def expected(model, corpus, tmp_path_factory) -> State:
    folder = tmp_path_factory.mktemp("local")
    plan = planned(folder, model, corpus)
    list(processes.run(Worker.job(folder), plan.missing(folder), workers=0))
    return merged(plan, folder)


@pytest.fixture(scope="module")
def cluster():
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 << 20})
    made.add_node(num_cpus=1, object_store_memory=80 << 20)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def same(one: State, two: State) -> bool:
    ends = [(getattr(one, end), getattr(two, end)) for end in ("top", "bottom")]
    return one.tokens == two.tokens and all((vars(a)[name] == vars(b)[name]).all() for a, b in ends for name in vars(a))


def test_the_cluster_finds_what_one_process_finds(cluster, model, corpus, expected, tmp_path):
    plan = planned(tmp_path, model, corpus)
    done = list(run(Worker.job(tmp_path), plan.missing(tmp_path), workers=2))
    assert sorted(done) == list(range(SHARDS))
    assert same(merged(plan, tmp_path), expected)


def test_a_worker_is_killed_in_the_middle_of_a_shard_and_then_its_node(cluster, model, corpus, expected, tmp_path):
    plan = planned(tmp_path, model, corpus)
    node = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
    killed = []

    def kill() -> None:
        while len(list((tmp_path / "at_work").glob("*"))) < 2:
            time.sleep(0.05)
        worker = int(next((tmp_path / "at_work").glob("*")).read_text())
        os.kill(worker, signal.SIGKILL)
        killed.append(worker)
        while len(plan.missing(tmp_path)) > SHARDS - 3:
            time.sleep(0.05)
        cluster.remove_node(node, allow_graceful=False)
        killed.append("node")

    threading.Thread(target=kill, daemon=True).start()
    done = list(run(slowly(tmp_path), plan.missing(tmp_path), workers=3))
    assert killed[1:] == ["node"]
    assert sorted(done) == list(range(SHARDS))
    assert same(merged(plan, tmp_path), expected)


def test_a_run_that_was_killed_as_a_whole_does_only_what_is_missing(model, corpus, expected, tmp_path):
    plan = planned(tmp_path, model, corpus)
    script = """
import sys
from pathlib import Path
from slow_work import slowly
from optigram.engine.ray_cluster import run
from optigram.scanning.plan import Plan
folder = Path(sys.argv[1])
list(run(slowly(folder), Plan.read(folder).missing(folder), workers=2))
"""
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], start_new_session=True)
    while len(plan.missing(tmp_path)) > SHARDS - 2 and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(3)
    left = plan.missing(tmp_path)
    assert 0 < len(left) < SHARDS
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").glob("*.parquet")}
    assert sorted(processes.run(Worker.job(tmp_path), left, workers=0)) == left
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    assert same(merged(plan, tmp_path), expected)


def test_an_error_of_a_task_is_raised_in_one_line(cluster, tmp_path):
    with pytest.raises(InputError, match="bad task 1"):
        list(run(fail(tmp_path), [1, 2], workers=1))


def test_a_study_runs_its_cells_on_the_cluster(cluster, model, corpus, tmp_path, monkeypatch):
    arm = Arm(name="one", targets=("visual:*",), methods=("crp", "gbl"), budget=60)
    study = Study(name="s", model=model, corpus=corpus, length=3, arms=(arm,))
    monkeypatch.chdir(tmp_path)
    here = run_study(study, StudyContext(study), Path("local"), 0)
    there = run_study(study, StudyContext(study), Path("ray"), 2, engine=Place.engine_named("ray", 2))
    assert [dataclasses.replace(record, seconds=0) for record in there] == [dataclasses.replace(record, seconds=0) for record in here]
