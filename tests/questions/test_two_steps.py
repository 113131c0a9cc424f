"""Regressions on two-step trials: weights that they were made with come back, and what cannot be told is refused."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mesascope import catalogue
from mesascope.examination.measurement import apply_metrics
from mesascope.formats import TRIALS_FORMAT as FORMAT
from mesascope.rollouts.rollouts import rollout
from mesascope.trials import AXES
from mesascope.worlds.two_step.metrics import hybrid_weight, lagged_regression
from mesascope.worlds.two_step.trial_arrays import fit_logistic, read_scaled_trials


def trials(first, paid, common, **more) -> xr.Dataset:
    """Arrays [N, T] as the trials of a log."""
    data = {"action": (AXES, np.asarray(first, np.int16)[None]), "feedback": (AXES, np.asarray(paid, float)[None])}
    data["transition"] = (AXES, np.asarray(common, np.int16)[None])
    attrs = {"format": FORMAT, "family": "log", "split": "logged", "subject": "made up", "choices": 2, **more}
    return xr.Dataset(data, coords={"condition": ["intact"]}, attrs=attrs)


def by_regression(weights: np.ndarray, n: int, length: int, seed: int) -> xr.Dataset:
    """Choices drawn from a lagged logistic model; weights [lags, 4]."""
    rng = np.random.default_rng(seed)
    common, paid = rng.random((n, length)) < 0.7, rng.random((n, length)) < 0.5
    first, told = np.zeros((n, length), int), np.zeros((n, length, 4))
    for t in range(length):
        odds = sum((told[:, t - 1 - lag] @ w for lag, w in enumerate(weights) if t > lag), np.zeros(n))
        first[:, t] = rng.random(n) < 1 / (1 + np.exp(-odds))
        c, r, k = (np.where(x, 1.0, -1.0) for x in (first[:, t] == 1, paid[:, t], common[:, t]))
        told[:, t] = np.stack([c, c * r, c * k, c * r * k], -1)
    return trials(first, paid, common)


def test_the_weights_of_every_lag_come_back():
    weights = np.array([[0.8, 0.5, -0.3, 0.6], [0.2, 0.25, 0.0, 0.4], [0.0, 0.1, 0.1, -0.2]])
    found = apply_metrics([lagged_regression.metric()], {"logged": by_regression(weights, 211, 61, 3)})
    assert all(f.status == "measured" for f in found) and len(found) == 12
    told = {f.metric.partition(": ")[2]: f for f in found}
    inside = 0
    for lag, row in enumerate(weights):
        for effect, w in zip(lagged_regression.EFFECTS, row, strict=True):
            f = told[f"lag {lag + 1}: {effect}"]
            assert f.estimate == pytest.approx(w, abs=0.08)
            inside += f.low <= w <= f.high
    assert inside >= 10  # of twelve intervals of 95 %


def test_the_regression_is_where_the_likelihood_is_flat():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((300, 3))
    y = (rng.random(300) < 1 / (1 + np.exp(-x @ [1.0, -0.5, 0.0]))).astype(float)
    weights, curve = fit_logistic(x, y, ridge=1e-9)
    assert x.T @ (y - 1 / (1 + np.exp(-x @ weights))) == pytest.approx(np.zeros(3), abs=1e-4)
    assert np.sqrt(np.diag(np.linalg.inv(curve))) == pytest.approx(np.full(3, 0.13), abs=0.03)
    sure, _ = fit_logistic(x[:, :1], (x[:, 0] > 0).astype(float))
    assert np.isfinite(sure).all() and sure[0] > 3


@functools.cache
def hybrids(weight: float, lifetimes: int) -> Any:
    family = catalogue.make("families", "two_step")
    made = catalogue.make("subjects", f"hybrid:weight={weight}", family)
    return rollout(made, family, "fresh", lifetimes, 11, should_keep_log_probs=False)


def recovered(weight: float, studies: int) -> list[bool]:
    """Whether each of some studies of 40 lifetimes of 100 trials finds the weight, and an interval below .1."""
    lived, out = hybrids(weight, 40 * studies), []
    for i in range(studies):
        part = lived.isel(lifetime=slice(40 * i, 40 * (i + 1)))
        (found,) = apply_metrics([hybrid_weight.metric()], {"fresh": part})
        out.append(found.status == "measured" and abs(found.estimate - weight) <= 0.1 and not found.confirmatory)
        assert not out[-1] or max(found.high - found.estimate, found.estimate - found.low) < 0.1
    return out


@pytest.mark.slow  # many fits; CI runs it
def test_the_weight_of_simulated_hybrids_comes_back():
    assert np.mean([ok for w in (0.2, 0.5, 0.8) for ok in recovered(w, 8)]) >= 0.9


@pytest.mark.long
@pytest.mark.parametrize("weight", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
def test_every_weight_comes_back(weight):
    assert np.mean(recovered(weight, 50)) >= 0.9


def read(lived, metric=hybrid_weight):
    return apply_metrics([metric.metric()], {str(lived.attrs["split"]): lived})[0]


def test_what_cannot_be_told_is_refused():
    one = hybrids(0.5, 320).isel(lifetime=slice(0, 1))
    assert read(one).status == "does not apply" and "40 lifetimes" in read(one).reason
    few = hybrids(0.5, 320).isel(lifetime=slice(0, 5))
    assert read(few).status == "does not apply" and "within" in read(few).reason
    rng = np.random.default_rng(1)
    paid, common = rng.random((2, 41, 100)) < 0.5
    same = trials(np.ones((41, 100)), paid, common)
    for metric in (hybrid_weight, lagged_regression):
        assert read(same, metric).status == "does not apply" and "always repeats" in read(same, metric).reason
    chance = trials(rng.random((41, 100)) < 0.5, paid, common)
    assert read(chance).status == "does not apply" and "neither" in read(chance).reason
    plain = same.drop_vars("transition")
    assert "do not have two steps" in read(plain).reason
    short = trials(rng.random((2, 9)) < 0.5, paid[:2, :9], common[:2, :9])
    assert "too few" in read(short, lagged_regression).reason


def test_logs_of_two_stages_are_read_with_what_they_hold():
    first = np.array([[0, 1, -1, 1], [1, 1, 0, 0], [0, 0, 1, 0]])
    common, paid = np.array([[1, 0, -1, 1]] * 3), np.array([[0, 5, np.nan, 10]] * 3)
    log = trials(first, paid, common, unit="participant").assign_coords(participant=("lifetime", [0, 0, 1]))
    log["second_action"] = (AXES, np.array([[[0, 3, -1, 1]] * 3], np.int16)[0][None])
    steps = read_scaled_trials(log)
    assert steps.state.tolist() == [[0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]]
    assert steps.second_choice[0].tolist() == [0, 1, 0, 1] and steps.payoff[0].tolist() == [0, 0.5, 0, 1]
    assert steps.is_complete[0].tolist() == [True, True, False, True] and steps.unit.tolist() == [0, 0, 1]


@pytest.mark.parametrize("decay", [1.0, 0.3])
def test_values_of_the_model_are_those_worked_out_by_hand(decay):
    """Two trials: after one rewarded rare transition of the first choice."""
    steps = read_scaled_trials(trials([[0, 1]], [[1, 0]], [[0, 1]]))
    x = hybrid_weight.compute_features(steps._replace(transition=np.array([[1, 1]])), 0.4, decay)[0]
    assert x[0].tolist() == [0, 0, 0]
    own = 10 / 11  # of ten counted ones all were common, and one more was not
    values = np.array([0.5, 0.5 + 0.4 * 0.5])
    assert x[1, 0] == pytest.approx(values[1] - (own * values[0] + (1 - own) * values[1]))
    assert x[1, 1] == pytest.approx(0.5 - (0.5 + decay * 0.4 * 0.5)) and x[1, 2] == -1
