"""The session judges as `score` does, and does its jobs one after the other."""

import threading
import time

import pytest

from optigram.apps.live.session import DONE, WAITING, Session
from optigram.errors import InputError
from optigram.methods import method_named
from optigram.methods.combinators import Watched
from optigram.objective.objective import Objective
from optigram.optimize.search import Budget, search
from optigram.runs.find import score_texts
from optigram.targets.target import resolve
from optigram.text.sources import open_corpus

FOR_EVER = 50_000.0


@pytest.fixture
def session(tiny):
    made = Session(tiny, "tiny", open_corpus(["a b c", "d e f g"]))
    yield made
    made.close()


def ended(job):
    until = time.monotonic() + 30
    while job.state not in DONE and time.monotonic() < until:
        time.sleep(0.01)
    return job


def test_a_text_is_judged_as_ever(session, tiny):
    told = session.judged("visual:dog", "a b c")
    objective = Objective(tiny, resolve(["visual:dog"], tiny), 3)
    (record,) = score_texts(objective, [(3, 4, 5)])[3, 4, 5]
    assert told["activation"] == record.activation
    assert told["words"] == ["a", "b", "c"]
    assert (told["unit"], session.judged("visual:dog + visual:cat", "a")["unit"]) == (1, None)
    assert told["so_far"][-1] == record.activation
    assert told["so_far"][0] == pytest.approx(session.judged("visual:dog", "a")["activation"], abs=1e-5)
    assert told["adds"][2] == pytest.approx(record.activation - session.judged("visual:dog", "a b")["activation"], abs=1e-5)


def test_watching_changes_nothing(tiny):
    objective = Objective(tiny, resolve(["visual:dog"], tiny), 3)
    method, seen = method_named("gbl", 300), []
    plain = search(objective, method, Budget(forwards=300), seed=1).found[0]
    watched = search(objective, Watched(method, lambda *told: seen.append(told)), Budget(forwards=300), seed=1).found[0]
    assert watched.ids.tolist() == plain.ids.tolist()
    assert len(seen) in (len(plain.trace) - 1, len(plain.trace))  # where the budget ends a search, its last round is not told back
    temperatures = [proposal.progress["temperature"] for _, proposal, _ in seen]
    assert temperatures[0] == 3.0
    assert temperatures == sorted(temperatures, reverse=True)


@pytest.mark.parametrize("by", ["crp", "emb", "gbl"])
def test_a_job_tells_how_it_goes_and_what_it_found(session, by):
    job = ended(session.ask("visual:dog", by, 3, 300.0, 0))
    assert [event["state"] for event in job.events][:2] == ["waiting", "running"]
    last = job.events[-1]
    assert last["state"] == "done"
    assert last["activation"] >= max([event["best"]["activation"] for event in job.events if "best" in event], default=-9) - 1e-5
    assert session.judged("visual:dog", last["text"])["activation"] == pytest.approx(last["activation"], abs=1e-5)


def test_a_second_job_waits_and_a_cancelled_one_keeps_what_it_found(session):
    first, second, third = (session.ask("visual:dog", "gbl", 3, FOR_EVER, seed) for seed in range(3))
    while len(first.events) < 3:
        time.sleep(0.01)
    assert (second.state, second.events[0]["ahead"]) == ("waiting", 1)
    session.cancel(third.number)
    assert third.state == "cancelled"
    session.cancel(first.number)
    assert ended(first).state == "cancelled"
    assert "text" in first.events[-1]
    while second.state == "waiting":
        time.sleep(0.01)
    session.cancel(second.number)
    assert ended(second).state == "cancelled"


def test_concepts_that_nobody_wants_any_more_are_not_found(session):
    first = session.ask("visual:dog", "gbl", 3, FOR_EVER, 0)
    job = session.ask("visual:dog", "concepts", 3, FOR_EVER, 0)
    session.cancel(first.number)
    while job.state == "waiting":
        time.sleep(0.002)
    session.cancel(job.number)
    assert ended(job).state in ("cancelled", "done")
    assert ("explained" in job.events[-1]) == (job.state == "done")
    with pytest.raises(KeyboardInterrupt):
        job.look("what would come next")


@pytest.mark.parametrize("last", [3, 30, 55])
def test_concepts_end_inside_a_step(session, monkeypatch, last):
    read, stages = type(session.model).read, []

    def counted(*given, **options):
        (job,) = session.jobs.values()
        stages.append(job.events[-1].get("stage"))
        if len(stages) == last:
            session.cancel(job.number)
        return read(*given, **options)

    monkeypatch.setattr(type(session.model), "read", counted)
    job = ended(session.ask("visual:dog", "concepts", 3, 3000.0, 0))
    assert (job.state, len(stages) - last) == ("cancelled", 0)
    assert stages[-1] == job.events[-2]["stage"]


def test_the_queue_has_an_end(session):
    for seed in range(WAITING + 1):
        session.ask("visual:dog", "gbl", 3, FOR_EVER, seed)
        time.sleep(0.05)
    with pytest.raises(InputError, match="waiting already"):
        session.ask("visual:dog", "gbl", 3, FOR_EVER, 99)


def test_the_queue_has_the_same_end_for_those_who_ask_at_the_same_time(session):
    begin, got, refused = threading.Barrier(30), [], []

    def ask(seed):
        begin.wait()
        try:
            got.append(session.ask("visual:dog", "gbl", 3, FOR_EVER, seed))
        except InputError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) in (WAITING, WAITING + 1)  # one of them may run already
    assert all("waiting already" in message for message in refused)


def test_jobs_that_ended_long_ago_are_forgotten(session, monkeypatch):
    monkeypatch.setattr("optigram.apps.live.session.ENDED", 3)
    for seed in range(6):
        last = ended(session.ask("visual:dog", "random", 2, 10.0, seed))
    assert len(session.jobs) == 4
    assert last.number in session.jobs


def test_judging_ends_when_nobody_waits(session, tiny, monkeypatch):
    looks = []
    with pytest.raises(InputError, match="nobody waits"):
        session.judged("visual:dog", "a b c d e f g " * 20, lambda: looks.append(1) or len(looks) > 3)
    assert len(looks) == 4


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"target": "visual:dogg"}, "did you mean dog"),
        ({"target": "visual:*"}, "one target"),
        ({"length": 0}, "from 1 to"),
        ({"length": 99}, "from 1 to"),
        ({"budget": 0.0}, "budget"),
        ({"budget": 1e9}, "at most"),
        ({"budget": float("nan")}, "budget"),
        ({"by": "nothing"}, "unknown method"),
    ],
)
def test_bad_jobs_are_refused_at_once(session, asked, said):
    with pytest.raises(InputError, match=said):
        session.ask(**{"target": "visual:dog", "by": "gbl", "length": 3, "budget": 100.0, "seed": 0} | asked)
    assert not session.jobs


@pytest.mark.parametrize(
    ("text", "said"), [("", "no words"), ("zebra", "does not know"), ("a " * 2500, "characters"), ("a " * 401, "400 tokens")]
)
def test_bad_texts_are_refused(session, text, said):
    with pytest.raises(InputError, match=said):
        session.judged("visual:dog", text)


def test_a_worker_survives_a_failure(session, monkeypatch):
    monkeypatch.setattr("optigram.apps.live.session.run_plan", lambda *_, **__: 1 / 0)
    job = ended(session.ask("visual:dog", "gbl", 3, 100.0, 0))
    assert "ZeroDivisionError" in job.events[-1]["error"]
    monkeypatch.undo()
    assert ended(session.ask("visual:dog", "emb", 3, 100.0, 0)).state == "done"
