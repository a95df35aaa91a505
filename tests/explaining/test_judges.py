"""Judges: what they accept, what their numbers mean, and how they fail."""

import http.server
import json
import threading

import numpy as np
import pytest
from planted import Planted, corpus, knowing

import toy
from optigram.errors import InputError
from optigram.explaining.judges import NO, YES, open_judges
from optigram.explaining.language import LanguageJudge, LocalModel, RemoteModel
from optigram.explaining.verify import verify
from optigram.targets.target import resolve

TEXTS = corpus(60)


def judged(judge, description="animal", **options):
    model = Planted()
    return list(verify(model, [(resolve("act:0", model)[0], description)], judge, TEXTS, 200, **options))


@pytest.fixture
def server():
    """A server of the OpenAI kind, whose answers a test sets; it keeps what it was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.asked.append((asked, self.headers.get("Authorization")))
            self.reply({"choices": [{"message": {"content": self.server.answer(asked["messages"][0]["content"])}}]})

        def do_GET(self):
            self.reply({"data": [{"id": "small"}]})

        def reply(self, found):
            self.send_response(self.server.status)
            self.send_header("Location", "http://127.0.0.1:9/v1")
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *args):
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.asked, made.answer, made.status = [], lambda text: "yes", 200
    made.address = f"http://127.0.0.1:{made.server_address[1]}/v1"
    worker = threading.Thread(target=made.serve_forever, args=(0.01,))
    worker.start()
    yield made
    made.shutdown()
    worker.join()
    made.server_close()


def test_a_server_judges(server):
    server.answer = lambda text: "Yes." if "dog" in text else "no"
    (judge,) = open_judges(server.address, [], [])
    assert judge.scores("animals", ["a dog", "a car", "a dog"]).tolist() == [1, 0, 1]
    assert len(server.asked) == 2
    assert server.asked[0][0]["model"] == "small"
    assert server.asked[0][1] is None


def test_a_key_is_sent_only_if_it_is_set(server, monkeypatch):
    monkeypatch.setenv("OPTIGRAM_API_KEY", "secret")
    assert RemoteModel(f"{server.address}#large").write("hello", 5) == "yes"
    assert server.asked == [(server.asked[0][0], "Bearer secret")]
    assert server.asked[0][0]["model"] == "large"


@pytest.mark.parametrize("status", [302, 401, 500])
def test_a_server_that_refuses_is_one_line_and_nothing_is_sent_elsewhere(server, status):
    server.status = status
    with pytest.raises(InputError, match=f"answered {status}"):
        RemoteModel(f"{server.address}#large").write("hello", 5)


def test_nonsense_of_a_server_is_one_line(server):
    server.answer = lambda text: "banana"
    (judge,) = open_judges(server.address, [], [])
    with pytest.raises(InputError, match=r"expected yes or no from the judge .*, got 'banana'"):
        judge.scores("animals", ["a dog", "a car"])


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/v1", "http://[bad/v1"])
def test_a_server_that_cannot_be_reached_is_one_line(address):
    (judge,) = open_judges(address, [], [])
    with pytest.raises(InputError, match="cannot reach a language model"):
        judge.scores("animals", ["a dog"])


@pytest.mark.parametrize(
    "judge",
    [
        lambda d, t: [2.0] * len(t),
        lambda d, t: [0.5],
        lambda d, t: ["yes"] * len(t),
        lambda d, t: [float("nan")] * len(t),
        lambda d, t: None,
    ],
)
def test_nonsense_of_a_function_is_one_line(judge):
    with pytest.raises(InputError, match="judge"):
        judged(judge)


@pytest.mark.parametrize(("judge", "said"), [(7, "a function"), ([knowing] * 3, "one judge or two"), ("no/such/model", "no/such/model")])
def test_what_is_no_judge_is_refused(judge, said):
    with pytest.raises(InputError, match=said):
        judged(judge)


def test_two_judges_agree_or_disagree():
    (same,) = judged([knowing, knowing])
    (other,) = judged([knowing, lambda description, texts: [0.5] * len(texts)])
    assert (same.agreement, other.agreement) == ("agree", "disagree")
    assert len(other.predictions) == 2
    assert other.counterexamples == ()  # where one judge is undecided nothing contradicts


def test_words_that_occur_together_judge():
    texts = ["cat purrs softly"] * 20 + ["truck drives fast"] * 20 + ["cat dog pets"] * 5 + ["truck bus road"] * 5
    (judge,) = open_judges("lexical", texts, ["drives", "softly", "road", "fast"])
    fits = judge.scores("cat", ["dog pets", "bus road", "nothing known"])
    assert fits[0] > fits[1]
    assert np.isfinite(fits).all()


def test_of_words_that_are_not_known_there_is_no_no():
    texts = ["cat purrs softly"] * 20 + ["truck drives fast"] * 20 + ["cat dog pets", "truck bus road", "one lemur"] * 5
    (judge,) = open_judges("lexical", texts, ["drives", "softly", "road", "fast"])
    assert judge.scores("lynx", ["dog pets", "lynx"]) == pytest.approx([0.5, 0.5])
    assert judge.scores("cat", ["lynx"]) == pytest.approx([0.5])
    known, more = judge.scores("cat", ["bus", "purrs"]), judge.scores("cat lynx", ["bus", "purrs"])
    assert known[0] < NO <= more[0] < 0.5 < YES < more[1] == pytest.approx(known[1])
    assert (judge.scores("lynx before cat; or truck unless lynx", ["bus", "drives", "lynx purrs"]) >= NO).all()


@pytest.mark.parametrize(("chat", "asked"), [(None, "a dog, a dog\nAnswer:"), (lambda message: f"<s> a{message},", " aa dog, a dog,")])
def test_the_log_odds_are_those_of_yes_against_no(chat, asked):
    tokens = tuple({" cat": " yes", "dog": " no"}.get(token, token) for token in toy.TOKENS)
    model = toy.Toy(tokens=tokens).with_vocabulary(chat=chat)
    logits = model.logits([0, *toy.encode(asked)])[-1]
    assert LocalModel(model).log_odds(["a dog, a dog"]) == pytest.approx([logits[9] - logits[10]], abs=1e-4)


def test_a_model_without_yes_and_no_cannot_judge():
    with pytest.raises(InputError, match='no tokens "yes" and "no"'):
        LocalModel(toy.Toy()).log_odds(["a dog"])


def test_prompts_are_read_and_replaced(tmp_path):
    (tmp_path / "detect.txt").write_text("{text} / {description}", encoding="utf-8")
    assert LanguageJudge.prompt("detect", tmp_path, description="d", text="{description}") == "{description} / d"
    assert "Description: d" in LanguageJudge.prompt("fuzz", tmp_path, description="d", text="t")
    (tmp_path / "fuzz.txt").write_text("{text}", encoding="utf-8")
    with pytest.raises(InputError, match="description"):
        LanguageJudge.prompt("fuzz", tmp_path, description="d", text="t")
