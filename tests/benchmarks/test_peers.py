"""What adapters answer that cannot answer."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.peers import run
from benchmarks.peers.run import Match
from benchmarks.setup import Settings

from optigram.errors import InputError

ADAPTER = """
from counting import before_last, serve
serve("pytest", lambda request: {"left": before_last(request, 10)})
"""


def test_a_budget_without_room_for_a_step_is_refused_in_one_line_and_the_next_request_is_answered():
    folder = Path(run.__file__).parent / "adapters"
    command = [sys.executable, "-c", ADAPTER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder, text=True) as process:
        match = Match(Path(), {}, Settings(), {"peer": process})
        with pytest.raises(InputError, match="peer: expected a budget of more than 10 forward-equivalents for gcg, got 10; give a larger"):
            match.asked("peer", {"method": "gcg", "budget": 10})
        assert match.asked("peer", {"method": "gcg", "budget": 12})["left"] == 2
