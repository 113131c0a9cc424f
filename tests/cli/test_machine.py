"""Full disks, closed pipes, strange terminals, two runs at once, other libraries: it is written, or one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

OPTIONS = ["--family", "bernoulli_bandit:arms=3,trials=12", "--splits", "fresh", "--metrics", "benefit"]
OPTIONS += ["--lifetimes", "64"]
AGENTS = """
import os, pathlib, time
import numpy as np

def talking(family):
    print("from the factory")
    def act(percept, state, rng):
        print("from Python")
        os.write(1, b"from C\\n")
        return np.zeros(len(percept["action"]), int), state
    return act

def moving(family):
    os.makedirs("elsewhere", exist_ok=True)
    place = os.path.abspath("elsewhere")
    def act(percept, state, rng):
        os.chdir(place)
        return np.zeros(len(percept["action"]), int), state
    return act

def waiting(family):
    pathlib.Path("begun").touch()
    def act(percept, state, rng):
        while not os.path.exists("go on"):
            time.sleep(0.05)
        return np.zeros(len(percept["action"]), int), state
    return act
"""
PYTHON = f"{sys.executable} -P -m mesascope"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "machine_agents.py").write_text(AGENTS)


def shell(script, **environment):
    """Runs a line of bash in which $M stands for the command and its options."""
    asked = " ".join(OPTIONS)
    variables = {**os.environ, "M": f"{PYTHON} examine uniform {asked}", "X": f"{PYTHON} examine", "O": asked}
    given = {**variables, **environment}
    return subprocess.run(["bash", "-c", script], capture_output=True, env=given, timeout=300, check=False)


def wrote(folder):
    return json.loads((Path(folder) / "findings.json").read_text())["subjects"][0]["subject"]


def one_sentence(ended, code=2):
    told = ended.stderr.decode(errors="replace")
    assert ended.returncode == code, told
    assert told.count("mesascope: ") == 1 and "Traceback" not in told and "an error in mesascope" not in told
    return told


@pytest.mark.slow  # three to five processes; CI runs it
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk():
    assert "No space left on device" in one_sentence(shell("$M --out a > /dev/full"))
    assert wrote("a") == "uniform"
    told = one_sentence(shell("ulimit -f 2; $M --out b"))
    assert "File too large" in told and "finished work is kept" in told


@pytest.mark.slow  # three to five processes; CI runs it
def test_closed_streams_and_strange_terminals():
    assert shell("$M --out a >&-").returncode == 0
    assert wrote("a") == "uniform"
    told = shell("$M --out b", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert told.returncode == 0 and b"inert" in told.stdout and told.stdout.isascii()
    told = shell("$M --out $'x\\xff' --json")
    assert told.returncode == 0, told.stderr
    assert wrote(os.fsdecode(b"x\xff")) == "uniform"
    assert shell(f"{PYTHON} report $'x\\xff'").returncode == 0


@pytest.mark.slow  # its own processes; CI runs it
def test_what_a_subject_prints_is_no_part_of_the_document():
    told = shell("$X machine_agents:talking $O --out a --json")
    assert [s["subject"] for s in json.loads(told.stdout)["subjects"]] == ["machine_agents:talking"]
    for line in (b"from the factory", b"from Python", b"from C"):
        assert line in told.stderr and line not in told.stdout


@pytest.mark.slow  # its own processes; CI runs it
def test_a_subject_that_changes_the_folder():
    assert shell("$X machine_agents:moving $O --out a").returncode == 0
    assert wrote("a") == "machine_agents:moving"
    assert list(Path("elsewhere").iterdir()) == []


@pytest.mark.slow  # three to five processes; CI runs it
def test_two_runs_in_one_folder_and_a_run_that_is_given_again():
    asked = [sys.executable, "-P", "-m", "mesascope", "examine", "machine_agents:waiting", *OPTIONS, "--out", "a"]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        try:
            while not Path("begun").exists() and first.poll() is None:
                time.sleep(0.1)
            second = shell("$X machine_agents:waiting $O --out a")
            assert "Another run is working in 'a'. Wait until it has ended" in " ".join(one_sentence(second).split())
            Path("go on").touch()
            out, err = first.communicate(timeout=300)
        finally:
            first.kill()
    assert first.returncode == 0, err
    findings = Path("a/findings.json").read_bytes()
    again = shell("$X machine_agents:waiting $O --out a")
    assert again.stdout == out and b"has finished before" in again.stderr
    assert Path("a/findings.json").read_bytes() == findings
    mended = Path("machine_agents.py").read_text().replace("np.zeros(", "np.ones(")
    Path("machine_agents.py").write_text(mended)  # then it is not what the folder has
    assert b"has finished before" not in shell("$X machine_agents:waiting $O --out a").stderr
    assert Path("a/findings.json").read_bytes() != findings


@pytest.mark.slow  # three to five processes; CI runs it
def test_settings_of_other_libraries():
    told = shell("$M --out a", MPLBACKEND="nonsense", JAX_ENABLE_X64="1")
    assert told.returncode == 0, told.stderr
    told = one_sentence(shell("$M --out b", JAX_PLATFORMS="cuda"))
    assert "JAX cannot use JAX_PLATFORMS=cuda" in told and "JAX_PLATFORMS=cpu" in told


def test_double_precision_is_the_users_own_affair(monkeypatch):
    import jax
    import jax.numpy as jnp
    import numpy as np

    from mesascope import rollout

    def act(percept, state, rng):
        kinds.add(str(jnp.ones(1, jnp.float64).dtype))
        return np.zeros(len(percept["action"]), int), state

    kinds = set()
    plain = rollout("thompson", OPTIONS[1], lifetimes=7)
    jax.config.update("jax_enable_x64", True)
    try:
        assert (rollout("thompson", OPTIONS[1], lifetimes=7).action == plain.action).all()
        rollout(act, OPTIONS[1], lifetimes=7)
        assert kinds == {"float64"} and jax.config.jax_enable_x64
    finally:
        jax.config.update("jax_enable_x64", False)


@pytest.mark.slow  # its own processes; CI runs it
def test_training_on_an_environment_that_cannot_be_compiled():
    told = one_sentence(shell(f"{PYTHON} train ppo_recurrent --family gymnasium:env=CartPole-v1,best=200 --out net"))
    assert "cannot be compiled by JAX" in told and "docs/agents.md" in told


def test_ctrl_c_while_it_is_imported():
    slow = "import time; open('begun', 'w').close(); time.sleep(60)"
    Path("slow").mkdir()
    Path("slow/typer.py").write_text(slow)
    asked = [sys.executable, "-P", "-m", "mesascope", "list"]
    environment = {**os.environ, "PYTHONPATH": f"slow:{os.environ.get('PYTHONPATH', '')}"}
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        while not Path("begun").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == b"Stopped.\n"


@pytest.mark.slow  # three to five processes; CI runs it
def test_a_folder_that_is_deleted():
    told = shell("mkdir gone; cd gone; rmdir ../gone; $M")
    assert "cannot be the folder of a run" in one_sentence(told)
