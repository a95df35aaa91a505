import hashlib
import json
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from optigram.apps import cli
from optigram.errors import InputError
from optigram.papers.poerner2018.download import _download, _look_up
from optigram.papers.poerner2018.obtain import CONTENTS, obtain
from papers.generated import COUNTS, pack, scenes, write_karpathy, write_vendrov


class Zenodo(BaseHTTPRequestHandler):
    """A record of one file. `behaviour` says how it is sent, `log` keeps from where each request wanted it."""

    def __init__(self, behaviour, content, log, *rest):
        self.behaviour, self.content, self.log = behaviour, content, log
        super().__init__(*rest)

    def do_GET(self):
        if self.path == "/api":
            self.send(200, json.dumps(self.behaviour.get("record", self.record())).encode())
        else:
            self.send_file()

    def record(self):
        checksum = self.behaviour.get("checksum", hashlib.md5(self.content).hexdigest())
        link = f"http://127.0.0.1:{self.server.server_port}/data.tgz"
        file = {"key": "data.tgz", "size": len(self.content), "checksum": f"md5:{checksum}", "links": {"self": link}}
        return {"id": 804392, "files": [{"key": "models.tgz"}, file]}

    def send_file(self):
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.log.append(start)
        if self.behaviour.get("status"):
            self.send(self.behaviour["status"], b"")
        elif "Range" in self.headers and self.behaviour.get("ranges", True):
            self.send(206, self.content[start:])
        else:
            self.send(200, self.content)

    def send(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.behaviour["breaks"].pop(0)] if self.path != "/api" and self.behaviour.get("breaks") else body)

    def log_message(self, *words):
        pass


@pytest.fixture
def zenodo(monkeypatch):
    """Start a server of some content and behaviour: the address of its record, and its log."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers = []

    def start(content, **behaviour):
        log = []
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Zenodo, behaviour, content, log))
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        return f"http://127.0.0.1:{server.server_port}/api", log

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


CONTENT = bytes(range(256)) * 4000  # a million bytes


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_download_tells_how_far_it_is_and_is_not_done_twice(zenodo, tmp_path):
    record, log = zenodo(CONTENT)
    seen = []
    for _ in range(2):
        path = _download(_look_up(record), tmp_path, lambda done, total, what: seen.append((done, total, what)))
    assert path.read_bytes() == CONTENT
    assert seen == sorted(seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT), "data.tgz")
    assert log == [0]


def test_a_broken_connection_goes_on_from_where_it_was(zenodo, tmp_path):
    """Each attempt brings something, so one command is enough."""
    record, log = zenodo(CONTENT, breaks=[300_000, 200_000])
    assert _download(_look_up(record), tmp_path).read_bytes() == CONTENT
    assert len(log) == 3
    assert 0 == log[0] < log[1] <= 300_000
    assert log[1] < log[2] <= log[1] + 200_000


def test_an_interrupted_download_is_one_line_and_the_next_command_goes_on(zenodo, tmp_path):
    record, log = zenodo(CONTENT, breaks=[300_000, 0])
    with pytest.raises(InputError, match=r"broke off at [\d,]+ of 1,024,000 bytes .* to resume") as refused:
        _download(_look_up(record), tmp_path)
    assert "\n" not in str(refused.value)
    assert names(tmp_path) == ["data.tgz.part"]  # nothing that counts as whole
    assert _download(_look_up(record), tmp_path).read_bytes() == CONTENT
    assert log[2] == log[1] > 0
    assert names(tmp_path) == ["data.tgz"]


def test_a_server_without_ranges_sends_it_all_again(zenodo, tmp_path):
    record, log = zenodo(CONTENT, breaks=[300_000], ranges=False)
    assert _download(_look_up(record), tmp_path).read_bytes() == CONTENT
    assert len(log) == 2


@pytest.mark.parametrize("left", [b"", CONTENT[:1000], CONTENT, CONTENT + b"more", b"other" * 1000])
def test_another_checksum_is_one_line_and_removes_the_file(zenodo, tmp_path, left):
    (tmp_path / "data.tgz.part").write_bytes(left)
    record, _ = zenodo(CONTENT, checksum="0" * 32)
    with pytest.raises(InputError, match=r"with the checksum md5:0+, got another one") as refused:
        _download(_look_up(record), tmp_path)
    assert "\n" not in str(refused.value)
    assert names(tmp_path) == []


def test_a_part_of_another_file_is_noticed_and_the_next_command_succeeds(zenodo, tmp_path):
    (tmp_path / "data.tgz.part").write_bytes(b"other" * 1000)
    record, _ = zenodo(CONTENT)
    with pytest.raises(InputError, match="download it again"):
        _download(_look_up(record), tmp_path)
    assert _download(_look_up(record), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [404, 503])
def test_a_refusing_server_is_one_line(zenodo, tmp_path, status):
    record, _ = zenodo(CONTENT, status=status)
    with pytest.raises(InputError, match=rf"broke off at 0 of 1,024,000 bytes \({status} "):
        _download(_look_up(record), tmp_path)


@pytest.mark.parametrize("record", [[], {}, {"files": []}, {"files": [{"key": "data.tgz"}]}, {"files": [{"key": "data.tgz", "links": 1}]}])
def test_a_record_of_another_kind_is_one_line(zenodo, record):
    address, _ = zenodo(CONTENT, record=record)
    with pytest.raises(InputError, match=r"to describe data\.tgz") as refused:
        _look_up(address)
    assert "\n" not in str(refused.value)


def archive_of(tmp_path, name):
    """`data.tgz` as the record's, with one data set in it."""
    write, prefix = {"coco": (write_vendrov, "data/coco/vendrov/data/coco"), "flickr8k": (write_karpathy, "data/flickr8k")}[name]
    return pack(tmp_path / "data.tgz", write(tmp_path / "source", scenes(12)), prefix)


@pytest.mark.parametrize("name", CONTENTS)
def test_from_the_network_to_a_folder_that_can_be_trained_on(zenodo, tmp_path, name):
    record, log = zenodo(archive_of(tmp_path, name).read_bytes())
    said = []
    place, data = obtain(name, tmp_path / "out", record=record, tell=said.append)
    assert place == tmp_path / "out" / name
    assert {split: len(part) for split, part in data.parts.items()} == {"train": 240, "validation": 40, "test": 40}
    assert "zenodo.org/records/804392" in said[0]
    assert obtain(name, tmp_path / "out", record="not asked again")[1].fingerprint() == data.fingerprint()
    assert log == [0]


def test_an_archive_with_a_missing_caption_leaves_no_folder(tmp_path):
    folder = write_vendrov(tmp_path / "source", scenes(12))
    (folder / "val.txt").write_text("a cat\n" * 39)
    archive = pack(tmp_path / "data.tgz", folder, "data/coco/vendrov/data/coco")
    with pytest.raises(InputError, match="got 39"):
        obtain("coco", tmp_path / "out", archive)
    assert names(tmp_path / "out") == []


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["optigram", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, *capsys.readouterr()


def test_the_command_unpacks_an_archive_at_hand(monkeypatch, capsys, tmp_path):
    words = ("data", "coco", "--out", tmp_path / "out", "--archive", archive_of(tmp_path, "coco"))
    code, out, err = run(monkeypatch, capsys, *words)
    assert (code, out) == (0, "")
    assert f"{5 * COUNTS['train']} train, 40 validation, 40 test captions; try: optigram train imaginet --data" in err


BAD = {
    "no network": (("data", "coco"), "cannot reach https://zenodo.org/api/records/804392"),
    "unknown set": (("data", "cocoo"), "did you mean coco"),
    "no archive": (("data", "coco", "--archive", "nowhere.tgz", "--quiet"), "cannot unpack 'nowhere.tgz'"),
}


@pytest.mark.parametrize(("words", "said"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_exit_2(monkeypatch, capsys, tmp_path, words, said):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens: no network, wherever the test runs
    monkeypatch.chdir(tmp_path)
    code, out, err = run(monkeypatch, capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_without_pooch_a_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(InputError, match=r"pip install 'optigram\[data\]'"):
        _look_up()
