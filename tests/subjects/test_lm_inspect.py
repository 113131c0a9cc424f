"""Inspect AI runs our tasks against the scripted responder; its log read back gives the trials of our own run."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from mesascope import catalogue
from mesascope.rollouts.rollouts import rollout
from subjects.lm_server import serving

pytest.importorskip("inspect_ai", reason="needs the extra inspect")
httpx = pytest.importorskip("httpx", reason="needs the extra lm")
pytestmark = pytest.mark.filterwarnings("ignore")  # another package's

LIFETIMES = 7


ADDRESS: list[str] = []  # of the server that stands; Inspect keeps a model's class for good


@pytest.fixture(scope="module")
def responder():
    """The name of a model that asks the server."""
    from inspect_ai.model import ModelAPI, ModelOutput, modelapi

    @modelapi(name="scripted")
    class Responder(ModelAPI):
        async def generate(self, input, tools, tool_choice, config):
            turns = [{"role": "user", "content": input[-1].text}]
            body = {"messages": turns, "temperature": config.temperature}
            async with httpx.AsyncClient() as client:
                reply = (await client.post(f"{ADDRESS[0]}/chat/completions", json=body)).json()
            return ModelOutput.from_content("scripted", reply["choices"][0]["message"]["content"])

    return "scripted/one"


def lived(address, split):
    """The trials of our own run."""
    family = catalogue.make("families", "word_labels:trials=5")
    spec = f"openai_api:path={address},is_chat=True,mode=answer,cache=none"
    return rollout(catalogue.make("subjects", spec, family), family, split, LIFETIMES, 3)


def compare(log, ours):
    """A log, read back, against the trials of our own run."""
    from mesascope.rollouts.inspected import read_eval

    read = read_eval(log)
    assert set(ours.data_vars) - set(read.data_vars) <= {"mass", "transcript"}
    for name in read.data_vars:
        if name != "partner":
            same = np.array_equal(read[name].values, ours[name].values, equal_nan=True)
            assert same, name
    for told in ("family", "split", "seed", "trained_on", "elicited", "changes", "counted"):
        assert read.attrs[told] == ours.attrs[told]


@pytest.mark.parametrize("split", ["fresh", "restructured:halves"])
def test_the_log_gives_the_trials_of_our_own_run(tmp_path, split, responder):
    from inspect_ai import eval as inspect_eval

    from mesascope.examination.logged import measure
    from mesascope.rollouts.inspect_tasks import word_labels

    with serving("parrot", always="plain") as server:
        ADDRESS[:] = [server.address]
        made = word_labels(trials=5, split=split, lifetimes=LIFETIMES, seed=3)
        (log,) = inspect_eval(made, model=responder, log_dir=str(tmp_path), display="none")
        assert log.status == "success", log.error
        ours = lived(server.address, split)
    compare(log.location, ours)
    found = measure(log.location)
    assert found.trials[split].sizes["lifetime"] == LIFETIMES


@pytest.mark.slow  # another command line; CI runs it
def test_its_command_line_runs_the_task(tmp_path):
    pytest.importorskip("openai", reason="needs the extra inspect")
    given = {"trials": 5, "lifetimes": LIFETIMES, "seed": 3}
    line = ["eval", "mesascope/word_labels", "--model", "openai-api/scripted/one", "--display", "none"]
    line += [word for k, v in given.items() for word in ("-T", f"{k}={v}")]
    with serving("parrot", always="plain") as server:
        there = {"SCRIPTED_BASE_URL": server.address, "SCRIPTED_API_KEY": "none"}
        told = subprocess.run(
            [sys.executable, "-m", "inspect_ai", *line, "--log-dir", str(tmp_path)],
            env=os.environ | there,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert told.returncode == 0, told.stdout + told.stderr
        ours = lived(server.address, "fresh")
    (log,) = tmp_path.glob("*.eval")
    compare(str(log), ours)
