import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs(capsys):
    """At a small budget, which changes how good the texts are and nothing else."""
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    exec(compile(example.replace("budget=5000", "budget=100"), "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["visual:pizza", "language:umbrella"]


def test_it_opens_with_the_commands_that_need_nothing_else():
    commands = README.split("```")[1].split("\n")
    assert [line.split("#")[0].strip() for line in commands if line] == ["make demo", "make test", "make paper"]
    assert README.startswith("# optigram\n\n```")
