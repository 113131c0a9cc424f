"""A function of one's own: the one that docs/agents.md shows works as is, and `check` looks at it first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mesascope.cli.main import run_command

DOCS = (Path(__file__).parents[2] / "docs" / "agents.md").read_text()
LEAKS = """

calls = []


def leaking(family):
    def act(percept, state, rng):
        calls.append(1)
        return np.full(len(percept["action"]), len(calls) % family.choices), None

    return act
"""


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """The function of the docs as a module in the present folder."""
    (code,) = (c for c in re.findall(r"```python\n(.*?)```", DOCS, re.S) if "def counting" in c)
    (tmp_path / "my_counting_agents.py").write_text(code + LEAKS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)


def test_check_takes_a_function_of_ones_own(shown, capsys):
    assert run_command(["check", "my_counting_agents:counting"]) == 0
    assert "keeps its contract" in capsys.readouterr().out
    assert run_command(["check", "thompson:discount"]) == 2
    assert "is not a setting" in capsys.readouterr().err
    assert run_command(["check", "my_counting_agents:leaking"]) == 1
    assert "its actions differ" in capsys.readouterr().out


def test_a_file_of_code_is_named_as_a_module(shown, capsys):
    options = ["--family", "bernoulli_bandit:arms=3,trials=12", "--splits", "fresh", "--lifetimes", "64"]
    assert run_command(["examine", "my_counting_agents.py", *options]) == 2
    assert "as my_counting_agents:factory" in capsys.readouterr().err
    options += ["--metrics", "benefit", "--trained-on", "unlimited"]
    assert run_command(["examine", "my_counting_agents.py:counting", *options]) == 0
    assert "its next action loses" in capsys.readouterr().out
