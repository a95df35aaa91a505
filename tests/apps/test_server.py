"""The routes: who may ask, what is refused, and that the page holds all it needs."""

import json

import pytest
from starlette.testclient import TestClient

from optigram.apps.live.server import application
from optigram.apps.live.session import Session

JOB = {"target": "visual:dog", "by": "gbl", "length": 3, "budget": 200, "seed": 0}


@pytest.fixture
def client(tiny):
    with TestClient(application(Session(tiny, "<tiny>"), ["localhost"]), base_url="http://localhost") as made:
        yield made


def test_the_page_is_whole_and_escaped(client):
    answer = client.get("/")
    assert "&lt;tiny&gt;" in answer.text
    assert "<tiny>" not in answer.text
    assert "visual:cat" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_judging(client):
    told = client.post("/judge", json={"target": "visual:dog", "text": "a b"}).json()
    assert told["words"] == ["a", "b"]


def test_a_job_s_events(client):
    number = client.post("/jobs", json=JOB).json()["number"]
    lines = [line for line in client.get(f"/jobs/{number}/events").text.splitlines() if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert events[-1]["state"] == "done"
    assert client.delete(f"/jobs/{number}").status_code == 204


@pytest.mark.parametrize(
    ("asked", "said"), [({"target": "visual:dogg"}, "did you mean dog"), ({"length": "many"}, "as JSON"), ({"seed": None}, "as JSON")]
)
def test_what_is_wrong_is_said_in_one_line(client, asked, said):
    answer = client.post("/jobs", json=JOB | asked)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_other_sites_and_odd_requests_get_nothing(client):
    assert client.post("/judge", data={"target": "visual:dog", "text": "a"}).status_code == 415
    assert client.post("/judge", json={"text": "a" * 20000, "target": "x"}).status_code == 413
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/jobs/77/events").status_code == 404
    assert client.delete("/jobs/77").status_code == 404
