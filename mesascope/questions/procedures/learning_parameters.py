"""Which learning rate, inverse temperature and perseveration fit each participant of a log?

The model is a Rescorla-Wagner rule with a softmax that also favours the last choice:
P(a) ∝ exp(β · value(a) + κ · [a was the last choice]). Pay-offs are scaled to [0, 1] over the log, and values begin at
one half. The posterior is computed on a grid, with the priors of Gershman 2016 (doi 10.1016/j.jmp.2016.01.006):
Beta(1.1, 1.1) for the rate and Gamma(1.2, 5) for the inverse temperature; for perseveration, Normal(0, 1).

In shapes, N is the number of lifetimes, T of trials, K of choices, G of grid points, and V of values of one parameter.
"""

import dataclasses

import numpy as np
from scipy import stats
from scipy.special import logsumexp

from mesascope.contracts import DoesNotApply, Metric, Reading, make_metric, select_fresh_trials
from mesascope.questions.procedures.histories import History, read_history

PRIORS = {
    "learning rate": stats.beta(1.1, 1.1),
    "inverse temperature": stats.gamma(1.2, scale=5),
    "perseveration": stats.norm(),
}
GRID_SIZES = (20, 20, 13)  # the number of grid points of each parameter
INTERVAL_QUANTILES = (0.025, 0.975)  # the posterior quantiles at the ends of the intervals


def metric() -> Metric:
    """Which learning rate, inverse temperature and perseveration fit each participant of a log?"""

    def measure(trials, references, replay):
        rollout = select_fresh_trials(trials)
        history = read_history(rollout)
        if history.trial_count < 2:
            raise DoesNotApply("a lifetime has one trial")
        offered = rollout.offered.values > 0 if "offered" in rollout else None
        has_feedback = np.isfinite(rollout.feedback.sel(condition="intact").values)
        log_likelihood = compute_log_likelihood(history, has_feedback, offered)  # [N, G]
        owners = rollout.participant.values if "participant" in rollout.coords else np.arange(len(log_likelihood))
        unit = np.unique(owners, return_inverse=True)[1]
        by_unit = np.stack([log_likelihood[unit == u].sum(0) for u in range(unit.max() + 1)])
        posterior = np.exp(by_unit - logsumexp(by_unit, -1, keepdims=True)).reshape(len(by_unit), *GRID_SIZES)
        readings = []
        for axis, (name, values) in enumerate(list_grid_values().items()):
            others = tuple(i + 1 for i in range(len(GRID_SIZES)) if i != axis)
            marginal = posterior.sum(others)
            ends = np.stack([_compute_quantiles(marginal, values, q) for q in INTERVAL_QUANTILES])
            mean = marginal @ values
            ends = np.stack([np.minimum(ends[0], mean), np.maximum(ends[1], mean)])
            readings.append(Reading(mean[unit], str(rollout.attrs["split"]), name, intervals=ends[:, unit]))
        return readings

    question = "Which learning rate, inverse temperature and perseveration fit each participant of a log?"
    return dataclasses.replace(make_metric(question, measure), splits=("logged",), is_cheap=False)


def list_grid_values() -> dict[str, np.ndarray]:
    """Lists the grid values of each parameter, which are the medians of intervals of equal prior probability."""
    return {
        name: np.asarray(prior.ppf((np.arange(n) + 0.5) / n))
        for (name, prior), n in zip(PRIORS.items(), GRID_SIZES, strict=True)
    }


def compute_log_likelihood(
    history: History, has_feedback: np.ndarray, is_offered: np.ndarray | None = None
) -> np.ndarray:
    """Computes the log-likelihood [N, G] of each lifetime at all G grid points, in C order of the parameters.

    Args:
        history: the lifetimes.
        has_feedback: [N, T] whether the pay-off of a trial is known; otherwise the trial does not change the values.
        is_offered: [N, T, K] whether each choice was offered; None if all choices always were.
    """
    rates, betas, kappas = (v.astype(np.float32) for v in list_grid_values().values())
    last, present = history.last_choice, history.is_present
    payoff = history.shift_later(history.payoff)
    has_payoff = history.shift_later(has_feedback)
    values = np.full((len(rates), *last.shape), 0.5, np.float32)  # [rates, N, T, K]
    value = values[:, :, 0].copy()
    for t in range(1, history.trial_count):
        error = payoff[:, t, None] - value
        value = value + rates[:, None, None] * (last[:, t] * has_payoff[:, t, None]) * error
        values[:, :, t] = value
    own, (rows, trials) = history.action[present], np.nonzero(present)  # [M], the choices to predict
    others = (own[:, None] + np.arange(1, history.choices)) % history.choices  # [M, K - 1]
    values, last = values[:, present], last[present]
    better = np.take_along_axis(values, others[None], -1) - np.take_along_axis(values, own[None, :, None], -1)
    repeats = np.take_along_axis(last, others, -1) - np.take_along_axis(last, own[:, None], -1)
    blocked = 0.0 if is_offered is None else np.where(is_offered[rows[:, None], trials[:, None], others], 0.0, -1e9)
    blocked = np.float32(blocked)
    starts = np.searchsorted(rows, np.arange(len(history.action)))
    result = np.zeros((len(history.action), *GRID_SIZES))
    has_choices = present.any(-1)
    for i, beta in enumerate(betas):
        for j, kappa in enumerate(kappas):
            odds = np.exp(np.minimum(beta * better + kappa * repeats + blocked, 80.0))
            log_p = -np.log1p(odds.sum(-1), dtype=np.float64)
            result[has_choices, :, i, j] = np.add.reduceat(log_p, starts[has_choices], 1).T
    return result.reshape(len(history.action), -1)


def _compute_quantiles(marginal: np.ndarray, values: np.ndarray, q: float) -> np.ndarray:
    """Computes the quantile q of each marginal distribution (a row [V]), interpolated between the grid values [V]."""
    cumulative = marginal.cumsum(-1) - marginal / 2
    return np.array([np.interp(q, row, values) for row in cumulative])
