"""Code of a user's that would end the process: exit code 2, and the file and line; Ctrl-C still ends it."""

from __future__ import annotations

import sys

import pytest

from mesascope import catalogue, examine
from mesascope.cli.main import run_command
from mesascope.contracts import Metric, Reading
from mesascope.errors import MesascopeError
from mesascope.examination.measurement import apply_metrics
from mesascope.rollouts.rollouts import rollout
from mesascope.worlds.any.subjects import uniform

FAMILY = "bernoulli_bandit:arms=3,trials=12"
ACT = "import {imports}\n\ndef made(family):\n    def act(percept, state, rng):\n        {does}\n    return act\n"
WHOLE = """
import typer
from mesascope.worlds.any.subjects import uniform


class Whole(uniform.UniformSubject):
    traceable = False

    def respond(self, key, carry, percept):
        {does}


def made(family):
    return Whole(name="whole", choices=family.choices)
"""
SCRIPTS = {
    "exit in a function": (ACT.format(imports="sys", does="sys.exit()"), "line 5", "SystemExit"),
    "exit 0 in a function": (ACT.format(imports="sys", does="sys.exit(0)"), "line 5", "SystemExit: 0"),
    "exit 3 in a function": (ACT.format(imports="sys", does="raise SystemExit(3)"), "line 5", "SystemExit: 3"),
    "quit as typed": (ACT.format(imports="sys", does="quit('no licence')"), "line 5", "SystemExit: no licence"),
    "exit in the factory": ("import sys\n\n\ndef made(family):\n    sys.exit(0)\n", "line 5", "SystemExit: 0"),
    "a script": ("import sys\n\nprint(end='')\nsys.exit()\n", "line 4", "SystemExit"),
    "a script that reads arguments": (
        "import argparse\n\nasked = argparse.ArgumentParser()\nasked.add_argument('net')\nasked.parse_args([])\n",
        "line 5",
        "SystemExit: 2",
    ),
    "an end of its own": (
        "class Stop(BaseException):\n    pass\n\n\ndef made(family):\n    raise Stop('done')\n",
        "line 6",
        "Stop: done",
    ),
    "cancelled": (ACT.format(imports="asyncio", does="raise asyncio.CancelledError"), "line 5", "CancelledError"),
    "typer's exit": (WHOLE.format(does="raise typer.Exit(0)"), "line 10", "Exit: 0"),
    "typer's abort": (WHOLE.format(does="raise typer.Abort"), "line 10", "Abort"),
    "a pipe to a process that died": (WHOLE.format(does="raise BrokenPipeError(32, 'gone')"), "line 10", "gone"),
}


@pytest.fixture
def examined(tmp_path, monkeypatch):
    """Types the examination of a subject whose module holds a text."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "ending", raising=False)

    def type_(text, *more):
        (tmp_path / "ending.py").write_text(text)
        flags = ["--splits", "fresh", "--metrics", "benefit", "--lifetimes", "64", "--out", "out"]
        return run_command(["examine", "ending:made", "--family", FAMILY, *flags, *more])

    return type_


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_file_and_line_that_would_have_ended_it(name, examined, capsys):
    text, line, what = SCRIPTS[name]
    assert examined(text, "--json") == 2
    told = capsys.readouterr()
    assert told.out == "" and "Traceback" not in told.err
    assert "mesascope: " in told.err and f"ending.py, {line}, " in told.err and what in told.err
    assert "__main__" in told.err


def test_ctrl_c_is_no_mistake(examined, capsys):
    assert examined(ACT.format(imports="sys", does="raise KeyboardInterrupt")) == 130
    assert "to continue" in capsys.readouterr().err


def test_in_python_it_is_an_error_that_can_be_caught(capsys):
    def leave(*_):
        raise SystemExit(0)

    family = catalogue.make("families", FAMILY)
    with pytest.raises(MesascopeError, match=r"test_ways_to_end\.py, line \d+, would have ended the run"):
        examine(leave, family, splits=["fresh"], metrics=["benefit"], lifetimes=64)


def test_an_environment_that_leaves(capsys, tmp_path, monkeypatch):
    pytest.importorskip("gymnasium")
    text = "import gymnasium\n\n\nclass Gone(gymnasium.Env):\n"
    text += "    action_space = gymnasium.spaces.Discrete(2)\n"
    text += "    observation_space = gymnasium.spaces.Discrete(1)\n\n"
    text += "    def reset(self, *, seed=None, options=None):\n        raise SystemExit(0)\n\n\n"
    text += "gymnasium.register('Gone-v0', Gone)\n"
    (tmp_path / "gone_module.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    asked = "gymnasium:env=gone_module:Gone-v0,episodes=2,steps=3,best=1"
    assert run_command(["examine", "uniform", "--family", asked, "--lifetimes", "64", "--out", "out"]) == 2
    assert "gone_module.py, line 9, would have ended the run: SystemExit: 0" in capsys.readouterr().err


def test_a_metric_that_leaves_does_not_lose_the_others():
    def leave(trials, references, replay):
        raise SystemExit(0)

    def count(trials, references, replay):
        return [Reading(trials["fresh"].action.values[0].mean(-1))]

    family = catalogue.make("families", FAMILY)
    lived = {"fresh": rollout(uniform.subject(family), family, lifetimes=64)}
    asked = [Metric("leaving", "Does it?", leave, {}), Metric("mean", "How much?", count, {})]
    left, counted = apply_metrics(asked, lived)
    assert left.status == "failed" and "would have ended the run: SystemExit: 0" in left.reason
    assert counted.status == "measured" and counted.n == 64
