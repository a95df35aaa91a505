"""The routes: who may ask, what is refused, and that the page holds all it needs."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from importlib.resources import files

import pytest
import torch
from safetensors.torch import save_file
from starlette.testclient import TestClient

import optigram as og
from optigram.apps.live import patience, server
from optigram.apps.live.opening import Opening
from optigram.apps.live.server import LARGEST_BODY, application
from optigram.apps.live.session import DONE, Session
from optigram.explaining.evidence import Evidence
from optigram.methods import chains
from optigram.models.loading import load_imaginet

JOB = {"target": "visual:dog", "by": "gbl", "length": 3, "budget": 200, "seed": 0}


@pytest.fixture
def client(tiny):
    with TestClient(application(Session(tiny, "<tiny>"), ["localhost"]), base_url="http://localhost") as made:
        yield made


def test_the_page_is_whole_and_escaped(client):
    answer = client.get("/")
    assert "&lt;tiny&gt;" in answer.text
    assert "<tiny>" not in answer.text
    assert "<option>visual.hidden</option>" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_judging(client):
    told = client.post("/judge", json={"target": "visual:dog", "text": "a b"}).json()
    assert told["words"] == ["a", "b"]


def test_the_page_opens_on_a_filled_example(client):
    data = client.get("/").text.partition('id="data">')[2].partition("</script>")[0]
    told = json.loads(data)
    assert told["opening"]["target"] in ("language:a", "language:0")
    assert told["widths"]["visual.hidden"] == 8
    assert set(told["methods"]) == set(chains.NAMES)


def test_the_stored_example_is_what_the_bundled_model_computes():
    stored = json.loads((files("optigram.apps.live") / "example.json").read_text(encoding="utf-8"))
    model, found = load_imaginet("imaginet"), Evidence.from_json(stored["evidence"])
    assert Opening.example(model)["explained"]["height"] == pytest.approx(found.maximum, abs=1e-3)
    examples = [one for concept in found.concepts for one in concept.examples]
    records = og.score(model, found.target, [one.text for one in examples], quiet=True)
    known = {record.text: record.activation for record in records}
    assert [known[one.text] for one in examples] == pytest.approx([one.activation for one in examples], abs=1e-3)


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("visual:do", "visual:dog"),
        ("visual:light", 'visual:"traffic light"'),
        ("visual:2", "visual:traffic light"),
        ("dog", "visual:dog"),
        ("traffic", 'visual:"traffic light"'),
        ("visual.h", "visual.hidden:0"),
        ("visual.hidden:", "visual.hidden:0"),
        ("-visual:ca", "visual:cat"),
    ],
)
def test_targets_are_suggested_as_one_types(client, typed, first):
    (told, *_) = client.post("/suggest", json={"typed": typed}).json()
    assert client.post("/judge", json={"target": told["address"], "text": "a b"}).status_code == 200
    assert told["address"].replace('"', "") == first.replace('"', "")
    assert len(client.post("/suggest", json={"typed": ""}).json()) <= 12
    assert client.post("/suggest", json={"typed": "zzz:::9" + "9" * 600}).json() == []


def test_concepts_are_found_and_cancelled(client):
    number = client.post("/jobs", json=JOB | {"by": "concepts", "budget": 60}).json()["number"]
    events = [json.loads(line.removeprefix("data: ")) for line in client.get(f"/jobs/{number}/events").text.splitlines() if line]
    assert events[-1]["state"] == "done", events[-1]
    assert next(one["stage"] for one in events if "stage" in one) == "corpus"
    assert events[-1]["explained"]["concepts"][0]["pattern"]["slots"]
    assert events[-1]["description"]


def test_a_job_s_events(client):
    number = client.post("/jobs", json=JOB).json()["number"]
    lines = [line for line in client.get(f"/jobs/{number}/events").text.splitlines() if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert events[-1]["state"] == "done"
    assert client.delete(f"/jobs/{number}").status_code == 204


ODD = {
    "a list": b"[]",
    "a number": b"3",
    "nothing": b"",
    "not UTF-8": b'{"target": "\xff", "text": "a"}',
    "torn": b'{"target": "visual:dog", "text": "a',
    "deep": b"[" * 20_000,
    "deep in a field": b'{"target": ' + b"[" * 20_000,
    "other types": b'{"target": ["visual:dog"], "text": {"a": 1}}',
    "a lone surrogate": b'{"target": "visual:dog", "text": "a \\ud800"}',
    "a lone surrogate in the target": b'{"target": "visual:\\udc00", "text": "a"}',
    "a NUL in a file": b'{"target": "visual.hidden:a\\u0000b#3", "text": "a"}',
    "a long number": b'{"target": "visual:' + b"9" * 5000 + b'", "text": "a"}',
    "a long weight": b'{"target": "' + b"9" * 900 + b'*visual:dog", "text": "a"}',
    "a far position": b'{"target": "visual:dog@99999999999999999999", "text": "a"}',
    "only blanks": b'{"target": "visual:dog", "text": "   "}',
    "many words": json.dumps({"target": "visual:dog", "text": "a " * 1900}).encode(),
}
NUMBERS = ["1e999", "-1e999", "NaN", "Infinity", "true", "null", '"3"', "[3]", "-1", "0", "3.5", "1" * 400, "9223372036854775808"]


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
@pytest.mark.parametrize("path", ["/judge", "/jobs"])
def test_no_body_is_an_error_of_the_server(client, path, body):
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize("field", ["length", "budget", "seed"])
def test_no_number_is_an_error_of_the_server(client, field):
    for number in NUMBERS:
        body = json.dumps(JOB | {field: "HERE"}).replace('"HERE"', number)
        answer = client.post("/jobs", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400 or (field, number) in {("budget", "3.5"), ("seed", "0")}, number


def test_the_longest_seed_is_one(client):
    number = client.post("/jobs", json=JOB | {"seed": 2**63 - 1, "budget": 50}).json()["number"]
    assert '"done"' in client.get(f"/jobs/{number}/events").text


def test_targets_name_files_of_the_folders_given_alone(tiny, tmp_path):
    (tmp_path / "open").mkdir()
    for place in ("open/a", "closed"):
        save_file({"v": torch.ones(8)}, tmp_path / f"{place}.safetensors")
    (tmp_path / "open" / "link.safetensors").symlink_to(tmp_path / "closed.safetensors")
    session = Session(tiny, "tiny", files=[tmp_path / "open"])
    with TestClient(application(session, ["localhost"]), base_url="http://localhost") as client:

        def judge(target):
            answer = client.post("/judge", json={"target": target, "text": "a b"})
            return answer.status_code, answer.json().get("error", "")

        assert judge(f"visual.hidden:{tmp_path}/open/a.safetensors#v") == (200, "")
        for place in ("closed", "open/../closed", "open/link", "nowhere"):
            status, error = judge(f"visual.hidden:3 + visual.hidden:{tmp_path}/{place}.safetensors#v")
            assert (status, "folders named at its start" in error) == (400, True)
        assert "no code" in judge("custom:os.path.join#visual")[1]


@contextlib.contextmanager
def listening(session):
    """A real server in a thread: the port."""
    made = patience.server(session, ["localhost"])
    with socket.create_server(("localhost", 0)) as sock:
        thread = threading.Thread(target=made.run, args=([sock],))
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            made.should_exit = True
            thread.join()


def sent(port, *parts):
    """A connection to which parts of a request were sent."""
    connection = socket.create_connection(("localhost", port), timeout=10)
    connection.sendall(b"".join(parts))
    return connection


def head(path, length=None, method="POST"):
    size = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
    return b"%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\n\r\n" % (method.encode(), path.encode(), size)


def test_half_sent_requests_are_closed(tiny, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE", 0.5)
    monkeypatch.setattr(server, "SLOWEST", 0.5)
    monkeypatch.setattr(patience, "MOST", 20)
    with listening(Session(tiny, "tiny")) as port:
        heads = [sent(port, b"GET / HTT") for _ in range(15)]
        bodies = [sent(port, head("/judge", 100), b"{") for _ in range(5)]
        crowd = [sent(port, b"") for _ in range(10)]
        assert all(connection.recv(100) == b"" for connection in crowd)
        assert all(connection.recv(100) == b"" for connection in heads)
        assert all(b" 408 " in connection.recv(100) for connection in bodies)
        kept = sent(port, head("/judge", 2), b"{}")
        assert b" 400 " in kept.recv(1000)
        kept.sendall(b"GET / H")  # a second request on the same connection
        while kept.recv(1000):
            pass
        for connection in [*heads, *bodies, *crowd, kept]:
            connection.close()


def test_a_large_body_is_not_read(tiny):
    taken = 0
    with listening(Session(tiny, "tiny")) as port, sent(port, head("/judge")) as connection, contextlib.suppress(OSError):
        for _ in range(1000):
            connection.sendall(b"10000\r\n" + b"a" * 0x10000 + b"\r\n")
            taken += 0x10000
    assert LARGEST_BODY < taken < 500 * 0x10000


def test_a_job_that_nobody_watches_any_more_is_cancelled(tiny):
    session = Session(tiny, "tiny")
    with listening(session) as port:
        job = session.ask("visual:dog", "gbl", 3, 50_000.0, 0)
        one, other = (sent(port, head(f"/jobs/{job.number}/events", 0, "GET")) for _ in range(2))
        for watcher in (one, other):
            assert b"running" in watcher.recv(1 << 16) + watcher.recv(1 << 16) + watcher.recv(1 << 16)
        one.close()
        time.sleep(0.5)
        assert job.state == "running"
        other.close()
        until = time.monotonic() + 20
        while job.state not in DONE and time.monotonic() < until:
            time.sleep(0.05)
        assert job.state == "cancelled"


SLOW = """
import time
from optigram.models.loading import load_imaginet

def make():
    model = load_imaginet("imaginet")
    read_on = model.read_on
    def slowly(ids, *rest):
        print("reading", flush=True)
        time.sleep(0.002)
        return read_on(ids, *rest)
    model.read_on = slowly
    return model
"""


def test_ctrl_c_ends_the_server_while_it_judges_a_long_text(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    words = [sys.executable, "-m", "optigram", "explore", "slow:make", "--port", "0"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        port = int(process.stderr.readline().split(":")[2].split("/")[0])
        body = json.dumps({"target": "visual:pizza", "text": "a dog and " * 110}).encode()
        with sent(port, head("/judge", len(body)), body):
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 130
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    ("asked", "said"), [({"target": "visual:dogg"}, "did you mean dog"), ({"length": "many"}, "as JSON"), ({"seed": None}, "as JSON")]
)
def test_what_is_wrong_is_said_in_one_line(client, asked, said):
    answer = client.post("/jobs", json=JOB | asked)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_other_sites_and_odd_requests_get_nothing(client):
    assert client.post("/judge", data={"target": "visual:dog", "text": "a"}).status_code == 415
    assert client.post("/judge", json={"text": "a" * 100_000, "target": "x"}).status_code == 413
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/jobs/77/events").status_code == 404
    assert client.delete("/jobs/77").status_code == 404
