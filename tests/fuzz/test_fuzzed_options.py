"""Sets of options, right and wrong: a search either runs on what was asked, or is refused in one line with exit 2."""

import json
import math

import pytest
from inputs import assert_one_line, numbered, odd, one_of

from optigram.errors import InputError
from optigram.models.loading import save
from optigram.runs.options import FindOptions, flag_of
from optigram.runs.run import Prepared
from optigram.scanning.plan import LEAST, MOST, QUESTIONS, ScanSettings

USUAL = {
    "by": ["crp", "gbl", "auto", "coordinate", "crp+coordinate", "beam", "smx:faithful", "random", "crp,random"],
    "budget": [1, 50, 0.5],
    "corpus": [["a b c d", "e f g a"], "sampled:5", "nowhere.txt"],
    "n": [1, 2, 5],
    "apart": [0, 0.6, 1],
    "front": [True, False],
    "seed": [0, 1, 2**63 - 1],
    "length": [1, 2, 3, 10_000],
    "template": ["a {} b", "{2} c {1}", "{}", "{} {}", "a"],
    "words": ["any", "whole"],
    "without": ["a", ["b", "c"]],
    "matching": ["[a-d]", "(", "^a$"],
    "seen_in": [["a b c"]],
    "special": [True],
    "must_survive": [True],
    "fluency": [0, 0.2, 1e30],
    "surprisal": ["2-6", "-3", "1-", "6-2"],
    "repetition": [0, 0.5],
    "chat": [True],
}


def values_of(chance) -> dict[str, object]:
    """A few options, each usual or odd."""
    names = chance.sample([*USUAL, "dtype", "device", "nonsense"] if chance.random() < 0.1 else list(USUAL), chance.randint(1, 4))
    return {name: one_of(chance) if name not in USUAL or chance.random() < 0.2 else chance.choice(USUAL[name]) for name in names}


def test_a_search_is_prepared_as_asked_or_refused(tiny):
    prepared = 0
    for number, chance in numbered(2_000, 80):
        values = values_of(chance)
        try:
            options = FindOptions.checked(values, flag_of)
            ready = Prepared.of(tiny, "visual:dog", options)
        except InputError as error:
            assert_one_line(error)
            continue
        prepared += 1
        kept = options.model_dump()
        for name, value in values.items():
            if isinstance(value, bool | int | float) and name in ("n", "seed", "length", "budget", "fluency"):
                assert math.isclose(kept[name], value), (number, name)
        assert 1 <= ready.objective.length <= 10_000
    assert prepared > 15


def test_the_settings_of_a_scan_are_kept_or_refused():
    for _, chance in numbered(2_000, 500):
        names = chance.sample(list(LEAST), 3)
        given = [one_of(chance) if chance.random() < 0.5 else chance.randint(LEAST[name], MOST[name]) for name in names]
        values = {name: value for name, value in zip(names, given, strict=True) if isinstance(value, int)}
        values |= {"question": chance.choice(QUESTIONS)} if chance.random() < 0.5 else {}
        try:
            settings = ScanSettings(**values)
        except InputError as error:
            assert_one_line(error)
            continue
        assert {name: getattr(settings, name) for name in values} == values


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    save(tiny, path / "model", {})
    (path / "corpus.txt").write_text("a b c d\ne f g a\n" * 5)
    return path


WORDS = {
    "find": [
        "--by",
        "random",
        "--budget",
        "20",
        "--length",
        "2",
        "--top",
        "--template",
        "a {}",
        "--seed",
        "--corpus",
        "--front",
        "--apart",
    ],
    "score": ["--text", "a b", "--template", "a {}", "--surprisal", "--chat", "--fluency-model"],
    "explain": ["--text", "a b", "--top", "2", "--whole", "--template"],
    "scan": [
        "--corpus",
        "CORPUS",
        "--top",
        "3",
        "--context",
        "16",
        "--question",
        "alone",
        "--length",
        "2",
        "--sample",
        "--shards",
        "--skip-bad",
    ],
    "sites": ["--json"],
}


def finite(name: str):
    raise AssertionError(f"{name} in JSON")


def test_a_command_answers_or_refuses_in_one_line(run, folder, monkeypatch):
    monkeypatch.chdir(folder)
    answered = 0
    for number, chance in numbered(600, 60):
        command = chance.choice(list(WORDS))
        words = [str(folder / "corpus.txt") if word == "CORPUS" else word for word in WORDS[command]]
        given = [odd(chance) if chance.random() < 0.15 else word for word in chance.choices(words, k=chance.randint(0, 5))]
        base = {"find": ["--by", "random", "--budget", "20", "--length", "2"], "score": ["--text", "a b"], "explain": ["--text", "a b"]}
        target = [] if command == "sites" else [chance.choice(["visual:dog", "-language:a@max", "visual:*", "nowhere:0", odd(chance)])]
        usual = ["--corpus", str(folder / "corpus.txt")] if command == "scan" else base.get(command, [])
        words = [command, str(folder / "model"), *target, *usual, "--json", *given]
        words = [word.replace("\0", "") for word in words]  # no system passes such an argument
        code, out, err = run(*words)
        assert code in (0, 2), (number, words, err)
        if code == 2:
            assert err.count("\n") == 1 or "Usage" in err, (number, words, err)
            continue
        answered += 1
        lines = [json.loads(line, parse_constant=finite) for line in out.splitlines()]
        assert lines or command == "scan", (number, words)
        assert all(math.isfinite(line.get("activation", 0)) for line in lines)
    assert answered > 5
