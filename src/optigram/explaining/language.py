"""Language models that write descriptions and judge them: a model on this machine, or an OpenAI-compatible server."""

import http.client
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from optigram.errors import InputError
from optigram.explaining.texts import MARKS, Scorer
from optigram.files import parse_json
from optigram.models.base import Model
from optigram.models.sampling import complete
from optigram.models.vocabulary_logits import vocabulary_logits
from optigram.targets.build import neuron
from optigram.targets.target import resolve

KEY = "OPTIGRAM_API_KEY"  # the environment variable with the key of a server that wants one
PATIENCE = 60.0  # seconds that a server may take for an answer
ANSWERS = {"yes": ("yes", "Yes", " yes", " Yes"), "no": ("no", "No", " no", " No")}
MARGIN = 1.5  # nats by which the description must be ahead of the others for an even chance
FIELD = re.compile(r"\{(description|text|evidence)\}")
DESCRIBE, DETECT, FUZZ = "describe", "detect", "fuzz"
FIELDS = {DESCRIBE: ("evidence",), DETECT: ("description", "text"), FUZZ: ("description", "text")}


class LocalModel:
    """A causal language model on this machine, in its chat template if it has one."""

    def __init__(self, model: Model) -> None:
        self.name, self._model = model.name, model
        site, tokens = vocabulary_logits(model), {token: i for i, token in reversed(list(enumerate(model.vocabulary.tokens)))}
        self._ids = {answer: [tokens[word] for word in words if word in tokens] for answer, words in ANSWERS.items()}
        units = [unit for ids in self._ids.values() for unit in ids]
        self._scorer = (
            None if site is None or not all(self._ids.values()) else Scorer(model, resolve([neuron(site, i) for i in units], model))
        )

    def write(self, prompt: str, most: int) -> str:
        """The likeliest answer, up to a line break."""
        vocabulary = self._model.vocabulary
        ids = vocabulary.encode(self._asked(prompt))
        begun = tuple(ids[: len(vocabulary.prefix)]) == vocabulary.prefix
        return complete(self._model, ids if begun else [*vocabulary.prefix, *ids], most)

    def log_odds(self, prompts: Sequence[str]) -> np.ndarray:
        """The log-odds [n] of "yes" against "no" as the next token of each prompt. Raises InputError where these are no tokens."""
        if self._scorer is None:
            raise InputError(f'judge: {self.name} has no tokens "yes" and "no"; give another model')
        scores = self._scorer([self._asked(prompt) for prompt in prompts]).astype(float)
        yes = len(self._ids["yes"])
        return np.logaddexp.reduce(scores[:yes], axis=0) - np.logaddexp.reduce(scores[yes:], axis=0)

    def _asked(self, prompt: str) -> str:
        chat = self._model.vocabulary.chat
        return f"{prompt}\nAnswer:" if chat is None else chat(prompt)


class RemoteModel:
    """A model behind an OpenAI-compatible address, such as http://localhost:8080/v1; `#NAME` at its end names one of several models.

    What is asked is sent there. A key is taken from the environment variable OPTIGRAM_API_KEY, if it is set.
    """

    @staticmethod
    def is_address(source: Any) -> bool:
        """Whether a name is the address of a server."""
        return isinstance(source, str) and source.startswith(("http://", "https://"))

    def __init__(self, address: str) -> None:
        self._base, _, self._model = address.partition("#")
        self._base = self._base.rstrip("/")
        self.name = f"{self._model or 'the model'} at {self._base}"

    def write(self, prompt: str, most: int) -> str:
        """Its answer at temperature 0. Raises InputError where there is none."""
        model = self._model or self._first()
        asked = {"model": model, "messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": most}
        found = self._answer("/chat/completions", asked)
        try:
            text = found["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError) as error:
            raise InputError(f"{self._base} gave no answer of the OpenAI kind; give the address that ends in /v1") from error
        return text.strip() if isinstance(text, str) else ""

    def _first(self) -> str:
        """The first model that the server lists."""
        found = self._answer("/models", None)
        try:
            self._model = str(found["data"][0]["id"])
        except (KeyError, IndexError, TypeError) as error:
            raise InputError(f"{self._base} lists no model; name one as {self._base}#NAME") from error
        return self._model

    def _answer(self, path: str, asked: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        body = None if asked is None else json.dumps(asked).encode()
        try:
            request = urllib.request.Request(self._base + path, body, headers)
            with urllib.request.build_opener(_Straight).open(request, timeout=PATIENCE) as reply:
                return parse_json(reply.read())
        except urllib.error.HTTPError as error:
            raise InputError(f"{self._base} answered {error.code} {error.reason}; look at the address, the model and {KEY}") from error
        except (OSError, ValueError, http.client.HTTPException) as error:  # unreachable, too slow, no address, no HTTP, no JSON
            raise InputError(f"cannot reach a language model at {self._base} ({error}); start it, or give another one") from error


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows no redirection, which could take the key to another server."""

    def redirect_request(self, *args: Any, **options: Any) -> None:
        return None


class LanguageJudge:
    """A judge that asks a language model whether a text fits.

    A model on this machine gives the log-odds of "yes" against "no", less their mean for `others`, descriptions that mean nothing here:
    small models say yes to anything. A server's answer counts as 1 or 0; one that is neither, as 1/2.
    """

    slow = True

    def __init__(self, model: "LocalModel | RemoteModel", prompts: Path | None = None, others: Sequence[str] = ()) -> None:
        self.name, self._model, self._prompts, self._others = model.name, model, prompts, tuple(others)
        self._kept: dict[tuple[str, str], float] = {}

    def scores(self, description: str, texts: Sequence[str]) -> np.ndarray:
        """Float [n] in 0 to 1. Raises InputError if most answers are neither yes nor no."""
        if isinstance(self._model, RemoteModel):
            return self._answers(self._model, description, texts)
        others = [other for other in self._others if other != description]
        mean = np.mean([self._odds(self._model, other, texts) for other in others], axis=0) if others else 0.0
        return 1 / (1 + np.exp(-np.clip(self._odds(self._model, description, texts) - mean - MARGIN * bool(others), -50, 50)))

    @staticmethod
    def prompt(name: str, folder: Path | None = None, **fields: str) -> str:
        """The prompt of this name, filled in: NAME.txt in the folder if it is there, else the package's. Raises InputError."""
        own = None if folder is None else folder / f"{name}.txt"
        try:
            found = own if own is not None and own.is_file() else resources.files("optigram.explaining") / "prompts" / f"{name}.txt"
            text = found.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the prompt {own} ({error}); write it as UTF-8 text") from error
        if lacking := [field for field in FIELDS[name] if f"{{{field}}}" not in text]:
            raise InputError(f"expected {{{lacking[0]}}} in the prompt {own}; write it where the {lacking[0]} is to stand")
        return FIELD.sub(lambda match: fields.get(match[1], match[0]), text)

    def _odds(self, model: LocalModel, description: str, texts: Sequence[str]) -> np.ndarray:
        fresh = [text for text in dict.fromkeys(texts) if (description, text) not in self._kept]
        if fresh:
            odds = model.log_odds([self._asked(description, text) for text in fresh])
            self._kept.update(((description, text), float(value)) for text, value in zip(fresh, odds, strict=True))
        return np.array([self._kept[description, text] for text in texts])

    def _answers(self, model: RemoteModel, description: str, texts: Sequence[str]) -> np.ndarray:
        fresh = [text for text in dict.fromkeys(texts) if (description, text) not in self._kept]
        said = [model.write(self._asked(description, text), 8) for text in fresh]
        read = [_verdict(answer) for answer in said]
        if read and sum(value == 0.5 for value in read) * 2 > len(read):
            unread = next(answer for answer, value in zip(said, read, strict=True) if value == 0.5)
            raise InputError(
                f"expected yes or no from the judge {self.name}, got {unread!r:.60}; give another model, or change the prompts"
            )
        self._kept.update(((description, text), value) for text, value in zip(fresh, read, strict=True))
        return np.array([self._kept[description, text] for text in texts])

    def _asked(self, description: str, text: str) -> str:
        return self.prompt(FUZZ if MARKS[0] in text else DETECT, self._prompts, description=description, text=text)


def _verdict(answer: str) -> float:
    word = re.sub(r"[^a-z]", " ", answer.lower()).split()[:1]
    return {"yes": 1.0, "no": 0.0}.get(word[0] if word else "", 0.5)
