"""In the hybrid model of the two-step task (Daw et al. 2011), how much weight do planned values have?

The log-odds of choice 1 are β · (w · planned + (1 - w) · cached), plus a constant times the last choice, coded as ±1;
'planned' and 'cached' are the values of choice 1 minus those of choice 0. Planned values are the values of the states
weighted by counted transitions; cached values are learned from the pay-offs. Both are learned at the same rate, which
the metric fits. λ is a setting and is not fitted, because it can hardly be distinguished from w. The weight only
describes choices in terms of the model. A filter that does not plan also has a w.
"""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit
from scipy.stats import t as student

from mesascope.contracts import DoesNotApply, Metric, Reading, check_range, make_metric, select_fresh_trials
from mesascope.worlds.two_step.trial_arrays import TwoStepTrials, fit_logistic, read_scaled_trials, sum_by_unit

MAX_HALF_WIDTH = 0.1  # the largest half-width of the 95 % interval of w
PRIOR_COUNT = 10.0  # the number of transitions that the model has counted before the first trial
RATE_BOUNDS = (0.01, 0.99)


def metric(decay: float = 1.0) -> Metric:
    """How much weight do planned values have against cached ones in the hybrid model of the subject's first choices?

    Args:
        decay: λ, the part of the prediction error of the second stage that also updates the cached value.
    """
    check_range(0, 1, decay=decay)

    def measure(trials, references, replay):
        fresh_trials = select_fresh_trials(trials)
        scaled = read_scaled_trials(fresh_trials)
        weight, rate, beta = fit_planning_weight(scaled, decay)
        reason = f"learning rate {rate:.2f}, inverse temperature {beta:.1f}; this is not evidence of planning"
        return [Reading(weight[scaled.unit], str(fresh_trials.attrs["split"]), reason=reason, is_descriptive=True)]

    question = (
        "How much weight do planned values have against cached ones in the hybrid model of the subject's first choices?"
    )
    return make_metric(question, measure, decay=decay)


def fit_planning_weight(trials: TwoStepTrials, decay: float = 1.0) -> tuple[np.ndarray, float, float]:
    """Fits the weights w [U] of the units of resampling, the learning rate, and the inverse temperature.

    The mean of w is the estimate, and its spread over units gives the standard error.

    Raises:
        DoesNotApply: there are fewer than three units, the interval of w is wider than ±.1, or the choices depend on
            neither value.
    """
    units = int(trials.unit.max()) + 1
    if units < 3:
        raise DoesNotApply(f"w has no interval with {units} units of resampling; 40 lifetimes of 100 trials are enough")
    is_complete, y = trials.is_complete, (trials.first_choice == 1).astype(float)

    def compute_loss(rate: float) -> float:
        x = compute_features(trials, rate, decay)[is_complete]
        weights, _ = fit_logistic(x, y[is_complete])
        z = x @ weights
        return float((np.logaddexp(0.0, z) - y[is_complete] * z).mean())

    optimum: Any = minimize_scalar(compute_loss, bounds=RATE_BOUNDS, method="bounded", options={"xatol": 1e-3})
    rate = float(optimum.x)
    values = compute_features(trials, rate, decay)
    weights, curvature = fit_logistic(values[is_complete], y[is_complete])
    size = 1e-3
    neighbours = [compute_features(trials, rate + s, decay) for s in (size, -size)]
    residuals = is_complete * (y - expit(values @ weights))  # [N, T]
    # [N, T] the first and the second derivative of the log-odds with respect to the rate
    by_rate = (neighbours[0] - neighbours[1]) @ weights / (2 * size)
    by_rate_twice = (neighbours[0] + neighbours[1] - 2 * values) @ weights / size**2
    slope = np.concatenate([(residuals[..., None] * values).sum(1), (residuals * by_rate).sum(1)[:, None]], -1)
    p = expit(values @ weights)
    variance = is_complete * p * (1 - p)
    mixed_derivative = (variance[..., None] * values * by_rate[..., None]).sum((0, 1))
    mixed_derivative -= (residuals[..., None] * (neighbours[0] - neighbours[1]) / (2 * size)).sum((0, 1))
    rate_curvature = (variance * by_rate**2 - residuals * by_rate_twice).sum()
    hessian = np.block([[curvature, mixed_derivative[:, None]], [mixed_derivative[None], np.array([[rate_curvature]])]])
    slope = sum_by_unit(trials, slope)
    influence = units * (slope - slope.mean(0)) @ np.linalg.pinv(hessian, rcond=1e-10)
    planned, cached = weights[:2]
    beta = planned + cached
    spread = (influence[:, 0] + influence[:, 1]).std(ddof=1) / np.sqrt(units)
    if not beta > 3 * spread:
        raise DoesNotApply("the subject's first choices depend on neither planned nor cached values")
    w = planned / beta + (cached * influence[:, 0] - planned * influence[:, 1]) / beta**2
    half = float(student.ppf(0.975, units - 1) * w.std(ddof=1) / np.sqrt(units))
    if not half <= MAX_HALF_WIDTH:
        raise DoesNotApply(
            f"w is estimated only to within ±{half:.2f}; it takes more trials to reach ±{MAX_HALF_WIDTH}"
        )
    return w, rate, float(beta)


def compute_features(trials: TwoStepTrials, rate: float, decay: float) -> np.ndarray:
    """Computes the features [N, T, 3] of the first choices.

    They are the planned and the cached value of choice 1, each minus that of choice 0, and the last choice as ±1 (0
    before the first).
    """
    n, length = trials.first_choice.shape
    rows, common_share = np.arange(n), float(trials.transition[trials.is_complete].mean())
    frequency = common_share * np.eye(2) + (1 - common_share) * (1 - np.eye(2))
    transitions = np.broadcast_to(PRIOR_COUNT * frequency, (n, 2, 2)).copy()
    options, cached, last = np.full((n, 2, 2), 0.5), np.full((n, 2), 0.5), np.zeros(n)
    has_one_option = not trials.second_choice.any()
    result = np.empty((n, length, 3))
    for t in range(length):
        best = options[..., 0] if has_one_option else options.max(-1)
        planned = (transitions * best[:, None]).sum(-1) / transitions.sum(-1)
        result[:, t, 0] = planned[:, 1] - planned[:, 0]
        result[:, t, 1] = cached[:, 1] - cached[:, 0]
        result[:, t, 2] = last
        counts = trials.is_complete[:, t].astype(float)
        first, state, second = trials.first_choice[:, t], trials.state[:, t], trials.second_choice[:, t]
        value = options[rows, state, second]
        error = counts * (trials.payoff[:, t] - value)
        cached[rows, first] += rate * (counts * (value - cached[rows, first]) + decay * error)
        options[rows, state, second] += rate * error
        transitions[rows, first, state] += counts
        last = np.where(counts > 0, 2.0 * first - 1.0, last)
    return result
