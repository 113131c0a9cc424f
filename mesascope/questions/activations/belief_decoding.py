"""How well can the posterior over each choice's pay-off be decoded from the carry, compared with controls?

On every trial, ridge regression decodes posterior means, posterior standard deviations and counts (how often the choice
was made) from the carry. The regression is fitted to other lifetimes (five folds). R² alone is not evidence, because
even a random recurrent network stores its inputs, and counts grow with time. So there are three controls: the carry of
an untrained network of the same shape on the same inputs, the trial index alone, and the subject's carry paired with
another lifetime's beliefs.

In shapes, N is the number of lifetimes, T of trials, and B of beliefs: three for each choice.
"""

from typing import Any

import numpy as np

from mesascope.contracts import (
    DoesNotApply,
    Metric,
    Reading,
    make_metric,
    pad_readings,
    record_taps,
    select_fresh_trials,
)
from mesascope.questions.activations.decoding import DEFAULT_LIFETIMES, Moments, average_other_folds, join_taps
from mesascope.questions.procedures.histories import check_lifetimes, compute_beliefs, select_first_lifetimes
from mesascope.stats import linearise


def metric(lifetimes: int = DEFAULT_LIFETIMES) -> Metric:
    """Does the subject's carry contain more about posterior means, spreads and counts than the controls do?

    Args:
        lifetimes: the largest number of lifetimes to use.
    """
    check_lifetimes(lifetimes, minimum=10)

    def measure(trials, references, replay):
        rollout, history = select_first_lifetimes(select_fresh_trials(trials), lifetimes)
        if len(history.action) < 10:
            raise DoesNotApply(f"there are {len(history.action)} lifetimes, but decoding needs 10")
        if not history.is_binary:
            raise DoesNotApply("beliefs are defined for pay-offs of 0 and 1 only")
        x, twin, twin_note = join_taps(record_taps(replay, rollout)), None, ""
        try:
            twin = join_taps(record_taps(replay, rollout, "untrained"))
        except DoesNotApply as error:
            twin_note = f"; {error}"
        split, has_choice = str(rollout.attrs["split"]), history.is_present[..., None]
        beliefs_by_name = compute_beliefs(history)
        y = np.concatenate(list(beliefs_by_name.values()), -1)
        swapped = np.roll(y, -1 - len(y) // 2, 0)  # another lifetime's beliefs
        moments, mean_guess = Moments(x, y), average_other_folds(y, is_by_trial=False)
        trial_guess = average_other_folds(y, is_by_trial=True)
        guesses = {"": (y, moments.predict(), mean_guess)}
        if twin is not None:
            guesses["an untrained network"] = (y, Moments(twin, y).predict(), mean_guess)
        guesses["the trial index alone"] = (y, trial_guess, mean_guess)
        swapped_mean = average_other_folds(swapped, is_by_trial=False)
        guesses["another lifetime's beliefs"] = (swapped, Moments(x, swapped).predict(), swapped_mean)
        pairs = [(truth, guess) for truth, *both in guesses.values() for guess in both]
        errors = [(truth - guess) ** 2 * has_choice for truth, guess in pairs]
        readings = []
        for i, name in enumerate(beliefs_by_name):
            columns = slice(i * history.choices, (i + 1) * history.choices)
            parts = np.stack([error[..., columns].sum((1, 2)) for error in errors])
            note = _describe_units(moments, columns, guesses[""][1], mean_guess, trial_guess) + twin_note
            readings.append(Reading(linearise(_make_r_squared(0), parts), split, f"{name}, R²", reason=note))
            for j, control in list(enumerate(guesses))[1:]:
                gain = linearise(_make_r_squared_gain(j), parts)
                readings.append(Reading(gain, split, f"{name}, R² above {control}"))
        return pad_readings(readings, select_fresh_trials(trials))

    question = "How well can beliefs about each choice be decoded from the carry (R²), compared with controls?"
    return make_metric(question, measure, lifetimes=lifetimes)


def _make_r_squared(i: int):
    """Makes a function that computes R² of the carry (i = 0) or of the i-th control from mean squared errors."""
    return lambda m: 1 - m[2 * i] / m[2 * i + 1]


def _make_r_squared_gain(i: int):
    """Makes a function that computes R² of the carry minus R² of the i-th control, from mean squared errors."""
    return lambda m: _make_r_squared(0)(m) - _make_r_squared(i)(m)


def _describe_units(moments: Moments, columns: slice, carry_prediction, mean_prediction, trial_mean_prediction) -> str:
    """Names the units with the largest weights, R² without them, and the trial at which decoding becomes useful.

    Args:
        moments: the moments of the carry and the beliefs.
        columns: the columns of the beliefs to describe, among all B beliefs.
        carry_prediction: [N, T, B] the beliefs decoded from the carry.
        mean_prediction: [N, T, B] the mean beliefs of other lifetimes.
        trial_mean_prediction: [N, T, B] the mean beliefs of other lifetimes on each trial.
    """
    weights, width = moments.fit_ridge().weights[:, columns], moments.x.shape[-1]
    units = np.argsort(-np.abs(weights).sum(1))[: max(1, min(5, width // 4))]
    reduced = moments.predict(np.setdiff1d(np.arange(width), units)) if width > len(units) else mean_prediction

    def sum_squared_errors(prediction: np.ndarray, axes: Any = None) -> np.ndarray:
        return ((moments.y - prediction) ** 2)[..., columns].sum(axes)

    error, spread = sum_squared_errors(carry_prediction, (0, 2)), sum_squared_errors(trial_mean_prediction, (0, 2))
    by_trial = 1 - error / np.where(spread > 1e-9, spread, np.inf)
    threshold = max(1 - error.sum() / spread.sum(), 0) / 2
    useful = np.flatnonzero((by_trial >= threshold) & (spread > 1e-9))
    remaining = 1 - sum_squared_errors(reduced) / sum_squared_errors(mean_prediction)
    text = f"largest weights: units {', '.join(map(str, units))}; R² without them {remaining:.2f}"
    if threshold and len(useful):
        text += f"; decoding reaches half of its gain over the trial index at trial {useful[0] + 1}"
    return text
