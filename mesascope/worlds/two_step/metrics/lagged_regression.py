"""On which earlier trials of a two-step task does its first choice hang, and by what?

A logistic regression of the first choice on the trials before it, lag by lag: on the choice made there, and on that
times reward, times transition and times both (after Akam et al. 2015 and Miller et al. 2017); reward, transition and
choices are ±1. The reward main effect is what cached values show, the interaction what planners show, and so do filters
that hold no plan.
"""

import numpy as np
from scipy.special import expit

from mesascope.contracts.metric import DoesNotApply, Metric, Reading, fresh, make_metric
from mesascope.contracts.settings import check_range
from mesascope.worlds.two_step.two_steps import Steps, by_units, logistic, two_steps

EFFECTS = ("choice", "reward main effect", "transition main effect", "reward × transition interaction")
FEWEST = 10  # choices for every weight


def metric(lags: int = 3) -> Metric:
    """On the choices, rewards and transitions of how many trials ago does its first choice hang?

    Args:
        lags: the earlier trials, from 1 to 20.
    """
    check_range(1, 20, lags=lags)

    def measure(trials, references, replay):
        lived = fresh(trials)
        values, steps = fit_lags(two_steps(lived), lags)
        split = str(lived.attrs["split"])
        told = "weight of a ±1 in the log-odds of the same first choice"
        return [
            Reading(values[lag, i][steps.unit], split, f"lag {lag + 1}: {effect}", reason=told)
            for lag in range(lags)
            for i, effect in enumerate(EFFECTS)
        ]

    question = "On the choices, rewards and transitions of how many trials ago does its first choice hang?"
    return make_metric(question, measure, lags=lags)


def fit_lags(steps: Steps, lags: int) -> tuple[np.ndarray, Steps]:
    """Weights [lags, 4, U] whose means are the estimates and whose spread over units gives their errors.

    Raises:
        DoesNotApply: too few choices.
    """
    chose, won, common = (np.where(x, 1.0, -1.0) for x in (steps.first == 1, steps.won, steps.common == 1))
    told = np.stack([chose, chose * won, chose * common, chose * won * common], -1) * steps.known[..., None]
    n, length, effects = told.shape
    x = np.zeros((n, length, lags, effects))
    for lag in range(min(lags, length - 1)):
        x[:, lag + 1 :, lag] = told[:, : length - lag - 1]
    x = np.concatenate([x.reshape(n, length, -1), np.ones((n, length, 1))], -1)
    asked = steps.known.copy()
    asked[:, 0] = False
    if asked.sum() < FEWEST * x.shape[-1]:
        raise DoesNotApply(f"{int(asked.sum())} choices are too few for {x.shape[-1]} weights")
    y = (steps.first == 1).astype(float)
    weights, curve = logistic(x[asked], y[asked])
    slope = (x * (asked * (y - expit(x @ weights)))[..., None]).sum(1)  # [N, F]
    slope = by_units(steps, slope)
    influence = len(slope) * (slope - slope.mean(0)) @ np.linalg.inv(curve)
    return np.moveaxis((weights + influence)[:, :-1].reshape(-1, lags, effects), 0, -1), steps
