"""Logs of any size are measured, and one metric's mistake loses no other finding."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from mesascope.cli.main import run_command
from mesascope.contracts import DoesNotApply, Metric, Reading
from mesascope.examination.logged import measure
from mesascope.examination.measurement import apply_metrics
from mesascope.logs import read_log


def played(people: int, blocks: int, trials: int) -> pd.DataFrame:
    """Choices that stay after a win, by participant and block."""
    rng = np.random.default_rng(1)
    who, block, trial = np.indices((people, blocks, trials)).reshape(3, -1)
    choice = np.zeros((people, blocks, trials), int)
    won = rng.random((people, blocks, trials)) < 0.5
    for t in range(1, trials):
        choice[..., t] = np.where(won[..., t - 1], choice[..., t - 1], 1 - choice[..., t - 1])
    told = {"participant": who + 1, "block": block + 1, "trial": trial + 1, "choice": choice.ravel()}
    frame = pd.DataFrame({**told, "reward": won.ravel().astype(int)})
    return frame.drop(columns=["block"] if blocks == 1 else [])


def acted(frame: pd.DataFrame) -> list:
    """What `acts_like` found, and whether the others were measured beside it."""
    found = measure(frame, ["acts_like", "stay_by_feedback"]).answers
    assert found[-1].status == "measured" and found[-1].estimate == pytest.approx(1)
    return found[:-1]


@pytest.mark.parametrize(
    ("people", "blocks", "trials", "units"),
    [
        (201, 1, 10, 200),
        (70, 3, 4, 70),  # 60 of them by three blocks and the others by two
        (1, 250, 4, 1),
        (101, 2, 4, 101),
    ],
)
def test_a_log_of_more_lifetimes_than_are_fitted(people, blocks, trials, units):
    found = acted(played(people, blocks, trials))
    assert {f.n for f in found} == {units} and {f.status for f in found} == {"measured"}
    assert "win_stay_lose_shift" in found[0].reason


def test_the_fit_is_that_of_the_lifetimes_that_were_kept():
    more = played(203, 1, 10)
    fewer = acted(more.query("participant <= 200"))
    for one, other in zip(acted(more), fewer, strict=True):
        assert (one.metric, one.estimate, one.low, one.high, one.n) == (
            other.metric,
            other.estimate,
            other.low,
            other.high,
            200,
        )


def test_the_same_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    played(201, 1, 10).to_csv("log.csv", index=False)
    assert run_command(["measure", "log.csv", "--json"]) == 0
    (subject,) = json.loads(capsys.readouterr().out)["subjects"]
    assert not [f for f in subject["findings"] if f["status"] == "failed"]
    assert {f["n"] for f in subject["findings"] if f["metric"].startswith("acts_like")} == {200}


def good(lived):
    return np.linspace(0, 1, lived.sizes["lifetime"])


def raising(error):
    def values(lived):
        raise error

    return values


WRONG = {
    "one too few": (lambda lived: good(lived)[1:], "shape (5,) for 6 lifetimes"),
    "one too many": (lambda lived: np.append(good(lived), 0), "shape (7,) for 6 lifetimes"),
    "a number": (lambda lived: 0.5, "shape () for 6 lifetimes"),
    "per trial": (lambda lived: np.zeros((6, 4)), "shape (6, 4) for 6 lifetimes"),
    "words": (lambda lived: np.full(6, "left"), "could not convert"),
    "nothing": (lambda lived: None, "shape ()"),
    "too large for an interval": (lambda lived: good(lived) * 1e300, "no interval"),
    "exception": (raising(LookupError("no layer")), "LookupError: no layer"),
    "exit": (raising(SystemExit(0)), "would have ended the run: SystemExit: 0"),
    "recursion": (raising(RecursionError("too deep")), "RecursionError"),
    "memory": (raising(MemoryError()), "MemoryError"),
}


def metric(name, values, **given):
    def measured(trials, references, replay):
        return [Reading(values(trials["logged"]), "logged", "first", **given), Reading(good(trials["logged"]))]

    return Metric(name, "How much?", measured, {})


@pytest.fixture(scope="module")
def log():
    return {"logged": read_log(played(6, 1, 4))[0]}


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("name", WRONG)
def test_a_metric_that_is_wrong_is_a_finding_with_a_reason(name, log):
    values, reason = WRONG[name]
    wrong, *right = apply_metrics([metric("wrong", values), metric("right", good)], log)
    assert wrong.status == "failed" and reason in wrong.reason
    assert [f.metric for f in right] == ["right: first", "right"]
    assert [(f.estimate, f.n, f.unit) for f in right] == [(pytest.approx(0.5), 6, "participant")] * 2


def test_values_may_be_of_units_of_their_own(log):
    found = apply_metrics([metric("pairs", lambda lived: np.arange(9.0), unit="pair")], log)
    assert (found[0].estimate, found[0].n, found[0].unit) == (4, 9, "pair")


def test_what_a_file_cannot_hold_is_not_in_a_finding(log):
    odd = Metric("odd", "What?", metric("odd", good).measure, {}, settings={"grid": np.arange(3), "of": {1}})
    nowhere, silent = metric("nan", good, null=math.nan), metric("silent", raising(DoesNotApply()))
    found = apply_metrics([odd, nowhere, silent], log)
    assert [f.status for f in found] == ["measured", "measured", "failed", "does not apply"]
    assert "finite null" in found[2].reason and "does not say why" in found[3].reason
    json.dumps([f.settings for f in found], allow_nan=False)
