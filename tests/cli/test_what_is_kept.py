"""What was finished before a failure or Ctrl-C stays in the folder of a run, and the next goes on from it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mesascope import rollout
from mesascope.cli.main import run_command

HERE = Path(__file__).parent
LOOKED_AT = 2 + 4 + 4  # calls per trial before the run proper: two lives, four forced along them, two asked for again
OPTIONS = [
    "--family",
    "bernoulli_bandit:arms=3,trials=12",
    "--splits",
    "fresh",
    "--metrics",
    "benefit",
    "--lifetimes",
    "64",
]


@pytest.fixture(autouse=True)
def typed(tmp_path, monkeypatch):
    """In a folder of its own, where the modules of agents can be named."""
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("agents_under_test", None)


def kept(folder):
    return {p.name: p.stat().st_mtime_ns for p in (folder / "rollouts").glob("*.npz")}


def test_a_run_that_fails_at_its_second_subject_goes_on(tmp_path, monkeypatch, capsys):
    arguments = ["examine", "agents_under_test:sound", "agents_under_test:late", *OPTIONS, "--out", "run"]
    looked_at = 12 * LOOKED_AT
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("FAIL", str(12 * LOOKED_AT + 30))
    assert run_command(arguments) == 2
    assert "ConnectionError: the server went away" in capsys.readouterr().err
    first, finished = (tmp_path / "calls").stat().st_size, kept(tmp_path / "run")
    assert first - looked_at > looked_at  # what is lived shows beside what is looked at before
    assert not (tmp_path / "run" / "findings.json").exists()

    assert run_command(arguments) == 2  # it fails again, and nothing is lived again
    assert kept(tmp_path / "run") == finished
    monkeypatch.delenv("FAIL")
    assert run_command(arguments) == 0
    assert (tmp_path / "calls").stat().st_size - first == 2 * looked_at
    capsys.readouterr()
    found = json.loads((tmp_path / "run" / "findings.json").read_text())["subjects"]
    assert [s["subject"] for s in found] == ["agents_under_test:sound", "agents_under_test:late"]
    assert not (tmp_path / "run" / "rollouts").exists()  # they are in trials.nc now


def test_a_broken_rollout_is_lived_again(tmp_path, monkeypatch, capsys):
    arguments = ["examine", "epsilon_greedy", "agents_under_test:late", *OPTIONS, "--out", "run", "--json"]
    monkeypatch.setenv("FAIL", str(12 * LOOKED_AT + 30))
    assert run_command(arguments) == 2
    capsys.readouterr()
    one = sorted((tmp_path / "run" / "rollouts").glob("*.npz"))[0]
    one.write_bytes(one.read_bytes()[:1000])
    monkeypatch.delenv("FAIL")
    assert run_command(arguments) == 0
    assert len(json.loads(capsys.readouterr().out)["subjects"]) == 2


@pytest.mark.slow  # ten to fifteen seconds; CI runs it
def test_a_function_that_hangs_is_left_alone_until_ctrl_c(tmp_path, monkeypatch, capsys):
    run_folder, hangs = tmp_path / "run", tmp_path / "hangs"
    arguments = ["examine", "epsilon_greedy", "agents_under_test:hangs", *OPTIONS, "--out", str(run_folder)]
    code = "from mesascope.cli.main import main; main()"
    asked = [sys.executable, "-P", "-c", code, *arguments]  # -P: as the installed command, which adds no folder
    environment = {**os.environ, "HANG": str(hangs), "HANG_AFTER": str(12 * LOOKED_AT)}
    with subprocess.Popen(
        asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=HERE
    ) as process:
        try:
            for _ in range(4000):
                if hangs.exists() or process.poll() is not None:
                    break
                time.sleep(0.1)
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert f"Stopped. Finished work is kept; to continue: mesascope {' '.join(arguments)}" in err
    finished = kept(run_folder)
    assert finished  # of the controls and the first subject
    lived = []
    monkeypatch.setattr(
        "mesascope.examination.bench.rollout", lambda *a, **k: lived.append(a[0].name) or rollout(*a, **k)
    )
    assert run_command(arguments) == 0
    assert set(lived) == {"agents_under_test:hangs"}
    assert "epsilon_greedy" in capsys.readouterr().out


def test_measure_reads_a_log_with_the_metrics_that_are_named(tmp_path, capsys):
    rows = [f"{i},{t},{(i + t) % 3},{(i * t) % 2}" for i in range(4) for t in range(11)]
    (tmp_path / "log.csv").write_text("participant,trial,choice,reward\n" + "\n".join(rows) + "\n")
    named = ["--metrics", "stay_by_feedback", "--metrics", "acts_like"]  # commas: tests/contract/test_outside.py
    named += ["--columns", "action=choice", "--columns", "feedback=reward,trial=trial"]
    assert run_command(["measure", "log.csv", *named, "--out", "few", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {f["metric"].split(":")[0] for f in told["subjects"][0]["findings"]} == {"stay_by_feedback", "acts_like"}
    kept = tmp_path / "few" / "rollouts" / "of_a_stopped_run.npz"
    kept.parent.mkdir()
    kept.write_bytes(b"")
    assert run_command(["measure", "log.csv", *named, "--out", "few", "--json"]) == 0
    assert kept.exists()
    capsys.readouterr()
    assert run_command(["measure", "log.csv", "--metrics", "stay_by_feedbac", "--out", "other"]) == 2
    assert "stay_by_feedback" in capsys.readouterr().err


@pytest.mark.slow  # ten to fifteen seconds; CI runs it
def test_another_command_takes_a_folder_of_its_own(tmp_path, capsys):
    def where(*arguments):
        assert run_command(["examine", "uniform", *OPTIONS, *arguments]) == 0
        return Path(capsys.readouterr().out.split("The report: ")[1].strip()).parent.name

    assert where() == "uniform"
    first = (tmp_path / "runs/uniform/findings.json").read_bytes()
    assert run_command(["examine", "uniform", *OPTIONS, "--seed", "1", "--splits", "nowhere"]) == 2
    assert where("--seed", "1") == "uniform-2"
    assert where("--seed", "1") == "uniform-2"
    assert where("--seed", "2") == "uniform-3"
    assert (tmp_path / "runs/uniform/findings.json").read_bytes() == first
    assert run_command(["examine", "uniform", *OPTIONS, "--json"]) == 0
    assert not (tmp_path / "runs/uniform-4").exists()


@pytest.mark.slow  # ten to fifteen seconds; CI runs it
def test_a_span_that_no_condition_reaches_is_null_in_json(capsys, tmp_path):
    options = ["--splits", "fresh", "--metrics", "performance", "--lifetimes", "64", "--out", str(tmp_path / "run")]
    asked = ["examine", "recurrent:path=regression_16", *options, "--json"]
    assert run_command(asked) == 0
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    placement = printed["subjects"][0]["placement"]
    assert placement["numbers"]["span_most"] is None
    assert placement["span"] == f"from more than its last {placement['numbers']['longest_span']} trials"
    assert json.loads((tmp_path / "run" / "findings.json").read_text(), parse_constant=pytest.fail) == printed
