"""How does the first choice of a two-step trial depend on the choices, rewards and transitions of earlier trials?

The metric fits a logistic regression of the first choice on earlier trials. The predictors at each lag are the choice,
choice × reward, choice × transition and choice × reward × transition, with all three coded as ±1 (after Akam et al.
2015 and Miller et al. 2017). Cached values produce the reward main effect. Planners produce the interaction, and so do
filters that do not plan.
"""

import numpy as np
from scipy.special import expit

from mesascope.contracts import DoesNotApply, Metric, Reading, check_range, make_metric, select_fresh_trials
from mesascope.worlds.two_step.trial_arrays import TwoStepTrials, fit_logistic, read_scaled_trials, sum_by_unit

EFFECTS = ("choice", "reward main effect", "transition main effect", "reward × transition interaction")
MIN_CHOICES_PER_WEIGHT = 10  # the fewest choices per weight


def metric(lags: int = 3) -> Metric:
    """How does the subject's first choice depend on the choices, rewards and transitions of earlier trials?

    Args:
        lags: the number of earlier trials in the regression, from 1 to 20.
    """
    check_range(1, 20, lags=lags)

    def measure(trials, references, replay):
        fresh_trials = select_fresh_trials(trials)
        scaled = read_scaled_trials(fresh_trials)
        values = fit_lag_weights(scaled, lags)
        split = str(fresh_trials.attrs["split"])
        reason = "weight of a ±1 in the log-odds of the same first choice"
        return [
            Reading(values[lag, i][scaled.unit], split, f"lag {lag + 1}: {effect}", reason=reason)
            for lag in range(lags)
            for i, effect in enumerate(EFFECTS)
        ]

    question = "How does the subject's first choice depend on the choices, rewards and transitions of earlier trials?"
    return make_metric(question, measure, lags=lags)


def fit_lag_weights(trials: TwoStepTrials, lags: int) -> np.ndarray:
    """Fits the weights [lags, 4, U] of the effects at each lag, for U units of resampling.

    Means over units are the estimates, and the spread over units gives their standard errors.

    Raises:
        DoesNotApply: there are too few choices for the number of weights.
    """
    is_second_option = trials.first_choice == 1
    flags = (is_second_option, trials.is_rewarded, trials.transition == 1)
    choice, reward, common = (np.where(flag, 1.0, -1.0) for flag in flags)
    terms = np.stack([choice, choice * reward, choice * common, choice * reward * common], -1)
    terms = terms * trials.is_complete[..., None]
    n, length, effects = terms.shape
    x = np.zeros((n, length, lags, effects))
    for lag in range(min(lags, length - 1)):
        x[:, lag + 1 :, lag] = terms[:, : length - lag - 1]
    x = np.concatenate([x.reshape(n, length, -1), np.ones((n, length, 1))], -1)
    is_counted = trials.is_complete.copy()
    is_counted[:, 0] = False
    if is_counted.sum() < MIN_CHOICES_PER_WEIGHT * x.shape[-1]:
        raise DoesNotApply(f"{int(is_counted.sum())} choices are too few for {x.shape[-1]} weights")
    y = is_second_option.astype(float)
    weights, curvature = fit_logistic(x[is_counted], y[is_counted])
    slope = (x * (is_counted * (y - expit(x @ weights)))[..., None]).sum(1)  # [N, F]
    slope = sum_by_unit(trials, slope)
    influence = len(slope) * (slope - slope.mean(0)) @ np.linalg.inv(curvature)
    return np.moveaxis((weights + influence)[:, :-1].reshape(-1, lags, effects), 0, -1)
